"""From a plan to the bytes of an image: files read side by side, archives written in order.

A segment that was made before, of the same content in the same way, comes from the cache.
"""

import hashlib
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

from mkpxeinit import elf
from mkpxeinit.cache import Cache
from mkpxeinit.errors import ImageError, ProgramError, os_cause
from mkpxeinit.image import compress, cpio
from mkpxeinit.image.entry import (
    CharDevice,
    Entry,
    File,
    FirmwareFile,
    ModuleFile,
    Symlink,
    type_letter,
)
from mkpxeinit.image.plan import Plan, Segment
from mkpxeinit.kernel.modulefile import MAX_FILE, Stored
from mkpxeinit.sysroot import read_regular
from mkpxeinit.workers import ahead, meanwhile, side_by_side

_AGAIN = "install its package again"
_FORM = 3  # of what is made from the same entries: raised when this package's code makes other bytes of them
_ALIGNED = 4  # bytes: where the kernel looks for the next archive
_SMALL = 16 << 10  # bytes; what is packed in no time is not worth a file in the cache


def read_plain(path: Path, shown: str, unpack: bool = True) -> bytes:
    """Return the bytes of a module or firmware file, unpacked as its name says; ImageError if damaged."""
    return _plain(_read(path, shown), path, shown, unpack)


def load_module(path: Path, shown: str) -> tuple[bytes, elf.Machine]:
    """Return the plain bytes of a module and the machine that it is for; ImageError if it is damaged."""
    data = read_plain(path, shown)
    return data, _inspected(data, shown)


def module_machine(stored: Stored, shown: str) -> elf.Machine:
    """Return the machine that a module is for, as its header says; ImageError if that is damaged."""
    try:
        plain = stored.path.suffix == ".ko"
        return elf.machine(elf.begin_of(stored.path) if plain else stored.begin(elf.HEADER), shown)
    except OSError as error:
        raise ImageError(f"{shown}: {os_cause(error)}") from error
    except ValueError as error:
        raise ImageError(f"{shown}: {error}; {_AGAIN}") from error
    except ProgramError as error:
        raise ImageError(f"{error}; {_AGAIN}") from error


def _read(path: Path, shown: str) -> bytes:
    try:
        return read_regular(path, MAX_FILE)
    except OSError as error:
        raise ImageError(f"{shown}: {os_cause(error)}") from error


def _plain(data: bytes, path: Path, shown: str, unpack: bool) -> bytes:
    try:
        return compress.unpack_module(data, path.name, MAX_FILE) if unpack else data
    except ValueError as error:
        raise ImageError(f"{shown}: {error}; {_AGAIN}") from error


def _inspected(data: bytes, shown: str) -> elf.Machine:
    try:
        return elf.inspect(data, shown).machine
    except ProgramError as error:
        raise ImageError(f"{error}; {_AGAIN}") from error


def _loaded(entry: Entry) -> bytes | Stored:
    """Return what `entry` is made from, read if it has not been."""
    if not isinstance(entry, File):
        return b""
    source = entry.source
    if isinstance(source, ModuleFile):
        stored = source.stored or Stored(source.path)
        try:
            _ = stored.data
        except OSError as error:
            raise ImageError(f"{source.shown}: {os_cause(error)}") from error
        return stored
    return _read(source.path, source.shown) if isinstance(source, FirmwareFile) else source


def _content(entry: Entry, loaded: bytes | Stored) -> bytes:
    """Return what is in the file `entry`: `loaded`, unpacked and looked at."""
    source = entry.source if isinstance(entry, File) else b""
    if isinstance(source, FirmwareFile):
        assert isinstance(loaded, bytes)
        return _plain(loaded, source.path, source.shown, source.unpack)
    if not isinstance(source, ModuleFile):
        assert isinstance(loaded, bytes)
        return loaded
    assert isinstance(loaded, Stored)
    try:
        data = loaded.plain()
    except ValueError as error:
        raise ImageError(f"{source.shown}: {error}; {_AGAIN}") from error
    loaded.release()
    machine = _inspected(data, source.shown)
    if source.machine not in (None, machine):
        raise ImageError(
            f"{source.shown}: for {machine}, but other modules are for {source.machine}; {_AGAIN}"
        )
    return source.stripper.strip(data, source.shown) if source.stripper else data


