import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mkpxeinit.elf import inspect
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


@given(st.binary(max_size=200), st.lists(st.tuples(st.integers(4, 150), st.integers(0, 255)), max_size=8))
def test_any_bytes_are_read_or_refused(tail: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(elf(interpreter="/lib/ld.so", payload=tail))
    for place, value in changes:
        if place < len(data):
            data[place] = value
    with contextlib.suppress(ProgramError):
        inspect(bytes(data), "x")
