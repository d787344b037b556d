"""Fixtures that unit and CLI tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

from mkpxeinit import elf
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import kernel_tree, make_tree

# A busy machine is no defect; hypothesis gives each example 200 ms otherwise.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def tree(tmp_path: Path) -> Sysroot:
    """A small tree with one kernel."""
    return Sysroot.open(make_tree(tmp_path / "tree", kernel_tree()))


@pytest.fixture(scope="session")
def host_busybox() -> Path:
    """This machine's static busybox, an oracle."""
    for path in (Path("/bin/busybox"), Path("/usr/bin/busybox")):
        if path.exists() and elf.inspect(path.read_bytes(), "busybox").interpreter is None:
            return path
    pytest.skip("no static busybox on this machine")
