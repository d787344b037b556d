"""From a plan to the bytes of an image: files read side by side, archives written in order."""

from collections.abc import Iterator
from pathlib import Path

from mkpxeinit import elf
from mkpxeinit.errors import ImageError, ProgramError, os_cause
from mkpxeinit.image import compress, cpio
from mkpxeinit.image.entry import Entry, File, FirmwareFile
from mkpxeinit.image.plan import Plan
from mkpxeinit.sysroot import read_regular
from mkpxeinit.workers import workers

MAX_FILE = 512 << 20  # bytes; a module this large is none
_AGAIN = "install its package again"


def read_plain(path: Path, shown: str, unpack: bool = True) -> bytes:
    """Return the bytes of a module or firmware file, unpacked as its name says; ImageError if damaged."""
    try:
        data = read_regular(path, MAX_FILE)
        return compress.unpack_module(data, path.name, MAX_FILE) if unpack else data
    except OSError as error:
        raise ImageError(f"{shown}: {os_cause(error)}") from error
    except ValueError as error:
        raise ImageError(f"{shown}: {error}; {_AGAIN}") from error


def load_module(path: Path, shown: str, plain: bytes | None = None) -> tuple[bytes, elf.Machine]:
    """Return the plain bytes of a module and the machine that it is for; ImageError if it is damaged.

    `plain` are its bytes if they have been read before.
    """
    data = read_plain(path, shown) if plain is None else plain
    try:
        return data, elf.inspect(data, shown).machine
    except ProgramError as error:
        raise ImageError(f"{error}; {_AGAIN}") from error


def _content(entry: Entry) -> bytes:
    if not isinstance(entry, File):
        return b""
    source = entry.source
    if isinstance(source, bytes):
        return source
    if isinstance(source, FirmwareFile):
        return read_plain(source.path, source.shown, source.unpack)
    data, machine = load_module(source.path, source.shown, source.plain)
    if source.machine not in (None, machine):
        raise ImageError(
            f"{source.shown}: for {machine}, but other modules are for {source.machine}; {_AGAIN}"
        )
    return data


def assemble(plan: Plan, compressor: compress.Compressor, mtime: int) -> Iterator[bytes]:
    """Yield the segments of the image, each an archive compressed on its own and padded to 4 bytes."""
    with workers() as pool:
        for segment in plan.segments:
            entries = [item.entry for item in segment.items]
            archive = cpio.pack(list(zip(entries, pool.map(_content, entries), strict=True)), mtime)
            data = compress.compress(archive, compressor)
            yield data + bytes(-len(data) % 4)
