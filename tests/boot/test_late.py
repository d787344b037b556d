"""Servers that come later than their clients: the boot waits, says for what, and goes on."""

from pathlib import Path

import pytest

from pxelab import SERVER, DeadlineError, Lab, Machine, Nic, Tree
from tests.boot.quick import EXPORT, read_report, reporting_tree

LATE_SECONDS = 30.0
DHCP_LATE_SECONDS = 60.0


@pytest.mark.long
def test_dhcp_server_60_s_late(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """No answer for a minute: named after three rounds, asked on, then a boot as usual."""
    lab.ganesha({EXPORT: reporting_tree(lab, bookworm)})
    dhcp = lab.dnsmasq(root_path=EXPORT, next_server=SERVER, start=False)
    machine = lab.machine(Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,), guest=False))
    began = machine.expect(r"phase lease", 60).time
    machine.expect(r"PXE-INIT-lease-none", 60)
    lab.sleep_until(machine, began + DHCP_LATE_SECONDS)
    machine.forbid(r"phase root")
    dhcp.start()
    report = read_report(machine, 90)
    assert report.state["code"] == "PXE-INIT-lease-none"
    assert float(report.state["phase.root"]) - float(report.state["phase.lease"]) >= DHCP_LATE_SECONDS - 2


def test_nfs_server_30_s_late(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """The port is closed for half a minute: named, tried on, then a boot as usual."""
    nfs = lab.ganesha({EXPORT: reporting_tree(lab, bookworm)}, start=False)
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = lab.machine(Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,), guest=False))
    began = machine.expect(r"phase root", 60).time
    machine.expect(r"PXE-INIT-root-unreachable", 60)
    lab.sleep_until(machine, began + LATE_SECONDS)
    machine.forbid(r"handing over")
    nfs.start()
    report = read_report(machine, 90)
    assert float(report.state["phase.writable"]) - float(report.state["phase.root"]) >= LATE_SECONDS - 2


@pytest.mark.long
def test_nfs_server_hangs(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """The port is open and nobody answers: each attempt has its deadline, and the next one finds it well."""
    nfs = lab.ganesha({EXPORT: reporting_tree(lab, bookworm)})
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    nfs.pause()
    machine = lab.machine(Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,), guest=False))
    machine.expect(r"waiting \d+ s, then trying again: the NFS server .* \(no answer within 10 s\)", 60)
    machine.expect(r"PXE-INIT-root-unreachable", 90)
    nfs.resume()
    assert read_report(machine, 90).state["nfs.vers"] == "4.2"


def test_link_comes_late(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """The cable is out at power-on; its absence has a code, and plugging it in is enough."""
    lab.ganesha({EXPORT: reporting_tree(lab, bookworm)})
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = lab.machine(
        Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,), nics=(Nic(link=False),), guest=False)
    )
    machine.expect(r"PXE-INIT-network-no-link: no link on eth0", 60)
    with pytest.raises(DeadlineError):
        machine.expect(r"phase lease", 3)
    machine.set_link(0, up=True)
    read_report(machine)
