"""Every test of the client runs under both shells."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.init.fakeroot import ALWAYS, SOMETIMES, FakeRoot
from tests.init.parts import SHELLS, Parts
from tests.init.programs import PROGRAM

MEMORY = Path("/dev/shm")
ROOM = 256 << 20  # bytes; a root is small, but tests fill one with a large file here and there


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, if programs can run there: each of the thousands of roots is made of 150 files."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        status = os.statvfs(MEMORY)
        if status.f_bavail * status.f_frsize >= ROOM and not status.f_flag & os.ST_NOEXEC:
            with tempfile.TemporaryDirectory(prefix="mkpxeinit-", dir=MEMORY) as folder:
                yield Path(folder)
            return
    yield tmp_path_factory.mktemp("scratch")


@pytest.fixture
def tmp_path(scratch: Path) -> Iterator[Path]:
    """A folder of its own for each test, which goes when it ends."""
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def parts(scratch: Path) -> Parts:
    """What all roots share, by hard links."""
    folder = scratch / "parts"
    folder.mkdir()
    return Parts.make(folder, frozenset(ALWAYS), SOMETIMES)


@pytest.fixture(params=SHELLS)
def root(request: pytest.FixtureRequest, tmp_path: Path, parts: Parts) -> FakeRoot:
    """A fresh root, /bin/sh being busybox ash or dash."""
    return FakeRoot(tmp_path / "root", request.param, parts)


@pytest.fixture
def booting(root: FakeRoot) -> FakeRoot:
    """A root in which a boot succeeds: a network card, a lease, and a tree that NFS would have mounted."""
    root.nic()
    root.dhcp(values={"ip": "10.0.2.15", "mask": "24", "serverid": "10.0.2.2", "rootpath": "/srv/tree"})
    plant_tree(root)
    root.fake("mount", when="move /nfsroot ", does='rmdir "$4"; mv "$3" "$4"')
    return root


def plant_tree(root: FakeRoot) -> None:
    """Put a small system tree where NFS will be mounted."""
    root.write("nfsroot/sbin/init", PROGRAM, 0o755)
    for name in ("usr/bin", "etc", "var/lib", "root"):
        root.folder(f"nfsroot/{name}")
    root.write("nfsroot/usr/bin/env", "#!/bin/sh", 0o755)
    root.write("nfsroot/etc/fstab", "# empty")
