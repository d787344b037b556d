"""Writes into a tree, and never outside it: each folder is opened by its name in the one above it.

No link is followed, whatever the tree's owner does meanwhile; each entry appears or changes at once,
by a rename.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import PrepareError, printable
from mkpxeinit.prepare.view import MAX_FILE

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Seen:
    """What an entry is: file, link, folder, other; `content` is a file's SHA-256, or where a link points.

    `mtime` is in nanoseconds.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    mtime: int
    content: str = ""

    def is_like(self, other: "Seen | None") -> bool:
        """Say whether the two are the same but for their time; of folders only that they are folders."""
        if other is None or self.kind != other.kind:
            return False
        mine, its = ((each.mode, each.uid, each.gid, each.content) for each in (self, other))
        return self.kind == "folder" or mine == its


class Writer:
    """The tree at `root`, a host path without links in it."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.descriptor = self._root

    def close(self) -> None:
        """Close the tree."""
        os.close(self._root)

    @contextmanager
    def folder(self, path: PurePosixPath) -> Iterator[int]:
        """Yield the open folder `path`; OSError if it is not there, or a part of it is a link."""
        here = os.dup(self._root)
        try:
            for part in path.parts:
                below = os.open(_bytes(part), _FOLDER, dir_fd=here)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)

    def names(self, path: PurePosixPath) -> tuple[str, ...]:
        """Return the names in the folder `path`; OSError as `folder`."""
        with self.folder(path) as descriptor, os.scandir(descriptor) as entries:
            return tuple(entry.name for entry in entries)

    def see(self, path: PurePosixPath) -> Seen | None:
        """Return what the entry `path` is; None if there is none. PrepareError if it is too large to keep."""
        try:
            with self.folder(path.parent) as parent:
                status = os.stat(_bytes(path.name), dir_fd=parent, follow_symlinks=False)
                kind, content = "other", ""
                if stat.S_ISREG(status.st_mode):
                    kind, content = "file", hashlib.sha256(self.read(path)).hexdigest()
                elif stat.S_ISLNK(status.st_mode):
                    kind, content = "link", os.fsdecode(os.readlink(_bytes(path.name), dir_fd=parent))
                elif stat.S_ISDIR(status.st_mode):
                    kind = "folder"
        except (FileNotFoundError, NotADirectoryError):
            return None
        mode = 0 if kind == "link" else stat.S_IMODE(status.st_mode)
        return Seen(kind, mode, status.st_uid, status.st_gid, status.st_mtime_ns, content)

    def read(self, path: PurePosixPath) -> bytes:
        """Return the bytes of the regular file `path`."""
        with self.folder(path.parent) as parent:
            descriptor = os.open(_bytes(path.name), _READ, dir_fd=parent)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(0, "not a regular file")
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise PrepareError(
                f"/{printable(path)}: larger than {MAX_FILE} bytes; leave its change away with --skip"
            )
        return data

    def attributes(self, path: PurePosixPath) -> dict[str, bytes]:
        """Return the extended attributes of the regular file `path`: ACLs, labels."""
        with self.folder(path.parent) as parent:
            descriptor = os.open(_bytes(path.name), _READ, dir_fd=parent)
        try:
            return {name: os.getxattr(descriptor, name) for name in os.listxattr(descriptor)}
        except OSError:
            return {}
        finally:
            os.close(descriptor)

    def put_file(
        self, path: PurePosixPath, data: bytes, as_seen: Seen, temporary: str, attributes: dict[str, bytes]
    ) -> None:
        """Make or replace a file; mode and owner are those of `as_seen`, its time too unless that is 0."""
        with self.folder(path.parent) as parent:
            name = _bytes(temporary)
            with os.fdopen(os.open(name, _NEW, 0o600, dir_fd=parent), "wb") as file:
                file.write(data)
                file.flush()
                descriptor = file.fileno()
                with suppress(PermissionError):  # without root it is ours already, or cannot be given
                    os.fchown(descriptor, as_seen.uid, as_seen.gid)
                os.fchmod(descriptor, as_seen.mode)
                for key, value in attributes.items():
                    with suppress(OSError):
                        os.setxattr(descriptor, key, value)
                if as_seen.mtime:
                    os.utime(descriptor, ns=(as_seen.mtime, as_seen.mtime))
                os.fsync(descriptor)
            os.rename(name, _bytes(path.name), src_dir_fd=parent, dst_dir_fd=parent)
            os.fsync(parent)

    def put_link(self, path: PurePosixPath, as_seen: Seen, temporary: str) -> None:
        """Make a link, or put it in the place of a file or a link."""
        with self.folder(path.parent) as parent:
            name = _bytes(temporary)
            os.symlink(os.fsencode(as_seen.content), name, dir_fd=parent)
            with suppress(PermissionError):
                os.chown(name, as_seen.uid, as_seen.gid, dir_fd=parent, follow_symlinks=False)
            if as_seen.mtime:
                os.utime(name, ns=(as_seen.mtime, as_seen.mtime), dir_fd=parent, follow_symlinks=False)
            os.rename(name, _bytes(path.name), src_dir_fd=parent, dst_dir_fd=parent)
            os.fsync(parent)

    def make_folder(self, path: PurePosixPath, mode: int) -> None:
        """Make a folder; nothing is done if there is one."""
        with self.folder(path.parent) as parent:
            with suppress(FileExistsError):
                os.mkdir(_bytes(path.name), mode, dir_fd=parent)
            os.fsync(parent)
        with self.folder(path) as descriptor:
            os.fchmod(descriptor, mode)

    def remove(self, path: PurePosixPath) -> None:
        """Remove a file or a link."""
        with self.folder(path.parent) as parent:
            os.unlink(_bytes(path.name), dir_fd=parent)
            os.fsync(parent)

    def remove_folder(self, path: PurePosixPath) -> None:
        """Remove an empty folder."""
        with self.folder(path.parent) as parent:
            os.rmdir(_bytes(path.name), dir_fd=parent)
            os.fsync(parent)

    def move(self, path: PurePosixPath, to: PurePosixPath) -> None:
        """Rename a folder; nothing is there under its new name."""
        with self.folder(path.parent) as source, self.folder(to.parent) as target:
            if self.see(to) is not None:
                raise FileExistsError(17, "it is there already")
            os.rename(_bytes(path.name), _bytes(to.name), src_dir_fd=source, dst_dir_fd=target)
            os.fsync(source)
            os.fsync(target)

    def time_of(self, folder: PurePosixPath) -> int:
        """Return when the folder was last changed, in nanoseconds; 0 if it is not there."""
        try:
            with self.folder(folder) as descriptor:
                return os.fstat(descriptor).st_mtime_ns
        except OSError:
            return 0

    def set_time(self, folder: PurePosixPath, time: int) -> None:
        """Set a folder's time; one that is gone has none."""
        if time:
            with suppress(FileNotFoundError), self.folder(folder) as descriptor:
                os.utime(descriptor, ns=(time, time))


def _bytes(name: str) -> bytes:
    return os.fsencode(name)
