"""What a loader reads of an ELF file: its interpreter, the libraries that it needs, and where they may be."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from mkpxeinit import elf
from mkpxeinit.elf import Bytes, Machine, Segment
from mkpxeinit.errors import ProgramError
from mkpxeinit.sysroot import open_regular

# elf(5), d_tag; DF_1_NODEFLIB of d_val.
_NEEDED, _STRTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH, _FLAGS_1 = 1, 5, 10, 14, 15, 29, 0x6FFFFFFB
_NODEFLIB = 0x800
_MAX_TAGS = 65536
_MAX_NEEDED = 4096
_MAX_NAME = 4096  # bytes, PATH_MAX: what is longer cannot be opened
_MAX_FOLDERS = 65536  # bytes of an RPATH
_LOAD, _DYNAMIC, _INTERP = 1, 2, 3  # p_type


@dataclass(frozen=True, slots=True)
class Dynamic:
    """What a loader reads of an ELF file: see elf(5), Elf_Dyn. Texts are as they stand there.

    `rpath` is None if there is none, or a RUNPATH besides, which makes loaders ignore it. `loadable`:
    it is of type ET_DYN or ET_EXEC and has segments to be loaded.
    """

    machine: Machine
    interpreter: str | None
    loadable: bool
    needed: tuple[str, ...] = ()
    soname: str | None = None
    rpath: str | None = None
    runpath: str | None = None
    no_default_folders: bool = False


class _Pieces:
    """An open file of which no more is read than is asked for."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice, /) -> bytes:
        start, end, _ = part.indices(self._size)
        return os.pread(self._descriptor, max(0, end - start), start)


def dynamic_of(path: Path, shown: str) -> Dynamic:
    """Return what `dynamic` says of the host file `path`, read in part; OSError if it cannot be."""
    with open_regular(path) as file:
        return dynamic(_Pieces(file.fileno()), shown)


def dynamic(data: Bytes, shown: str) -> Dynamic:
    """Return what a loader reads of the ELF file `data`, from its segments alone, as loaders do.

    ProgramError, naming it `shown`, if it is none or damaged.
    """
    if data[: len(elf.MAGIC)] != elf.MAGIC:
        raise ProgramError(f"{shown}: {elf.NO_ELF}")
    try:
        return _dynamic(elf.segments(data), data, shown)
    except (ProgramError, OSError, MemoryError):
        raise
    except Exception as error:  # pyelftools lets construct's, struct's and Unicode's errors through
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error


def _dynamic(table: elf.Segments, data: Bytes, shown: str) -> Dynamic:
    machine, interpreter, entries = table.machine, None, b""
    loads = [each for each in table.rows if each.kind == _LOAD]
    for each in table.rows:
        if each.kind in (_INTERP, _DYNAMIC, _LOAD) and each.offset + each.size > len(data):
            raise ProgramError(f"{shown}: truncated ELF file")
        if each.kind == _INTERP:
            interpreter = _text(data[each.offset : each.offset + each.size], 0)
        elif each.kind == _DYNAMIC:
            entries = data[each.offset : each.offset + each.size]
    loadable = table.type in (elf.EXECUTABLE, elf.SHARED) and bool(loads)
    tags = _tags(entries, machine)
    values = dict(tags)  # the last of several counts, but for DT_NEEDED
    if not tags or _STRTAB not in values:
        return Dynamic(machine, interpreter, loadable)
    strings = _strings(data, loads, values[_STRTAB], values.get(_STRSZ, len(data)))

    def text(tag: int, limit: int) -> str | None:
        return _text(strings, values[tag], limit) if tag in values else None

    needed = [value for tag, value in tags if tag == _NEEDED]
    if len(needed) > _MAX_NEEDED:
        raise ValueError(f"needs {len(needed)} libraries")
    return Dynamic(
        machine,
        interpreter,
        loadable,
        tuple(dict.fromkeys(_text(strings, value) for value in needed)),
        text(_SONAME, _MAX_NAME),
        None if _RUNPATH in values else text(_RPATH, _MAX_FOLDERS),
        text(_RUNPATH, _MAX_FOLDERS),
        bool(values.get(_FLAGS_1, 0) & _NODEFLIB),
    )


def _tags(table: bytes, machine: Machine) -> list[tuple[int, int]]:
    """Return the entries of the segment PT_DYNAMIC up to DT_NULL; those of loaders fit in 65536."""
    entry = struct.Struct(("<" if machine.little_endian else ">") + ("QQ" if machine.bits == 64 else "II"))
    whole = len(table) - len(table) % entry.size
    tags: list[tuple[int, int]] = []
    for tag, value in entry.iter_unpack(table[:whole]):
        if tag == 0:
            break
        if len(tags) == _MAX_TAGS:
            raise ValueError("no end of the dynamic section")
        tags.append((tag, value))
    return tags


def _strings(data: Bytes, loads: list[Segment], address: int, size: int) -> bytes:
    """Return the string table that is loaded to `address`, at most `size` bytes."""
    for each in loads:
        if each.address <= address < each.address + each.size:
            start = each.offset + address - each.address
            return data[start : min(each.offset + each.size, start + size)]
    raise ValueError("its string table is in no segment")


def _text(strings: bytes, at: int, limit: int = _MAX_NAME) -> str:
    """Return the text that begins at `at` and ends with a NUL, at most `limit` bytes long."""
    end = strings.find(b"\0", at, at + limit + 1)
    if end < 0:
        raise ValueError("a name has no end, or is too long")
    return strings[at:end].decode("utf-8", "surrogateescape")
