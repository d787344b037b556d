"""Distributions' kernels, unpacked and not installed: what tests of the builder compare with.

A kernel of Debian is the package that linux-image-ARCHITECTURE stands for. apt itself fetches it into
the cache of trees.py, with a root of its own (lists, status, sources) so that neither this machine's
packages nor its architecture matter, and checks it by the archive's keyring; dpkg-deb unpacks it,
depmod lists its modules. Another user than root can do all that.
"""

import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import run
from .archive import FETCH_SECONDS, Apt
from .errors import LabError
from .trees import cache_folder, locked, mirror

RECIPE = 1
DEPMOD_SECONDS = 120.0
# What the meta package leads to: signed images, and in newer suites the modules beside them.
_PACKAGE = re.compile(r"linux-(?:image|modules|binary)-\S+")


@dataclass(frozen=True, slots=True)
class Kernel:
    """An unpacked kernel in the cache; usable wherever the path of its tree is."""

    path: Path
    suite: str
    architecture: str

    def __fspath__(self) -> str:
        """Return the tree's folder."""
        return str(self.path)

    @property
    def release(self) -> str:
        """The kernel's release, as `uname -r` says it."""
        return sorted(path.name for path in (self.path / "lib/modules").iterdir())[-1]


def debian(suite: str, architecture: str = "amd64") -> Kernel:
    """Return the kernel of a Debian suite, with all its modules and depmod's lists.

    Fetches 60 to 110 MB when the cache lacks it and unpacks 300 to 500. Several processes may ask at
    once; one does it. Raises LabError with the last words of the program that failed.
    """
    key = hashlib.sha256(f"{suite}\n{architecture}\n{RECIPE}".encode()).hexdigest()[:12]
    folder = cache_folder() / "kernels"
    folder.mkdir(exist_ok=True)
    kernel = Kernel(folder / f"{suite}-{architecture}-{key}", suite, architecture)
    if not kernel.path.is_dir():
        with locked(folder / f"{kernel.path.name}.lock"):
            if not kernel.path.is_dir():
                _make(kernel)
    return kernel


def _make(kernel: Kernel) -> None:
    """Unpack a kernel under another name and give it its own only when it is whole."""
    unfinished = kernel.path.with_name(f"{kernel.path.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="pxelab-") as scratch:
        for package in _fetch(Path(scratch), kernel):
            run.run(["dpkg-deb", "--extract", package, unfinished], timeout=FETCH_SECONDS)
    if not (unfinished / "lib").exists():
        (unfinished / "lib").symlink_to("usr/lib")
    for folder in (unfinished / "lib/modules").iterdir():
        run.run(["depmod", "-C", "/dev/null", "-b", unfinished, folder.name], timeout=DEPMOD_SECONDS)
    unfinished.rename(kernel.path)


def _fetch(root: Path, kernel: Kernel) -> list[Path]:
    """Return the packages of a kernel, fetched into the new folder `root`."""
    apt = Apt(root, "deb", mirror(), kernel.suite, kernel.architecture)
    said = apt.cache("depends", "--recurse", "--important", f"linux-image-{kernel.architecture}")
    names = sorted({line for line in said.splitlines() if _PACKAGE.fullmatch(line)})
    if not names:
        raise LabError(f"{mirror()} {kernel.suite}: no package linux-image-{kernel.architecture}")
    return [path for path in apt.get("download", *names) if path.suffix == ".deb"]
