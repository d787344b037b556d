"""What an ELF file says about itself, read with pyelftools; nothing is executed.

pyelftools takes longer to import than hundreds of headers take to read, and reads a field at a time. So
headers that are as they should be are read here; all others, and what is wrong in them, is left to it.
"""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

from mkpxeinit.errors import ProgramError
from mkpxeinit.sysroot import open_regular

MAGIC = b"\x7fELF"
NO_ELF = "not an ELF file; truncated, or another kind of file"
_SYMTAB = 2  # SHT_SYMTAB
_NOBITS = 8  # SHT_NOBITS: a section without bytes in the file

_MAX_SECTIONS = 1 << 18  # the largest modules have some thousands

# A kernel that also runs programs of a smaller machine, and the option that says so.
_COMPAT = {
    ("EM_X86_64", "EM_386"): "IA32_EMULATION",
    ("EM_AARCH64", "EM_ARM"): "COMPAT",
}

_MAX_SEGMENTS = 4096
_UNDEFINED = 0  # SHN_UNDEF
_SYMBOL_LENGTH = 512  # bytes; KSYM_NAME_LEN of include/linux/kallsyms.h


EXECUTABLE, SHARED = 2, 3  # ET_EXEC, ET_DYN
HEADER = 64  # bytes of the longer kind of header, Elf64_Ehdr
_INTERPRETER = 3  # PT_INTERP
_EXTENDED = 0xFF00  # SHN_LORESERVE, and PN_XNUM is above it: the numbers stand elsewhere
_MACHINES = {3: "EM_386", 21: "EM_PPC64", 40: "EM_ARM", 62: "EM_X86_64", 183: "EM_AARCH64", 243: "EM_RISCV"}


@dataclass(frozen=True, slots=True)
class Machine:
    """What must be equal for a program to run on a kernel: `name` is elf(5)'s, as in EM_X86_64."""

    name: str
    bits: int
    little_endian: bool

    def __str__(self) -> str:
        order = "" if self.little_endian else ", big endian"
        return f"{self.name.removeprefix('EM_')} ({self.bits} bits{order})"


@dataclass(frozen=True, slots=True)
class Elf:
    """An ELF file's machine, and the interpreter that it asks for: None if it is static."""

    machine: Machine
    interpreter: str | None


class Bytes(Protocol):
    """The bytes of a file, of which no more need be read than is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


class _Header(NamedTuple):
    """elf(5), Elf32_Ehdr or Elf64_Ehdr, without what is of no use here; tables: start, row's size, rows."""

    machine: Machine
    segments: tuple[int, int, int]
    sections: tuple[int, int, int]
    names: int  # number of the section with the names of all


def _header(data: bytes) -> _Header | None:
    """Return the header that `data` begins with; None if there is anything unusual about it."""
    if len(data) < HEADER or not data.startswith(MAGIC) or data[4] not in (1, 2) or data[5] not in (1, 2):
        return None
    order = "<" if data[5] == 1 else ">"
    bits = 32 * data[4]
    kind = struct.Struct(f"{order}HHI{'QQQ' if bits == 64 else 'III'}I6H")
    _, number, _, _, phoff, shoff, _, _, phsize, phnum, shsize, shnum, names = kind.unpack_from(data, 16)
    name = _MACHINES.get(number)
    row = _section_row(bits, order).size
    usual = shoff and 0 < shnum < _EXTENDED and names < shnum and shsize == row and phnum < _EXTENDED
    if name is None or not usual:
        return None
    return _Header(Machine(name, bits, order == "<"), (phoff, phsize, phnum), (shoff, shsize, shnum), names)


class Segment(NamedTuple):
    """A row of the table of segments: Elf32_Phdr or Elf64_Phdr of elf(5), as far as it is of use here."""

    kind: int
    offset: int
    address: int
    size: int


class Segments(NamedTuple):
    """What the kernel and loaders read first: the machine, e_type of elf(5), and all rows of the table."""

    machine: Machine
    type: int
    rows: tuple[Segment, ...]


def segments(data: Bytes) -> Segments:
    """Return the segments of an ELF file; ValueError, or pyelftools' errors, if they are damaged."""
    known = _usual_table(data[:HEADER])
    if known is None:
        file = _elffile(_Bounded(data[: len(data)]))
        machine = Machine(str(file["e_machine"]), file.elfclass, file.little_endian)
        kind = {"ET_EXEC": EXECUTABLE, "ET_DYN": SHARED}.get(file["e_type"], 0)
        start, size, count = file["e_phoff"], file["e_phentsize"], file["e_phnum"]
    else:
        machine, kind, (start, size, count) = known
    row = _segment_row(machine)
    if count > _MAX_SEGMENTS or (count and size != row.size) or start + size * count > len(data):
        raise ValueError(f"{count} program headers at {start} do not fit")
    table = data[start : start + size * count] if count else b""
    wide = machine.bits == 64
    # 64 bits: type, flags, offset, address, ...; 32 bits have the flags further behind.
    rows = (
        Segment(*((r[0], r[2], r[3], r[5]) if wide else (r[0], r[1], r[2], r[4])))
        for r in row.iter_unpack(table)
    )
    return Segments(machine, kind, tuple(rows))


