"""Configuration files in their folders: all of them new, or all as they were."""

import difflib
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import ServerError, os_cause, printable
from mkpxeinit.image.output import sync_folder
from mkpxeinit.netboot.bootfile import MARK
from mkpxeinit.sysroot import read_regular

MAX_FILE = 16 << 20  # bytes of a file that is there already
MODE = 0o644  # no file has a secret in it, and TFTP servers read what all may read


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is to be written: its path, what is there now (None: nothing) and what will be."""

    path: Path
    old: str | None
    new: str

    def diff(self) -> str:
        """Return the change as a unified diff, nothing if there is none."""
        old = (self.old or "").splitlines(keepends=True)
        return "".join(
            difflib.unified_diff(
                old,
                self.new.splitlines(keepends=True),
                "/dev/null" if self.old is None else printable(self.path),
                printable(self.path),
            )
        )


def plan(folder: Path, files: Mapping[PurePosixPath, str], *, force: bool = False) -> tuple[Change, ...]:
    """Return the changes that put `files` below `folder`; nothing is written.

    ServerError if a file there cannot be read, or was not written by mkpxeinit (unless `force`).
    """
    changes = []
    for name, text in sorted(files.items()):
        path = folder / name
        old = _read(path)
        if old is not None and old != text and MARK not in old and not force:
            raise ServerError(
                f"{printable(path)}: is there already, and not written by mkpxeinit; "
                "--force replaces it, --dry-run shows the difference"
            )
        if old != text:
            changes.append(Change(path, old, text))
    return tuple(changes)


def _read(path: Path) -> str | None:
    try:
        return read_regular(path, MAX_FILE).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ServerError(f"{printable(path)}: cannot be replaced: {os_cause(error)}") from error


def apply(changes: tuple[Change, ...]) -> None:
    """Write `changes`: every file is there in full under another name before the first gets its own.

    Of a failure nothing is left but folders; ServerError names the file and the cause.
    """
    staged: list[tuple[Path, Change]] = []
    try:
        for change in changes:
            staged.append((_stage(change), change))
        _rename(staged)
    except OSError as error:
        raise ServerError(
            f"{printable(error.filename or 'files')}: cannot write: {os_cause(error)}"
        ) from error
    finally:
        for temporary, _ in staged:
            with suppress(OSError):
                temporary.unlink()


def _stage(change: Change) -> Path:
    """Return a new file beside the one that it will replace, written and synced."""
    _make_folder(change.path.parent)
    temporary = change.path.with_name(f".{change.path.name}.{secrets.token_hex(8)}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(change.new.encode())
            file.flush()
            os.fchmod(fd, MODE)
            os.fsync(fd)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return temporary


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it; the new ones may be read by all, whatever the umask is."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


def _rename(staged: list[tuple[Path, Change]]) -> None:
    """Give all files their names; if one cannot have it, those before it get back what they were."""
    done: list[Change] = []
    try:
        for temporary, change in staged:
            temporary.replace(change.path)
            done.append(change)
    except BaseException:
        for change in done:
            with suppress(OSError):
                _put_back(change)
        raise
    for folder in sorted({change.path.parent for change in done}):
        sync_folder(folder)


def _put_back(change: Change) -> None:
    if change.old is None:
        change.path.unlink()
    else:
        _stage(Change(change.path, None, change.old)).replace(change.path)
