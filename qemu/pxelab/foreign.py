"""A small tree for another architecture: Debian's kernel, busybox and GRUB, unpacked and never run here."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from . import kernels, run
from .archive import FETCH_SECONDS, Apt
from .trees import Tree, cache_folder, locked, mirror

RECIPE = 1
FOLDERS = ("dev", "etc", "proc", "run", "sbin", "sys", "tmp", "usr/bin", "usr/sbin", "var")


def arm64(suite: str = "bookworm") -> Tree:
    """Return a tree for arm64 with a shell; fetched (70 MB) and made when the cache lacks it.

    Several processes may ask at once; one does it. Raises LabError with the last words of what failed.
    """
    packages = ("busybox-static", "grub-efi-arm64-signed")
    key = hashlib.sha256("\n".join((suite, *packages, str(RECIPE))).encode()).hexdigest()[:12]
    folder = cache_folder() / "trees"
    folder.mkdir(exist_ok=True)
    tree = Tree(folder / f"{suite}-arm64-{key}", suite)
    if not tree.path.is_dir():
        with locked(folder / f"{tree.path.name}.lock"):
            if not tree.path.is_dir():
                _make(tree, packages)
    return tree


def _make(tree: Tree, packages: tuple[str, ...]) -> None:
    """Make it under another name and give it its own only when it is whole."""
    unfinished = tree.path.with_name(f"{tree.path.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    run.run(["cp", "-a", kernels.debian(tree.suite, "arm64").path, unfinished], timeout=FETCH_SECONDS)
    with tempfile.TemporaryDirectory(prefix="pxelab-") as scratch:
        apt = Apt(Path(scratch) / "apt", "deb", mirror(), tree.suite, "arm64")
        for package in apt.get("download", *packages):
            if package.suffix == ".deb":
                run.run(["dpkg-deb", "--extract", package, unfinished], timeout=FETCH_SECONDS)
    for name in FOLDERS:
        (unfinished / name).mkdir(parents=True, exist_ok=True)
    if not (unfinished / "bin/sh").exists():
        (unfinished / "bin/sh").symlink_to("busybox")
    unfinished.chmod(0o755)
    unfinished.rename(tree.path)