def _usual_table(begin: bytes) -> tuple[Machine, int, tuple[int, int, int]] | None:
    """Return machine, type and table of segments of a header; None if there is anything unusual about it."""
    if len(begin) < HEADER or not begin.startswith(MAGIC) or begin[4] not in (1, 2) or begin[5] not in (1, 2):
        return None
    bits = 32 * begin[4]
    order = "<" if begin[5] == 1 else ">"
    kind = struct.Struct(f"{order}HHI{'QQQ' if bits == 64 else 'III'}I3H")
    type_, number, _, _, start, _, _, _, size, count = kind.unpack_from(begin, 16)
    name = _MACHINES.get(number)
    if name is None or count >= _EXTENDED:
        return None
    return Machine(name, bits, order == "<"), type_, (start, size, count)


def _segment_row(machine: Machine) -> struct.Struct:
    """Return Elf32_Phdr or Elf64_Phdr of elf(5)."""
    return struct.Struct(("<" if machine.little_endian else ">") + ("2I6Q" if machine.bits == 64 else "8I"))


def _section_row(bits: int, order: str) -> struct.Struct:
    """Return Elf32_Shdr or Elf64_Shdr of elf(5)."""
    return struct.Struct(order + ("2I4Q2I2Q" if bits == 64 else "10I"))


def begin_of(path: Path) -> bytes:
    """Return as much of the host file `path` as its header may take; OSError if it cannot be read."""
    with open_regular(path) as file:
        return file.read(HEADER)


def machine(begin: bytes, shown: str) -> Machine:
    """Return the machine of an ELF file that has these first HEADER bytes; ProgramError if it is none."""
    known = _header(begin)
    if known is not None:
        return known.machine
    if not begin.startswith(MAGIC):
        raise ProgramError(f"{shown}: {NO_ELF}")
    try:
        elf = _elffile(io.BytesIO(begin))
        return Machine(str(elf["e_machine"]), elf.elfclass, elf.little_endian)
    except Exception as error:  # pyelftools lets construct's, struct's and Unicode's errors through
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error


def _elffile(file: BinaryIO) -> "ELFFile":
    from elftools.elf.elffile import ELFFile

    return ELFFile(file)


def runs_on(program: Machine, kernel: Machine, config: Mapping[str, str]) -> bool:
    """Say whether a kernel for the machine `kernel`, configured so, runs programs for `program`."""
    option = _COMPAT.get((kernel.name, program.name))
    return program == kernel or (option is not None and config.get(option) == "y")


