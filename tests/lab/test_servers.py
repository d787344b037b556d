"""The servers answer inside the laboratory, and nowhere else."""

import os
import socket
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, LabError, rpc

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")


def answers(lab: Lab, version: int, port: int = 2049) -> bool:
    try:
        lab.wait_rpc(port, rpc.NFS_PROGRAM, version, 0.5)
    except LabError:
        return False
    return True


def test_nfs_versions_and_restart(tmp_path: Path) -> None:
    with Lab.open() as lab:
        four = lab.ganesha({"/x": tmp_path}, versions=(4,))
        assert answers(lab, 4)
        assert not answers(lab, 3)
        four.stop()
        assert not answers(lab, 4)
        four.start()
        assert answers(lab, 4)
        three = lab.ganesha({"/x": tmp_path}, versions=(3,), port=2050)
        assert answers(lab, 3, port=2050)
        assert three.running
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", 2050), timeout=1).close()


def test_dnsmasq_answers_names_late() -> None:
    with Lab.open() as lab:
        server = lab.dnsmasq(names={"nfs.lab": "10.77.0.9"}, start=False)
        assert not server.running
        server.start()
        asked = lab.space.run(["busybox", "nslookup", "nfs.lab", SERVER], timeout=10, check=False)
        assert b"10.77.0.9" in asked.stdout
        server.stop()
        assert not server.running
        assert "started" in server.said()


def test_a_variant_leaves_its_tree_alone(tmp_path: Path) -> None:
    (tmp_path / "sbin").mkdir()
    (tmp_path / "sbin/init").write_text("the real one")
    with Lab.open() as lab:
        view = lab.variant(tmp_path, remove=["sbin/init"], files={"odd\nname": b"x"})
        inside = lab.space.path(view)
        assert sorted(path.name for path in inside.iterdir()) == ["odd\nname", "sbin"]
        assert not (inside / "sbin/init").exists()
        lab.ganesha({"/view": view})
    assert (tmp_path / "sbin/init").read_text() == "the real one"
    assert not view.exists()


def test_an_export_that_is_not_there_is_said(tmp_path: Path) -> None:
    with Lab.open() as lab, pytest.raises(LabError, match="(?s)refused an export.*missing"):
        lab.ganesha({"/x": tmp_path / "missing"})
