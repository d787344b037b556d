"""`mkpxeinit check`."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from mkpxeinit.check import Machine, Report, check
from mkpxeinit.cli import complete
from mkpxeinit.cli.forms import FILE, WORD
from mkpxeinit.cli.say import warn
from mkpxeinit.coverage import UNCOVERED, Finding, Lack
from mkpxeinit.errors import UsageError, printable
from mkpxeinit.hardware.devices import pci

_HEAD = ("machine", "device", "driver", "verdict", "lacking")
_SHOWN = 3  # firmware files of a driver that a line of the table names


@click.command(
    name="check",
    short_help="Say which machines of a fleet an image serves.",
    epilog="""\b
Examples:
  mkpxeinit check pxeinit.img --hardware office.lspci
  mkpxeinit check pxeinit.img inventories/*.lspci
  mkpxeinit check --json pxeinit.img --hardware inventories/ | jq '.machines[] | select(.covered | not)'
""",
)
@click.argument("image", type=FILE)
@click.argument("files", metavar="[FILE]...", nargs=-1, type=FILE)
@click.option(
    "--hardware",
    multiple=True,
    type=FILE,
    metavar="FILE",
    help="An inventory, one file a machine, in any form that build --hardware reads, or a folder of them; "
    "repeatable.",
)
@click.option(
    "--kernel-release",
    type=WORD,
    metavar="RELEASE",
    help="Kernel to judge by, if the image has several.",
    shell_complete=complete.IMAGE_RELEASES,
)
@click.option("--no-firmware", is_flag=True, help="Ask for drivers alone: many cards work without firmware.")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
def command(
    image: Path,
    files: tuple[Path, ...],
    hardware: tuple[Path, ...],
    kernel_release: str | None,
    no_firmware: bool,
    as_json: bool,
) -> int:
    """Print for each machine which network devices and PHYs IMAGE serves, and what it lacks for the others.

    FILE is the same as --hardware FILE. The image's own lists of modules say which drivers it has, so it
    may be of another tool if it has them as text. Wireless devices are ignored. Exit code 0 if all
    machines are covered, 1 if one is not, or its inventory is damaged.
    """
    given = (*hardware, *files)
    if not given:
        raise UsageError("no inventory; give files after the image or with --hardware")
    report = check(image, given, kernel_release, not no_firmware)
    if as_json:
        click.echo(json.dumps(_object(report, image), indent=2))
    else:
        for line in _table(report):
            click.echo(line)
    for machine in report.machines:
        if machine.error:
            warn(machine.error)
    uncovered = sum(not machine.covered for machine in report.machines)
    if not uncovered:
        return 0
    warn(
        f"{printable(image)}: {uncovered} of {len(report.machines)} machines not covered; "
        "build an image with --hardware FILE for each, or with their drivers and firmware"
    )
    return 1


def _table(report: Report) -> Iterator[str]:
    rows = [_HEAD, *(row for machine in report.machines for row in _rows(machine))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join((*cells, row[-1])).rstrip()


def _rows(machine: Machine) -> Iterator[tuple[str, ...]]:
    for each in machine.findings:
        lacking = each.reason or _lacking(each.lacking)
        yield machine.name, _device(each), ",".join(each.drivers) or "-", each.verdict, lacking
    if machine.error:
        yield machine.name, "-", "-", UNCOVERED, machine.error.removeprefix(f"{machine.name}: ")


def _device(finding: Finding) -> str:
    """Return a device as people name it: vendor and device on PCI, else its modalias or its place."""
    parts = pci(finding.modalias)
    if parts is not None:
        return f"{parts.vendor}:{parts.device}".lower()
    return printable(finding.modalias or finding.where.partition(" ")[2] or finding.where)


def _lacking(lacks: tuple[Lack, ...]) -> str:
    """Return what is lacking, of many firmware files the first."""
    shown = [str(each) for each in lacks if each.kind != "firmware"]
    files = [str(each) for each in lacks if each.kind == "firmware"]
    more = [f"{len(files) - _SHOWN} more firmware files"] if len(files) > _SHOWN else []
    return printable(", ".join((*shown, *files[:_SHOWN], *more)))


def _object(report: Report, image: Path) -> dict[str, object]:
    """Return the report as docs/json.md describes it."""
    return {
        "image": printable(image),
        "release": report.release,
        "covered": report.covered,
        "machines": [
            {
                "machine": machine.name,
                "covered": machine.covered,
                "error": machine.error,
                "devices": [_entry(each) for each in machine.findings],
            }
            for machine in report.machines
        ],
    }


def _entry(finding: Finding) -> dict[str, object]:
    return {
        "where": finding.where,
        "modalias": finding.modalias,
        "drivers": finding.drivers,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "lacking": [{"kind": lack.kind, "name": lack.name, "of": lack.of} for lack in finding.lacking],
    }
