"""The network in the ways in which it fails or is odd: each case ends in a running system or in its code."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Loss, Machine, Nic, Tree, Voice, busyboxes
from pxelab.odd import ROOT_PATH, ROUTER
from pxelab.running import RunningMachine
from tests.boot.quick import EXPORT, Report, read_report, reporting_tree

ROOT = (ROOT_PATH, EXPORT.encode())
DISCOVER, REQUEST, DECLINE = 1, 3, 4
GOOD = Voice(SERVER, ("10.77.0.150",), (ROOT,))
ADDRESSES = {
    "addresses": "ip -4 -o address show",
    "addresses6": "ip -6 -o address show",
    "routes": "ip route",
    "up": "ip -o link show up",
}


def switch_on(
    lab: Lab,
    tree: Tree,
    image: Path,
    *,
    append: str = "",
    nics: tuple[Nic, ...] = (Nic(),),
    memory: int = 1024,
    arguments: Sequence[str] = (),
) -> RunningMachine:
    """A machine on a network whose NFS server is there, with the tree that reports."""
    lab.ganesha({EXPORT: reporting_tree(lab, tree, ADDRESSES)})
    return lab.machine(
        Machine(
            kernel=tree.vmlinuz, initrd=(image,), append=append, nics=nics, memory=memory,
            guest=False, arguments=tuple(arguments),
        )
    )  # fmt: skip


def lease_seconds(report: Report) -> float:
    """How long the phase lease took, in the guest's time."""
    return float(report.state["phase.root"]) - float(report.state["phase.lease"])


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(Loss(dhcp_up=2), id="from-the-client"),
        pytest.param(Loss(dhcp_down=2), id="to-the-client", marks=pytest.mark.long),
        pytest.param(Loss(probability=0.5, dhcp=True), id="at-random", marks=pytest.mark.long),
    ],
)
def test_every_second_dhcp_frame_is_lost(lab: Lab, bookworm: Tree, bookworm_image: Path, loss: Loss) -> None:
    dhcp = lab.odd_dhcp(GOOD)
    machine = switch_on(lab, bookworm, bookworm_image, nics=(Nic(loss=loss),))
    report = read_report(machine)
    assert lease_seconds(report) < 60
    assert {asked.kind for asked in dhcp.asked} == {DISCOVER, REQUEST}
    came, lost = machine.cables[0].counts()
    assert 2 <= lost < came


