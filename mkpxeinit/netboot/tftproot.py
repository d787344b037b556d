"""The TFTP root: what is written there appears whole, is readable by all, and never goes through a link.

TFTP servers hand out files that the whole world may read, dnsmasq no others (dnsmasq(8), --enable-tftp).
A folder or file of the root that is a symbolic link could lead anywhere: nothing is written through one.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mkpxeinit.errors import PublishError, os_cause, printable
from mkpxeinit.image.output import sync_folder
from mkpxeinit.sysroot import open_regular

LOCK = PurePosixPath("generations/.lock")
LOCK_SECONDS = 600.0  # how long another publish is waited for
MAX_FILE = 4 << 30  # bytes; what 32 bits of a kernel's loader can count
_TEMPORARY = ".mkpxeinit-tmp"
_PIECE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of the root: bytes and SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is written and synced, and not yet in its place."""

    temporary: Path
    target: Path


@dataclass(frozen=True, slots=True)
class TftpRoot:
    """The folder that the TFTP server serves; the paths of the methods are those of its clients."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> "TftpRoot":
        """Return the root at `path`; PublishError if there is no such folder."""
        try:
            resolved = path.resolve(strict=True)
            os.scandir(resolved).close()
        except (OSError, RuntimeError) as error:
            cause = os_cause(error) if isinstance(error, OSError) else "too many symbolic links"
            raise PublishError(
                f"TFTP root {printable(path)}: {cause}; make the folder that your TFTP server serves, "
                "or give another --tftp-root"
            ) from error
        return cls(resolved)

    def show(self, name: PurePosixPath) -> str:
        """Return the path of `name` as messages have it."""
        return printable(self.path / name)

    def place(self, name: PurePosixPath) -> Path:
        """Return where `name` is, which need not exist; PublishError if a link is on the way, or is it."""
        here = self.path
        for number, part in enumerate(name.parts, 1):
            here = here / part
            try:
                mode = here.lstat().st_mode
            except FileNotFoundError:
                break
            except OSError as error:
                raise PublishError(f"{printable(here)}: {os_cause(error)}") from error
            if stat.S_ISLNK(mode):
                raise PublishError(
                    f"{printable(here)}: a symbolic link; mkpxeinit writes into the TFTP root itself only: "
                    "put the real folder or file there, or move the link away"
                )
            if number < len(name.parts) and not stat.S_ISDIR(mode):
                raise PublishError(f"{printable(here)}: not a folder; move it away")
            if number == len(name.parts) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise PublishError(f"{printable(here)}: neither a file nor a folder; move it away")
        return self.path / name

    def make_folder(self, name: PurePosixPath) -> Path:
        """Make the folder `name` and those above it, all readable by all; return it."""
        for each in (*reversed(name.parents[:-1]), name):
            path = self.place(each)
            with writing(path):
                if path.is_dir():
                    continue
                try:
                    path.mkdir()
                except FileExistsError:
                    if path.is_dir():  # another run has just made it
                        continue
                    raise
                path.chmod(0o755)
        return self.path / name

    def stage(self, name: PurePosixPath, fill: bytes | Path) -> Staged:
        """Write `fill`, bytes or what a file has, beside `name`, readable by all and synced."""
        self.make_folder(name.parent)
        target = self.place(name)
        if target.is_dir():
            raise PublishError(f"{printable(target)}: a folder, where a file has to be; move it away")
        temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(6)}{_TEMPORARY}")
        try:
            if isinstance(fill, Path):
                copy(fill, temporary, printable(fill))
            else:
                write_new(temporary, fill)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        return Staged(temporary, target)

    def put(self, staged: Staged) -> None:
        """Rename a staged file to its place: who opens it gets the old one whole or the new one whole."""
        with writing(staged.target):
            staged.temporary.replace(staged.target)
            sync_folder(staged.target.parent)

    def digest(self, name: PurePosixPath) -> Stored | None:
        """Return size and digest of the file `name`; None if there is no such regular file."""
        try:
            with open_regular(self.place(name)) as file:
                return digest_of(file)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise PublishError(f"{self.show(name)}: {os_cause(error)}") from error

    def remove_leftovers(self, folders: Iterable[PurePosixPath]) -> None:
        """Remove what a killed run left half-written in `folders`. Only for the holder of the lock."""
        for folder in folders:
            place = self.path / folder
            with suppress(OSError):
                for each in sorted(place.glob(f".*{_TEMPORARY}")):
                    if each.is_dir() and not each.is_symlink():
                        shutil.rmtree(each, ignore_errors=True)
                    else:
                        each.unlink(missing_ok=True)

    @contextmanager
    def new_folder(self, parent: PurePosixPath) -> Iterator[Path]:
        """Yield a new folder in `parent` that vanishes at the end, unless it was renamed."""
        above = self.make_folder(parent)
        path = above / f".{secrets.token_hex(6)}{_TEMPORARY}"
        try:
            with writing(path):
                path.mkdir(0o700)
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def locked(self, waiting: Callable[[str], None]) -> Iterator[None]:
        """Hold the root's lock; `waiting` is told if another run has it. PublishError after ten minutes."""
        self.make_folder(LOCK.parent)
        path = self.place(LOCK)
        with writing(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            end = time.monotonic() + LOCK_SECONDS
            told = False
            while not _try_lock(descriptor, path):
                if not told:
                    waiting(f"{printable(path)}: another mkpxeinit publish is at work; waiting for it")
                    told = True
                if time.monotonic() > end:
                    raise PublishError(
                        f"{printable(path)}: another mkpxeinit publish has held this for "
                        f"{LOCK_SECONDS:.0f} s; end it first (fuser {printable(path)})"
                    )
                time.sleep(0.1)
            yield
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise PublishError(f"{printable(path)}: cannot be locked: {os_cause(error)}") from error
    return True


def copy(source: Path, target: Path, shown: str) -> Stored:
    """Copy the regular file `source` to the new file `target`, readable by all and synced."""
    try:
        with open_regular(source) as file:
            if os.fstat(file.fileno()).st_size > MAX_FILE:
                raise PublishError(f"{shown}: larger than {MAX_FILE} bytes, which no client could load")
            with writing(target), _new_file(target) as new:
                found = digest_of(file, new.write)
    except OSError as error:
        raise PublishError(f"{shown}: {os_cause(error)}") from error
    return found


def digest_of(file: BinaryIO, also: Callable[[bytes], object] | None = None) -> Stored:
    """Return size and digest of what `file` has from here on; `also` gets each piece."""
    total, digest = 0, hashlib.sha256()
    while piece := file.read(_PIECE):
        total += len(piece)
        digest.update(piece)
        if also is not None:
            also(piece)
    return Stored(total, digest.hexdigest())


def write_new(path: Path, data: bytes) -> None:
    """Write the new file `path`, readable by all and synced."""
    with writing(path), _new_file(path) as file:
        file.write(data)


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Yield the new file `path`; it is readable by all, whatever the umask is, and synced at the end."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says about `path` into a PublishError with a way out."""
    try:
        yield
    except OSError as error:
        raise PublishError(
            f"{printable(path)}: cannot write: {os_cause(error)}; the TFTP root must be writable for you "
            "and have room for kernel and image (--keep N removes old generations)"
        ) from error
