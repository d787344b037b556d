"""What commands and their options are made of: -q everywhere, and a guess where a word is mistyped.

The messages are ours, so that they are the same with any click.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from mkpxeinit.cli import say
from mkpxeinit.errors import MkpxeinitError, UsageError, printable
from mkpxeinit.meant import meant

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def with_quiet(command: click.Command) -> click.Command:
    """Return `command` with -q, which all have."""
    if all("--quiet" not in each.opts for each in command.params):
        command.params.append(
            click.Option(
                ["-q", "--quiet"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=say.set_quiet,
                help="Print nothing on stderr but warnings and errors.",
            )
        )
    return command


class Group(click.Group):
    """Commands below a word: one that is not there is answered with the one that was meant.

    Without any, the help is the answer, and wrong usage.
    """

    group_class = type
    what: ClassVar[str] = "command"

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Take a command, with -q."""
        super().add_command(with_quiet(cmd), name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they were written."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words; without any, show the help."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first word names, and the rest."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"no {self.what} {shown(args[0])}{meant(args[0], known)}", ctx)
        return super().resolve_command(ctx, args)


class GroupedCommand(click.Command):
    """Has too many options for one list: `groups` are headings, each with the names of its options."""

    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        records = {str(each.name): each.get_help_record(ctx) for each in self.get_params(ctx)}
        grouped = {name for names in self.groups.values() for name in names}
        rest = [name for name in records if name not in grouped]  # --help itself
        for heading, names in self.groups.items():
            last = rest if heading == list(self.groups)[-1] else []
            with formatter.section(heading):
                formatter.write_dl([row for name in (*names, *last) if (row := records.get(name))])


class OneOf(click.Choice):  # type: ignore[type-arg,unused-ignore]
    """A value that is one of a few; another one is answered with the one that was meant."""

    def __init__(self, *choices: str) -> None:
        super().__init__(choices)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return `value`."""
        if value in self.choices:
            return value
        self.fail(f"there is no {shown(value)}{meant(str(value), self.choices)}", param, ctx)


class FilePath(click.Path):
    """The path of a file; whether there is one is for whoever uses it.

    An empty one is refused: it comes of a variable that is not set, and would be the current folder.
    """

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if value == "":
            self.fail("an empty path; the current folder is a dot", param, ctx)
        return super().convert(value, param, ctx)


class FolderPath(FilePath):
    """The path of a folder."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """Return that the shell is to complete folders."""
        from mkpxeinit.cli.complete import folders  # at a press of Tab only

        return folders(ctx, param, incomplete)


FILE = FilePath()
DIR = FolderPath()


def _between(low: float | None, high: float | None) -> str:
    return f"{low:g} or more" if high is None else f"{low:g} to {high:g}"


class Whole(click.IntRange):
    """A whole number."""

    name = "whole number"

    def _describe_range(self) -> str:
        return _between(self.min, self.max)


class Seconds(click.FloatRange):
    """A number of seconds."""

    name = "number of seconds"

    def _describe_range(self) -> str:
        return _between(self.min, self.max)


class Checked(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A value that `check` accepts, and perhaps makes another one of; else it raises one of our errors."""

    name = "text"

    def __init__(self, check: Callable[[str], object]) -> None:
        self._check = check

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return what the check makes of `value`."""
        try:
            return self._check(value) if isinstance(value, str) else value
        except MkpxeinitError as error:
            self.fail(str(error), param, ctx)


def _word(text: str) -> str:
    if not text:
        raise UsageError("it is empty")
    return text


WORD = Checked(_word)


def shown(word: object) -> str:
    """Return a word of the command line as messages show it."""
    return printable(repr(word))
