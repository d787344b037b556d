"""One question to a DNS server: the address of a name (RFC 1035)."""

import os
from dataclasses import dataclass
from ipaddress import IPv4Address

from mkpxeinit.netboot.probe.wire import Cursor, Deadline, ProbeError, ask_udp, shown

PORT = 53
_A, _CNAME, _IN = 1, 5, 1
_MOST_RECORDS = 64
_MOST_JUMPS = 32
_CODES = {1: "format error", 2: "server failure", 3: "no such name", 4: "not implemented", 5: "refused"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server says to a name: its addresses, or why not."""

    addresses: tuple[str, ...]
    refusal: str


def question(name: str, number: int) -> bytes:
    """Return the question for a name's IPv4 addresses. Raises ProbeError for what is no name."""
    labels = name.rstrip(".").encode("ascii", "replace").split(b".")
    if len(name) > 253 or not all(0 < len(label) < 64 for label in labels):
        raise ProbeError(f"{shown(name)!r} is no host name")
    head = number.to_bytes(2, "big") + b"\x01\0\0\1\0\0\0\0\0\0"
    return head + _packed(labels) + bytes((0, _A, 0, _IN))


def _packed(labels: list[bytes]) -> bytes:
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def read_name(cursor: Cursor) -> bytes:
    """Return a name in lower case, compression undone. Raises ProbeError if its pointers do not end."""
    labels: list[bytes] = []
    back: int | None = None
    jumps = size = 0
    while True:
        length = cursor.number(1)
        if length & 0xC0 == 0xC0:
            target = (length & 0x3F) << 8 | cursor.number(1)
            back = cursor.at if back is None else back
            jumps += 1
            if jumps > _MOST_JUMPS:
                raise ProbeError("a name in the answer points round in a circle")
            cursor.at = min(target, len(cursor.data))
        elif length & 0xC0:
            raise ProbeError("a name in the answer is of an unknown kind")
        elif not length:
            break
        else:
            labels.append(cursor.take(length))
            size += length + 1
            if size > 255:
                raise ProbeError("a name in the answer is too long")
    if back is not None:
        cursor.at = back
    return b".".join(labels).lower()


def read_reply(packet: bytes, asked: bytes) -> Reply | None:
    """Return what a packet says to the question, None if it answers another. Raises ProbeError if damaged."""
    if len(packet) < 12 or packet[:2] != asked[:2] or not packet[2] & 0x80:
        return None
    cursor = Cursor(packet, 4)
    questions, answers = cursor.number(2), cursor.number(2)
    cursor.take(4)
    code = packet[3] & 15
    if questions > 1 or answers > 1000:
        raise ProbeError(f"the answer has {questions} questions and {answers} records")
    wanted = read_name(Cursor(asked, 12))
    if questions:
        if read_name(cursor) != wanted:
            return None
        cursor.take(4)
    if code:
        return Reply((), _CODES.get(code, f"code {code}"))
    known = {wanted}
    found: list[str] = []
    for _ in range(min(answers, _MOST_RECORDS)):
        owner = read_name(cursor)
        kind, of = cursor.number(2), cursor.number(2)
        cursor.take(4)
        data = cursor.take(cursor.number(2))
        if of != _IN or owner not in known:
            continue
        if kind == _CNAME:
            known.add(read_name(Cursor(packet, cursor.at - len(data))))
        elif kind == _A and len(data) == 4:
            found.append(str(IPv4Address(data)))
    return Reply(tuple(found), "" if found else "it knows no IPv4 address of it")


def ask(server: str, name: str, seconds: float, port: int = PORT) -> Reply:
    """Return what a DNS server says to a name. Raises ProbeError, SilentError if it says nothing."""
    asked = question(name, int.from_bytes(os.urandom(2), "big"))
    return ask_udp(server, port, asked, lambda packet: read_reply(packet, asked), Deadline(seconds))
