"""Small images: archives by GNU cpio, and headers written by hand where cpio would refuse."""

import bz2
import gzip
import lzma
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lambda data: by_tool("lz4", "-l", "-9", "-c", data=data),
}


def by_tool(*words: str, data: bytes, folder: Path | None = None) -> bytes:
    """Return what a program makes of `data`; skip the test if this machine lacks it."""
    try:
        return subprocess.run(words, input=data, cwd=folder, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip(f"no {words[0]} here")


def archive(folder: Path) -> bytes:
    """Return the archive that GNU cpio makes of `folder`, padded with zeros to 512 bytes as it does."""
    names = [".", *sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))]
    return by_tool("cpio", "-o", "-H", "newc", "--quiet", "-0", data="\0".join(names).encode(), folder=folder)


def entry(
    name: bytes,
    mode: int,
    body: bytes = b"",
    *,
    links: int = 1,
    inode: int = 1,
    size: int | None = None,
    length: int | None = None,
    device: tuple[int, int] = (0, 0),
) -> bytes:
    """Return one entry; `size` and `length` (of the name, with its NUL) may lie."""
    fields = (
        inode, mode, 0, 0, links, 0, len(body) if size is None else size, 0, 0, *device,
        len(name) + 1 if length is None else length, 0,
    )  # fmt: skip
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name + b"\0"
    return head + bytes(-len(head) % 4) + body + bytes(-len(body) % 4)


TRAILER = entry(b"TRAILER!!!", 0)
