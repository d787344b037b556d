"""`mkpxeinit diff`."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from mkpxeinit.cli.forms import FILE
from mkpxeinit.cli.say import coloured
from mkpxeinit.errors import printable
from mkpxeinit.image.compare import Change, Comparison, Side, State, compare

_COLOURS = {"added": "green", "removed": "red", "changed": "yellow"}
_SIGNS = {"added": "+", "removed": "-", "changed": "!"}


@click.command(
    name="diff",
    short_help="Say in what two images differ.",
    epilog="""\b
Examples:
  mkpxeinit diff old.img new.img
  mkpxeinit diff --across-releases pxeinit-6.1.0-49-amd64.img pxeinit-6.1.0-56-amd64.img
  mkpxeinit diff --json /boot/initrd.img.old /boot/initrd.img | jq .totals
""",
)
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.option("--across-releases", is_flag=True, help="Take the modules' folders of two kernels as one.")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
def command(old: Path, new: Path, across_releases: bool, as_json: bool) -> int:
    """Print what is added (+), removed (-) and changed (!) from image OLD to NEW, sorted by path.

    The images may be of any tool. Compared is what the kernel has when all is unpacked: type, mode,
    owner, content, a link's target, a device's numbers; not times. Exit code 0 if nothing differs, 1 if
    something does (or if it fails, which stderr says).
    """
    found = compare(old, new, across_releases)
    if as_json:
        click.echo(json.dumps(_object(found), indent=2))
    elif found.changes:
        for line in _lines(found):
            click.echo(line)
    return 1 if found.changes else 0


def _lines(found: Comparison) -> Iterator[str]:
    old, new = found.old, found.new
    facts = (
        ("kernel", ", ".join(old.releases) or None, ", ".join(new.releases) or None),
        ("mkpxeinit", old.version, new.version),
        ("command line", old.cmdline, new.cmdline),
    )
    for name, before, after in facts:
        if before != after:
            yield f"{name}: {_shown(before)} -> {_shown(after)}"
    for change in found.changes:
        sign = coloured(_SIGNS[change.kind], _COLOURS[change.kind])
        yield f"{sign} {printable(change.path)}: {_what(change)}"
    for kind in _SIGNS:
        those = [change for change in found.changes if change.kind == kind]
        count = "1 entry" if len(those) == 1 else f"{len(those)} entries"
        yield f"{kind}: {count}, {sum(change.growth for change in those):+} bytes"
    yield f"unpacked: {old.unpacked} -> {new.unpacked} bytes ({new.unpacked - old.unpacked:+})"
    yield f"image: {old.packed} -> {new.packed} bytes ({new.packed - old.packed:+})"


def _shown(text: str | None) -> str:
    return "none" if text is None else printable(text) if text else "empty"


def _what(change: Change) -> str:
    """Return what a path is that was added or removed, or in what it differs."""
    old, new = change.old, change.new
    if old is None or new is None:
        only = new or old
        return _whole(only) if only else ""
    if old.type != new.type:
        return f"{_whole(old)} -> {_whole(new)}"
    parts = []
    if old.digest != new.digest:
        parts.append(f"content, {old.size} -> {new.size} bytes ({new.size - old.size:+})")
    if old.mode != new.mode:
        parts.append(f"mode {old.mode:04o} -> {new.mode:04o}")
    if old.owner != new.owner:
        parts.append(f"owner {_pair(old.owner)} -> {_pair(new.owner)}")
    if old.target != new.target:
        parts.append(f"target {printable(old.target)} -> {printable(new.target)}")
    if old.device != new.device and old.device and new.device:
        parts.append(f"device {_pair(old.device)} -> {_pair(new.device)}")
    return "; ".join(parts)


def _whole(state: State) -> str:
    extra = ""
    if state.digest is not None:
        extra = f" of {state.size} bytes"
    elif state.target is not None:
        extra = f" to {printable(state.target)}"
    elif state.device is not None:
        extra = f" {_pair(state.device)}"
    return f"{state.type}{extra}, mode {state.mode:04o}"


def _pair(numbers: tuple[int, int]) -> str:
    return f"{numbers[0]}:{numbers[1]}"


def _object(found: Comparison) -> dict[str, object]:
    """Return the comparison as docs/json.md describes it."""
    kinds = {kind: [c for c in found.changes if c.kind == kind] for kind in _SIGNS}
    return {
        "old": _side(found.old),
        "new": _side(found.new),
        "changes": [
            {
                "path": str(change.path),
                "change": change.kind,
                "old": _entry(change.old),
                "new": _entry(change.new),
            }
            for change in found.changes
        ],
        "totals": {
            kind: {"entries": len(those), "bytes": sum(c.growth for c in those)}
            for kind, those in kinds.items()
        },
    }


def _side(side: Side) -> dict[str, object]:
    return {
        "image": side.name,
        "packed": side.packed,
        "unpacked": side.unpacked,
        "releases": side.releases,
        "version": side.version,
        "cmdline": side.cmdline,
    }


def _entry(state: State | None) -> dict[str, object] | None:
    if state is None:
        return None
    return {
        "type": state.type,
        "mode": f"{state.mode:04o}",
        "owner": state.owner,
        "size": state.size,
        "sha256": state.digest,
        "target": state.target,
        "device": state.device,
    }
