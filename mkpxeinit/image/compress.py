"""Compressors: for the image's segments, what the kernel can unpack; for modules, what depmod lists.

The only importer of zstandard. What the kernel reads: its `lib/decompress*.c`, and
Documentation/staging/xz.rst for XZ's limits.
"""

import io
import mmap
import os
import re
import sys
import zlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from mkpxeinit.errors import KernelError, UsageError

# Name: option of the kernel, levels, the default one: measured in docs/decisions/0016-compression.md.
# Beyond 19 the client would need 128 MB to unpack.
_KINDS = {
    "zstd": ("RD_ZSTD", range(1, 20), 8),
    "gzip": ("RD_GZIP", range(1, 10), 6),
    "xz": ("RD_XZ", range(0, 10), 6),
    "none": (None, range(0), 0),
}
_XZ_DICTIONARY = 1 << 20  # bytes; xz.rst advises it for the kernel
_XZ_MEMORY = 256 << 20  # bytes that the dictionary of an unknown file may take
_ZSTD_INPUT = 2048  # bytes; four of them can unpack to 128 KiB, so these to 64 MiB
_PIECE = 4 << 20  # bytes given to zstd at a time, a whole number of pages


@dataclass(frozen=True, slots=True)
class Compressor:
    """A compressor and its level."""

    name: str
    level: int

    @classmethod
    def parse(cls, text: str) -> "Compressor":
        """Return what `NAME[:LEVEL]` means; UsageError if that is no compressor or level."""
        match = re.fullmatch(r"([a-z]+)(?::([0-9]{1,3}))?", text)
        if match is None or match[1] not in _KINDS:
            raise UsageError(f"compressor {text!r} is not one of: {', '.join(_KINDS)}, with :LEVEL")
        _, levels, default = _KINDS[match[1]]
        if match[2] is None:
            return cls(match[1], default)
        if int(match[2]) not in levels:
            known = f"levels {levels[0]} to {levels[-1]}" if levels else "no level"
            raise UsageError(f"compressor {text!r}: {match[1]} has {known}")
        return cls(match[1], int(match[2]))

    def __str__(self) -> str:
        return self.name if self.name == "none" else f"{self.name}:{self.level}"


def choose(config: Mapping[str, str] | None) -> Compressor:
    """Return the best compressor that a kernel with `config` reads; gzip if its configuration is unknown."""
    if config is None:
        return Compressor.parse("gzip")
    names = (
        name for name, (option, _, _) in _KINDS.items() if option is not None and config.get(option) == "y"
    )
    return Compressor.parse(next(names, "none"))


def check_readable(compressor: Compressor, config: Mapping[str, str] | None, release: str) -> None:
    """KernelError if a kernel with `config` cannot unpack what `compressor` makes."""
    option = _KINDS[compressor.name][0]
    if option is not None and config is not None and config.get(option) != "y":
        readable = [name for name, (o, _, _) in _KINDS.items() if o is None or config.get(o) == "y"]
        raise KernelError(
            f"--compress {compressor}: kernel {release} cannot unpack it (CONFIG_{option} is not set); "
            f"it can: {', '.join(readable)}"
        )


def version(compressor: Compressor) -> str:
    """Return all that decides what `compress` makes of the same data, for keys of caches.

    Python does not tell the version of its liblzma: its own stands for it.
    """
    if compressor.name == "zstd":
        import zstandard

        return f"{compressor} {zstandard.ZSTD_VERSION}"
    return f"{compressor} zlib {zlib.ZLIB_RUNTIME_VERSION} Python {sys.version}"


