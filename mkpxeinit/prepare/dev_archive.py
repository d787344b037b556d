"""/dev.tar.gz: device nodes for kernels without devtmpfs (init/lib/dev.sh unpacks it)."""

import gzip
import io
import os
import stat
import tarfile
from pathlib import Path

from mkpxeinit.errors import SysrootError
from mkpxeinit.prepare.change import Change, Proposal, Write, path
from mkpxeinit.prepare.view import View

_FILE = "dev.tar.gz"
_MAX_NODES = 10_000
_MAX_DEPTH = 4
_TTY = 5  # the group: this number in all distributions that we know
# Name, major, minor, mode, group: Documentation/admin-guide/devices.txt of the kernel.
_NODES = (
    ("console", 5, 1, 0o600, 0),
    ("full", 1, 7, 0o666, 0),
    ("kmsg", 1, 11, 0o644, 0),
    ("null", 1, 3, 0o666, 0),
    ("ptmx", 5, 2, 0o666, _TTY),
    ("random", 1, 8, 0o666, 0),
    ("tty", 5, 0, 0o666, _TTY),
    *((f"tty{number}", 4, number, 0o620, _TTY) for number in range(13)),
    *((f"ttyS{number}", 4, 64 + number, 0o660, _TTY) for number in range(4)),
    ("hvc0", 229, 0, 0o620, _TTY),
    ("urandom", 1, 9, 0o666, 0),
    ("zero", 1, 5, 0o666, 0),
)
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
_FOLDERS = ("pts", "shm")


def propose(view: View) -> Proposal:
    """Pack the usual nodes and those of the tree's own /dev, unless there is an archive."""
    if view.kind(_FILE) is not None:
        return Proposal()
    nodes = {node.name: node for node in (*_usual(), *_own(view))}
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name in sorted(nodes):
            archive.addfile(nodes[name])
    return Proposal((Write(path(_FILE), buffer.getvalue()),))


def _usual() -> list[tarfile.TarInfo]:
    found = [_folder("dev", 0o755), *(_folder(f"dev/{name}", 0o755) for name in _FOLDERS)]
    for name, major, minor, mode, group in _NODES:
        node = tarfile.TarInfo(f"dev/{name}")
        node.type, node.mode, node.gid = tarfile.CHRTYPE, mode, group
        node.devmajor, node.devminor = major, minor
        found.append(node)
    for name, target in _LINKS.items():
        link = tarfile.TarInfo(f"dev/{name}")
        link.type, link.linkname, link.mode = tarfile.SYMTYPE, target, 0o777
        found.append(link)
    return found


def _folder(name: str, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry


def _own(view: View) -> list[tarfile.TarInfo]:
    """Return the nodes in the tree's /dev; none if something is mounted there: they are this machine's."""
    try:
        top = view.sysroot.resolve("dev")
        if not top.is_dir() or top.stat().st_dev != view.sysroot.root.stat().st_dev:
            return []
    except (OSError, SysrootError):
        return []
    found: list[tarfile.TarInfo] = []
    todo = [(top, "dev")]
    while todo and len(found) < _MAX_NODES:
        folder, name = todo.pop()
        for entry in _names(folder):
            node = _node(folder / entry, f"{name}/{entry}")
            if node is None:
                continue
            found.append(node)
            if node.isdir() and name.count("/") < _MAX_DEPTH:
                todo.append((folder / entry, node.name))
    return found


def _names(folder: Path) -> list[str]:
    """Return the names in `folder`, which is no link."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with os.scandir(descriptor) as entries:
            return sorted(entry.name for entry in entries)
    finally:
        os.close(descriptor)


def _node(place: Path, name: str) -> tarfile.TarInfo | None:
    """Return the archive's entry for a device, a link or a folder; None for anything else."""
    status = place.lstat()
    node = tarfile.TarInfo(name)
    node.mode, node.uid, node.gid = status.st_mode & 0o777, status.st_uid, status.st_gid
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        node.type = tarfile.DIRTYPE
    elif kind == stat.S_IFLNK:
        node.type, node.linkname = tarfile.SYMTYPE, str(place.readlink())
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        node.type = tarfile.CHRTYPE if kind == stat.S_IFCHR else tarfile.BLKTYPE
        node.devmajor, node.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    else:
        return None
    return node


CHANGE = Change(
    "dev-archive", "a kernel without devtmpfs has no other device nodes (pxeinit.dev=tar)", propose
)
