"""Unpacks an image into a folder, and never writes outside it, whatever names and links it has.

Every folder on the way is opened by its name in the one above it, and links are followed by hand,
within the folder, as the kernel follows them within its root.
"""

import fnmatch
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import ImageError, os_cause, printable
from mkpxeinit.image.read import Found, Record, open_image

_MAX_LINKS = 40  # as the kernel
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def matches(path: PurePosixPath, patterns: Sequence[str]) -> bool:
    """Return whether `path`, or a folder that it is in, matches one of the shell `patterns`, if any.

    A `*` stands for slashes too; `./` and slashes at a pattern's ends mean nothing.
    """
    names = [str(path), *map(str, path.parents[:-1])]
    cleaned = [pattern.removeprefix("./").strip("/") for pattern in patterns]
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in cleaned)


def extract(image: Path, folder: Path, patterns: Sequence[str]) -> Iterator[str]:
    """Unpack what matches `patterns` into `folder`, made if it is missing; yield a line on what is left out.

    Modes and times are kept, owners when root does it. Files that were there before are not
    replaced. ImageError names the image or the file that could not be written.
    """
    taken = 0

    def wanted(record: Record) -> bool:
        nonlocal taken
        fits = matches(record.path, patterns)
        taken += fits
        return fits

    yield from extract_those(image, folder, wanted)
    if patterns and not taken:
        asked = ", ".join(map(printable, patterns))
        raise ImageError(f"{printable(image)}: nothing in it matches {asked}; see mkpxeinit list")


