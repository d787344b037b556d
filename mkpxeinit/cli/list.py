"""`mkpxeinit list`."""

import json
import stat
import time
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import click

from mkpxeinit.cli.forms import FILE
from mkpxeinit.errors import UsageError, printable
from mkpxeinit.image.read import Record, Segment, open_image, without_usr
from mkpxeinit.kernel.index import module_name


@click.command(
    name="list",
    short_help="List what is in an image, of any tool.",
    epilog="""\b
Examples:
  mkpxeinit list pxeinit.img
  mkpxeinit list -l /boot/initrd.img-6.1.0-56-amd64
  mkpxeinit list --sizes pxeinit.img | head -n 30
""",
)
@click.argument("image", type=FILE)
@click.option(
    "-l", "--long", is_flag=True, help="Mode, links, owner, group, size, time (UTC) and target as well."
)
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON object: segments and entries.")
@click.option(
    "--sizes",
    is_flag=True,
    help="What weighs how much: segments, kinds, then each driver and firmware file, the largest first.",
)
def command(image: Path, long: bool, sizes: bool, as_json: bool) -> None:
    """List the entries of IMAGE, one a line, in its order.

    The image may be of any tool: several archives one after another, each plain or packed by gzip, xz,
    zstd, lz4, bzip2 or lzma. Sizes are bytes, unpacked unless it says otherwise.
    """
    if long + sizes + as_json > 1:
        raise UsageError("-l, --sizes and --json exclude each other; see mkpxeinit list --help")
    with open_image(image) as opened:
        if as_json:
            entries = [_entry(found.record) for found in opened.entries()]
            segments = [asdict(each) for each in opened.segments]
            click.echo(json.dumps({"segments": segments, "entries": entries}, indent=2))
            return
        if not sizes:
            for found in opened.entries():
                click.echo(_line(found.record) if long else printable(found.record.path))
            return
        # As the kernel unpacks it: what comes later replaces what came before.
        files = {f.record.path: f.record.size for f in opened.entries() if f.record.is_file}
    for line in _table(opened.segments, files):
        click.echo(line)


def _line(record: Record) -> str:
    """Return a line like that of `ls -ln`."""
    size = f"{record.device[0]},{record.device[1]}" if record.letter in "cb" else str(record.size)
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(record.mtime))
    mode = record.letter + stat.filemode(record.mode)[1:]
    line = (
        f"{mode} {record.links:>2} {record.uid:>4} {record.gid:>4} {size:>9} {when} {printable(record.path)}"
    )
    return f"{line} -> {printable(record.target)}" if record.letter == "l" else line


def _entry(record: Record) -> dict[str, object]:
    """Return an entry as docs/json.md describes it; names that are not UTF-8 have surrogates."""
    return {
        "path": str(record.path),
        "type": record.letter,
        "mode": f"{stat.S_IMODE(record.mode):04o}",
        "owner": (record.uid, record.gid),
        "links": record.links,
        "mtime": record.mtime,
        "size": record.size,
        "device": record.device if record.letter in "cb" else None,
        "target": record.target if record.letter == "l" else None,
    }


def _kind(path: PurePosixPath) -> str:
    if module_name(path.name):
        return "drivers"
    return "firmware" if without_usr(path)[:2] == ("lib", "firmware") else "other files"


def _table(segments: list[Segment], files: dict[PurePosixPath, int]) -> list[str]:
    lines = [f"{'offset':>10} {'packed':>10} {'unpacked':>10} entries compression"]
    lines += [
        f"{each.offset:>10} {each.packed:>10} {each.unpacked:>10} {each.entries:>7} {each.compression}"
        for each in segments
    ]
    lines += ["", f"{'bytes':>10} {'files':>6} kind"]
    for kind in ("drivers", "firmware", "other files"):
        those = [size for path, size in files.items() if _kind(path) == kind]
        lines.append(f"{sum(those):>10} {len(those):>6} {kind}")
    lines += ["", f"{'bytes':>10} path"]
    weighed = [(-size, str(path)) for path, size in files.items() if _kind(path) != "other files"]
    return lines + [f"{-size:>10} {printable(path)}" for size, path in sorted(weighed)]
