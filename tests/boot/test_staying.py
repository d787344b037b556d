"""The lease is renewed for as long as the machine runs, and nothing in the tree touches the address."""

import re
import time
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Tree, trees
from pxelab.running import RunningMachine
from pxelab.udhcpd import Udhcpd, UdhcpdSettings

EXPORT = "/netboot/pxeclient"
RUNNING_SECONDS = 300.0
MANAGERS = ("ifupdown", "isc-dhcp-client", "kexec-tools", "network-manager")
ADDRESS = "ip -4 -o address show dev eth0 | awk '{ print $4 }'"
WANTS = "etc/systemd/system/multi-user.target.wants"
DHCP_EVERYWHERE = {
    "etc/network/interfaces": b"auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n",
    "etc/systemd/network/10-all.network": b"[Match]\nName=*\n[Network]\nDHCP=yes\n",
}
# Its init starts no service for the laboratory's shell.
INITTAB = (
    b"T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\npx:23:once:/usr/bin/setsid /bin/sh /run/pxelab/agent\n"
)


@pytest.fixture(scope="session")
def sysvinit() -> Tree:
    """Debian 12 without systemd as its init."""
    return trees.sysvinit("bookworm")


@pytest.fixture(scope="session")
def managed() -> Tree:
    """Debian 12 with all that manages networks there."""
    return trees.debian("bookworm", MANAGERS)


def sysvinit_view(lab: Lab, tree: Tree) -> Path:
    """The tree with a shell for the laboratory, and a DHCP client that wants to start."""
    inittab = (tree.path / "etc/inittab").read_bytes() + INITTAB
    return lab.variant(tree.path, files={"etc/inittab": inittab, **DHCP_EVERYWHERE})


def boot(lab: Lab, tree: Tree, view: Path, build_image: object, append: str = "") -> RunningMachine:
    """Boot a tree and return the machine when its shell answers."""
    assert callable(build_image)
    lab.ganesha({EXPORT: view})
    machine = lab.machine(Machine(kernel=tree.vmlinuz, initrd=(build_image(tree),), append=append))
    machine.expect(r"handing over to", 120)
    machine.expect(r" login:", RUNNING_SECONDS)
    machine.check("true", RUNNING_SECONDS)
    return machine


def lives_beyond(machine: RunningMachine, server: Udhcpd, seconds: float) -> None:
    """The root answers all the time, the address stays, and the server has renewed the lease in time."""
    address = machine.check(ADDRESS)
    began, answered = time.monotonic(), server.count("sending ACK")
    offered = server.count("sending OFFER")
    while time.monotonic() - began < seconds:
        time.sleep(5)
        # The page cache is told to forget what it has, so that the server is asked.
        machine.check("sync; echo 3 > /proc/sys/vm/drop_caches; ls -lR /usr/lib > /dev/null")
        assert machine.check(ADDRESS) == address
    renewed = server.count("sending ACK") - answered
    assert renewed >= seconds / server.settings.lease
    # Renewed, not asked for from the start.
    assert server.count("sending OFFER") == offered
    machine.forbid(r"nfs: server .* not responding")
    # The boot's own log is there too; the keeper had nothing to complain about.
    complaints = "pxeinit: (DHCP offers|the lease of|the DHCP server no longer|no DHCP server renews)"
    assert machine.check(f"dmesg | grep -cE '{complaints}' || true") == "0"


# A lease of 20 s shows in one minute what one of 60 s shows in six.
LEASES = [(20, 50.0), (60, 330.0)]


@pytest.mark.long
@pytest.mark.parametrize(("lease", "seconds"), LEASES)
def test_short_lease_systemd(
    lab: Lab, bookworm: Tree, build_image: object, lease: int, seconds: float
) -> None:
    server = Udhcpd(lab, UdhcpdSettings(root_path=EXPORT, lease=lease))
    server.start()
    machine = boot(lab, bookworm, bookworm.path, build_image)
    assert machine.check("systemctl is-system-running --wait", RUNNING_SECONDS) == "running"
    lives_beyond(machine, server, seconds)
    # What stays in memory, in KiB: the files, its processes' own pages, their kernel stacks and page tables.
    files = int(machine.check("df --output=used /run/initramfs | tail -1"))
    ours = (
        """for p in /proc/[0-9]*; do case $(tr '\\0' ' ' < $p/cmdline) in '@/'*) cat $p/status;; esac; done"""
    )
    anonymous = machine.check(f"({ours}) | awk '/^RssAnon|^VmPTE/ {{ sum += $2 + 8 }} END {{ print sum }}'")
    assert int(anonymous) > 100
    assert files + int(anonymous) < 3 * 1024


