"""What an ELF file says about itself, read with pyelftools; nothing is executed."""

import io
import struct
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from elftools.elf.segments import InterpSegment

from mkpxeinit.errors import ProgramError

_UNDEFINED = 0  # SHN_UNDEF
_SYMBOL_LENGTH = 512  # bytes; KSYM_NAME_LEN of include/linux/kallsyms.h


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
    if not data.startswith(b"\x7fELF"):
        raise ProgramError(f"{shown}: not an ELF file; truncated, or another kind of file")
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
    try:
        found = ELFFile(io.BytesIO(data)).get_section_by_name(name)
        return b"" if found is None else bytes(found.data())
    except Exception as error:  # as above
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error


def imports(data: bytes, shown: str) -> frozenset[str]:
    """Return the symbols that the object file `data` needs from elsewhere; ProgramError if it is damaged.

    They are the undefined ones of its `.symtab` (elf(5)), as depmod(8) reads them; of a name that is
    longer than the kernel allows only the beginning counts.
    """
    try:
        file = ELFFile(io.BytesIO(data))
        table = file.get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            return frozenset()
        # As they lie in the file: what claims to be packed, or to be longer than the file, is not believed.
        places = [
            (each["sh_offset"], each["sh_size"]) for each in (table, file.get_section(table["sh_link"]))
        ]
        rows, names = (data[start : start + size] for start, size in places)
    except Exception as error:  # as above
        raise ProgramError(f"{shown}: damaged ELF file: {error}") from error
    # pyelftools makes an object of each; there are thousands. Name, section, in 64 and in 32 bits:
    row = struct.Struct(
        ("<" if file.little_endian else ">") + ("I2xH16x" if file.elfclass == 64 else "I10xH")
    )
    whole = rows[: len(rows) // row.size * row.size]
    starts = {start for start, section in row.iter_unpack(whole) if start and section == _UNDEFINED}
    texts = (names[start : start + _SYMBOL_LENGTH].partition(b"\0")[0] for start in starts)
    return frozenset(text.decode("utf-8", "surrogateescape") for text in texts)
