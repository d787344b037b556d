"""What kernels can unpack, unpacked piece by piece: memory stays bounded whatever the input says.

Magic numbers: `lib/decompress.c` of the kernel.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Generator

from mkpxeinit.image import compress, lz4

More = Callable[[int], bytes]
Pieces = Generator[bytes, None, bytes]

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (lz4.MAGIC, "lz4"),
    (b"BZh", "bzip2"),
    (b"\x5d\0\0", "lzma"),
    (b"\x89LZO\0\r\n\x1a\n", "lzo"),
)
LONGEST_MAGIC = max(len(magic) for magic, _ in _MAGIC)  # bytes
_INPUT = 64 << 10  # bytes read at a time
_OUTPUT = 1 << 20  # bytes unpacked at a time
_MEMORY = 256 << 20  # bytes that XZ's dictionary may take


def kind_of(data: bytes) -> str | None:
    """Return the compressor of what begins with `data`, None if it is none that a kernel knows."""
    return next((name for magic, name in _MAGIC if data.startswith(magic)), None)


def unpack(kind: str, more: More) -> Pieces:
    """Yield in pieces, none empty, what `more` reads, packed by `kind`; return the bytes read beyond its end.

    `more(size)` returns at most `size` bytes, none at the end. EOFError if the data is cut short,
    ValueError if it is damaged or `kind` cannot be unpacked.
    """
    try:
        if kind == "gzip":
            return (yield from _gzip(more))
        if kind == "zstd":
            return (yield from compress.unpack_zstd(more))
        if kind == "lz4":
            return (yield from lz4.unpack_legacy(more))
        if kind == "bzip2":
            return (yield from _by_object(bz2.BZ2Decompressor(), more))
        if kind in ("xz", "lzma"):
            form = lzma.FORMAT_XZ if kind == "xz" else lzma.FORMAT_ALONE
            return (yield from _by_object(lzma.LZMADecompressor(form, memlimit=_MEMORY), more))
    except (zlib.error, lzma.LZMAError, OSError) as error:
        raise ValueError(f"damaged: {error}") from error
    raise ValueError(f"mkpxeinit cannot unpack {kind}; unpack it with another program first")


def _gzip(more: More) -> Pieces:
    reader = zlib.decompressobj(31)  # 31: with gzip's header and checksum
    data = b""
    while not reader.eof:
        data = data or more(_INPUT)
        if not data:
            raise EOFError("it ends too early")
        piece = reader.decompress(data, _OUTPUT)
        data = reader.unconsumed_tail
        if piece:
            yield piece
    return reader.unused_data


def _by_object(reader: bz2.BZ2Decompressor | lzma.LZMADecompressor, more: More) -> Pieces:
    while not reader.eof:
        data = b""
        if reader.needs_input:
            data = more(_INPUT)
            if not data:
                raise EOFError("it ends too early")
        piece = reader.decompress(data, _OUTPUT)
        if piece:
            yield piece
    return reader.unused_data
