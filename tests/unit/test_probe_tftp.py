"""The TFTP client against servers that behave in every way; a real one is in tests/lab."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mkpxeinit.netboot.probe import tftp
from mkpxeinit.netboot.probe.wire import ProbeError, SilentError

HOST = "127.0.0.1"
Reply = Callable[[bytes, int], list[bytes]]


@contextmanager
def server(reply: Reply, senders: list[tuple[str, int]] | None = None) -> Iterator[int]:
    """Run a server that answers the nth packet of a client by `reply(packet, n)`; yield its port."""
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind((HOST, 0))
    wire.settimeout(0.05)
    over = threading.Event()

    def serve() -> None:
        number = 0
        while not over.is_set():
            try:
                packet, sender = wire.recvfrom(2000)
            except TimeoutError:
                continue
            if senders is not None:
                senders.append(sender)
            for each in reply(packet, number):
                wire.sendto(each, sender)
            number += 1

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield wire.getsockname()[1]
    finally:
        over.set()
        thread.join()
        wire.close()


def data(number: int, content: bytes) -> bytes:
    return struct.pack("!HH", 3, number & 0xFFFF) + content


def oack(**options: int) -> bytes:
    return b"\0\x06" + b"".join(b"%s\0%d\0" % (key.encode(), value) for key, value in options.items())


def serving(content: bytes, *, options: bool = True) -> Reply:
    """A right server for this content."""

    def reply(packet: bytes, number: int) -> list[bytes]:
        kind, block = struct.unpack("!HH", packet[:4])
        if kind == 1 and options:
            return [oack(blksize=tftp.BLOCK, tsize=len(content))]
        size = tftp.BLOCK if options else 512
        nth = 0 if kind == 1 else block
        return [data(nth + 1, content[nth * size : (nth + 1) * size])] if nth * size <= len(content) else []

    return reply


def get(reply: Reply, *, seconds: float = 5.0, wait: float = 0.1) -> tftp.Transfer:
    with server(reply) as port:
        return tftp.read(HOST, "f", port=port, most=100_000, seconds=seconds, wait=wait)


@pytest.mark.parametrize("size", [0, 1, 1407, 1408, 1409, 2816, 20_000])
def test_whole_files(size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    got = get(serving(content))
    assert (got.size, got.head, got.blksize, got.tsize) == (size, content, 1408, size)
    assert f"{size} bytes" in got.text and "blksize 1408, tsize" in got.text


def test_a_server_without_options() -> None:
    got = get(serving(b"x" * 1300, options=False))
    assert (got.size, got.blksize, got.tsize) == (1300, None, None)
    assert "no blksize: 512, no tsize" in got.text


def test_the_request() -> None:
    assert tftp.request("a/b") == b"\0\x01a/b\0octet\0blksize\x001408\0tsize\x000\0"
    assert tftp.request("a", options=False) == b"\0\x01a\0octet\0"
    for name in ("", "a\0b", "x" * 500):
        with pytest.raises(ProbeError, match="no name of a file"):
            tftp.request(name)


def test_lost_packets_are_asked_for_again() -> None:
    right = serving(b"x" * 5000)
    got = get(lambda packet, number: [] if number % 2 == 0 else right(packet, number))
    assert got.size == 5000 and got.resent >= 3


def test_doubled_packets_do_not_double_the_traffic() -> None:
    seen = []
    right = serving(b"x" * 5000)

    def twice(packet: bytes, number: int) -> list[bytes]:
        seen.append(packet)
        return right(packet, number) * 2

    assert get(twice).size == 5000
    assert len(seen) <= 7  # the request, the acknowledgements of OACK and of four blocks


def test_block_numbers_go_round() -> None:
    """After 65535 comes 0: most images are larger than 65535 blocks of 512 bytes."""
    reading = tftp._Reading("f", b"", 1 << 30, 100)
    for number in range(1, 70_000):
        assert reading.take(data(number, bytes(512)))
    assert reading.take(data(70_000, b"")) and reading.done
    assert reading.size == 69_999 * 512 and len(reading.head) == 100


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (lambda packet, number: [b"\0\x05\0\x01not found\0"], r"f: no such file \(not found\)"),
        (lambda packet, number: [b"\0\x05\0\x02\0"], "f: access refused"),
        (lambda packet, number: [b"\0\x05\0\x63\x1b[2J\n"], r"error 99 \(\\x1b\[2J\\n\)"),
        (lambda packet, number: [oack(blksize=9000)], "wants blksize 9000"),
        (lambda packet, number: [oack(blksize=7)], "wants blksize 7"),
        (lambda packet, number: [oack(windowsize=4)], "not asked for"),
        (lambda packet, number: [b"\0\x06tsize\x00-5\0"], "not asked for"),
        (lambda packet, number: [b"\0\x06tsize"], "damaged"),
        (lambda packet, number: [oack(tsize=10**12)], "tsize says 1000000000000"),
        (lambda packet, number: [data(1, b"x" * 600)], "a block of 600 bytes"),
        (lambda packet, number: [data(number + 1, b"x" * 512)], "does not end after 100000 bytes"),
        (lambda packet, number: [data(1, b"x") if number else oack(tsize=9)], "1 bytes came, but"),
        (lambda packet, number: [oack(tsize=9)] if number == 0 else [], "nothing more after 0 bytes"),
        (lambda packet, number: [], "does not answer"),
        (lambda packet, number: [b""], "does not answer"),
        (lambda packet, number: [data(7, b"x")] * 3, "does not answer"),
        (lambda packet, number: [b"\xff" * 1500], "does not answer"),
    ],
)  # fmt: skip
def test_bad_servers(reply: Reply, said: str) -> None:
    with pytest.raises(ProbeError, match=said):
        get(reply, wait=0.05)


def test_the_whole_has_an_end() -> None:
    """A server that is never late for a single block, but never finished either."""

    def slow(packet: bytes, number: int) -> list[bytes]:
        threading.Event().wait(0.05)
        return [data(number + 1, b"x" * 512)]

    with pytest.raises(SilentError, match="not finished after 0 s"):
        get(slow, seconds=0.3)


def test_a_stranger_in_the_transfer_is_not_heard() -> None:
    """RFC 1350, 4: packets from another port than the transfer's belong to somebody else."""
    right = serving(b"x" * 3000)
    senders: list[tuple[str, int]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:

        def reply(packet: bytes, number: int) -> list[bytes]:
            if number > 0:
                stranger.sendto(b"\0\x05\0\x02evil\0", senders[0])
            return right(packet, number)

        with server(reply, senders) as port:
            assert tftp.read(HOST, "f", port=port, wait=0.2, seconds=5).size == 3000
