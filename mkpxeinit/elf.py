"""What an ELF file says about itself, read with pyelftools; nothing is executed."""

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from mkpxeinit.errors import ProgramError

_MAGIC = b"\x7fELF"
_NO_ELF = "not an ELF file; truncated, or another kind of file"
_NOBITS = 8  # SHT_NOBITS: a section without bytes in the file


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


def inspect(data: bytes, shown: str) -> Elf:
    """Return what the ELF file `data` says; ProgramError, naming it `shown`, if it is none or damaged."""
    if not data.startswith(_MAGIC):
        raise ProgramError(f"{shown}: {_NO_ELF}")
    try:
        elf = ELFFile(io.BytesIO(data))
        interpreter = None
        for segment in elf.iter_segments():
            if isinstance(segment, InterpSegment):
                interpreter = segment.get_interp_name()
            elif segment["p_offset"] + segment["p_filesz"] > len(data):
                raise ProgramError(f"{shown}: truncated ELF file")
        end = elf["e_shoff"] + elf["e_shnum"] * elf["e_shentsize"]
        machine = Machine(str(elf["e_machine"]), elf.elfclass, elf.little_endian)
    except ProgramError:
        raise
    except Exception as error:  # pyelftools lets construct's, struct's and Unicode's errors through
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error
    if end > len(data):
        raise ProgramError(f"{shown}: truncated ELF file")
    return Elf(machine, interpreter)


def section(data: bytes, name: str, shown: str) -> bytes:
    """Return the section `name` of the ELF file `data`, empty if it has none; ProgramError if damaged."""
    return section_of(io.BytesIO(data), name, shown)


def section_of(file: BinaryIO, name: str, shown: str) -> bytes:
    """Return the section `name` of an open ELF file, of which no more is read than leads there.

    Empty if it has none; ProgramError, naming it `shown`, if it is damaged. pyelftools reads the header;
    the table of sections, which it would read a field at a time, is `Elf32_Shdr` or `Elf64_Shdr` of elf(5).
    """
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ProgramError(f"{shown}: {_NO_ELF}")
    try:
        elf = ELFFile(file)
        row = struct.Struct(
            ("<" if elf.little_endian else ">") + ("2I4Q2I2Q" if elf.elfclass == 64 else "10I")
        )
        count = elf.num_sections()
        if not count:
            return b""
        if elf["e_shentsize"] != row.size:
            raise ValueError(f"section headers of {elf['e_shentsize']} bytes")
        rows = list(row.iter_unpack(_stretch(file, elf["e_shoff"], count * row.size)))
        names = _stretch(file, *rows[elf.get_shstrndx()][4:6])
        wanted = name.encode("ascii") + b"\0"
        for start, kind, _, _, offset, size, *_ in rows:
            if kind != _NOBITS and names.startswith(wanted, start):
                return _stretch(file, offset, size)
        return b""
    except OSError:
        raise
    except Exception as error:  # as above
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error


def _stretch(file: BinaryIO, start: int, size: int) -> bytes:
    """Return `size` bytes at `start`; ValueError if the file has not so many."""
    if start + size > file.seek(0, io.SEEK_END):
        raise ValueError("it ends too early")
    file.seek(start)
    return file.read(size)
