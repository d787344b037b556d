"""`mkpxeinit why`."""

import os
from collections.abc import Iterable
from pathlib import Path

import click

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
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("names", metavar="[PATH-OR-NAME]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="The reason of each entry, sorted by path.")
def command(image: Path, names: tuple[str, ...], everything: bool) -> None:
    """Print the chain of reasons of what PATH-OR-NAME means in IMAGE, the nearest reason first.

    A name is that of a module (with or without .ko, dashes or underscores), of firmware as drivers name
    it, of an applet, a library or any other file; all that have it are printed, a line each. The reasons
    travel in the image: those of other programs have none. Exit code 1 if a name is not in it; what was
    found is printed all the same.
    """
    if everything == bool(names):
        raise UsageError("give names, or --all without names; see mkpxeinit why --help")
    explained = Explained(image)
    if everything:
        _print(explained.all())
        return
    missing: list[str] = []
    for name in names:
        try:
            _print(explained.ask(os.fsencode(name).decode("utf-8", "surrogateescape")))
        except ImageError as error:
            missing.append(str(error))
    for line in missing[:-1]:
        click.echo(f"mkpxeinit: {line}", err=True)
    if missing:
        raise ImageError(missing[-1])


def _print(answers: Iterable[Answer]) -> None:
    for each in answers:
        click.echo(printable(ARROW.join((str(each.path), *each.chain))))