@pytest.mark.long
def test_30_percent_of_all_frames_are_lost(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """On the way to the root; then the cable is mended, for no TCP reads a Debian over it in a day."""
    lab.odd_dhcp(GOOD)
    loss = Loss(probability=0.3, seconds=60.0)
    machine = switch_on(lab, bookworm, bookworm_image, nics=(Nic(loss=loss),))
    read_report(machine, 240)
    _, lost = machine.cables[0].counts()
    assert lost > 10


def test_a_refusal_then_a_good_offer(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    dhcp = lab.odd_dhcp(Voice(SERVER, ("10.77.0.150",), (ROOT,), naks=2))
    report = read_report(switch_on(lab, bookworm, bookworm_image))
    assert "DHCP on eth0: the server says no: ''" in report.sections["log"]
    assert "code" not in report.state
    # The one who keeps the lease may have asked, too.
    assert len([asked for asked in dhcp.asked if asked.kind == REQUEST]) in (3, 4)


def test_an_offer_without_root_path(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """The useless lease is taken in the end, and the failure is the root's; a mended server is noticed."""
    dhcp = lab.odd_dhcp(Voice(SERVER, ("10.77.0.150",)))
    machine = switch_on(lab, bookworm, bookworm_image)
    machine.expect(r"has no root-path, and the command line none: asking on", 60)
    machine.expect(r"PXE-INIT-root-no-path", 60)
    vendors = [asked.options[60] for asked in dhcp.asked if asked.kind == DISCOVER]
    assert vendors[:3] == [b"pxeinit", b"PXEClient:Arch:00000:UNDI:003016", b"pxeinit"]
    assert dhcp.asked[0].options[61] == b"\1" + bytes.fromhex(dhcp.asked[0].mac.replace(":", ""))
    dhcp.stop()
    lab.odd_dhcp(GOOD)
    assert read_report(machine).state["code"] == "PXE-INIT-root-no-path"


def test_two_servers_one_useless(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """The one that knows the root looks for the address first, the first time, and is too slow then."""
    useless = Voice("10.77.0.9", ("10.77.0.190",), delays=(0.0, 0.2))
    dhcp = lab.odd_dhcp(useless, Voice(SERVER, ("10.77.0.150",), (ROOT,), delays=(1.0, 0.0)))
    report = read_report(switch_on(lab, bookworm, bookworm_image))
    assert "10.77.0.150/24" in report.sections["addresses"]
    assert "10.77.0.190" not in report.sections["addresses"]
    assert "code" not in report.state
    assert lease_seconds(report) < 10
    servers = [asked.options[54] for asked in dhcp.asked if asked.kind == REQUEST]
    assert servers[:2] == [bytes((10, 77, 0, 9)), bytes((10, 77, 0, 1))]
    # The one who keeps the lease may have asked, too.
    assert set(servers[2:]) <= {bytes((10, 77, 0, 1))}


@pytest.mark.long
def test_two_servers_and_the_useless_one_always_first(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """It ends in a code that says what is missing; with the root on the command line it is no fault."""
    useless = Voice("10.77.0.9", ("10.77.0.190",))
    lab.odd_dhcp(useless, Voice(SERVER, ("10.77.0.150",), (ROOT,), delays=(0.3,)))
    machine = switch_on(lab, bookworm, bookworm_image, append="panic=1")
    machine.expect(r"no lease with a root-path came; the one of 10\.77\.0\.9 on eth0 is taken", 60)
    machine.expect(r"PXE-INIT-root-no-path", 30)
    machine.wait(30)
    again = lab.machine(
        Machine(
            kernel=bookworm.vmlinuz,
            initrd=(bookworm_image,),
            append=f"nfsroot={SERVER}:{EXPORT}",
            guest=False,
        )
    )
    assert "10.77.0.190/24" in read_report(again).sections["addresses"]


def test_an_address_in_use(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Declined; the server offers another one."""
    lab.ip("addr add 10.77.0.150/24 dev br0")
    dhcp = lab.odd_dhcp(Voice(SERVER, ("10.77.0.150", "10.77.0.151"), (ROOT,)))
    report = read_report(switch_on(lab, bookworm, bookworm_image))
    assert "10.77.0.151/24" in report.sections["addresses"]
    assert [asked.kind for asked in dhcp.asked].count(DECLINE) == 1


def test_the_boot_server_is_not_the_dhcp_server(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Next-server, with the root-path in the header's file name (overload), classless routes and an MTU."""
    lab.ip("addr add 10.77.0.2/24 dev br0")
    path = EXPORT.encode()
    routes = bytes((24, 10, 99, 1, 10, 77, 0, 3, 16, 10, 98, 0, 0, 0, 0, 0, 10, 77, 0, 4))
    options = ((52, b"\1"), (ROUTER, bytes((10, 77, 0, 9))), (26, b"\x05\x78"), (121, routes))
    in_file = bytes((ROOT_PATH, len(path))) + path + b"\xff"
    lab.odd_dhcp(Voice(SERVER, ("10.77.0.150",), options, next_server="10.77.0.2", file=in_file))
    report = read_report(switch_on(lab, bookworm, bookworm_image))
    assert report.state["root.address"] == "10.77.0.2"
    routes_shown = report.sections["routes"]
    assert "default via 10.77.0.4 dev eth0" in routes_shown
    assert "10.99.1.0/24 via 10.77.0.3 dev eth0" in routes_shown
    assert "10.98.0.0/16 dev eth0" in routes_shown
    assert "10.77.0.9" not in routes_shown
    assert "mtu 1400" in report.sections["up"]


def test_the_link_flaps_while_the_root_is_mounted(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    lab.odd_dhcp(GOOD)
    machine = switch_on(lab, bookworm, bookworm_image)
    machine.expect(r"root: mounting", 60)
    for _ in range(3):
        machine.set_link(0, up=False)
        time.sleep(1.5)
        machine.set_link(0, up=True)
        time.sleep(0.5)
    assert read_report(machine).state["root"].endswith(EXPORT)


@pytest.mark.long
def test_the_link_comes_after_50_s(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    lab.odd_dhcp(GOOD)
    machine = switch_on(lab, bookworm, bookworm_image, append="quiet", nics=(Nic(link=False),))
    machine.expect(r"still waiting for a link on eth0 \(3 s\)", 60)
    began = machine.expect(r"PXE-INIT-network-no-link", 60).time
    machine.expect(r"still waiting for a link on eth0 \(33 s\)", 60)
    lab.sleep_until(machine, began + 40)
    machine.set_link(0, up=True)
    report = read_report(machine)
    assert float(report.state["phase.lease"]) - float(report.state["phase.network"]) > 40


FOUR = tuple(Nic(mac=f"52:54:00:99:00:0{number}", link=number == 3) for number in range(1, 5))


@pytest.mark.parametrize("append", ["", "BOOTIF=01-52-54-00-99-00-03"], ids=["without-bootif", "with-bootif"])
def test_four_cards_one_cabled(lab: Lab, bookworm: Tree, bookworm_image: Path, append: str) -> None:
    dhcp = lab.odd_dhcp(GOOD)
    report = read_report(switch_on(lab, bookworm, bookworm_image, append=append, nics=FOUR))
    used = report.state["interface"]
    assert {asked.mac for asked in dhcp.asked} == {"52:54:00:99:00:03"}
    up = [line for line in report.sections["up"].splitlines() if "loopback" not in line]
    assert len(up) == 1
    assert f": {used}:" in up[0]


@pytest.mark.long
def test_bootif_names_a_card_without_a_cable(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    lab.odd_dhcp(GOOD)
    append = "BOOTIF=01-52-54-00-99-00-01"
    report = read_report(switch_on(lab, bookworm, bookworm_image, append=append, nics=FOUR))
    assert "has no link after 30 s: the other interfaces are taken too" in report.sections["log"]
    assert "52:54:00:99:00:03" in report.sections["up"]
    # (Whole seconds are counted, from the second in which the wait began.)
    assert 29 <= float(report.state["phase.lease"]) - float(report.state["phase.network"]) < 40


def test_dead_dns_and_a_server_with_a_name(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Named, tried on; when DNS comes to life, the boot goes on."""
    root = (ROOT_PATH, b"nfs.lab:" + EXPORT.encode())
    lab.odd_dhcp(Voice(SERVER, ("10.77.0.150",), (root, (6, bytes((10, 77, 0, 1))))))
    machine = switch_on(lab, bookworm, bookworm_image)
    machine.expect(r"PXE-INIT-root-dns", 120)
    lab.dnsmasq(names={"nfs.lab": SERVER}, dhcp=False)
    report = read_report(machine)
    assert report.state["root.address"] == SERVER


def test_a_clock_at_1970_and_256_mb(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    lab.odd_dhcp(GOOD)
    machine = switch_on(
        lab, bookworm, bookworm_image, memory=256, arguments=("-rtc", "base=1970-01-01T00:00:10")
    )
    report = read_report(machine)
    assert "code" not in report.state
    assert "warning" not in report.sections["log"]


def test_a_vlan(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """On a trunk port that carries tagged frames alone."""
    lab.odd_dhcp(GOOD)
    nics = (Nic(loss=Loss(vlan=5)),)
    report = read_report(switch_on(lab, bookworm, bookworm_image, append="vlan=vlan5:eth0", nics=nics))
    assert report.state["interface"] == "vlan5"
    assert "vlan5    inet 10.77.0.150/24" in report.sections["addresses"]
    assert "eth0" not in report.sections["addresses"]


def test_a_bond_of_which_one_cable_is_out(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    lab.odd_dhcp(GOOD)
    append = "bond=bond0:eth0,eth1:mode=active-backup ip=bond0:dhcp"
    machine = switch_on(lab, bookworm, bookworm_image, append=append, nics=(Nic(link=False), Nic()))
    report = read_report(machine)
    assert report.state["interface"] == "bond0"
    assert "bond0    inet 10.77.0.150/24" in report.sections["addresses"]
    assert report.sections["up"].count("master bond0") == 2


def test_several_ip(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    lab.add_bridge("br1", "10.78.0")
    lab.odd_dhcp(GOOD)
    append = "ip=eth0:dhcp ip=10.78.0.7:::255.255.0.0::eth1:off netconsole=@/,@10.77.0.1/"
    report = read_report(
        switch_on(lab, bookworm, bookworm_image, append=append, nics=(Nic(), Nic(bridge="br1")))
    )
    assert "eth0    inet 10.77.0.150/24" in report.sections["addresses"]
    assert "eth1    inet 10.78.0.7/16" in report.sections["addresses"]
    assert "the kernel's messages go to netconsole=@/eth0,@10.77.0.1/" in report.sections["log"]


@pytest.mark.long
def test_ipv6_by_router_advertisements(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """No IPv4 address at all: the kernel makes its own, the command line names the root."""
    lab.ip("addr add fd00:77::1/64 dev br0 nodad")
    lines = ("dhcp-range=fd00:77::,ra-only", "enable-ra")
    lab.dnsmasq(dhcp=False, lines=lines)
    append = f"ip=auto6 nfsroot=[fd00:77::1]:{EXPORT}"
    report = read_report(switch_on(lab, bookworm, bookworm_image, append=append))
    assert report.state["root.address"] == "fd00:77::1"
    assert "inet " not in report.sections["addresses"].replace("inet 127.0.0.1", "")


@pytest.mark.long
def test_ipv6_by_dhcp(lab: Lab, bookworm: Tree, build_image: Callable[..., Path]) -> None:
    """A busybox with udhcpc6; the address, the name server and its search list come by DHCPv6."""
    image = build_image(bookworm, "--busybox", str(busyboxes.ours()))
    lab.ip("addr add fd00:77::1/64 dev br0 nodad")
    lines = (
        "enable-ra",
        "dhcp-range=fd00:77::100,fd00:77::1ff,64,600",
        "dhcp-option=option6:dns-server,[fd00:77::1]",
        "dhcp-option=option6:domain-search,lab",
    )
    dhcp = lab.dnsmasq(dhcp=False, lines=lines, names={"nfs.lab": "fd00:77::1"})
    machine = switch_on(lab, bookworm, image, append=f"ip=dhcp6 nfsroot=nfs:{EXPORT}")
    report = read_report(machine)
    assert report.state["root.address"] == "fd00:77::1"
    assert "code" not in report.state
    assert "inet6 fd00:77::1" in report.sections["addresses6"]
    assert "inet " not in report.sections["addresses"].replace("inet 127.0.0.1", "")
    assert report.sections["resolv.conf"].splitlines() == [
        "search lab",
        "nameserver fd00:0077:0000:0000:0000:0000:0000:0001",
    ]
    assert "DHCPREPLY(br0) fd00:77::1" in dhcp.said()
    assert "the DHCPv6 lease of eth0 has an end and is not renewed" in report.sections["log"]


@pytest.mark.long
def test_no_dhcpv6_server(lab: Lab, bookworm: Tree, build_image: Callable[..., Path]) -> None:
    """Named; router advertisements, which come later, are taken as well."""
    image = build_image(bookworm, "--busybox", str(busyboxes.ours()))
    lab.ip("addr add fd00:77::1/64 dev br0 nodad")
    append = f"ip=dhcp6 nfsroot=[fd00:77::1]:{EXPORT}"
    machine = switch_on(lab, bookworm, image, append=append)
    machine.expect(r"PXE-INIT-lease-none: no IPv6 address on eth0", 90)
    lab.dnsmasq(dhcp=False, lines=("dhcp-range=fd00:77::,ra-only", "enable-ra"))
    assert read_report(machine).state["root.address"] == "fd00:77::1"
