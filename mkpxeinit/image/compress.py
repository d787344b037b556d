"""Compressors: for the image's segments, what the kernel can unpack; for modules, what depmod lists.

The only importer of zstandard. What the kernel reads: its `lib/decompress*.c`, and
Documentation/staging/xz.rst for XZ's limits.
"""

import io
import os
import re
import sys
import zlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Protocol

from mkpxeinit.errors import KernelError, UsageError, printable
from mkpxeinit.meant import meant

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
_ZSTD_FAST = 15  # levels above have at least this window anyway, and larger jobs
_ZSTD_WINDOW = 22  # binary logarithm of bytes: twice what zstd has at its level 8, measured in 0016
_ZSTD_CHAIN = 23  # binary logarithm of 4 bytes, for each worker: half of what level 19 takes
_ZSTD_JOB = 8 << 20  # bytes for each of zstd's workers at a time
_ZSTD_INPUT = 2048  # bytes; four of them can unpack to 128 KiB, so these to 64 MiB
_SMALL = 4 << 20  # bytes; of less than these the compressor is told the size
_PIECE = 64 << 10  # bytes that are given to a compressor at once, if there are as many


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
            there = meant(text.partition(":")[0], _KINDS)
            raise UsageError(f"{printable(repr(text))} is no compressor (NAME[:LEVEL]){there}")
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


def is_slow(compressor: Compressor) -> bool:
    """Say whether compressing takes so long that to unpack modules a second time costs nothing beside it."""
    return compressor.name == "xz" or (compressor.name == "zstd" and compressor.level > _ZSTD_FAST)


def version(compressor: Compressor) -> str:
    """Return all that decides what `compress` makes of the same data, for keys of caches.

    Python does not tell the version of its liblzma: its own stands for it.
    """
    if compressor.name == "zstd":
        import zstandard

        return f"{compressor} {zstandard.ZSTD_VERSION}"
    return f"{compressor} zlib {zlib.ZLIB_RUNTIME_VERSION} Python {sys.version}"


class Packer:
    """Compresses what it is given piece by piece: the same bytes whatever the pieces and the processors."""

    def __init__(self, compressor: Compressor) -> None:
        """Take the compressor; nothing is compressed yet."""
        self._compressor = compressor
        self._stream: _Stream | None = None
        self._pending = bytearray()
        self._done: list[bytes] = []
        self.size = 0

    def put(self, data: bytes | memoryview) -> None:
        """Take more, `size` bytes in all; what is long enough is not copied."""
        self.size += len(data)
        if len(self._pending) + len(data) < (_PIECE if self._stream else _SMALL):
            self._pending += data
            return
        if self._stream is None:
            self._stream = _stream(self._compressor)
        for each in (self._pending, data):
            if each:
                self._done.append(self._stream.compress(each))
        self._pending = bytearray()

    def finish(self, multiple: int = 1) -> bytes:
        """Return all of it compressed, filled with zeros to a multiple of so many bytes."""
        stream = self._stream or _stream(self._compressor, len(self._pending))
        done = [*self._done, stream.compress(self._pending), stream.flush()]
        self._done = []
        return b"".join((*done, bytes(-sum(map(len, done)) % multiple)))


class _Stream(Protocol):
    def compress(self, data: Any, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Plain:
    """A compressor that does not compress."""

    def compress(self, data: Any, /) -> bytes:
        return bytes(data)

    def flush(self) -> bytes:
        return b""


def _stream(compressor: Compressor, size: int | None = None) -> _Stream:
    """Return what compresses a file; `size`: if it is small, its bytes."""
    if compressor.name == "zstd":
        return _zstd(compressor.level, size)
    if compressor.name == "gzip":
        return zlib.compressobj(compressor.level, zlib.DEFLATED, 31)  # 31: gzip's header, time 0
    if compressor.name == "xz":
        import lzma

        filters = [{"id": lzma.FILTER_LZMA2, "preset": compressor.level, "dict_size": _XZ_DICTIONARY}]
        return lzma.LZMACompressor(lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)
    return _Plain()


def _zstd(level: int, size: int | None) -> _Stream:
    import zstandard

    # Workers split the data by its size, not by their number; but none at all is another format.
    threads = max(1, os.cpu_count() or 1)
    if size is not None:
        packer = zstandard.ZstdCompressor(level=level, threads=threads, write_checksum=True)
        return packer.compressobj(size=size)
    more = {"window_log": _ZSTD_WINDOW, "job_size": _ZSTD_JOB}
    if level > _ZSTD_FAST:
        usual = zstandard.ZstdCompressionParameters.from_level(level)
        more = {"chain_log": min(usual.chain_log, _ZSTD_CHAIN)}
    options = zstandard.ZstdCompressionParameters.from_level(
        level, threads=threads, write_checksum=True, **more
    )
    return zstandard.ZstdCompressor(compression_params=options).compressobj()


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
