"""The trees that are built from, and the peers in them, run by chroot as their users run them."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.frame import BenchError, Measured, measure
from pxelab import trees

RECIPE = 1
# What Debian's initramfs-tools and dracut want for a root over NFS.
_MORE = {
    "bookworm": ("dracut-network", "initramfs-tools", "iputils-arping", "isc-dhcp-client", "rpcbind", "zstd"),
    "trixie": ("dracut-network", "initramfs-tools", "iputils-arping", "rpcbind", "zstd"),
}
SUITES = tuple(_MORE)
# dracut's module that gets an address: what each suite has.
DRACUT_NETWORK = {"bookworm": "network-legacy", "trixie": "systemd-networkd"}
_CHROOT = """
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount -t sysfs -o ro sysfs "$1/sys"
mount --rbind /dev "$1/dev"
exec chroot "$@"
"""
_PLACE = "/root/bench"
# What a last script of initramfs-tools says: nothing else tells when it starts the real init.
HAND_OVER = "bench: handing over"


@dataclass(frozen=True, slots=True)
class BenchTree:
    """A tree with initramfs-tools and dracut in it; `folder` is the bench's own place there."""

    path: Path
    suite: str
    release: str

    @property
    def folder(self) -> Path:
        """Where images and settings of the peers lie, a host path."""
        return self.path / _PLACE.lstrip("/")


def tree(suite: str) -> BenchTree:
    """Return the tree of `suite`, made if the cache of pxelab lacks it (as root, a minute, 900 MB).

    It is the bench's own: the peers write into theirs.
    """
    if os.geteuid() != 0:
        raise BenchError("the peers run by chroot, which only root can do")
    packages = (*trees.PACKAGES, *_MORE[suite])
    key = hashlib.sha256("\n".join((suite, str(RECIPE), *packages)).encode()).hexdigest()[:12]
    folder = trees.cache_folder() / "bench"
    folder.mkdir(exist_ok=True)
    path = folder / f"{suite}-{key}"
    with trees.locked(folder / f"{suite}.lock"):
        if not path.is_dir():
            trees.bootstrap(suite, packages, path)
    found = BenchTree(path, suite, trees.Tree(path, suite).release)
    found.folder.mkdir(exist_ok=True)
    for modules in ("netboot", "most"):
        _configure(found, modules)
    return found


def _configure(tree: BenchTree, modules: str) -> None:
    """Write a folder of settings for mkinitramfs, Debian's own but for three lines and a mark at the end."""
    folder = tree.folder / modules
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tree.path / "etc/initramfs-tools", folder)
    path = folder / "initramfs.conf"
    ours = {"MODULES": modules, "BOOT": "nfs", "COMPRESS": "zstd"}
    kept = [line for line in path.read_text().splitlines() if line.partition("=")[0] not in ours]
    path.write_text("\n".join((*kept, *(f"{name}={value}" for name, value in ours.items()))) + "\n")
    last = folder / "scripts/init-bottom/zz-bench"
    last.parent.mkdir(parents=True, exist_ok=True)
    last.write_text(f'#!/bin/sh\n[ "${{1-}}" != prereqs ] || exit 0\necho "{HAND_OVER}"\n')
    last.chmod(0o755)


def in_tree(tree: BenchTree, words: Sequence[str]) -> Measured:
    """Run a program of the tree by chroot, in mounts of its own."""
    return measure(["unshare", "--mount", "sh", "-ec", _CHROOT, "sh", str(tree.path), *words])


def mkinitramfs(tree: BenchTree, modules: str) -> tuple[Measured, Path]:
    """Run initramfs-tools with MODULES=`modules` BOOT=nfs; return what it took, and the image."""
    name = f"initramfs-tools-{modules}.img"
    words = ["mkinitramfs", "-d", f"{_PLACE}/{modules}", "-o", f"{_PLACE}/{name}", tree.release]
    return in_tree(tree, words), tree.folder / name


def dracut(tree: BenchTree) -> tuple[Measured, Path]:
    """Run dracut for any machine, with NFS and the network; return what it took, and the image."""
    words = ["dracut", "--force", "--no-hostonly", "--compress", "zstd", "--kver", tree.release]
    words += ["--add", f"nfs {DRACUT_NETWORK[tree.suite]}", f"{_PLACE}/dracut.img"]
    return in_tree(tree, words), tree.folder / "dracut.img"
