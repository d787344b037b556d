"""A file over HTTP, asked as firmware does: HEAD for its size, then GET, no redirection (UEFI 2.10, 24.7)."""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from mkpxeinit.errors import os_cause
from mkpxeinit.netboot.probe.wire import Deadline, ProbeError, SilentError, shown

_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that came whole: size, first bytes, seconds; and what firmware would stumble over."""

    size: int
    head: bytes
    seconds: float
    announced: int | None
    head_refused: str

    @property
    def text(self) -> str:
        """Size and speed in words."""
        return f"{self.size} bytes, {self.size / max(self.seconds, 1e-6) / 1e6:.1f} MB/s"


def split(url: str) -> SplitResult:
    """Return the parts of an http or https URL. Raises ProbeError if it is none."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or len(url) > 2000 or any(c.isspace() or not c.isprintable() for c in url):
        raise ProbeError(f"{shown(url)!r} is no URL of http", "http://SERVER[:PORT]/PATH")
    return parts


@contextlib.contextmanager
def _ended(connection: http.client.HTTPConnection, deadline: Deadline) -> Iterator[None]:
    """Break the connection at the deadline: a server that sends a byte now and then meets every timeout."""
    # For an answer without a length the connection forgets its socket, while the answer reads on.
    sockets: list[socket.socket] = []

    def end() -> None:
        for opened in (*sockets, connection.sock):
            with contextlib.suppress(OSError, AttributeError):
                opened.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(deadline.left(), end)
    timer.daemon = True
    timer.start()
    try:
        connection.connect()
        sockets.append(connection.sock)
        yield
    finally:
        timer.cancel()
        connection.close()


def _connection(parts: SplitResult, address: str, wait: float) -> http.client.HTTPConnection:
    if parts.scheme == "http":
        return http.client.HTTPConnection(address, parts.port, timeout=wait)
    name = parts.hostname or address

    class Connection(http.client.HTTPSConnection):
        """To an address that was resolved already, with the certificate of the name."""

        def connect(self) -> None:
            http.client.HTTPConnection.connect(self)
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=name)

    return Connection(address, parts.port or 443, timeout=wait)


def _ask(parts: SplitResult, address: str, method: str, wait: float, deadline: Deadline, keep: int,
         most: int, alive: Callable[[int], None] | None) -> tuple[int, int, bytes, int | None]:  # fmt: skip
    """Return status, size, first bytes and the length that was announced."""
    connection = _connection(parts, address, min(wait, max(0.001, deadline.left())))
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (f"?{parts.query}" if parts.query else "")
    with _ended(connection, deadline):
        connection.request(method, path, headers={"Host": parts.netloc.rpartition("@")[2]})
        answer = connection.getresponse()
        told = answer.getheader("Content-Length") or ""
        length = int(told) if told.isdigit() and len(told) < 16 else None
        size, first = 0, bytearray()
        while answer.status == 200 and method == "GET" and (piece := answer.read(_PIECE)):
            size += len(piece)
            first += piece[: max(0, keep - len(first))]
            if size > most:
                raise ProbeError(f"it does not end after {most} bytes")
            if deadline.over:
                break
            if alive is not None:
                alive(size)
        if deadline.over:
            raise SilentError(f"not finished after {deadline.seconds:.0f} s")
        return answer.status, size, bytes(first), length


def fetch(
    url: str,
    address: str,
    *,
    seconds: float = 300.0,
    wait: float = 5.0,
    most: int = 1 << 30,
    keep: int = 1 << 16,
    alive: Callable[[int], None] | None = None,
) -> Fetched:
    """Return a file by its URL from the host at `address`. Raises ProbeError."""
    parts = split(url)
    deadline = Deadline(seconds)
    began = time.monotonic()
    try:
        refused, length = "", None
        status, _, _, length = _ask(parts, address, "HEAD", wait, deadline, 0, 0, None)
        if status != 200:
            refused = f"HEAD is answered by {status}"
        elif length is None:
            refused = "HEAD is answered without Content-Length"
        began = time.monotonic()
        status, size, first, told = _ask(parts, address, "GET", wait, deadline, keep, most, alive)
    except ProbeError as error:
        raise ProbeError(f"{shown(url)}: {error.cause}", error.remedy) from None
    except TimeoutError:
        raise SilentError(f"{shown(url)}: no answer in {wait:.0f} s") from None
    except http.client.IncompleteRead:
        raise ProbeError(f"{shown(url)}: it is cut off", "the HTTP server's log") from None
    except (http.client.HTTPException, ValueError) as error:
        late = deadline.over
        cause = (
            f"not finished after {seconds:.0f} s" if late else f"no answer of HTTP ({type(error).__name__})"
        )
        raise ProbeError(f"{shown(url)}: {cause}") from None
    except ssl.SSLCertVerificationError as error:
        raise ProbeError(
            f"{shown(url)}: the certificate does not hold ({shown(error.verify_message)})",
            "firmware needs it in its own list; plain http needs none",
        ) from None
    except OSError as error:
        cause = f"not finished after {seconds:.0f} s" if deadline.over else os_cause(error)
        raise ProbeError(f"{shown(url)}: {cause}", "does the HTTP server run there?") from None
    _check_status(url, status)
    if told is not None and told != size:
        raise ProbeError(f"{shown(url)}: {size} bytes came, {told} were announced")
    return Fetched(size, first, time.monotonic() - began, told, refused)


def _check_status(url: str, status: int) -> None:
    if status == 200:
        return
    ways = {
        403: "make it readable to the HTTP server: chmod a+rX on it and the folders above it",
        404: "is it below the HTTP server's root, by this very name?",
    }
    way = (
        "name the place itself: firmware does not follow" if 300 <= status < 400 else "the HTTP server's log"
    )
    raise ProbeError(f"{shown(url)}: answered by {status}", ways.get(status, way))
