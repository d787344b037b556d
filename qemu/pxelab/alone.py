"""A tree to be exported, without what is mounted in it.

NFS-Ganesha cannot list a folder in which a kernel's own file system is mounted, such as the /proc of a
chroot: it answers READDIR with an error, and the client sees a root without entries.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import LabError

if TYPE_CHECKING:
    from .lab import Lab

# File systems without a store, as `nodev` in /proc/filesystems, but those that trees lie on.
_KERNELS = re.compile(
    r"autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs|mqueue"
    r"|nsfs|proc|pstore|ramfs|rpc_pipefs|securityfs|selinuxfs|sysfs|tmpfs|tracefs"
)
_PLACE = Path("/run/pxelab-alone")  # /run of a laboratory is its own, in memory


def mounts_below(table: str, tree: Path) -> tuple[tuple[str, str], ...]:
    """Return mount point, from `tree` on, and type of what is mounted below `tree`; sorted, each once.

    `table` is as /proc/self/mounts, see proc(5) and fstab(5).
    """
    found = set()
    for line in table.splitlines():
        _, point, kind, *_ = line.split(" ")
        path = Path(re.sub(r"\\([0-7]{3})", lambda each: chr(int(each[1], 8)), point))
        if path != tree and path.is_relative_to(tree):
            found.add((str(path.relative_to(tree)), kind))
    return tuple(sorted(found))


def alone(lab: "Lab", tree: Path) -> tuple[Path, tuple[str, ...]]:
    """Return what to export in the place of `tree`, and the mount points that are left out of it.

    That is `tree` itself unless one of the kernel's own file systems is mounted in it; else a view of its
    file system alone, valid in this laboratory. LabError if there can be none.
    """
    below = mounts_below(lab.space.run(["cat", "/proc/self/mounts"]).stdout.decode(), tree)
    if not any(_KERNELS.fullmatch(kind) for _, kind in below):
        return tree, ()
    names = ", ".join(f"/{name}" for name, _ in below)
    kind = lab.space.run(["stat", "--file-system", "--format=%T", str(tree)]).stdout.decode().strip()
    if kind == "overlayfs":  # the handles of an overlay over it are longer than Ganesha takes
        raise LabError(f"{tree}: an overlay cannot be exported while {names} is mounted in it; unmount that")
    folder = _PLACE / lab.name("view")
    upper, work, view = (folder / part for part in ("upper", "work", "tree"))
    lab.space.run(["mkdir", "-p", *map(str, (upper, work, view))])
    layers = f"lowerdir={tree},upperdir={upper},workdir={work},index=on,nfs_export=on,xino=on"
    try:
        lab.space.run(["mount", "-t", "overlay", "-o", layers, "overlay", str(view)])
    except LabError as error:
        raise LabError(f"{tree}: cannot be exported while {names} is mounted in it: {error}") from error
    return view, tuple(f"/{name}" for name, _ in below)
