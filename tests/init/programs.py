"""Small programs for a tree: ELF files of this machine's kind, and of others."""

import struct
from pathlib import Path

from tests.unit.small import elf

_HEAD = Path("/proc/self/exe").read_bytes()[:20]
ORDER = "<" if _HEAD[5] == 1 else ">"
(MACHINE,) = struct.unpack_from(f"{ORDER}H", _HEAD, 18)
BITS = 64 if _HEAD[4] == 2 else 32


def program(interpreter: str | None = None, payload: bytes = b"") -> bytes:
    """Return a program that this machine could run, as far as its headers tell."""
    return elf(MACHINE, BITS, ORDER == "<", interpreter, payload)


PROGRAM = program()
