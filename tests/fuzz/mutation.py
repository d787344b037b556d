"""Changes to good input: what is nearly right gets deeper into a reader than any random bytes."""

import re
from collections.abc import Sequence

from hypothesis import strategies as st

# Numbers at which sizes, counts and offsets go wrong, in both byte orders and as cpio writes them.
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF)
_WORDS = [
    number.to_bytes(size, order)
    for number in _NUMBERS
    for size in (1, 2, 4, 8)
    for order in ("little", "big")
    if number < 1 << 8 * size
] + [b"%08X" % number for number in _NUMBERS if number < 1 << 32]
_TEXT = [
    b"\n", b"\r\n", b"\t", b" ", b"\0", b"/", b"..", b"../", b"\\", b'"', b"[", b"]", b"*", b"?", b":", b"=",
    b"#", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"\xed\xb3\xbf", "é".encode(), b"%s", b"\x1b[2J", b"-", b"{",
    b"}", b",", b"9" * 5000,
]  # fmt: skip

Change = tuple[str, int, int, int]
_KINDS = ("flip", "word", "text", "cut", "end", "twice", "many", "swap", "other", "digits")
# A place: from the start, from the end (negative), or anywhere.
_PLACES = st.one_of(st.integers(0, 150), st.integers(-80, -1), st.integers(0, 1 << 14))
CHANGES = st.lists(
    st.tuples(st.sampled_from(_KINDS), _PLACES, st.integers(0, 200), st.integers(0, 1 << 10)),
    min_size=1,
    max_size=5,
)


def changed(data: bytes, changes: Sequence[Change], seeds: Sequence[bytes]) -> bytes:
    """Return `data` with `changes` made one after another; `seeds` are what pieces are taken from."""
    for change in changes:
        data = _changed(data, change, seeds)
    return data


def _changed(data: bytes, change: Change, seeds: Sequence[bytes]) -> bytes:
    kind, place, size, number = change
    at = place % (len(data) + 1)
    head, piece, tail = data[:at], data[at : at + size], data[at + size :]
    if kind == "flip":
        return head + bytes([piece[0] ^ 1 << number % 8]) + data[at + 1 :] if piece else data
    if kind == "word":
        word = _WORDS[number % len(_WORDS)]
        return head + word + data[at + len(word) :]
    if kind == "text":
        return head + _TEXT[number % len(_TEXT)] + data[at:]
    if kind == "cut":
        return head + tail
    if kind == "end":
        return head
    if kind == "twice":
        return head + piece + piece + tail
    if kind == "many":
        return head + piece * (number % 100) + tail
    if kind == "swap":
        middle = len(tail) // 2
        return head + tail[:middle] + piece + tail[middle:]
    if kind == "other":
        other = seeds[number % len(seeds)]
        return head + other[place % (len(other) + 1) :][:size] + tail
    found = list(re.finditer(rb"[0-9A-Fa-f]{2,}", data))  # digits: a number becomes another
    if not found:
        return data
    start, end = found[place % len(found)].span()
    return data[:start] + (b"F" if number % 2 else b"%d" % (number % 10)) * (end - start) + data[end:]
