"""proxyDHCP: one server gives addresses and knows nothing of network boots, another names the boot file."""

from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Nic, Tree, netboot
from pxelab.udhcpd import Udhcpd, UdhcpdSettings
from tests.boot.quick import EXPORT, read_report, reporting_tree

BOOT_SERVER = "10.77.0.2"


def two_servers(lab: Lab, tftp: Path | None = None) -> Udhcpd:
    """Start udhcpd, and dnsmasq as a proxy whose boot server is another address; return the former."""
    lab.ip(f"addr add {BOOT_SERVER}/24 dev br0")
    lines = ("dhcp-range=10.77.0.0,proxy", f"pxe-service=x86PC,pxeinit,pxelinux,{BOOT_SERVER}")
    lab.dnsmasq(dhcp=False, lines=lines, tftp=tftp)
    addresses = Udhcpd(lab, UdhcpdSettings(root_path=None, lease=600))
    addresses.start()
    return addresses


@pytest.mark.parametrize(
    ("ipappend", "append", "told"),
    [
        pytest.param(3, f"nfsroot={EXPORT}", "as ip= says", id="ip-from-pxelinux"),
        pytest.param(
            2, f"nfsroot={BOOT_SERVER}:{EXPORT}", f"from {SERVER}, 600 s", id="dhcp", marks=pytest.mark.long
        ),
    ],
)
def test_the_boot_server_is_the_proxys(
    lab: Lab, bookworm: Tree, bookworm_image: Path, ipappend: int, append: str, told: str
) -> None:
    """From the card's ROM on; the root comes from the boot server, the address from the other."""
    folder = netboot.pxelinux(
        lab.folder / "tftp",
        bookworm.vmlinuz,
        (bookworm_image,),
        f"console=ttyS0 {append}",
        ipappend=ipappend,
    )
    lab.ganesha({EXPORT: reporting_tree(lab, bookworm)})
    addresses = two_servers(lab, folder.path)
    machine = lab.machine(Machine(nics=(Nic(model="e1000"),), guest=False))
    machine.expect(r"PXELINUX", 120)
    report = read_report(machine, 180)
    assert report.state["root.address"] == BOOT_SERVER
    assert told in report.sections["log"]
    assert "code" not in report.state
    assert addresses.count("sending ACK") >= 1


@pytest.mark.long
def test_the_proxy_alone_knows_no_root(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """It speaks to boot ROMs only: asked as one, it offers no address. The code says what is missing."""
    lab.ganesha({EXPORT: reporting_tree(lab, bookworm)})
    two_servers(lab)
    machine = lab.machine(Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,), guest=False))
    machine.expect(r"has no root-path, and the command line none: asking on", 60)
    machine.expect(r"PXE-INIT-root-no-path", 60)
