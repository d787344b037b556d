"""Questions and answers of DNS."""

import pytest

from mkpxeinit.netboot.probe import dns
from mkpxeinit.netboot.probe.wire import Cursor, ProbeError

ASKED = dns.question("nfs.lab", 0x1234)
NAME = b"\x03nfs\x03lab\0"


def reply(records: bytes, count: int, *, code: int = 0, number: int = 0x1234, name: bytes = NAME) -> bytes:
    head = number.to_bytes(2, "big") + bytes((0x81, 0x80 | code)) + b"\0\1" + count.to_bytes(2, "big")
    return head + bytes(4) + name + b"\0\1\0\1" + records


def record(kind: int, data: bytes, owner: bytes = b"\xc0\x0c") -> bytes:
    return owner + kind.to_bytes(2, "big") + b"\0\1\0\0\0\x3c" + len(data).to_bytes(2, "big") + data


def test_the_question() -> None:
    assert ASKED == b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + NAME + b"\0\1\0\1"
    for name in ("", "a..b", "x" * 64, ".".join(["abc"] * 70)):
        with pytest.raises(ProbeError, match="no host name"):
            dns.question(name, 1)


def test_addresses() -> None:
    packet = reply(record(1, b"\x0a\0\0\1") + record(1, b"\x0a\0\0\2"), 2)
    assert dns.read_reply(packet, ASKED) == dns.Reply(("10.0.0.1", "10.0.0.2"), "")


def test_an_alias_is_followed_and_others_are_not() -> None:
    alias = record(5, b"\x01a\xc0\x10")  # a.lab: the name's second label is at 16
    of_alias = record(1, b"\x0a\0\0\3", b"\x01A\x03lab\0")
    stranger = record(1, b"\x0a\0\0\4", b"\x01b\x03lab\0")
    packet = reply(stranger + alias + of_alias, 3)
    assert dns.read_reply(packet, ASKED) == dns.Reply(("10.0.0.3",), "")


@pytest.mark.parametrize(("code", "said"), [(3, "no such name"), (5, "refused"), (9, "code 9")])
def test_refusals(code: int, said: str) -> None:
    assert dns.read_reply(reply(b"", 0, code=code), ASKED) == dns.Reply((), said)


def test_a_name_without_address() -> None:
    packet = reply(record(28, bytes(16)), 1)
    assert dns.read_reply(packet, ASKED) == dns.Reply((), "it knows no IPv4 address of it")


@pytest.mark.parametrize(
    "packet",
    [
        reply(b"", 0, number=1),
        reply(b"", 0, name=b"\x03foo\0"),
        ASKED,
        b"\x12\x34",
    ],
    ids=["number", "another name", "a question", "short"],
)
def test_answers_to_others(packet: bytes) -> None:
    assert dns.read_reply(packet, ASKED) is None


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (reply(record(1, b"\x0a\0\0\1"), 2), "cut off"),
        (reply(record(1, b"\x0a\0\0\1")[:-1], 1), "cut off"),
        (reply(record(1, b"", b"\xc0\x19"), 1), "circle"),
        (reply(record(5, b"\xc0\x25"), 1), "circle"),
        (reply(record(1, b"", b"\x80\0"), 1), "unknown kind"),
        (reply(record(1, b"", (b"\x3f" + b"x" * 63) * 5 + b"\0"), 1), "too long"),
        (reply(b"", 5000), "5000 records"),
    ],
    ids=["fewer", "short", "circle", "circle of an alias", "kind", "long", "many"],
)
def test_damage(packet: bytes, said: str) -> None:
    with pytest.raises(ProbeError, match=said):
        dns.read_reply(packet, ASKED)


def test_a_pointer_may_be_followed_by_more() -> None:
    cursor = Cursor(b"\x01a\0\xc0\x00rest", 3)
    assert dns.read_name(cursor) == b"a"
    assert cursor.take(4) == b"rest"
