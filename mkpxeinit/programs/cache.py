"""Writes ld.so.cache, so that libraries in folders of ld.so.conf are found in the image.

glibc's loader does not read ld.so.conf. Format: sysdeps/generic/dl-cache.h of glibc, the one that begins
with `glibc-ld.so.cache1.1` and stands alone, which loaders since 2.2 read.
"""

import re
import struct
from collections.abc import Mapping
from functools import cmp_to_key

from mkpxeinit.elf import Machine

# FLAG_ELF_LIBC6 and what glibc's sysdeps/.../dl-cache.h add for a machine; else it is 3 alone.
_FLAGS = {
    ("EM_X86_64", 64): 0x0303,
    ("EM_X86_64", 32): 0x0803,
    ("EM_AARCH64", 64): 0x0A03,
    ("EM_ARM", 32): 0x0903,
    ("EM_PPC64", 64): 0x0503,
    ("EM_S390", 64): 0x0403,
    ("EM_RISCV", 64): 0x1003,
    ("EM_LOONGARCH", 64): 0x1203,
}


def pack_cache(libraries: Mapping[tuple[str, Machine], str]) -> bytes:
    """Return ld.so.cache for `libraries`: by the name that is asked for and the machine, the path.

    All machines must have the same byte order, as those of one kernel do.
    """
    little = all(machine.little_endian for _, machine in libraries)
    order = "<" if little else ">"
    ordered = sorted(libraries.items(), key=lambda item: _key(item[0][0]), reverse=True)
    head, entry = struct.Struct(order + "17s3sIIB3xI12x"), struct.Struct(order + "iIIIQ")
    start = head.size + entry.size * len(ordered)
    entries, strings = b"", b""
    for (name, machine), path in ordered:
        at = start + len(strings)
        key = _bytes(name)
        strings += key + _bytes(path)
        flags = _FLAGS.get((machine.name, machine.bits), 3)
        entries += entry.pack(flags, at, at + len(key), 0, 0)
    magic = (b"glibc-ld.so.cache", b"1.1")
    return head.pack(*magic, len(ordered), len(strings), 2 if little else 3, 0) + entries + strings


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape") + b"\0"


def _compare(one: str, other: str) -> int:
    """Compare as glibc's _dl_cache_libcmp: runs of digits by value, after everything else."""
    ours, theirs = _pieces(one), _pieces(other)
    for a, b in zip(ours, theirs, strict=False):
        if a == b:
            continue
        if a.isdigit() and b.isdigit():
            if int(a) != int(b):
                return -1 if int(a) < int(b) else 1
            continue
        if a.isdigit() != b.isdigit():
            return 1 if a.isdigit() else -1
        return -1 if a < b else 1
    return len(ours) - len(theirs)


def _pieces(text: str) -> list[bytes]:
    """Return the runs of digits and the other bytes of `text`, one by one."""
    return re.findall(rb"[0-9]+|[^0-9]", text.encode("utf-8", "surrogateescape"))


_key = cmp_to_key(_compare)
