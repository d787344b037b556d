"""What `mkpxeinit publish --list` and `--check` print."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mkpxeinit.cli.say import log as _log
from mkpxeinit.cli.say import working
from mkpxeinit.errors import PublishError, printable
from mkpxeinit.netboot import generation, published, served
from mkpxeinit.netboot.generation import Manifest
from mkpxeinit.netboot.published import Published
from mkpxeinit.netboot.tftproot import TftpRoot

_HEAD = ("generation", "kernel", "published", "MB", "used by")


def show(tftp_root: Path, as_json: bool) -> int:
    """Print the generations and who boots them; return the exit code."""
    root = TftpRoot.open(tftp_root)
    state = published.read(root)
    uses = state.uses()
    found: list[Manifest] = []
    code = 0
    for name in generation.names(root):
        try:
            found.append(generation.read(root, name))
        except PublishError as error:
            _log(str(error))
            code = 1
    if as_json:
        click.echo(json.dumps(_listed(state, found), indent=2))
        return code
    rows = [_HEAD, *((*_row(each), ", ".join(uses.get(each.name, ["-"]))) for each in found)]
    for line in _table(rows):
        click.echo(line)
    return code


def _row(manifest: Manifest) -> tuple[str, ...]:
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(min(manifest.created, 253402300799)))
    size = (manifest.kernel.size + manifest.image.size) / 1e6
    return manifest.name, manifest.release, f"{when} UTC", f"{size:.1f}"


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join((*cells, row[-1])).rstrip()


def _listed(state: Published, found: list[Manifest]) -> dict[str, Any]:
    """Return what docs/json.md describes."""
    uses = state.uses()
    return {
        "default": state.default,
        "trees": {
            name: {"generation": each.generation, "previous": each.previous}
            for name, each in state.trees.items()
        },
        "groups": {
            name: {
                "tree": each.tree,
                "generation": each.generation,
                "previous": each.previous,
                "clients": [
                    mac
                    for mac, label in state.clients
                    if any(slot.label == label and slot.group == name for slot in state.slots)
                ],
            }
            for name, each in state.groups.items()
        },
        "generations": [
            {**json.loads(generation.as_json(each)), "used-by": uses.get(each.name, [])} for each in found
        ],
    }


def check(tftp_root: Path, sysroot: Path | None, name: str | None, as_json: bool) -> int:
    """Print what is wrong with what is served; return the exit code."""
    with working("comparing"):
        report = served.check(tftp_root, sysroot, name)
    if as_json:
        found = [{"where": f.where, "what": f.what, "remedy": f.remedy} for f in report.findings]
        names = [each.name for each in report.generations]
        click.echo(json.dumps({"ok": not found, "generations": names, "findings": found}, indent=2))
    else:
        for finding in report.findings:
            click.echo(str(finding))
    for note in report.notes:
        _log(note)
    if report.findings:
        wrong = len(report.findings)
        _log(f"{printable(tftp_root)}: {'1 thing is' if wrong == 1 else f'{wrong} things are'} wrong")
        return 1
    served_now = len(report.generations)
    which = "1 generation is" if served_now == 1 else f"{served_now} generations are"
    _log(f"{printable(tftp_root)}: {which} served as {'it' if served_now == 1 else 'they'} should be")
    return 0
