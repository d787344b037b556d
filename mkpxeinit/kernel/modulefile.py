"""Module files as a tree stores them: each read and unpacked once, what is found in them remembered."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from mkpxeinit.image import compress
from mkpxeinit.sysroot import read_regular

MAX_FILE = 512 << 20  # bytes, packed or not; a module this large is none
_MOST = 4000  # findings that are kept; an image for unknown machines has some 500


class Stored:
    """A file as it is stored, read when its bytes are asked for, unpacked as its name says; by any thread."""

    def __init__(self, path: Path) -> None:
        """Take the host's file `path`; nothing is read yet."""
        self.path = path
        self._lock = threading.Lock()
        self._data: bytes | None = None
        self._digest = ""
        self._plain: bytes | None = None

    @property
    def data(self) -> bytes:
        """The stored bytes; OSError if they cannot be read."""
        with self._lock:
            return self._content()

    @property
    def digest(self) -> str:
        """The SHA-256 of the stored bytes, with the suffix that says how they are packed; OSError."""
        with self._lock:
            if not self._digest:
                self._digest = f"{hashlib.sha256(self._content()).hexdigest()}{self.path.suffix}"
            return self._digest

    def _content(self) -> bytes:
        if self._data is None:
            self._data = read_regular(self.path, MAX_FILE)
        return self._data

    def plain(self) -> bytes:
        """Return the unpacked bytes, kept for the next who asks; ValueError if they are damaged."""
        if self._plain is None:
            self._plain = compress.unpack_module(self.data, self.path.name, MAX_FILE)
        return self._plain

    def begin(self, size: int) -> bytes:
        """Return at least the first `size` bytes unpacked, all of a shorter file; ValueError if damaged."""
        if self._plain is None and self.path.suffix == ".xz":
            return compress.unpack_begin(self.data, size)
        return self.plain()

    def release(self) -> None:
        """Let all bytes go: the archive has them, or soon will. Who asks again reads again."""
        self._plain = self._data = None

    def forget(self) -> None:
        """Let the unpacked bytes go."""
        if self._plain is not self.data:
            self._plain = None


class Findings:
    """Texts that were found in files, by kind and by the digest of the file: they are true for ever.

    Without a cache nothing is remembered, and no digest is computed.
    """

    def __init__(self, data: bytes | memoryview | None = None, keep: bool = False) -> None:
        """Take what `dump` returned earlier, if anything; `keep`: what is found is to be remembered."""
        self.keep = keep
        self._old: dict[str, list[str]] = _parse(data) if data and keep else {}
        self._used: dict[str, list[str]] = {}

    def of(self, kind: str, file: Stored, find: Callable[[bytes], Iterable[str]]) -> tuple[str, ...]:
        """Return the texts of `kind` in `file`: the remembered ones, else those that `find` returns."""
        if not self.keep:
            return tuple(find(file.plain()))
        key = f"{kind} {file.digest}"
        found = self._old.get(key)
        if found is None:
            found = list(find(file.plain()))
        self._used[key] = found
        return tuple(found)

    def dump(self) -> bytes | None:
        """Return all findings, the oldest of very many left out; None if none is new."""
        if self._used.keys() <= self._old.keys():
            return None
        every = {key: texts for key, texts in self._old.items() if key not in self._used} | self._used
        return json.dumps(dict(list(every.items())[-max(_MOST, len(self._used)) :])).encode()


def _parse(data: bytes | memoryview) -> dict[str, list[str]]:
    """Return what `dump` wrote; the cache has seen to it that these are those bytes."""
    return dict(json.loads(bytes(data)))


class ModuleFiles:
    """The files that were read so far: nothing is read twice."""

    def __init__(self, findings: Findings | None = None) -> None:
        """Begin with no file; `findings` are those of earlier runs."""
        self.findings = findings or Findings()
        self._files: dict[Path, Stored] = {}

    def at(self, path: Path) -> Stored:
        """Return the file at `path`, a host path."""
        return self._files.setdefault(path, Stored(path))
