"""What `mkpxeinit busybox` makes of a real source, Debian's: compiled once, and kept in the cache."""

import subprocess
from pathlib import Path

import pytest

from mkpxeinit import busybox, busybox_config, resources
from mkpxeinit.busybox_build import MAX_SIZE
from pxelab import busyboxes

# What ash brings along, and busybox itself.
BESIDES = {"ash", "busybox"}


@pytest.mark.slow
def test_what_it_can_do() -> None:
    """It runs here, and has the applets of the list and no others."""
    ours = busyboxes.ours()
    said = subprocess.run(
        [ours, "--list"], capture_output=True, check=True, text=True, timeout=10
    ).stdout.split()
    assert busybox.applet_names(ours.read_bytes()) == tuple(said)
    needs = busybox.read_needs(resources.folder("busybox-configs") / "applets.txt")
    wanted = {*needs.required, *needs.optional, *busybox_config.EXTRA_APPLETS}
    assert set(said) - BESIDES == wanted - BESIDES
    assert ours.stat().st_size < MAX_SIZE


@pytest.mark.long
def test_the_same_bytes_twice(tmp_path: Path) -> None:
    """Each build has a scratch folder of its own, and its own order of processes."""
    busyboxes.build(busyboxes.source(), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == busyboxes.ours().read_bytes()