def extract_those(image: Path, folder: Path, wanted: Callable[[Record], bool]) -> Iterator[str]:
    """Unpack the entries that are `wanted`, as `extract` does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileExistsError, NotADirectoryError) as error:
        raise ImageError(f"{printable(folder)}: not a folder; choose another one to unpack into") from error
    except OSError as error:
        raise ImageError(f"{printable(folder)}: cannot write there: {os_cause(error)}") from error
    try:
        with open_image(image) as opened:
            target = _Target(root)
            for found in opened.entries():
                path = found.record.path
                if not path.parts or not wanted(found.record):
                    continue
                try:
                    left_out = target.write(found)
                except OSError as error:
                    raise ImageError(
                        f"{printable(folder / path)}: cannot write: {os_cause(error)}"
                    ) from error
                except OverflowError as error:
                    raise ImageError(
                        f"{printable(folder / path)}: cannot write: the image gives it an owner or a device "
                        "number that there is not; the image is damaged"
                    ) from error
                if left_out:
                    yield f"{printable(path)}: {left_out}"
            target.finish()
    finally:
        os.close(root)


class _Target:
    """The folder that is written to."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._ours: set[tuple[int, int]] = set()  # devices and inodes of what was made here
        # Archive and inode there: the first path and the identity that it has here.
        self._links: dict[tuple[int, tuple[int, int, int]], tuple[PurePosixPath, tuple[int, int]]] = {}
        # Those identities whose file is still there: a number is soon used again, for a device perhaps.
        self._linked: set[tuple[int, int]] = set()
        self._folders: dict[PurePosixPath, Record] = {}
        self._owner = os.geteuid() == 0

    def write(self, found: Found) -> str | None:
        """Write one entry; return why it was left out, if it was. OSError if it cannot be written."""
        record = found.record
        with self._parent(record.path) as parent:
            name = record.path.name.encode("utf-8", "surrogateescape")
            if record.letter == "d":
                self._make_folder(record, name, parent)
                return None
            if record.letter in "cb" and not self._owner:
                return "a device, which only root can make; left out"
            if record.letter == "s":
                return "a socket; left out"
            if record.is_file and record.links > 1:
                self._make_linked(found, name, parent)
                return None
            self._remove(name, parent)
            if record.is_file:
                self._make_file(found, name, parent)
            else:
                self._make_special(record, name, parent)
            return None

    def finish(self) -> None:
        """Give the folders their modes and times: not before all is in them."""
        for path, record in reversed(self._folders.items()):
            with suppress(OSError), self._parent(path) as parent:
                name = path.name.encode("utf-8", "surrogateescape")
                # What was a folder may have become a link since: never follow it.
                if self._identity(name, parent) in self._ours:
                    descriptor = os.open(name, _FOLDER, dir_fd=parent)
                    try:
                        self._dress(record, descriptor)
                    finally:
                        os.close(descriptor)

    def _make_folder(self, record: Record, name: bytes, parent: int) -> None:
        try:
            is_folder = stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            is_folder = False
        if not is_folder:
            self._remove(name, parent)
            os.mkdir(name, 0o700, dir_fd=parent)
            self._adopt(name, parent)
        if self._identity(name, parent) in self._ours:
            self._folders.pop(record.path, None)
            self._folders[record.path] = record

    def _make_file(self, found: Found, name: bytes, parent: int) -> tuple[int, int]:
        self._remove(name, parent)
        descriptor = os.open(name, _NEW, 0o600, dir_fd=parent)
        self._fill(found, descriptor)
        return self._adopt(name, parent)

    def _make_special(self, record: Record, name: bytes, parent: int) -> None:
        self._remove(name, parent)
        if record.letter == "l":
            os.symlink(record.target.encode("utf-8", "surrogateescape"), name, dir_fd=parent)
        else:
            major, minor = record.device
            # Linux has 12 and 20 bits for them (kdev_t.h); Python says so of its own before 3.14 only.
            if major >> 12 or minor >> 20:
                raise OverflowError
            os.mknod(name, stat.S_IFMT(record.mode) | 0o600, os.makedev(major, minor), dir_fd=parent)
            os.chmod(name, self._mode(record), dir_fd=parent)
        if self._owner:
            os.chown(name, record.uid, record.gid, dir_fd=parent, follow_symlinks=False)
        os.utime(name, (record.mtime, record.mtime), dir_fd=parent, follow_symlinks=False)
        self._adopt(name, parent)

    def _make_linked(self, found: Found, name: bytes, parent: int) -> None:
        """Make a hard link of the first of its kind; the one that has content fills it for all."""
        record = found.record
        key = (record.archive, record.inode)
        if key not in self._links:
            self._links[key] = (record.path, self._make_file(found, name, parent))
            self._linked.add(self._links[key][1])
            return
        first, identity = self._links[key]
        with self._parent(first) as other:
            source = first.name.encode("utf-8", "surrogateescape")
            if identity not in self._linked or self._identity(source, other) != identity:
                raise OSError(2, f"{printable(first)}, a hard link of it, was replaced; the image is odd")
            if self._identity(name, parent) != identity:
                self._remove(name, parent)
                os.link(source, name, src_dir_fd=other, dst_dir_fd=parent, follow_symlinks=False)
        if record.size:
            flags = os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._fill(found, os.open(name, flags, dir_fd=parent))

    def _fill(self, found: Found, descriptor: int) -> None:
        with os.fdopen(descriptor, "wb") as file:
            for piece in found.content:
                file.write(piece)
            file.flush()
            self._dress(found.record, descriptor)

    def _dress(self, record: Record, descriptor: int) -> None:
        """Set owner, mode and time; owner first, since that clears set-uid."""
        if self._owner:
            os.fchown(descriptor, record.uid, record.gid)
        os.fchmod(descriptor, self._mode(record))
        os.utime(descriptor, (record.mtime, record.mtime))

    def _mode(self, record: Record) -> int:
        """Return the permissions of `record`; without the right owner they do not include set-uid."""
        return stat.S_IMODE(record.mode) & (0o7777 if self._owner else 0o1777)

    def _adopt(self, name: bytes, parent: int) -> tuple[int, int]:
        """Remember that `name` is ours; return its identity."""
        identity = self._identity(name, parent)
        assert identity is not None
        self._ours.add(identity)
        return identity

    def _identity(self, name: bytes, parent: int) -> tuple[int, int] | None:
        """Return device and inode of `name`; None if there is no such entry."""
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _remove(self, name: bytes, parent: int) -> None:
        """Remove what an earlier entry made under this name; FileExistsError if it is someone else's."""
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        if (status.st_dev, status.st_ino) not in self._ours:
            raise FileExistsError(17, "it was there before; take an empty folder")
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)
        if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1:
            self._ours.discard((status.st_dev, status.st_ino))
            self._linked.discard((status.st_dev, status.st_ino))

    @contextmanager
    def _parent(self, path: PurePosixPath) -> Iterator[int]:
        """Yield the open folder that `path` is in, made where it is missing; links stay within the root."""
        todo = [part.encode("utf-8", "surrogateescape") for part in reversed(path.parts[:-1])]
        links = 0
        with ExitStack() as opened:
            stack = [self._root]
            while todo:
                part = todo.pop()
                if part == b"..":
                    stack = stack[:-1] if len(stack) > 1 else stack
                    continue
                target = self._link(part, stack[-1])
                if target is None:
                    stack.append(self._open(part, stack[-1]))
                    opened.callback(os.close, stack[-1])
                    continue
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(40, "too many symbolic links")
                if target.startswith(b"/"):
                    stack = [self._root]
                todo.extend(p for p in reversed(target.split(b"/")) if p not in (b"", b"."))
            yield stack[-1]

    def _link(self, name: bytes, parent: int) -> bytes | None:
        """Return what the symbolic link `name` points to; None if it is none."""
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return os.readlink(name, dir_fd=parent) if stat.S_ISLNK(status.st_mode) else None

    def _open(self, name: bytes, parent: int) -> int:
        try:
            return os.open(name, _FOLDER, dir_fd=parent)
        except FileNotFoundError:
            os.mkdir(name, 0o755, dir_fd=parent)
            self._adopt(name, parent)
            return os.open(name, _FOLDER, dir_fd=parent)
