"""A folder of things that took long to make, each under the digest of all that it was made from.

A file there is a line that says what it is, its key, the SHA-256 of what follows, and that. Nothing in it is
believed unread: what is damaged, cut short or another key's is made anew. The folder must be the user's own,
since whoever can write there writes into images.
"""

import hashlib
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mkpxeinit.errors import os_cause, printable
from mkpxeinit.sysroot import read_regular

LIMIT = 256 << 20  # bytes of all files; an image for unknown machines takes 11 MB of them
_SYSTEM = Path("/var/cache/mkpxeinit")
_HEAD = b"mkpxeinit cache 1\n"
_ENDING = ".part"
_ABANDONED = 3600.0  # seconds; what was not finished after that never will be


def default_folder(environment: Mapping[str, str], user: int) -> Path | None:
    """Return where the user of that number keeps the cache; None if there is no place.

    It is below `$XDG_CACHE_HOME`, if that is set, as the XDG Base Directory Specification says; else
    root's is /var/cache/mkpxeinit, and that of others below ~/.cache.
    """
    given = environment.get("XDG_CACHE_HOME", "")
    if given.startswith("/"):
        return Path(given) / "mkpxeinit" / "build"
    if user == 0:
        return _SYSTEM
    home = environment.get("HOME", "")
    return Path(home) / ".cache" / "mkpxeinit" / "build" if home.startswith("/") else None


class Cache:
    """A cache in a folder. It never fails: what goes wrong becomes one of `notes`, and costs only time."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        """Take `folder`, made at the first `store`, for at most `limit` bytes."""
        self._folder = folder
        self._limit = limit
        self.notes: list[str] = []

    def load(self, key: str) -> memoryview | None:
        """Return what is stored under `key`, None if there is nothing, or nothing whole."""
        path = self._folder / key
        try:
            if not self._own(self._folder):
                return None
            data = read_regular(path, self._limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._note(f"{printable(path)}: {os_cause(error)}; made anew")
            return None
        start = len(_head(key)) + 32
        content = memoryview(data)[start:]
        if data[:start] != _head(key) + hashlib.sha256(content).digest():
            self._note(f"{printable(path)}: damaged; made anew")
            return None
        with suppress(OSError):
            os.utime(path)  # what was not used for longest is what goes first
        return content

    def store(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`; older things go when there is too much.

        Nothing is synced: what a crash leaves half written is damaged, and that is seen.
        """
        if len(data) > self._limit // 2:
            return
        path = self._folder / key
        part = self._folder / f"{os.urandom(16).hex()}{_ENDING}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._own(self._folder):
                return
            try:
                descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.writelines((_head(key), hashlib.sha256(data).digest(), data))
                part.replace(path)
            except BaseException:
                with suppress(OSError):
                    part.unlink()
                raise
            self._prune()
        except OSError as error:
            self._note(f"{printable(self._folder)}: nothing cached: {os_cause(error)}")

    def _own(self, folder: Path) -> bool:
        """Say whether nobody else can write into `folder`; OSError if it cannot be told."""
        state = folder.lstat()
        own = stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & 0o022
        if not own:
            self._note(
                f"{printable(folder)}: not used as a cache, since others can write there, or it is no "
                "folder; chmod 700 it, or name another with --cache"
            )
        return own

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _prune(self) -> None:
        """Remove what was not used for longest until the rest is within the limit, and what was abandoned."""
        found = []
        now = time.time()
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # another build's, renamed or removed meanwhile
                    state = entry.stat(follow_symlinks=False)
                    if not entry.name.endswith(_ENDING):
                        found.append((state.st_mtime, entry.name, state.st_size))
                    elif now - state.st_mtime > _ABANDONED:
                        (self._folder / entry.name).unlink()
        left = sum(size for _, _, size in found)
        for _, name, size in sorted(found):
            if left <= self._limit:
                break
            with suppress(FileNotFoundError):
                (self._folder / name).unlink()
            left -= size


def _head(key: str) -> bytes:
    return _HEAD + key.encode() + b"\n"
