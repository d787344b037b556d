"""What an ELF file says about itself, read with pyelftools; nothing is executed."""

import io
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from elftools.elf.segments import InterpSegment

from mkpxeinit.errors import ProgramError


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
    if not data.startswith(b"\x7fELF"):
        raise ProgramError(f"{shown}: not an ELF file; truncated, or another kind of file")
    try:
        found = ELFFile(_Bounded(data)).get_section_by_name(name)
        # pyelftools would unpack a compressed section, and make as many zeros as one without content claims.
        if found is None or found["sh_type"] == "SHT_NOBITS":
            return b""
        if found.compressed:
            raise ProgramError(f"{shown}: damaged ELF file: its section {name} is compressed")
        return bytes(found.data())
    except (ProgramError, MemoryError):
        raise
    except Exception as error:  # as above
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error


def imports(data: bytes, shown: str) -> frozenset[str]:
    """Return the symbols that the object file `data` needs from elsewhere; ProgramError if it is damaged.

    They are the undefined ones of its `.symtab`, as depmod(8) reads them.
    """
    try:
        table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            return frozenset()
        return frozenset(
            each.name for each in table.iter_symbols() if each.name and each["st_shndx"] == "SHN_UNDEF"
        )
    except Exception as error:  # as above
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error