@pytest.mark.long
@pytest.mark.parametrize(("lease", "seconds"), LEASES)
def test_short_lease_sysvinit(
    lab: Lab, sysvinit: Tree, build_image: object, lease: int, seconds: float
) -> None:
    server = Udhcpd(lab, UdhcpdSettings(root_path=EXPORT, lease=lease))
    server.start()
    machine = boot(lab, sysvinit, sysvinit_view(lab, sysvinit), build_image)
    assert machine.check("cat /proc/1/comm") == "init"
    assert machine.check("pidof dhclient || echo none") == "none"
    lives_beyond(machine, server, seconds)


@pytest.mark.long
def test_sysvinit_leaves_as_systemd_does(lab: Lab, sysvinit: Tree, build_image: object) -> None:
    """Off at once, the lease released, no complaint."""
    dhcp = lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = boot(lab, sysvinit, sysvinit_view(lab, sysvinit), build_image)
    machine.check("setsid sh -c 'sleep 1; poweroff' > /dev/null 2>&1 &")
    machine.expect(r"Will now halt", 90)
    began = time.monotonic()
    machine.wait(30)
    assert time.monotonic() - began < 20
    assert "DHCPRELEASE" in dhcp.said()
    # ifupdown says on its own that it leaves the interface alone, "network file systems still mounted".
    machine.forbid(r"Failed|Device or resource busy")


@pytest.mark.long
@pytest.mark.parametrize("manager", ["networkd", "ifupdown", "NetworkManager"])
def test_managers_leave_it_alone(lab: Lab, managed: Tree, build_image: object, manager: str) -> None:
    """Each of them is there and told by the tree to use DHCP on every interface."""
    dhcp = lab.dnsmasq(root_path=EXPORT, next_server=SERVER, lease=120)
    view = lab.variant(managed.path, files=DHCP_EVERYWHERE if manager != "NetworkManager" else {})
    wants = lab.space.path(view) / WANTS
    units = "/lib/systemd/system"
    if manager != "NetworkManager":
        (wants / "NetworkManager.service").unlink()
    if manager == "networkd":
        (wants / "networking.service").unlink()
        online = wants.parent / "network-online.target.wants"
        online.mkdir(exist_ok=True)
        (wants / "systemd-networkd.service").symlink_to(f"{units}/systemd-networkd.service")
        (wants / "network-online.target").symlink_to(f"{units}/network-online.target")
        name = "systemd-networkd-wait-online.service"
        (online / name).symlink_to(f"{units}/{name}")
        (online / "NetworkManager-wait-online.service").unlink(missing_ok=True)
    machine = boot(lab, managed, view, build_image)
    assert machine.check("systemctl is-system-running --wait", RUNNING_SECONDS) == "running"
    assert machine.check("systemctl list-units --failed --no-legend --plain") == ""
    if manager == "networkd":
        assert re.search(r"routable +configured", machine.check("networkctl --no-pager list eth0"))
    elif manager == "NetworkManager":
        assert machine.check("nmcli -g GENERAL.STATE device show eth0") == "10 (unmanaged)"
    else:
        assert machine.check("systemctl is-active networking") == "active"
    assert machine.check("pgrep -x 'dhclient|dhcpcd' || echo none") == "none"
    address = machine.check(ADDRESS)
    machine.check("ls -lR /usr/share/doc > /dev/null")
    # The client's own, and the keeper's; an address only.
    assert len({line.split(" ")[1] for line in dhcp.said().splitlines() if "DHCPDISCOVER(" in line}) == 2
    assert len(address.split()) == 1
    machine.power_off(90)
    assert "DHCPRELEASE" in dhcp.said()
    machine.forbid(r"Failed unmounting")


@pytest.mark.long
def test_kexec(lab: Lab, managed: Tree, build_image: object) -> None:
    """The loaded kernel runs without the firmware between: its command line is its own."""
    dhcp = lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = boot(lab, managed, managed.path, build_image)
    release = managed.release
    machine.check(f"kexec -l /boot/vmlinuz-{release} --command-line='console=ttyS0 second'", 120)
    # The shell may be gone before it could answer.
    machine.check("setsid sh -c 'sleep 1; systemctl --no-block kexec' > /dev/null 2>&1 &")
    machine.expect(r"Command line: console=ttyS0 second", 120, abort_on=None)
    assert "DHCPRELEASE" in dhcp.said()
    machine.forbid(r"rebooting instead|Failed unmounting")
