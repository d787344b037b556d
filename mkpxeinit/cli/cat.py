"""`mkpxeinit cat`."""

import os
import sys
from pathlib import Path

import click

from mkpxeinit.cli import complete
from mkpxeinit.cli.forms import FILE, WORD
from mkpxeinit.image.catalogue import Catalogue


@click.command(
    name="cat",
    short_help="Print files of an image.",
    epilog="""\b
Examples:
  mkpxeinit cat pxeinit.img etc/cmdline
  mkpxeinit cat /boot/initrd.img init | less
""",
)
@click.argument("image", type=FILE)
@click.argument("paths", type=WORD, metavar="PATH...", nargs=-1, required=True, shell_complete=complete.PATHS)
def command(image: Path, paths: tuple[str, ...]) -> None:
    """Print the files PATH of IMAGE on stdout, one after another, as they are.

    The image may be of any tool. Links are followed within it. Where a path is in several archives, the
    last counts, as it does for the kernel. Nothing is printed unless all of the files are there.
    """
    catalogue = Catalogue(image)
    names = (os.fsencode(path).decode("utf-8", "surrogateescape") for path in paths)
    for number in [catalogue.locate(name) for name in names]:
        for piece in catalogue.content(number):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
