"""What an ELF file says about itself, read with pyelftools; nothing is executed."""

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from elftools.elf.segments import InterpSegment

from mkpxeinit.errors import ProgramError

_NOBITS = 8  # SHT_NOBITS: a section without bytes in the file

_MAX_SECTIONS = 1 << 18  # the largest modules have some thousands


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
    if not data.startswith(b"\x7fELF"):
        raise ProgramError(f"{shown}: not an ELF file; truncated, or another kind of file")
    try:
        elf = ELFFile(_Bounded(data))
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


def section(data: bytes, name: str, shown: str) -> bytes:
    """Return the section `name` of the ELF file `data`, empty if it has none; ProgramError if damaged."""
    return section_of(_Bounded(data), name, shown)


def section_of(file: BinaryIO, name: str, shown: str) -> bytes:
    """Return the section `name` of an open ELF file, of which no more is read than leads there.

    Empty if it has none; ProgramError, naming it `shown`, if it is damaged. pyelftools reads the header;
    the table of sections, which it would read a field at a time, is `Elf32_Shdr` or `Elf64_Shdr` of elf(5).
    """
    try:
        if file.read(4) != b"\x7fELF":
            raise ProgramError(f"{shown}: not an ELF file; truncated, or another kind of file")
        elf = ELFFile(file)
        row = struct.Struct(
            ("<" if elf.little_endian else ">") + ("2I4Q2I2Q" if elf.elfclass == 64 else "10I")
        )
        count = elf.num_sections()
        if not count:
            return b""
        if count > _MAX_SECTIONS:
            raise ValueError(f"{count} sections")
        if elf["e_shentsize"] != row.size:
            raise ValueError(f"section headers of {elf['e_shentsize']} bytes")
        rows = list(row.iter_unpack(_stretch(file, elf["e_shoff"], count * row.size)))
        names = _stretch(file, *rows[elf.get_shstrndx()][4:6])
        wanted = name.encode("ascii") + b"\0"
        for start, kind, _, _, offset, size, *_ in rows:
            if kind != _NOBITS and names.startswith(wanted, start):
                return _stretch(file, offset, size)
        return b""
    except (ProgramError, OSError, MemoryError):
        raise
    except Exception as error:  # as above
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error


def imports(data: bytes, shown: str) -> frozenset[str]:
    """Return the symbols that the object file `data` needs from elsewhere; ProgramError if it is damaged.

    They are the undefined ones of its `.symtab`, as depmod(8) reads them.
    """
    try:
        table = ELFFile(_Bounded(data)).get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            return frozenset()
        return frozenset(
            each.name for each in table.iter_symbols() if each.name and each["st_shndx"] == "SHN_UNDEF"
        )
    except (ProgramError, MemoryError):
        raise
    except Exception as error:  # as above
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error


def _stretch(file: BinaryIO, start: int, size: int) -> bytes:
    """Return `size` bytes at `start`; ValueError if the file has not so many."""
    if start + size > file.seek(0, io.SEEK_END):
        raise ValueError("it ends too early")
    file.seek(start)
    return file.read(size)
