import contextlib
import io
import struct

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from mkpxeinit.elf import inspect, section
from mkpxeinit.errors import ProgramError
from tests.unit.small import AARCH64, I386, PPC64, X86_64, elf


@pytest.mark.parametrize(
    ("machine", "bits", "little", "shown"),
    [
        (X86_64, 64, True, "X86_64 (64 bits)"),
        (I386, 32, True, "386 (32 bits)"),
        (AARCH64, 64, True, "AARCH64 (64 bits)"),
        (PPC64, 64, False, "PPC64 (64 bits, big endian)"),
    ],
)
@pytest.mark.parametrize("interpreter", [None, "/lib64/ld-linux-x86-64.so.2"])
def test_facts(machine: int, bits: int, little: bool, shown: str, interpreter: str | None) -> None:
    facts = inspect(elf(machine, bits, little, interpreter), "x")
    assert str(facts.machine) == shown
    assert facts.interpreter == interpreter


def test_no_elf() -> None:
    for data in (b"", b"\x7fEL", b"#!/bin/sh\n"):
        with pytest.raises(ProgramError, match="^here: not an ELF file"):
            inspect(data, "here")


def test_truncated() -> None:
    whole = bytearray(elf(payload=bytes(100)))
    struct.pack_into("<Q", whole, 40, 1000)  # e_shoff
    struct.pack_into("<HHH", whole, 58, 64, 3, 0)
    with pytest.raises(ProgramError, match="truncated|damaged"):
        inspect(bytes(whole), "here")
    with pytest.raises(ProgramError, match="damaged"):
        inspect(elf()[:30], "here")


def linked(bits: int, little: bool, sections: dict[str, bytes], hidden: str = "") -> bytes:
    """Return an ELF file with `sections`; the one named `hidden` says that it has no bytes (SHT_NOBITS)."""
    order, wide = "<" if little else ">", bits == 64
    size, row = (64, struct.Struct(order + "IIQQQQIIQQ")) if wide else (52, struct.Struct(order + "10I"))
    names = b"\0" + b"".join(name.encode() + b"\0" for name in sections) + b".shstrtab\0"
    body, rows = b"", [row.pack(*(0,) * 10)]
    for name, data in {**sections, ".shstrtab": names}.items():
        kind = 8 if name == hidden else 1
        start = names.index(b"\0" + name.encode() + b"\0") + 1
        rows.append(row.pack(start, kind, 0, 0, size + len(body), len(data), 0, 0, 1, 0))
        body += data
    head = b"\x7fELF" + bytes([2 if wide else 1, 1 if little else 2, 1]) + bytes(9)
    head += struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        1, X86_64, 1, 0, 0, size + len(body), 0, size, 0, 0, row.size, len(rows), len(rows) - 1,
    )  # fmt: skip
    return head + body + b"".join(rows)


SECTIONS = {".text": b"code", ".modinfo.x": b"no", ".modinfo": b"a=1\0", "x.modinfo": b"no", ".empty": b""}


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("little", [True, False])
def test_sections_are_those_of_pyelftools(bits: int, little: bool) -> None:
    data = linked(bits, little, SECTIONS)
    for name, content in SECTIONS.items():
        found = ELFFile(io.BytesIO(data)).get_section_by_name(name)
        assert found is not None and section(data, name, "x") == found.data() == content
    assert section(data, ".none", "x") == b""
    assert section(linked(bits, little, SECTIONS, ".modinfo"), ".modinfo", "x") == b""
    for end in range(len(data)):
        with pytest.raises(ProgramError, match=r"^x: (damaged ELF file: |not an ELF file)"):
            section(data[:end], ".modinfo", "x")


def test_a_table_of_sections_beyond_all_bounds() -> None:
    """Section 0 tells their number if the header says 0; neither that nor a size makes memory run out."""
    data = bytearray(linked(64, True, SECTIONS))
    table = struct.unpack_from("<Q", data, 40)[0]
    struct.pack_into("<H", data, 60, 0)
    struct.pack_into("<Q", data, table + 32, 1 << 60)
    with pytest.raises(ProgramError, match="damaged"):
        section(bytes(data), ".modinfo", "x")
    data = bytearray(linked(64, True, SECTIONS))
    struct.pack_into("<Q", data, table + 3 * 64 + 32, len(data))  # of .modinfo
    with pytest.raises(ProgramError, match="damaged ELF file: it ends too early"):
        section(bytes(data), ".modinfo", "x")
    for field in (58, 62):  # e_shentsize, e_shstrndx
        data = bytearray(linked(64, True, SECTIONS))
        struct.pack_into("<H", data, field, 0xFFF0)
        with pytest.raises(ProgramError, match="damaged"):
            section(bytes(data), ".modinfo", "x")


@given(st.lists(st.tuples(st.integers(4, 500), st.integers(0, 255)), max_size=8), st.sampled_from([32, 64]))
def test_any_sections_are_read_or_refused(changes: list[tuple[int, int]], bits: int) -> None:
    data = bytearray(linked(bits, True, SECTIONS))
    for place, value in changes:
        if place < len(data):
            data[place] = value
    with contextlib.suppress(ProgramError):
        section(bytes(data), ".modinfo", "x")


@given(st.binary(max_size=200), st.lists(st.tuples(st.integers(4, 150), st.integers(0, 255)), max_size=8))
def test_any_bytes_are_read_or_refused(tail: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(elf(interpreter="/lib/ld.so", payload=tail))
    for place, value in changes:
        if place < len(data):
            data[place] = value
    with contextlib.suppress(ProgramError):
        inspect(bytes(data), "x")
