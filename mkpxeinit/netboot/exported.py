"""How the kernel's NFS server exports a folder: the options of exports(5)."""

import os
import re
import uuid
from pathlib import Path, PurePosixPath

MOUNTS = Path("/proc/self/mountinfo")
# root's files are to be root's on the clients, too; a whole tree needs no check of its parents.
_OPTIONS = "no_root_squash,no_subtree_check,sync"
# On no block device either, but the server knows them by an identity of their own.
_IDENTIFIED = frozenset(("bcachefs", "btrfs", "zfs"))
_ESCAPED = re.compile(r"\\([0-7]{3})")


def options(access: str, path: PurePosixPath) -> str:
    """Return the options of an export of `path`; `access` is ro or rw.

    A file system on no device (an overlay, a tmpfs) gets `fsid=`, without which the server refuses it: a
    UUID of the path, so that clients find their files again after a restart. Only a folder of this machine
    can be looked at; the others are taken for folders on a disk.
    """
    identity = f",fsid={uuid.uuid5(uuid.NAMESPACE_URL, path.as_uri())}" if _needs_identity(path) else ""
    return f"{access},{_OPTIONS}{identity}"


def _needs_identity(path: PurePosixPath) -> bool:
    """Say whether `path` lies on a file system that has neither a device nor a UUID."""
    try:
        folder = Path(path).resolve()
        if os.major(folder.stat().st_dev) != 0:
            return False
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except (OSError, RuntimeError):  # RuntimeError: a circle of symbolic links
        return False
    return _kind(folder, lines) not in _IDENTIFIED


def _kind(folder: Path, lines: list[str]) -> str:
    """Return the type of the file system of `folder`: proc_pid_mountinfo(5), the uppermost mount last."""
    best, kind = -1, ""
    for line in lines:
        words, _, rest = line.partition(" - ")
        fields = words.split(" ")
        if len(fields) < 5 or not rest:
            continue
        point = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), rest.split(" ")[0]
    return kind
