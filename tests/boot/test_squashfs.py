"""A squashfs on the export as the tree: one that is not whole, and a server that is gone at the end."""

import time
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Tree
from tests.boot.quick import BOOT_SECONDS, read_report, reporting_tree
from tests.boot.test_systems import make_squashfs
from tests.netboot import servers

pytestmark = pytest.mark.long

EXPORT = "/srv/live"
RUNNING_SECONDS = 300.0


def test_one_that_is_cut_off_and_then_whole(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """A copy that is not finished has its code, and the machine comes up by itself when it is."""
    view = reporting_tree(lab, bookworm, {"written": "touch /usr/written || echo refused"})
    live = servers.folder_of(lab, "live")
    image = live / "image.squashfs"
    make_squashfs(lab, view, live / "whole")
    image.write_bytes((live / "whole").read_bytes()[:100_000])
    lab.ganesha({EXPORT: live})
    lab.dnsmasq(root_path=f"{SERVER}:{EXPORT}/image.squashfs", next_server=SERVER)
    machine = lab.machine(
        Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,), append="quick", guest=False)
    )
    machine.expect(
        r"PXE-INIT-root-squashfs-format: .*image\.squashfs: this is no whole squashfs", BOOT_SECONDS
    )
    machine.expect(r"why: .*the file has 100000 bytes of its \d+", 5)
    (live / "whole").rename(image)
    report = read_report(machine)
    assert report.state["root"] == f"{SERVER}:{EXPORT}/image.squashfs"
    assert report.mounts["/nfsroot"][:2] == ("/dev/loop0", "squashfs")
    # What holds the file is not among the mounts.
    assert not any(kind.startswith("nfs") for _, kind, _ in report.mounts.values())
    assert report.sections["written"].endswith("refused")


@pytest.mark.parametrize("mode", ["farm", "overlay"])
def test_power_off_without_the_server(lab: Lab, bookworm: Tree, bookworm_image: Path, mode: str) -> None:
    live = servers.folder_of(lab, "live")
    make_squashfs(lab, lab.variant(bookworm.path), live / "image.squashfs")
    nfs = lab.ganesha({EXPORT: live})
    dhcp = lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    append = f"pxeinit.mode={mode} pxeinit.squashfs=image.squashfs"
    machine = lab.machine(Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,), append=append))
    machine.expect(r" login:", RUNNING_SECONDS)
    assert machine.check("systemctl is-system-running --wait", RUNNING_SECONDS) == "running"
    # What is not in memory has to be read.
    machine.check("sync; echo 3 > /proc/sys/vm/drop_caches")
    nfs.pause()
    time.sleep(5)
    machine.control("system_powerdown")
    began = time.monotonic()
    machine.wait(120)
    assert time.monotonic() - began < 60
    machine.expect(r"is silent: poweroff without the rest", 1)
    machine.forbid(r"Kernel panic")
    assert "DHCPRELEASE" in dhcp.said()
    nfs.resume()
