"""The drop-in of docs/drop-ins.md in a booted client, which gets a disk over iSCSI by it."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Tree, trees
from tests.boot.quick import quick_boot
from tests.unit.doc_blocks import files_in

DISK_BYTES = 32 << 20
TARGET = "iqn.2026-01.net.example:scratch"


@pytest.fixture(scope="session")
def iscsi_tree() -> Tree:
    """A Debian 12 tree with open-iscsi, whose iscsistart is dynamic."""
    return trees.debian("bookworm", ["open-iscsi"])


def start_target(lab: Lab, disk: Path) -> None:
    """Serve `disk` over iSCSI, by tgt(8), which needs nothing of the kernel."""
    with (lab.results / "tgtd.log").open("wb") as log:
        lab.space.start("tgtd", ["tgtd", "-f", "-d", "1"], stdout=log, stderr=log)
    admin = ["tgtadm", "--lld", "iscsi", "--mode"]
    end = time.monotonic() + 20
    while lab.space.run([*admin, "system", "--op", "show"], check=False).returncode:
        assert time.monotonic() < end, "tgtd does not answer"
        time.sleep(0.2)
    lab.space.run([*admin, "target", "--op", "new", "--tid", "1", "-T", TARGET])
    unit = ["logicalunit", "--op", "new", "--tid", "1", "--lun", "1", "-b", str(disk)]
    lab.space.run([*admin, *unit])
    lab.space.run([*admin, "target", "--op", "bind", "--tid", "1", "-I", "ALL"])


@pytest.mark.long
def test_disk_over_iscsi(
    lab: Lab, iscsi_tree: Tree, build_image: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "mkpxeinit.d"
    folder.mkdir()
    for name, text in files_in("drop-ins.md").items():
        (folder / name).write_text(text.replace("192.0.2.10", SERVER))
    content = tmp_path / "content"
    content.mkdir()
    (content / "hello").write_text("from the disk\n")
    disk = lab.folder / "disk"
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-d", content, disk], check=True, capture_output=True)
    start_target(lab, disk)
    image = build_image(iscsi_tree, "--drop-in-dir", str(folder))
    report = quick_boot(
        lab,
        iscsi_tree,
        image,
        commands={
            "disk": "cat /srv/hello; echo more > /srv/more && cat /srv/more",
            "target": "cat /sys/class/iscsi_session/session*/targetname",
        },
    )
    assert report.sections["disk"].splitlines() == ["from the disk", "more"]
    assert report.sections["target"] == TARGET
    assert report.mounts["/srv"][1] == "ext4" and report.mounts["/srv"][0].startswith("/dev/sd")
    assert "failed with status" not in report.sections["log"]
