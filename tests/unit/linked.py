"""Dynamic ELF files that real loaders accept, made without a compiler: see elf(5)."""

import struct
from collections.abc import Sequence

from tests.unit.small import X86_64

GLIBC = "/lib64/ld-linux-x86-64.so.2"
MUSL = "/lib/ld-musl-x86_64.so.1"
NODEFLIB = 0x800


def linked(
    needed: Sequence[str] = (),
    *,
    soname: str | None = None,
    rpath: str | None = None,
    runpath: str | None = None,
    interpreter: str | None = None,
    flags_1: int = 0,
    machine: int = X86_64,
    bits: int = 64,
) -> bytes:
    """Return a program (with an interpreter) or a library of one writable segment; it has no code."""
    wide = bits == 64
    header_size, program_size, tag_size = (64, 56, 16) if wide else (52, 32, 8)
    strings = b"\0"

    def put(text: str) -> int:
        nonlocal strings
        at = len(strings)
        strings += text.encode("utf-8", "surrogateescape") + b"\0"
        return at

    tags = [(1, put(name)) for name in needed]
    tags += [(tag, put(text)) for tag, text in ((14, soname), (15, rpath), (29, runpath)) if text is not None]
    if flags_1:
        tags.append((0x6FFFFFFB, flags_1))
    name = interpreter.encode() + b"\0" if interpreter else b""
    count = 4 if interpreter else 2
    at_name = header_size + program_size * count
    at_tags = -(-(at_name + len(name)) // 16) * 16
    at_symbol = at_tags + tag_size * (len(tags) + 6)
    at_hash = at_symbol + (24 if wide else 16)  # of one bucket; musl cannot do without
    at_strings = at_hash + 16
    size = at_strings + len(strings)
    tags += [
        (4, at_hash),
        (5, at_strings),
        (10, len(strings)),
        (6, at_symbol),
        (11, 24 if wide else 16),
        (0, 0),
    ]

    def segment(kind: int, at: int, length: int, flags: int, align: int) -> bytes:
        if wide:
            return struct.pack("<IIQQQQQQ", kind, flags, at, at, at, length, length, align)
        return struct.pack("<IIIIIIII", kind, at, at, at, length, length, flags, align)

    segments = b""
    if interpreter:  # PT_PHDR, from which the loader learns where the kernel put the program
        segments = segment(6, header_size, program_size * count, 4, 8) + segment(3, at_name, len(name), 4, 1)
    segments += segment(1, 0, size, 6, 4096)
    segments += segment(2, at_tags, tag_size * len(tags), 6, 8)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    fields = (3, machine, 1, 0, header_size, 0, 0, header_size, program_size, count, 0, 0, 0)
    head = ident + struct.pack("<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH", *fields)
    table = b"".join(struct.pack("<QQ" if wide else "<II", *tag) for tag in tags)
    body = (head + segments + name).ljust(at_tags, b"\0") + table
    return body + bytes(at_hash - at_symbol) + struct.pack("<IIII", 1, 1, 0, 0) + strings
