"""How the changes see a tree: everything optional, bounded, and resolved inside it."""

import fnmatch
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import PrepareError, SysrootError, os_cause
from mkpxeinit.sysroot import Sysroot, read_regular

MAX_FILE = 64 << 20  # bytes; the largest is systemd's hwdb.bin, 13 MB
MAX_NAMES = 100_000

# A program of the tree and its arguments, the file that it writes: returns what it wrote.
Run = Callable[[tuple[str, ...], str], bytes]


@dataclass(frozen=True, slots=True)
class View:
    """A tree, the names of the changes that are to be made, and how its programs run, if they may."""

    sysroot: Sysroot
    chosen: frozenset[str] = frozenset()
    run: Run | None = None

    def place(self, path: str | PurePosixPath) -> Path | None:
        """Return the host path of the entry `path` itself, its folder resolved; None if that is not there."""
        name = PurePosixPath(path)
        try:
            folder = self.sysroot.resolve(str(name.parent))
        except SysrootError:
            return None
        return folder / name.name

    def kind(self, path: str | PurePosixPath) -> str | None:
        """Return what the entry `path` is: file, link, folder, other, or None if there is none."""
        place = self.place(path)
        try:
            mode = place.lstat().st_mode if place else None
        except OSError:
            return None
        if mode is None:
            return None
        kinds = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "folder"}
        return kinds.get(stat.S_IFMT(mode), "other")

    def target(self, path: str | PurePosixPath) -> str | None:
        """Return where the link `path` points; None if it is none."""
        place = self.place(path)
        try:
            return str(place.readlink()) if place else None
        except OSError:
            return None

    def data(self, path: str | PurePosixPath) -> bytes | None:
        """Return the bytes of the regular file that `path` leads to; None if there is none.

        PrepareError if it is there and cannot be read, or is too large for what it should be.
        """
        if not self.sysroot.is_file(path):
            return None
        try:
            return read_regular(self.sysroot.resolve(path), MAX_FILE)
        except OSError as error:
            raise PrepareError(
                f"{self.sysroot.show(path)}: {os_cause(error)}; mend it, or leave its change away with --skip"
            ) from error

    def text(self, path: str | PurePosixPath) -> str | None:
        """Return the text of `path`, as `data`; bytes that are no UTF-8 become surrogates."""
        data = self.data(path)
        return None if data is None else data.decode("utf-8", "surrogateescape")

    def exists(self, *paths: str) -> bool:
        """Say whether one of `paths` leads to something in the tree."""
        return any(self.sysroot.exists(each) for each in paths)

    def names(self, folder: str, pattern: str = "*") -> tuple[str, ...]:
        """Return the sorted names in `folder` that match `pattern`; none if it is not there."""
        if not self.sysroot.is_dir(folder):
            return ()
        found = self.sysroot.list(folder)
        if len(found) > MAX_NAMES:
            raise PrepareError(f"{self.sysroot.show(folder)}: more than {MAX_NAMES} entries")
        return tuple(name for name in found if fnmatch.fnmatchcase(name, pattern))

    def can_move(self, path: str, other: str) -> bool:
        """Say whether a folder can be renamed from `path` to the existing folder `other`, rename(2).

        Not from one file system to another, and not in an overlay, where folders of a lower layer refuse.
        """
        try:
            devices = {os.lstat(self.sysroot.resolve(each)).st_dev for each in (path, other)}
        except (OSError, SysrootError):
            return False
        return len(devices) == 1 and not devices & _overlays()


def _overlays() -> set[int]:
    """Return the devices of this machine's overlays (proc_pid_mountinfo(5))."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return set()
    words = [line.split() for line in lines if " - overlay " in line]
    return {os.makedev(*map(int, each[2].split(":"))) for each in words}


def lines_of(text: str) -> list[str]:
    """Return the lines with their ends; only a newline ends one."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
