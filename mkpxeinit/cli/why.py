"""`mkpxeinit why`."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import click

from mkpxeinit.cli import complete
from mkpxeinit.cli.forms import FILE, WORD
from mkpxeinit.cli.say import warn
from mkpxeinit.errors import ImageError, UsageError, printable
from mkpxeinit.image.why import Answer, Explained
from mkpxeinit.reason import ARROW


@click.command(
    name="why",
    short_help="Say why something is in an image.",
    epilog="""\b
Examples:
  mkpxeinit why pxeinit.img realtek
  mkpxeinit why pxeinit.img rtl_nic/rtl8168g-2.fw bin/modprobe
  mkpxeinit why --all pxeinit.img | grep 'softdep of'
""",
)
@click.argument("image", type=FILE)
@click.argument("names", type=WORD, metavar="[PATH-OR-NAME]...", nargs=-1, shell_complete=complete.NAMES)
@click.option("--all", "everything", is_flag=True, help="The reason of each entry, sorted by path.")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON list.")
def command(image: Path, names: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Print the chain of reasons of what PATH-OR-NAME means in IMAGE, the nearest reason first.

    A name is that of a module (with or without .ko, dashes or underscores), of firmware as drivers name
    it, of an applet, a library or any other file; all that have it are printed, a line each. The reasons
    travel in the image: those of other programs have none. Exit code 1 if a name is not in it; what was
    found is printed all the same.
    """
    if everything == bool(names):
        raise UsageError("give names, or --all without names; see mkpxeinit why --help")
    explained = Explained(image)
    missing: list[str] = []
    found = list(explained.all()) if everything else []
    for name in names:
        try:
            found += explained.ask(os.fsencode(name).decode("utf-8", "surrogateescape"))
        except ImageError as error:
            missing.append(str(error))
    if as_json:
        rows = [{"path": str(each.path), "chain": each.chain} for each in found]
        click.echo(json.dumps(rows, indent=2))
    else:
        _print(found)
    for line in missing[:-1]:
        warn(line)
    if missing:
        raise ImageError(missing[-1])


def _print(answers: Iterable[Answer]) -> None:
    for each in answers:
        click.echo(printable(ARROW.join((str(each.path), *each.chain))))