def compress(data: bytes | mmap.mmap, compressor: Compressor) -> bytes:
    """Return `data` compressed: the same bytes whatever the number of processors.

    The memory of an anonymous map is given back meanwhile: it is empty afterwards.
    """
    if compressor.name == "zstd":
        return _zstd(data, compressor.level)
    if compressor.name == "gzip":
        packer = zlib.compressobj(compressor.level, zlib.DEFLATED, 31)  # 31: gzip's header, time 0
        return packer.compress(data) + packer.flush()
    if compressor.name == "xz":
        import lzma

        filters = [{"id": lzma.FILTER_LZMA2, "preset": compressor.level, "dict_size": _XZ_DICTIONARY}]
        return lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)
    return bytes(data)


def _zstd(data: bytes | mmap.mmap, level: int) -> bytes:
    import zstandard

    # Workers split the data by its size, not by their number; but none at all is another format.
    packer = zstandard.ZstdCompressor(level=level, threads=max(1, os.cpu_count() or 1), write_checksum=True)
    stream = packer.compressobj(size=len(data))
    done = []
    with memoryview(data) as view:
        for start in range(0, len(data), _PIECE):
            done.append(stream.compress(view[start : start + _PIECE]))
            if isinstance(data, mmap.mmap):  # zstd has a copy for its workers
                data.madvise(mmap.MADV_DONTNEED, start, min(_PIECE, len(data) - start))
    done.append(stream.flush())
    return b"".join(done)


def unpack_module(data: bytes, name: str, limit: int) -> bytes:
    """Return the plain bytes of the module `data`, packed as the suffix of `name` says.

    ValueError if it is damaged or has more than `limit` bytes.
    """
    unpack = {".xz": _unpack_xz, ".zst": _unpack_zstd, ".gz": _unpack_gzip}.get(PurePath(name).suffix)
    if unpack is None:
        return data
    try:
        plain = unpack(data, limit)
    except (zlib.error, EOFError, OSError) as error:
        raise ValueError(f"damaged: {error}") from error
    if len(plain) > limit:
        raise ValueError(f"more than {limit} bytes when unpacked")
    return plain


def _unpack_xz(data: bytes, limit: int) -> bytes:
    import lzma

    reader = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    try:
        plain = reader.decompress(data, limit + 1)
    except lzma.LZMAError as error:
        raise ValueError(f"damaged: {error}") from error
    if not reader.eof and len(plain) <= limit:
        raise EOFError("it ends too early")
    return plain


def unpack_begin(data: bytes, size: int) -> bytes:
    """Return the first `size` bytes of what the XZ file `data` holds, or all; ValueError if it is damaged."""
    import lzma

    try:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY).decompress(data, size)
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(f"damaged: {error}") from error


def _unpack_gzip(data: bytes, limit: int) -> bytes:
    import gzip

    with gzip.open(io.BytesIO(data)) as file:
        return file.read(limit + 1)


def _unpack_zstd(data: bytes, limit: int) -> bytes:
    import zstandard

    try:
        size = zstandard.frame_content_size(data)
        if 0 <= size <= limit:
            return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise ValueError(f"damaged: {error}") from error
    if size > limit:
        raise ValueError(f"more than {limit} bytes when unpacked")
    plain = bytearray()  # a frame of unknown size: no more than the limit is unpacked
    for piece in unpack_zstd(io.BytesIO(data).read):
        plain += piece
        if len(plain) > limit:
            break
    return bytes(plain)


def unpack_zstd(more: Callable[[int], bytes]) -> Generator[bytes, None, bytes]:
    """Yield in pieces the content of the zstd frame that `more` reads; return the bytes read beyond its end.

    `more(size)` returns at most `size` bytes, none at the end. EOFError if the frame is cut short,
    ValueError if it is damaged. A piece has at most 64 MiB.
    """
    import zstandard

    reader = zstandard.ZstdDecompressor().decompressobj()
    try:
        while not reader.eof:
            data = more(_ZSTD_INPUT)
            if not data:
                raise EOFError("it ends too early")
            piece = reader.decompress(data)
            if piece:
                yield piece
    except zstandard.ZstdError as error:
        raise ValueError(f"damaged: {error}") from error
    return reader.unused_data
