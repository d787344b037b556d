"""Every test of the client runs under both shells."""

from pathlib import Path

import pytest

from tests.init.fakeroot import ALWAYS, SOMETIMES, FakeRoot
from tests.init.parts import SHELLS, Parts
from tests.init.programs import PROGRAM


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """What all roots share."""
    return Parts.make(tmp_path_factory.mktemp("parts"), frozenset(ALWAYS), SOMETIMES)


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
