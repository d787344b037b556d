"""LZ4 as kernels read it: the legacy frame that `lz4 -l` writes, unpacked without a library.

Formats: lz4_Frame_format.md ("Legacy frame") and lz4_Block_format.md of the LZ4 project, and
`lib/decompress_unlz4.c` of the kernel.
"""

from collections.abc import Callable, Generator

MAGIC = b"\x02\x21\x4c\x18"
_BLOCK = 8 << 20  # bytes in an unpacked block, at most
_PACKED_BLOCK = _BLOCK + _BLOCK // 255 + 16  # what does not shrink grows a little


def unpack_legacy(more: Callable[[int], bytes]) -> Generator[bytes, None, bytes]:
    """Yield the unpacked blocks of the frame that `more` reads; return the bytes read beyond its end.

    `more(size)` returns at most `size` bytes, none at the end. EOFError if the frame is cut short,
    ValueError if it is damaged. One block, 8 MiB, is in memory at a time.
    """
    if _exactly(more, len(MAGIC)) != MAGIC:
        raise ValueError("not a legacy lz4 frame")
    while head := _at_most(more, 4):
        if len(head) < 4:
            return head
        size = int.from_bytes(head, "little")
        if head == MAGIC:
            continue  # frames may follow one another
        if size == 0:
            return b""  # padding
        if size > _PACKED_BLOCK:
            return head  # no size: something else begins here
        if block := unpack_block(_exactly(more, size), _BLOCK):
            yield block
    return b""


def unpack_block(data: bytes, limit: int) -> bytes:
    """Return the plain bytes of one block; ValueError if it is damaged or has more than `limit` bytes."""
    out = bytearray()
    at, end = 0, len(data)
    try:
        while True:
            token = data[at]
            length, at = _length(data, at + 1, token >> 4)
            if at + length > end:
                raise ValueError("a block is damaged: it ends too early")
            out += data[at : at + length]
            at += length
            if len(out) > limit:
                raise ValueError(f"a block has more than {limit} bytes")
            if at == end:
                return bytes(out)  # the last sequence has literals only
            distance = data[at] | data[at + 1] << 8
            length, at = _length(data, at + 2, token & 15)
            length += 4
            if not 0 < distance <= len(out):
                raise ValueError("a block is damaged: it refers to what comes before it")
            if len(out) + length > limit:
                raise ValueError(f"a block has more than {limit} bytes")
            start = len(out) - distance
            repeated = out[start : start + length]
            if distance < length:
                repeated = (repeated * (length // distance + 1))[:length]
            out += repeated
    except IndexError as error:
        raise ValueError("a block is damaged: it ends too early") from error


def _length(data: bytes, at: int, length: int) -> tuple[int, int]:
    """Return the length whose first four bits are `length`, and where what follows it begins."""
    if length == 15:
        while data[at] == 255:
            length += 255
            at += 1
        length += data[at]
        at += 1
    return length, at


def _at_most(more: Callable[[int], bytes], size: int) -> bytes:
    """Return `size` bytes, fewer only at the end."""
    data = bytearray()
    while len(data) < size and (piece := more(size - len(data))):
        data += piece
    return bytes(data)


def _exactly(more: Callable[[int], bytes], size: int) -> bytes:
    data = _at_most(more, size)
    if len(data) < size:
        raise EOFError("it ends too early")
    return data
