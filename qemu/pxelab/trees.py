"""Installed system trees: real Debian, made by mmdebstrap, kept in a cache.

A tree in the cache is never written to again; a test that wants another one uses
`Lab.variant`. The cache is `$MKPXEINIT_CACHE`, else `~/.cache/mkpxeinit`.
"""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import run
from .errors import LabError
from .namespace import Namespace

RECIPE = 1
PACKAGES = (
    "linux-image-amd64",
    "systemd-sysv",
    "udev",
    "kmod",
    "dbus",
    "busybox-static",
    "iproute2",
    "procps",
    "nfs-common",
    "login",
)
SYSVINIT_PACKAGES = (
    "linux-image-amd64",
    "sysvinit-core",
    "sysv-rc",
    "initscripts",
    "udev",
    "kmod",
    "busybox-static",
    "iproute2",
    "procps",
    "login",
    "ifupdown",
    "isc-dhcp-client",
)
DEFAULT_MIRROR = "http://deb.debian.org/debian"
BOOTSTRAP_SECONDS = 1500.0
# apt in the tree $1, as mmdebstrap calls it; its lists go, as they do there.
_EXTEND = """
set -e
cd "$1" && shift
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
options='-q -y -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false'
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
chroot . apt-get $options update
chroot . apt-get $options --no-install-recommends install "$@"
chroot . apt-get clean
rm -rf var/lib/apt/lists/*
"""
# Lists of suites that are still growing may be past their valid-until date.
_STABLE = ("bullseye", "bookworm", "trixie")


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree in the cache; usable wherever a path is."""

    path: Path
    suite: str

    def __fspath__(self) -> str:
        """Return the tree's folder."""
        return str(self.path)

    @property
    def vmlinuz(self) -> Path:
        """The tree's kernel (the one with the highest name)."""
        kernels = sorted((self.path / "boot").glob("vmlinuz-*"))
        if not kernels:
            raise LabError(f"{self.path}: no kernel in boot/")
        return kernels[-1]

    @property
    def release(self) -> str:
        """The kernel's release, as `uname -r` says it."""
        return self.vmlinuz.name.removeprefix("vmlinuz-")


def cache_folder() -> Path:
    """Return the cache's folder, which exists."""
    given = os.environ.get("MKPXEINIT_CACHE")
    folder = Path(given) if given else Path.home() / ".cache" / "mkpxeinit"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, waiting for whoever has it."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def mirror() -> str:
    """Return the Debian mirror that this machine's apt uses, else Debian's own."""
    listed = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for path in listed:
        text = path.read_text(errors="replace") if path.is_file() else ""
        for found in re.finditer(r"^\s*(?:deb\s+(?:\[[^]]*\]\s+)?|URIs:\s*)(https?://\S+)", text, re.M):
            if found[1].rstrip("/").endswith("/debian"):
                return found[1].rstrip("/")
    return DEFAULT_MIRROR


def debian(suite: str, extra: Sequence[str] = ()) -> Tree:
    """Return a Debian tree of the suite, with more packages if wanted.

    Makes it when the cache lacks it: about a minute and 700 MB; one with more packages from a copy of
    the usual one, in a third of that time. Several processes may ask at once; one makes it. Raises
    LabError with the last words of mmdebstrap or apt.
    """
    base = _cached(suite, PACKAGES)
    return _cached(suite, tuple(sorted(extra)), base) if extra else base


def sysvinit(suite: str) -> Tree:
    """Return a Debian tree without systemd as its init; otherwise as `debian`."""
    return _cached(suite, SYSVINIT_PACKAGES)


def chroot(suite: str, packages: Sequence[str]) -> Tree:
    """Return a minimal Debian system with these packages, to run programs in; it has no kernel to boot."""
    return _cached(suite, tuple(sorted(packages)))


def _cached(suite: str, packages: tuple[str, ...], base: Tree | None = None) -> Tree:
    words = (suite, str(RECIPE), *([f"upon {base.path.name}"] if base else []), *packages)
    key = hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]
    folder = cache_folder() / "trees"
    folder.mkdir(exist_ok=True)
    tree = Tree(folder / f"{suite}-{key}", suite)
    if not tree.path.is_dir():
        with locked(folder / f"{suite}-{key}.lock"):
            if not tree.path.is_dir():
                if base is None:
                    bootstrap(suite, packages, tree.path)
                else:
                    extend(base, packages, tree.path)
    return tree


def bootstrap(suite: str, packages: Sequence[str], target: Path) -> None:
    """Make a tree under another name and give it its own only when it is whole; LabError if that fails."""
    if os.geteuid() != 0:
        raise LabError(f"no {suite} tree in the cache, and only root can make one")
    run.program("mmdebstrap")
    unfinished = target.with_name(f"{target.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    words = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"]
    words += [f"--include={','.join(packages)}", "--aptopt=Acquire::Languages none"]
    if suite not in _STABLE:
        words.append("--aptopt=Acquire::Check-Valid-Until false")
    words += [suite, str(unfinished), mirror()]
    with (
        tempfile.TemporaryDirectory(prefix="pxelab-") as scratch,
        Namespace(Path(scratch), share_net=True) as space,
    ):
        done = space.run(words, timeout=BOOTSTRAP_SECONDS, check=False)
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        last = "\n".join(done.stderr.decode(errors="replace").splitlines()[-15:])
        raise LabError(f"mmdebstrap could not make a {suite} tree:\n{last}")
    unfinished.rename(target)


def extend(base: Tree, packages: Sequence[str], target: Path) -> None:
    """Make a tree that is `base` with more packages, as `bootstrap` does; LabError if that fails."""
    if os.geteuid() != 0:
        raise LabError(
            f"no {base.suite} tree with {', '.join(packages)} in the cache, and only root can make one"
        )
    unfinished = target.with_name(f"{target.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    run.run(["cp", "-a", "--reflink=auto", base.path, unfinished], timeout=BOOTSTRAP_SECONDS)
    policy, resolver = unfinished / "usr/sbin/policy-rc.d", unfinished / "etc/resolv.conf"
    policy.write_text("#!/bin/sh\nexit 101\n")  # nothing is started
    policy.chmod(0o755)
    shutil.copy("/etc/resolv.conf", resolver)
    with (
        tempfile.TemporaryDirectory(prefix="pxelab-") as scratch,
        Namespace(Path(scratch), share_net=True) as space,
    ):
        done = space.run(
            ["sh", "-c", _EXTEND, "sh", unfinished, *packages], timeout=BOOTSTRAP_SECONDS, check=False
        )
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        last = "\n".join((done.stdout + done.stderr).decode(errors="replace").splitlines()[-15:])
        raise LabError(f"apt could not put {', '.join(packages)} into a {base.suite} tree:\n{last}")
    policy.unlink()
    unfinished.rename(target)
