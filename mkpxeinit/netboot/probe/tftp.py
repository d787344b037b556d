"""A TFTP client that reads one file (RFC 1350) with the options blksize and tsize (RFC 2347, 2348, 2349)."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from mkpxeinit.errors import os_cause
from mkpxeinit.netboot.probe.wire import Deadline, ProbeError, SilentError, open_socket, shown

PORT = 69
BLOCK = 1408  # bytes, what pxelinux asks for; a frame of Ethernet holds it
_PLAIN = 512
_RRQ, _DATA, _ACK, _ERROR, _OACK = 1, 3, 4, 5, 6
_AGAIN = 1.0  # seconds until a lost packet is asked for again
_TRIES = 5
_STRAY = 10000  # packets that are none of ours, until it is enough
_REASONS = {
    1: "no such file",
    2: "access refused",
    4: "illegal operation",
    8: "it refuses the options",
}
_UNREADABLE = (
    "is it there under the TFTP root, by this very name, and world-readable, with all folders above it? "
    "chmod a+rX (many servers say 'not found' for what they may not read)"
)


@dataclass(frozen=True, slots=True)
class Transfer:
    """A file that came whole: its size and first bytes, what was negotiated, and how long it took."""

    size: int
    head: bytes
    seconds: float
    blksize: int | None
    tsize: int | None
    resent: int

    @property
    def text(self) -> str:
        """Size, speed and options in words."""
        rate = self.size / max(self.seconds, 1e-6) / 1e6
        options = ", ".join(
            name
            for name in (
                f"blksize {self.blksize}" if self.blksize else "no blksize: 512",
                "tsize" if self.tsize is not None else "no tsize",
                f"{self.resent} packets asked for again" if self.resent else "",
            )
            if name
        )
        return f"{self.size} bytes, {rate:.1f} MB/s, {options}"


def request(name: str, *, options: bool = True) -> bytes:
    """Return the read request for a file. Raises ProbeError for a name that no request can carry."""
    raw = name.encode("utf-8", "surrogateescape")
    if not raw or len(raw) > 400 or b"\0" in raw:
        raise ProbeError(f"{shown(name)!r} is no name of a file", "at most 400 bytes, none of them zero")
    asked = b"blksize\0%d\0tsize\x000\0" % BLOCK if options else b""
    return struct.pack("!H", _RRQ) + raw + b"\0octet\0" + asked


def read_options(packet: bytes) -> dict[str, int]:
    """Return the numbers that an OACK grants (RFC 2347). Raises ProbeError for what was not asked."""
    parts = packet[2:].split(b"\0")
    if parts[-1] or len(parts) % 2 == 0 or len(parts) > 9:
        raise ProbeError("the server's list of options (OACK) is damaged")
    granted: dict[str, int] = {}
    for key, value in zip(parts[:-1:2], parts[1:-1:2], strict=True):
        name = key.decode("ascii", "replace").lower()
        if not value.isdigit() or len(value) > 15 or name not in ("blksize", "tsize"):
            raise ProbeError(
                f"the server grants {shown(key, 20)}={shown(value, 20)}, which was not asked for"
            )
        granted[name] = int(value)
    if not 8 <= granted.get("blksize", BLOCK) <= BLOCK:
        raise ProbeError(f"the server wants blksize {granted['blksize']}, {BLOCK} at most was asked for")
    return granted


def _refusal(packet: bytes, name: str) -> ProbeError:
    code = int.from_bytes(packet[2:4], "big")
    words = shown(packet[4:].partition(b"\0")[0])
    cause = f"{shown(name)}: {_REASONS.get(code, f'error {code}')}" + (f" ({words})" if words else "")
    return ProbeError(cause, _UNREADABLE if code in (0, 1, 2) else "see the TFTP server's log")


class _Reading:
    """One transfer: the blocks that came, and what was last said, to be said again."""

    def __init__(self, name: str, said: bytes, most: int, keep: int) -> None:
        self.name = name
        self.said = said
        self.most, self.keep = most, keep
        self.blksize: int | None = None
        self.tsize: int | None = None
        self.head = bytearray()
        self.size = 0
        self.block = 0  # the last one that came, counted without end
        self.done = False

    def take(self, packet: bytes) -> bool:
        """Return whether the packet brought the transfer on; what is to be said then is in `said`."""
        kind = int.from_bytes(packet[:2], "big") if len(packet) >= 4 else 0
        if kind == _ERROR:
            raise _refusal(packet, self.name)
        if kind == _OACK and self.block == 0 and self.blksize is None and self.tsize is None:
            granted = read_options(packet)
            self.blksize, self.tsize = granted.get("blksize"), granted.get("tsize")
            if self.tsize is not None and self.tsize > self.most:
                raise ProbeError(
                    f"{shown(self.name)}: tsize says {self.tsize} bytes", "is it the right file?"
                )
            self.said = struct.pack("!HH", _ACK, 0)
            return True
        if kind != _DATA or int.from_bytes(packet[2:4], "big") != (self.block + 1) & 0xFFFF:
            return False
        content = packet[4:]
        size = self.blksize or _PLAIN
        if len(content) > size:
            raise ProbeError(f"{shown(self.name)}: a block of {len(content)} bytes, {size} were agreed")
        self.block += 1
        self.size += len(content)
        if self.size > self.most:
            raise ProbeError(f"{shown(self.name)}: it does not end after {self.most} bytes")
        if len(self.head) < self.keep:
            self.head += content[: self.keep - len(self.head)]
        self.said = struct.pack("!HH", _ACK, self.block & 0xFFFF)
        self.done = len(content) < size
        return True


def read(
    server: str,
    name: str,
    *,
    port: int = PORT,
    seconds: float = 300.0,
    wait: float = _AGAIN,
    most: int = 1 << 30,
    keep: int = 1 << 16,
    alive: Callable[[int], None] | None = None,
) -> Transfer:
    """Return a file of a server; `keep` of its first bytes are kept. Raises ProbeError.

    It ends after `seconds`, after `most` bytes, and when five questions in a row bring nothing.
    `alive` is told how many bytes have come.
    """
    reading = _Reading(name, request(name), most, keep)
    deadline = Deadline(seconds)
    began = time.monotonic()
    resent = 0
    try:
        with contextlib.closing(open_socket(server, socket.SOCK_DGRAM)[0]) as wire:
            resent = _transfer(wire, (server, port), reading, deadline, wait, alive)
    except OSError as error:
        raise ProbeError(f"{server} UDP port {port}: {os_cause(error)}") from None
    if reading.tsize is not None and reading.tsize != reading.size:
        raise ProbeError(
            f"{shown(name)}: {reading.size} bytes came, but tsize says {reading.tsize}",
            "is it being written to? publish by rename",
        )
    taken = time.monotonic() - began
    return Transfer(reading.size, bytes(reading.head), taken, reading.blksize, reading.tsize, resent)


def _transfer(
    wire: socket.socket,
    to: tuple[str, int],
    reading: _Reading,
    deadline: Deadline,
    wait: float,
    alive: Callable[[int], None] | None,
) -> int:
    """Bring a transfer to its end; return how many packets were sent a second time."""
    peer: tuple[str, int] | None = None  # the server answers from a port of its own (RFC 1350, 4)
    resent = tries = stray = 0
    wire.sendto(reading.said, to)
    turn = Deadline(wait)
    while not reading.done:
        if deadline.over:
            raise SilentError(f"{shown(reading.name)}: not finished after {deadline.seconds:.0f} s")
        if turn.over:
            tries += 1
            if tries >= _TRIES:
                raise _silent(to, reading)
            resent += 1
            wire.sendto(reading.said, peer or to)
            turn = Deadline(wait)
        wire.settimeout(max(0.001, min(turn.left(), deadline.left())))
        try:
            packet, sender = wire.recvfrom(65535)
        except TimeoutError:
            continue
        if sender[0] != to[0] or (peer is not None and sender[1] != peer[1]) or not reading.take(packet):
            stray += 1
            if stray > _STRAY:
                raise ProbeError(f"{shown(reading.name)}: {stray} packets came that do not belong to it")
            continue
        peer = sender[0], sender[1]
        tries = 0
        wire.sendto(reading.said, peer)
        turn = Deadline(wait)
        if alive is not None:
            alive(reading.size)
    return resent


def _silent(to: tuple[str, int], reading: _Reading) -> ProbeError:
    if reading.block or reading.tsize is not None:
        return SilentError(
            f"{shown(reading.name)}: nothing more after {reading.size} bytes",
            "the path's MTU (blksize), or a firewall that forgets the connection",
        )
    return SilentError(
        f"{to[0]} does not answer on UDP port {to[1]} (TFTP)",
        "does the TFTP server run, does the firewall let port 69 and the answers' ports through?",
    )
