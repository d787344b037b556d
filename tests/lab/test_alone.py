"""Trees in which something is mounted: what NFS-Ganesha makes of them, and what is exported instead."""

import json
import os
import sys
from pathlib import Path

import pytest

from pxelab import Lab, LabError
from pxelab.alone import alone, mounts_below

EXPORT = "/netboot/pxeclient"
# An NFS client that mounts nothing: says for each name of the root what became of it.
ASK = """
import json, sys
from mkpxeinit.netboot.probe.nfs import StatusError
from mkpxeinit.netboot.probe.nfs4 import Nfs4

told = {}
with Nfs4("127.0.0.1", 2049, 1, sys.argv[1], 5.0) as export:
    for name in ("file", "folder", "proc"):
        try:
            told[name] = export.lookup(export.root, name).kind.name
        except StatusError as error:
            told[name] = error.status
print(json.dumps(told))
"""
CROSSES = 18  # NFS4ERR_XDEV, RFC 7530, 13.1.2.3


def test_mounts_below() -> None:
    table = (
        "overlay / overlay rw 0 0\nproc /srv/pc/proc proc rw 0 0\n/dev/sda1 /srv/pc ext4 rw 0 0\n"
        "tmpfs /srv/pc2/tmp tmpfs rw 0 0\n/dev/sda2 /srv/pc/my\\040disk ext4 rw 0 0\n"
        "proc /srv/pc/proc proc rw 0 0\n"
    )
    found = (("my disk", "ext4"), ("proc", "proc"))
    assert mounts_below(table, Path("/srv/pc")) == found
    assert [name for name, _ in mounts_below(table, Path("/"))] == [
        "srv/pc",
        "srv/pc/my disk",
        "srv/pc/proc",
        "srv/pc2/tmp",
    ]
    assert mounts_below(table, Path("/srv/pc/proc")) == ()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    for name in ("folder", "proc", "disk"):
        (made / name).mkdir(parents=True)
    (made / "file").write_text("text")
    for each in (tmp_path, made):
        each.chmod(0o755)
    return made


def told(lab: Lab, tree: Path) -> dict[str, object]:
    """Return what a client of Ganesha finds in the tree."""
    lab.ganesha({EXPORT: tree})
    found: dict[str, object] = json.loads(lab.space.run([sys.executable, "-c", ASK, EXPORT]).stdout)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")
def test_what_is_mounted_is_left_out(tree: Path) -> None:
    with Lab.open() as lab:
        assert alone(lab, tree) == (tree, ())
        # Another disk is Ganesha's own affair.
        lab.space.run(["mount", "--bind", str(tree / "folder"), str(tree / "disk")])
        assert alone(lab, tree) == (tree, ())
        lab.space.run(["mount", "-t", "proc", "proc", str(tree / "proc")])
        view, left_out = alone(lab, tree)
        assert left_out == ("/disk", "/proc")
        assert told(lab, view) == {"file": "FILE", "folder": "FOLDER", "proc": "FOLDER"}
        assert list(lab.space.path(view / "proc").iterdir()) == []
    assert sorted(path.name for path in tree.iterdir()) == ["disk", "file", "folder", "proc"]


@pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")
def test_why_it_is_left_out(tree: Path) -> None:
    """The oracle: Ganesha cannot look at a mounted /proc. When it can, pxelab.alone has had its day."""
    with Lab.open() as lab:
        lab.space.run(["mount", "-t", "proc", "proc", str(tree / "proc")])
        assert told(lab, tree) == {"file": "FILE", "folder": "FOLDER", "proc": CROSSES}


@pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")
def test_an_overlay_cannot_be_helped(tree: Path) -> None:
    with Lab.open() as lab:
        view = lab.variant(tree)
        assert alone(lab, view) == (view, ())
        lab.space.run(["mount", "-t", "proc", "proc", str(view / "proc")])
        with pytest.raises(LabError, match=r"an overlay cannot be exported while /proc is mounted in it"):
            alone(lab, view)
