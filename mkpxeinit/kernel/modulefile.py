"""Module files as a tree stores them: each read and unpacked once, what is found in them remembered."""

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from mkpxeinit.image import compress
from mkpxeinit.sysroot import read_regular

MAX_FILE = 512 << 20  # bytes, packed or not; a module this large is none
_MOST = 4000  # findings that are kept; an image for unknown machines has some 500


class Stored:
    """A file's bytes as they are stored; unpacked as its name says when they are needed."""

    def __init__(self, path: Path) -> None:
        """Read the host's file `path`; OSError if that fails."""
        self.path = path
        self.data = read_regular(path, MAX_FILE)
        self._plain: bytes | None = None

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the stored bytes, with the suffix that says how they are packed."""
        return f"{hashlib.sha256(self.data).hexdigest()}{self.path.suffix}"

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

    def forget(self) -> None:
        """Let the unpacked bytes go."""
        if self._plain is not self.data:
            self._plain = None


class Findings:
    """Texts that were found in files, by kind and by the digest of the file: they are true for ever.

    Without a cache nothing is remembered, and no digest is computed.
    """

    def __init__(self, data: bytes | None = None, keep: bool = False) -> None:
        """Take what `dump` returned earlier, if anything; `keep`: what is found is to be remembered."""
        self._keep = keep
        self._old: dict[str, list[str]] = _parse(data) if data and keep else {}
        self._used: dict[str, list[str]] = {}

    def of(self, kind: str, file: Stored, find: Callable[[bytes], Iterable[str]]) -> tuple[str, ...]:
        """Return the texts of `kind` in `file`: the remembered ones, else those that `find` returns."""
        if not self._keep:
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


def _parse(data: bytes) -> dict[str, list[str]]:
    """Return what `dump` wrote; the cache has seen to it that these are those bytes."""
    return dict(json.loads(data))


class ModuleFiles:
    """The files that were read so far: nothing is read twice."""

    def __init__(self, findings: Findings | None = None) -> None:
        """Begin with no file; `findings` are those of earlier runs."""
        self.findings = findings or Findings()
        self._read: dict[Path, Stored] = {}

    def read(self, path: Path) -> Stored:
        """Return the file at `path`, a host path; OSError if it cannot be read."""
        file = self._read.get(path)
        if file is None:
            file = self._read[path] = Stored(path)
        return file

    def known(self, path: Path) -> Stored | None:
        """Return the file at `path` if it has been read."""
        return self._read.get(path)