class _Bounded(io.BytesIO):
    """The bytes of a file. Tables that claim to be endless would be read over and over: ValueError then."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = (16 << 20) + 16 * len(data)

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self._left -= len(piece) + 32  # what reads nothing costs time, too
        if self._left < 0:
            raise ValueError("its tables claim to be larger than the file")
        return piece


def inspect(data: bytes, shown: str) -> Elf:
    """Return what the ELF file `data` says; ProgramError, naming it `shown`, if it is none or damaged."""
    usual = _whole_and_static(data)
    if usual is not None:
        return Elf(usual, None)
    if not data.startswith(MAGIC):
        raise ProgramError(f"{shown}: {NO_ELF}")
    try:
        from elftools.elf.segments import InterpSegment

        elf = _elffile(_Bounded(data))
        interpreter = None
        for segment in elf.iter_segments():
            if isinstance(segment, InterpSegment):
                interpreter = segment.get_interp_name()
            elif segment["p_offset"] + segment["p_filesz"] > len(data):
                raise ProgramError(f"{shown}: truncated ELF file")
        end = elf["e_shoff"] + elf["e_shnum"] * elf["e_shentsize"]
        machine = Machine(str(elf["e_machine"]), elf.elfclass, elf.little_endian)
    except (ProgramError, MemoryError):
        raise
    except Exception as error:  # pyelftools lets construct's, struct's and Unicode's errors through
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error
    if end > len(data):
        raise ProgramError(f"{shown}: truncated ELF file")
    return Elf(machine, interpreter)


def _whole_and_static(data: bytes) -> Machine | None:
    """Return the machine of the ELF file `data` if nothing of it is missing and no segment asks for a loader.

    Elf32_Phdr and Elf64_Phdr of elf(5). None: pyelftools has to look.
    """
    known = _header(data[:HEADER])
    if known is None:
        return None
    start, size, count = known.sections
    if start + size * count > len(data):
        return None
    wide = known.machine.bits == 64
    row = struct.Struct(
        ("<" if known.machine.little_endian else ">") + ("I4xQ16xQ16x" if wide else "II8xI12x")
    )
    start, size, count = known.segments
    if count and (size != row.size or start + size * count > len(data)):
        return None
    for kind, offset, length in row.iter_unpack(data[start : start + size * count]):
        if kind == _INTERPRETER or offset + length > len(data):
            return None
    return known.machine


def section(data: bytes, name: str, shown: str) -> bytes:
    """Return the section `name` of the ELF file `data`, empty if it has none; ProgramError if damaged."""
    return section_of(_Bounded(data), name, shown)


def section_of(file: BinaryIO, name: str, shown: str) -> bytes:
    """Return the section `name` of an open ELF file, of which no more is read than leads there.

    Empty if it has none; ProgramError, naming it `shown`, if it is damaged. pyelftools reads the header;
    the table of sections, which it would read a field at a time, is `Elf32_Shdr` or `Elf64_Shdr` of elf(5).
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise ProgramError(f"{shown}: {NO_ELF}")
    try:
        rows, names = _sections(file)
        wanted = name.encode("ascii") + b"\0"
        for start, kind, _, _, offset, size, *_ in rows:
            if kind != _NOBITS and names.startswith(wanted, start):
                return _stretch(file, offset, size)
        return b""
    except (ProgramError, OSError, MemoryError):
        raise
    except Exception as error:  # as above
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error


def _sections(file: BinaryIO) -> tuple[list[tuple[int, ...]], bytes]:
    """Return the rows of the table of sections of an open ELF file, and the names that they tell."""
    file.seek(0)
    known = _header(file.read(HEADER))
    if known is None:
        found = _unusual_sections(file)
        if found is None:
            return [], b""
        row, start, count, at = found
    else:
        row = _section_row(known.machine.bits, "<" if known.machine.little_endian else ">")
        (start, _, count), at = known.sections, known.names
    rows = list(row.iter_unpack(_stretch(file, start, count * row.size)))
    return rows, _stretch(file, *rows[at][4:6])


def _unusual_sections(file: BinaryIO) -> tuple[struct.Struct, int, int, int] | None:
    """Return the sections' row, their table's start and rows, and which is of the names; None: no rows.

    For files with more sections than the header has room for, and for what is wrong: ValueError says what.
    """
    elf: Any = _elffile(file)
    row = _section_row(elf.elfclass, "<" if elf.little_endian else ">")
    count = elf.num_sections()
    if not count:
        return None
    if count > _MAX_SECTIONS:
        raise ValueError(f"{count} sections")
    if elf["e_shentsize"] != row.size:
        raise ValueError(f"section headers of {elf['e_shentsize']} bytes")
    return row, elf["e_shoff"], count, elf.get_shstrndx()


def _stretch(file: BinaryIO, start: int, size: int) -> bytes:
    """Return `size` bytes at `start`; ValueError if the file has not so many."""
    if start + size > file.seek(0, io.SEEK_END):
        raise ValueError("it ends too early")
    file.seek(start)
    return file.read(size)


def imports(data: bytes, shown: str) -> frozenset[str]:
    """Return the symbols that the object file `data` needs from elsewhere; ProgramError if it is damaged.

    They are the undefined ones of its `.symtab` (elf(5)), as depmod(8) reads them; of a name that is
    longer than the kernel allows only the beginning counts.
    """
    try:
        every, titles = _sections(_Bounded(data))
        table = next((each for each in every if titles.startswith(b".symtab\0", each[0])), None)
        if table is None or table[1] != _SYMTAB:
            return frozenset()
        # As they lie in the file: what claims to be packed, or to be longer than the file, is not believed.
        rows, names = (data[each[4] : each[4] + each[5]] for each in (table, every[table[6]]))
    except Exception as error:  # as above
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error
    # pyelftools makes an object of each; there are thousands. Name, section, in 64 and in 32 bits:
    row = struct.Struct(("<" if data[5] == 1 else ">") + ("I2xH16x" if data[4] == 2 else "I10xH"))
    whole = rows[: len(rows) // row.size * row.size]
    starts = {start for start, section in row.iter_unpack(whole) if start and section == _UNDEFINED}
    texts = (names[start : start + _SYMBOL_LENGTH].partition(b"\0")[0] for start in starts)
    return frozenset(text.decode("utf-8", "surrogateescape") for text in texts)
