"""`mkpxeinit busybox`: a small static busybox for images."""

import os
from pathlib import Path

import click

from mkpxeinit import build, resources
from mkpxeinit.busybox import OWN
from mkpxeinit.busybox_build import COMPILER
from mkpxeinit.busybox_build import build as build_busybox
from mkpxeinit.cli import complete
from mkpxeinit.cli.forms import FILE, Checked, shown
from mkpxeinit.cli.say import log, working
from mkpxeinit.errors import ImageError, UsageError, os_cause, printable
from mkpxeinit.image.output import replacing


def _compiler(text: str) -> str:
    """Return `text`, which make's own language has nothing to say about."""
    if not text or any(not c.isprintable() or c.isspace() or c in "'\"`$\\;&|<>()#*" for c in text):
        raise UsageError(f"{shown(text)} is not a program's name or path without blanks and quotes")
    return text


@click.command(
    name="busybox",
    short_help="Build the small static busybox that images take.",
    epilog="""\b
Examples:
  apt-get source --download-only busybox
  mkpxeinit busybox --source busybox_1.35.0.orig.tar.bz2
  mkpxeinit busybox --source busybox-1.36.1/ --output ./busybox
""",
)
@click.option(
    "--source",
    type=FILE,
    required=True,
    metavar="DIR|TARBALL",
    help="busybox' source, 1.30 or newer: its folder or its tar archive. It is only read.",
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="FILE",
    default=OWN[0],
    show_default=True,
    help="The busybox; in the default's place `mkpxeinit build` finds it by itself.",
)
@click.option(
    "--compiler",
    type=Checked(_compiler),
    default=COMPILER,
    show_default=True,
    metavar="PROGRAM",
    shell_complete=complete.words((COMPILER, "gcc", "cc")),
    help="C compiler, a name or a path without blanks.",
)
def command(source: Path, output: Path, compiler: str) -> None:
    """Build a static busybox with just what the client in an image uses, and udhcpc6 and nbd-client.

    Building RUNS what the source brings, its Makefile and the programs that this compiles, as the user who
    calls: take a source that you trust, and rather not as root. The source is copied to a scratch folder
    (TMPDIR); what it says is on goes by the fragments of this package, and everything else is off. The same
    source and compiler give the same bytes. What was built is checked, but not run.
    """
    configs = resources.folder("busybox-configs")
    with working("compiling busybox"):
        built = build_busybox(source, configs, compiler, build.source_date(os.environ))
    try:
        if output == OWN[0]:
            output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(
            f"{printable(output.parent)}: {os_cause(error)}; be root, or choose another place with --output"
        ) from error
    with replacing(output) as file:
        file.write(built.data)
        os.fchmod(file.fileno(), 0o755)
    if built.unknown:
        log(f"this source has no {', '.join(built.unknown)}: left as its default says")
    log(f"{printable(output)}: {len(built.applets)} applets, {len(built.data)} bytes")
