"""`mkpxeinit timeline`: where the time of a client's boot went."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from mkpxeinit.cli.forms import FILE
from mkpxeinit.image.output import replacing
from mkpxeinit.timeline import Timeline, read_state, svg


@click.command(
    name="timeline",
    short_help="Draw where the time of a client's boot went.",
    epilog="""\b
Examples:
  scp client:/run/pxeinit/state . && mkpxeinit timeline state -o boot.svg
  mkpxeinit boot IMAGE --sysroot DIR --timeline boot.svg     (the same of a boot in QEMU, from power-on)
""",
)
@click.argument("state", type=FILE)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="FILE",
    help="The plot, an SVG. [default: ./STATE.svg]",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the phases as one JSON object; draw only with -o."
)
def command(state: Path, output: Path | None, as_json: bool) -> None:
    """Draw the phases in STATE, a copy of a client's /run/pxeinit/state, as an SVG.

    A row for the kernel and for each phase of the client, up to the hand-over to the tree's init, along an
    axis of seconds since the kernel started; failures on the way stand with the phase that they were in.
    """
    found = read_state(state)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
    if output or not as_json:
        write(found, output or Path(f"{state.name}.svg"))


def write(timeline: Timeline, output: Path) -> None:
    """Write the plot, whole or not at all, readable by all."""
    text = svg(timeline)
    with replacing(output) as file:
        file.write(text.encode())
        os.fchmod(file.fileno(), 0o644)
