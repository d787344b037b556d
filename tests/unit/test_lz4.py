"""The decoder against the program lz4, and against anything at all."""

import io
import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mkpxeinit.image import lz4
from tests.unit.images import by_tool


def unpack(data: bytes) -> tuple[bytes, bytes]:
    """Return what the frame holds, and what is left behind it."""
    source = io.BytesIO(data)
    pieces, generator = [], lz4.unpack_legacy(source.read)
    while True:
        try:
            pieces.append(next(generator))
        except StopIteration as end:
            return b"".join(pieces), end.value + source.read()


SAMPLES = [
    b"",
    b"x",
    bytes(20 << 20),
    b"abc" * 100_000,
    random.Random(1).randbytes(9 << 20),
    b"".join(b"%d some text %d\n" % (n % 977, n * n) for n in range(100_000)),
]


@pytest.mark.parametrize("plain", SAMPLES, ids=range(len(SAMPLES)))
@pytest.mark.parametrize("level", ["-1", "-9"])
def test_what_lz4_writes(plain: bytes, level: str) -> None:
    packed = by_tool("lz4", "-l", level, "-c", data=plain)
    assert unpack(packed) == (plain, b"")
    assert unpack(packed + packed) == (plain * 2, b"")
    assert unpack(packed + b"070701") == (plain, b"070701")
    assert unpack(packed + bytes(8) + b"070701")[1].lstrip(b"\0") == b"070701"


def test_cut_short() -> None:
    packed = by_tool("lz4", "-l", "-c", data=SAMPLES[-1])
    for size in (1, 9, len(packed) // 2, len(packed) - 1):
        with pytest.raises(EOFError):
            unpack(packed[:size])


@pytest.mark.parametrize(
    ("block", "says"),
    [
        (b"\xf0" + b"\xff" * 100_000 + b"\0", "ends too early"),
        (b"\x1fa\1\0" + b"\xff" * 1000 + b"\0", "more than 1000 bytes"),
        (b"\xf0\xff\xff\xff\xdd" + bytes(1001), "more than 1000 bytes"),
        (b"\x10a\2\0", "what comes before it"),
        (b"\x10a\0\0", "what comes before it"),
        (b"\x10", "ends too early"),
        (b"", "ends too early"),
    ],
)
def test_damaged(block: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        lz4.unpack_block(block, 1000)


@given(st.binary(max_size=200))
def test_anything(data: bytes) -> None:
    with suppress(ValueError):
        assert len(lz4.unpack_block(data, 1000)) <= 1000