def _says(entry: Entry, loaded: bytes | Stored) -> str:
    """Return all that decides what is in the archive for `entry`, as a line of a segment's key."""
    line = f"{type_letter(entry)} {entry.mode:o} {str(entry.path)!r}"
    if isinstance(entry, Symlink):
        return f"{line} {entry.target!r}"
    if isinstance(entry, CharDevice):
        return f"{line} {entry.major} {entry.minor}"
    if not isinstance(entry, File):
        return line
    source = entry.source
    packed = ""
    if isinstance(source, ModuleFile) or (isinstance(source, FirmwareFile) and source.unpack):
        packed = source.path.suffix
    machine = str(source.machine) if isinstance(source, ModuleFile) else ""
    if isinstance(source, ModuleFile) and source.stripper:
        machine += f" stripped by {source.stripper.version}"
    # Loaded modules carry their suffix in their digest.
    digest = hashlib.sha256(loaded).hexdigest() + packed if isinstance(loaded, bytes) else loaded.digest
    return f"{line} {digest} {machine}"


def _key(segment: Segment, loaded: list[bytes | Stored], compressor: compress.Compressor, mtime: int) -> str:
    """Return the digest of all that decides the bytes of `segment`: its content, and how it is packed."""
    entries = [item.entry for item in segment.items]
    lines = side_by_side(lambda pair: _says(*pair), list(zip(entries, loaded, strict=True)))
    made = f"{_FORM} {cpio.version()} {compress.version(compressor)} {mtime}"
    return hashlib.sha256("\n".join((made, *lines)).encode("utf-8", "surrogatepass")).hexdigest()


def assemble(
    plan: Plan, compressor: compress.Compressor, mtime: int, cache: Cache | None = None
) -> Iterator[bytes | memoryview]:
    """Yield the segments of the image, each an archive compressed on its own and padded to 4 bytes.

    With a `cache`, those that are in it come from there.
    """
    first, *others = plan.segments

    def rest() -> list[bytes | memoryview]:
        return [_segment(segment, compressor, mtime, cache) for segment in others]

    # The first one, the modules, takes longest: its last piece is one processor's work.
    with meanwhile(rest) as following:
        yield _segment(first, compressor, mtime, cache)
        yield from following()


def _segment(
    segment: Segment, compressor: compress.Compressor, mtime: int, cache: Cache | None
) -> bytes | memoryview:
    entries = [item.entry for item in segment.items]
    if cache is None:
        read = ahead(lambda entry: _content(entry, _loaded(entry)), entries)
        return _packed(entries, read, compressor, mtime)[0]
    loaded = side_by_side(_loaded, entries)
    key = _key(segment, loaded, compressor, mtime)
    if (known := cache.load(key)) is not None:
        return known
    pairs = list(zip(entries, loaded, strict=True))
    del loaded
    data, size = _packed(entries, ahead(lambda pair: _content(*pair), pairs), compressor, mtime)
    if size > _SMALL:
        cache.store(key, data)
    return data


def _packed(
    entries: list[Entry], contents: Generator[bytes, None, None], compressor: compress.Compressor, mtime: int
) -> tuple[bytes, int]:
    """Return the archive of `entries`, compressed and padded, and its bytes when it was not.

    A content is compressed while the next ones are read, and then is gone.
    """
    packer = compress.Packer(compressor)
    with closing(contents):
        cpio.write(zip(entries, contents, strict=True), mtime, packer.put)
    return packer.finish(_ALIGNED), packer.size
