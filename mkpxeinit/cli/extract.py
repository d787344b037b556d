"""`mkpxeinit extract`."""

import os
from pathlib import Path

import click

from mkpxeinit.cli import complete
from mkpxeinit.cli.forms import DIR, FILE, WORD
from mkpxeinit.cli.say import warn
from mkpxeinit.image.extract import extract


@click.command(
    name="extract",
    short_help="Unpack an image into a folder, never outside it.",
    epilog="""\b
Examples:
  mkpxeinit extract pxeinit.img -C /tmp/image
  mkpxeinit extract /boot/initrd.img -C /tmp/image 'etc' '*/r8169.ko*'
""",
)
@click.argument("image", type=FILE)
@click.argument("patterns", type=WORD, metavar="[PATTERN]...", nargs=-1, shell_complete=complete.PATHS)
@click.option(
    "-C",
    "--directory",
    type=DIR,
    default=Path(),
    metavar="DIR",
    help="Folder to unpack into; made if it is missing. [default: the current folder]",
)
def command(image: Path, patterns: tuple[str, ...], directory: Path) -> None:
    """Unpack IMAGE, or what matches a PATTERN and all below it.

    The image may be of any tool. Patterns are the shell's, for the whole path; * stands for slashes
    too. Nothing is written outside the folder, whatever names and links the image has, and no file that
    was there before is replaced. Owners and devices need root: without it owners are not kept, and each
    device is named on stderr and left out.
    """
    names = [os.fsencode(pattern).decode("utf-8", "surrogateescape") for pattern in patterns]
    for left_out in extract(image, directory, names):
        warn(left_out)
