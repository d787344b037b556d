"""What all questions to servers have in common: a deadline, a bound, and no trust in the answer."""

import contextlib
import random
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar

from mkpxeinit.errors import MkpxeinitError, os_cause, printable

_Answer = TypeVar("_Answer")

_MOST_PACKETS = 1000  # that a question looks at: a flood ends it, as the deadline does
_DATAGRAM = 65535
_SHOWN = 160
_PRIVILEGED = range(665, 1023)  # bindresvport(3) stays clear of well-known ports below it


class ProbeError(MkpxeinitError):
    """A server is silent, refuses, or answers what cannot be right; `remedy` is the way out."""

    def __init__(self, cause: str, remedy: str = "") -> None:
        """Keep both; the cause is one printable line."""
        super().__init__(f"{cause}; {remedy}" if remedy else cause)
        self.cause = cause
        self.remedy = remedy


class SilentError(ProbeError):
    """Nothing (more) came in time."""


def shown(text: str | bytes, limit: int = _SHOWN) -> str:
    """Return what a server said on one line, without control characters, at most `limit` characters."""
    if isinstance(text, bytes):
        text = text[: 4 * limit].decode("utf-8", "replace")
    line = printable(text[: limit + 1])
    return line if len(line) <= limit else f"{line[:limit]}..."


class Deadline:
    """A moment on the clock that does not jump."""

    def __init__(self, seconds: float) -> None:
        """Start now."""
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, 0 at least."""
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """True when it has passed."""
        return self.left() <= 0


@dataclass(slots=True)
class Cursor:
    """Reads big-endian fields one after another; beyond the end is a ProbeError."""

    data: bytes
    at: int = 0

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        if size < 0 or size > len(self.data) - self.at:
            raise ProbeError("the answer is cut off")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        """Return the next `size` bytes as an unsigned number."""
        return int.from_bytes(self.take(size), "big")

    @property
    def rest(self) -> int:
        """The bytes that are left."""
        return len(self.data) - self.at


def family_of(address: str) -> socket.AddressFamily:
    """Return the family of an address in text form."""
    return socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET


def open_socket(
    address: str, kind: socket.SocketKind, privileged: bool = False
) -> tuple[socket.socket, bool]:
    """Return a socket, and whether its source port is one that only root may use (if `privileged`)."""
    opened = socket.socket(family_of(address), kind)
    if privileged:
        ports = list(_PRIVILEGED)
        random.shuffle(ports)
        for port in ports[:40]:
            try:
                opened.bind(("", port))
            except PermissionError:
                break
            except OSError:
                continue
            return opened, True
    return opened, False


def ask_udp(
    address: str,
    port: int,
    question: bytes,
    accept: Callable[[bytes], _Answer | None],
    deadline: Deadline,
    *,
    privileged: bool = False,
) -> _Answer:
    """Send a datagram, and again each second, and return what `accept` makes of an answer.

    What `accept` returns None for is somebody else's answer. Raises SilentError at the deadline, and
    ProbeError when the machine says that nobody listens.
    """
    seen = 0
    try:
        with contextlib.closing(open_socket(address, socket.SOCK_DGRAM, privileged)[0]) as port_:
            port_.connect((address, port))
            while not deadline.over and seen < _MOST_PACKETS:
                port_.send(question)
                turn = Deadline(min(1.0, deadline.left()))
                while not turn.over and seen < _MOST_PACKETS:
                    port_.settimeout(max(0.001, turn.left()))
                    try:
                        packet = port_.recv(_DATAGRAM)
                    except TimeoutError:
                        break
                    seen += 1
                    found = accept(packet)
                    if found is not None:
                        return found
    except ConnectionRefusedError:
        raise ProbeError(f"nobody listens on UDP port {port} of {address}") from None
    except OSError as error:
        raise ProbeError(f"{address} cannot be asked ({os_cause(error)})") from None
    if seen:
        raise SilentError(f"{address} UDP port {port}: {seen} answers came, none to our question")
    raise SilentError(f"{address} does not answer on UDP port {port} ({deadline.seconds:.0f} s)")


class Stream:
    """A TCP connection of which each wait ends with the deadline."""

    def __init__(self, address: str, port: int, deadline: Deadline, *, privileged: bool = False) -> None:
        """Connect. Raises ProbeError."""
        self.where = f"{address} TCP port {port}"
        self.deadline = deadline
        try:
            self._socket, self.privileged = open_socket(address, socket.SOCK_STREAM, privileged)
        except OSError as error:
            raise ProbeError(f"{self.where}: {os_cause(error)}") from None
        try:
            self._socket.settimeout(max(0.001, deadline.left()))
            self._socket.connect((address, port))
        except TimeoutError:
            self.close()
            raise SilentError(f"{self.where} does not answer ({deadline.seconds:.0f} s)") from None
        except ConnectionRefusedError:
            self.close()
            raise ProbeError(f"nobody listens on {self.where}") from None
        except OSError as error:
            self.close()
            raise ProbeError(f"{self.where}: {os_cause(error)}") from None

    def close(self) -> None:
        """Close it at once: no port stays in TIME_WAIT, for privileged ones are few."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send it all. Raises ProbeError."""
        try:
            self._socket.settimeout(max(0.001, self.deadline.left()))
            self._socket.sendall(data)
        except TimeoutError:
            raise SilentError(f"{self.where} takes nothing ({self.deadline.seconds:.0f} s)") from None
        except OSError as error:
            raise ProbeError(f"{self.where}: {os_cause(error)}") from None

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes. Raises ProbeError."""
        data = bytearray()
        while len(data) < size:
            if self.deadline.over:
                raise SilentError(f"{self.where}: no whole answer in {self.deadline.seconds:.0f} s")
            try:
                self._socket.settimeout(max(0.001, self.deadline.left()))
                piece = self._socket.recv(min(65536, size - len(data)))
            except TimeoutError:
                continue
            except OSError as error:
                raise ProbeError(f"{self.where}: {os_cause(error)}") from None
            if not piece:
                raise ProbeError(f"{self.where}: the server closed the connection")
            data += piece
        return bytes(data)
