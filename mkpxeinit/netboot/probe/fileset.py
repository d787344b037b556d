"""The files of a boot, wherever a configuration says they are: by TFTP or HTTP, each fetched once."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

from mkpxeinit.netboot.probe import http, tftp
from mkpxeinit.netboot.probe.wire import ProbeError, SilentError, shown

_MOST_FILES = 200
KEPT = 1 << 22  # bytes of a file that are kept: loaders and configurations whole


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is: scheme (tftp, http, https), server, and its name there."""

    scheme: str
    server: str
    name: str

    def __str__(self) -> str:
        """Return it as a URL, as a person would write it."""
        return f"{self.scheme}://{self.server}/{self.name.lstrip('/')}"

    def beside(self, name: str) -> "Place":
        """Return a file by its name: a URL, absolute, or relative to this file's folder."""
        if "://" in name[:9]:
            return place(name)
        if self.scheme != "tftp":
            return place(urljoin(str(self), name))
        if name.startswith("/"):
            return Place(self.scheme, self.server, name)
        folder = posixpath.dirname(self.name)
        return Place(self.scheme, self.server, f"{folder}/{name}" if folder.strip("/") else folder + name)


def place(url: str) -> Place:
    """Return the place that a URL names. Raises ProbeError."""
    if url.startswith("tftp://"):
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            host = None
        if not host or not parts.path.strip("/"):
            raise ProbeError(f"{shown(url)!r} is no URL of tftp", "tftp://SERVER/FILE")
        return Place("tftp", host, parts.path)
    split = http.split(url)
    return Place(split.scheme, split.netloc, split.path + (f"?{split.query}" if split.query else ""))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file that came whole: its size, its first bytes (KEPT at most), what to say of the way it came."""

    size: int
    head: bytes
    said: str
    complaint: str = ""


class Files:
    """Fetches files and remembers them, also that they are not there."""

    def __init__(
        self,
        resolve: Callable[[str], str],
        wait: float,
        seconds: float,
        alive: Callable[[str, int], None] | None = None,
    ) -> None:
        """Take how names become addresses, seconds for an answer, and for a whole file."""
        self._resolve = resolve
        self._wait, self._seconds = wait, seconds
        self._alive = alive
        self._known: dict[Place, Loaded | ProbeError] = {}

    def load(self, where: Place) -> Loaded:
        """Return a file. Raises ProbeError."""
        if where not in self._known:
            if len(self._known) >= _MOST_FILES:
                raise ProbeError(f"{where}: more than {_MOST_FILES} files are asked for")
            try:
                self._known[where] = self._fetch(where)
            except ProbeError as error:
                self._known[where] = error
        found = self._known[where]
        if isinstance(found, ProbeError):
            raise found
        return found

    def text(self, where: Place) -> str | None:
        """Return a configuration, None if the server has none of this name. Raises SilentError."""
        try:
            found = self.load(where)
        except SilentError:
            raise
        except ProbeError:
            return None
        return found.head.decode("utf-8", "replace")

    def _fetch(self, where: Place) -> Loaded:
        def alive(size: int) -> None:
            if self._alive is not None:
                self._alive(str(where), size)

        if where.scheme == "tftp":
            address = self._resolve(where.server)
            got = tftp.read(
                address, where.name, seconds=self._seconds, wait=self._wait / 5, keep=KEPT, alive=alive
            )
            options = (
                "" if got.blksize and got.tsize is not None else "the server does not know blksize or tsize"
            )
            return Loaded(got.size, got.head, got.text, options)
        host = http.split(str(where)).hostname or ""
        fetched = http.fetch(
            str(where), self._resolve(host), seconds=self._seconds, wait=self._wait, keep=KEPT, alive=alive
        )
        return Loaded(fetched.size, fetched.head, fetched.text, fetched.head_refused)


def is_address(text: str) -> bool:
    """Say whether a host is an address already."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
