"""An installed system tree, seen as if it were `/`.

Every path and every symbolic link in it resolves inside the tree, absolute ones too, as
path_resolution(7) says for a process after chroot(2). The tree may be hostile: nothing outside is
read, and only regular files are opened (a FIFO would block, a device would not end).
"""

import errno
import os
import stat
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import SysrootError, os_cause, printable

MAX_LINKS = 40  # what the kernel allows, path_resolution(7)
MAX_TEXT = 64 << 20  # bytes; the largest modules.alias known has 2 MB


@dataclass(frozen=True, slots=True)
class Sysroot:
    """The tree below `root`. Paths given to the methods are those inside, with or without `/`.

    `name`, if there is one, stands for `root` in messages.
    """

    root: Path
    name: str | None = None
    _folders: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, root: Path, name: str | None = None) -> "Sysroot":
        """Return the tree at `root`; SysrootError if there is no readable folder."""
        try:
            resolved = root.resolve(strict=True)
            os.scandir(resolved).close()
        except (OSError, RuntimeError) as error:
            cause = os_cause(error) if isinstance(error, OSError) else "too many symbolic links"
            raise SysrootError(
                f"sysroot {printable(root)}: {cause}; give the folder of an installed system with --sysroot"
            ) from error
        return cls(resolved, name)

    def resolve(self, path: str | PurePosixPath) -> Path:
        """Return the host path of what `path` names, all links resolved inside the tree.

        The result's last component is not a link. SysrootError if a part of it is missing or the
        links go round in circles.
        """
        return Path(self._resolve(str(path)))

    def _resolve(self, path: str) -> str:
        folder, _, last = path.rstrip("/").rpartition("/")
        try:
            if last in ("", ".", ".."):
                return self._walk(str(self.root), path)
            start = self._folders.get(folder)
            if start is None:
                start = self._folders[folder] = self._walk(str(self.root), folder)
            return self._walk(start, last)
        except (OSError, ValueError) as error:
            raise self._error(path, error) from error

    def links(self, path: str) -> tuple[str, ...]:
        """Return the symbolic links that the way to `path` passes, their paths inside, in that order.

        The path of a link has no other link before its last component. SysrootError as `resolve`.
        """
        passed: list[str] = []
        try:
            self._walk(str(self.root), path, passed)
        except (OSError, ValueError) as error:
            raise self._error(path, error) from error
        top = str(self.root).rstrip("/")
        return tuple(each.removeprefix(top) for each in passed)

    def _walk(self, start: str, path: str, passed: "list[str] | None" = None) -> str:
        """Follow `path` from the host folder `start`; OSError or ValueError if it leads nowhere.

        The host paths of links on the way are added to `passed`.
        """
        root = str(self.root)
        here, todo, links = start, _parts(path), 0
        while todo:
            name = todo.pop()
            if name == "..":
                # `..` of the tree's root is that root, as in a chroot.
                here = here if here == root else here.rpartition("/")[0]
                continue
            there = f"{here.rstrip('/')}/{name}"
            # Text, not Path: this is done a thousand times for an image.
            if not stat.S_ISLNK(os.lstat(there).st_mode):
                here = there
                continue
            links += 1
            if passed is not None:
                passed.append(there)
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = str(Path(there).readlink())
            if target.startswith("/"):
                here = root
            todo.extend(_parts(target))
        return here

    def _error(self, path: str | PurePosixPath, error: OSError | ValueError) -> SysrootError:
        cause = os_cause(error) if isinstance(error, OSError) else str(error)
        return SysrootError(f"{self.show(path)}: {cause}")

    def show(self, path: str | PurePosixPath) -> str:
        """Return `path` as messages name it: with the tree in front, on one line."""
        top = str(self.root).rstrip("/") if self.name is None else self.name
        return printable(f"{top}/{str(path).lstrip('/')}")

    def exists(self, path: str | PurePosixPath) -> bool:
        """Say whether `path` leads to something in the tree."""
        try:
            self.resolve(path)
        except SysrootError:
            return False
        return True

    def is_file(self, path: str | PurePosixPath) -> bool:
        """Say whether `path` leads to a regular file in the tree."""
        try:
            return stat.S_ISREG(os.lstat(self._resolve(str(path))).st_mode)
        except (SysrootError, OSError):
            return False

    def is_dir(self, path: str | PurePosixPath) -> bool:
        """Say whether `path` leads to a folder in the tree."""
        try:
            return stat.S_ISDIR(os.lstat(self._resolve(str(path))).st_mode)
        except (SysrootError, OSError):
            return False

    def list(self, path: str | PurePosixPath) -> tuple[str, ...]:
        """Return the sorted names in the folder `path`; SysrootError if it cannot be listed."""
        try:
            return tuple(sorted(entry.name for entry in self.resolve(path).iterdir()))
        except OSError as error:
            raise self._error(path, error) from error

    def read_text(self, path: str | PurePosixPath) -> str:
        """Return the text of the file `path`, at most 64 MiB; bytes that are no UTF-8 become surrogates."""
        try:
            data = read_regular(self.resolve(path), MAX_TEXT)
        except OSError as error:
            raise self._error(path, error) from error
        return data.decode("utf-8", "surrogateescape")


def _parts(path: str) -> list[str]:
    """Return the components of `path`, last first, without the empty ones and `.`."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def open_regular(path: Path) -> FileIO:
    """Return the regular file `path`, a host path, open; OSError if it is a link, a device or a FIFO."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    file = FileIO(fd, "r")
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        file.close()
        raise OSError(0, "not a regular file", str(path))
    return file


def read_regular(path: Path, limit: int) -> bytes:
    """Return the bytes of the regular file `path`, a host path.

    OSError if it is a link, a device or a FIFO, or longer than `limit` bytes.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise OSError(0, f"larger than {limit} bytes", str(path))
        # The buffer is as large as what is asked for; files of /proc and /sys do not know their size.
        return file.read(min(max(size, 1 << 16), limit) + 1)
