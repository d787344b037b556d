"""lease.sh: what the kernel is told of a lease, of one interface or of several."""

import pytest

from tests.init.fakeroot import LEASE, FakeRoot, Result

PRELUDE = "read_params; read_release; read_ip_param; raised=' eth0 eth1 eth2 '; list_interfaces; list_linked;"


def run(root: FakeRoot, cmdline: str = "", code: str = "phase_lease; echo status $?") -> Result:
    root.write("proc/cmdline", cmdline)
    return root.run(f"{PRELUDE} {code}")


def ip(root: FakeRoot) -> list[str]:
    return [" ".join(words) for words in root.calls("ip")]


def test_a_static_address(root: FakeRoot) -> None:
    root.nic()
    said = run(
        root, "ip=10.0.0.2:10.0.0.1:10.0.0.254:255.255.0.0:c1:eth0:off:1.1.1.1::10.0.0.3 nameserver=9.9.9.9"
    )
    assert said.console == "pxeinit: [3.00] lease: eth0 has 10.0.0.2/16, as ip= says\nstatus 0\n"
    assert ip(root) == [
        "addr add 10.0.0.2/16 broadcast + dev eth0",
        "route add 0.0.0.0/0 via 10.0.0.254 dev eth0",
    ]
    assert root.read("etc/resolv.conf") == "nameserver 9.9.9.9\nnameserver 1.1.1.1"
    assert root.read("proc/sys/kernel/hostname") == "c1"
    assert root.read("run/pxeinit/lease/eth0/next-server") == "10.0.0.1"
    assert root.read("run/pxeinit/lease/eth0/ntp") == "10.0.0.3"
    assert root.calls("arping") == [["-q", "-D", "-f", "-c", "2", "-w", "1", "-I", "eth0", "10.0.0.2"]]
    assert root.state()["interface"] == "eth0"
    assert root.calls("udhcpc") == []


@pytest.mark.parametrize(("mask", "prefix"), [("", "24"), ("255.0.0.255", "24"), ("255.255.255.252", "30")])
def test_a_static_mask(root: FakeRoot, mask: str, prefix: str) -> None:
    root.nic()
    run(root, f"ip=10.0.0.2:::{mask}:::off")
    assert ip(root)[0] == f"addr add 10.0.0.2/{prefix} broadcast + dev eth0"


def test_a_lease(root: FakeRoot) -> None:
    root.nic()
    # The clock stands, whatever the number of looks.
    root.fake("usleep")
    root.dhcp(
        values={
            **LEASE,
            "mtu": "1400",
            "hostname": "c1",
            "dns": "1.1.1.1 8.8.8.8",
            "domain": "lab",
            "lease": "60",
        }
    )
    said = run(root)
    assert said.console == (
        "pxeinit: [3.00] lease: asking DHCP on eth0\n"
        "pxeinit: [3.00] lease: eth0 has 10.0.2.15/24 from 10.0.2.2, 60 s\nstatus 0\n"
    )
    assert ip(root) == [
        "link set eth0 mtu 1400",
        "addr add 10.0.2.15/24 broadcast + dev eth0",
        "route add 0.0.0.0/0 via 10.0.2.2 dev eth0",
    ]
    assert root.read("etc/resolv.conf") == "search lab\nnameserver 1.1.1.1\nnameserver 8.8.8.8"
    assert root.read("proc/sys/kernel/hostname") == "c1"


def test_a_bare_lease(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(values={"ip": "10.0.2.15"})
    said = run(root, "nfsroot=/x")
    assert "eth0 has 10.0.2.15/24 from an unnamed server, no s" in said.console
    assert ip(root) == ["addr add 10.0.2.15/24 broadcast + dev eth0"]
    assert root.read("etc/resolv.conf") == ""


def test_a_router_outside_the_subnet_gets_a_way(root: FakeRoot) -> None:
    root.nic()
    root.dhcp()
    root.fake(
        "ip", when="route add 0.0.0.0/0", fails=[2, 0], says="ip: RTNETLINK answers: Network is unreachable"
    )
    said = run(root)
    assert said.warnings == []
    assert "unreachable" not in said.console
    assert ip(root)[1:] == [
        "route add 0.0.0.0/0 via 10.0.2.2 dev eth0",
        "route add 10.0.2.2 dev eth0",
        "route add 0.0.0.0/0 via 10.0.2.2 dev eth0",
    ]


def test_no_route_is_a_warning(root: FakeRoot) -> None:
    root.nic()
    root.dhcp()
    root.fake("ip", when="route", fails=2)
    said = run(root)
    assert said.warnings == ["no route to 0.0.0.0/0 through the router 10.0.2.2"]
    assert said.console.endswith("status 0\n")


def test_classless_routes_replace_the_router(root: FakeRoot) -> None:
    root.nic()
    routes = "0.0.0.0/0 10.0.9.1 10.1.0.0/16 10.0.2.3 10.0.9.0/24 0.0.0.0"
    root.dhcp(values={**LEASE, "staticroutes": routes})
    assert run(root).warnings == []
    # What is on the interface itself comes first: the gateways may be there.
    assert ip(root)[1:] == [
        "route add 10.0.9.0/24 dev eth0",
        "route add 0.0.0.0/0 via 10.0.9.1 dev eth0",
        "route add 10.1.0.0/16 via 10.0.2.3 dev eth0",
    ]


def test_a_classless_route_that_the_kernel_refuses(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(values={**LEASE, "staticroutes": "10.0.9.0/24 0.0.0.0"})
    root.fake("ip", when="route", fails=2)
    assert run(root).warnings == ["no route to 10.0.9.0/24 on eth0"]


def test_an_mtu_that_the_card_refuses(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(values={**LEASE, "mtu": "9000"})
    root.fake("ip", when="mtu", fails=2)
    said = run(root)
    assert said.warnings == ["eth0 does not take the MTU 9000"]
    assert said.console.endswith("status 0\n")


def test_what_ip_says_has_the_last_word(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(values={**LEASE, "hostname": "theirs", "staticroutes": "0.0.0.0/0 10.0.2.9", "dns": "8.8.8.8"})
    run(root, "ip=10.0.2.15:10.0.2.7:10.0.2.8::ours::dhcp:1.1.1.1::10.0.2.6")
    base = "run/pxeinit/lease/eth0"
    assert root.read(f"{base}/hostname") == "ours"
    assert root.read(f"{base}/next-server") == "10.0.2.7"
    assert root.read(f"{base}/ntp") == "10.0.2.6"
    assert root.read("etc/resolv.conf") == "nameserver 1.1.1.1"
    assert ip(root)[-1] == "route add 0.0.0.0/0 via 10.0.2.8 dev eth0"
    (call,) = [words for words in root.calls("udhcpc") if "-f" in words]
    assert call[call.index("-r") + 1] == "10.0.2.15"
    assert call[call.index("-x") + 1] == "hostname:ours"


@pytest.mark.parametrize(
    ("fake", "cmdline", "code"),
    [
        ({"fails": 1}, "", True),
        ({"fails": 1}, " pxeinit.arp=no", False),
        # It could not ask: no reason to stay without an address.
        ({"fails": 1, "says": "arping: interface eth0 is down"}, "", False),
        ({"fails": 2}, "", False),
    ],
)
def test_an_address_of_ip_that_is_in_use(
    root: FakeRoot, fake: dict[str, str | int], cmdline: str, code: bool
) -> None:
    root.nic()
    root.fake("arping", **fake)  # type: ignore[arg-type]
    said = run(root, f"ip=10.0.0.2{cmdline}")
    assert said.reports("PXE-INIT-lease-duplicate") == code
    assert said.console.endswith(f"status {int(code)}\n")
    assert bool(ip(root)) != code


def test_without_arping_nobody_is_asked(root: FakeRoot) -> None:
    root.nic()
    root.place("bin/arping").unlink()
    said = run(root, "ip=10.0.0.2")
    assert said.codes == []
    assert "not found" not in said.console


def test_an_address_that_the_kernel_refuses(root: FakeRoot) -> None:
    root.nic()
    root.dhcp()
    root.fake("ip", when="addr add", fails=[2, 0], says="ip: RTNETLINK answers: Invalid argument")
    said = run(root, code="phase_lease; echo status $?; phase_lease; echo status $?")
    assert said.reports("PXE-INIT-lease-apply")
    assert "RTNETLINK answers: Invalid argument" in said.console
    assert [line for line in said.console.splitlines() if "status" in line] == ["status 1", "status 0"]
    # The second time what the first left is flushed.
    assert "addr flush dev eth0" in ip(root)


def test_the_others_go_down_and_can_be_raised_again(root: FakeRoot) -> None:
    for number in (0, 1, 2):
        root.nic(f"eth{number}", carrier="0" if number == 2 else "1")
    root.dhcp("eth1", fails=[0, 1])
    root.dhcp("eth0", fails=[1, 0])
    said = run(root, code="phase_lease; ip --between; phase_lease; echo status $?")
    assert "lease: eth1 has 10.0.2.15/24" in said.console
    assert "lease: eth0 has 10.0.2.15/24" in said.console
    assert root.state()["interface"] == "eth0"
    calls = ip(root)
    first, second = calls[: calls.index("--between")], calls[calls.index("--between") + 1 :]
    assert [line for line in first if line.endswith("down")] == ["link set eth0 down", "link set eth2 down"]
    assert second[:2] == ["link set eth0 up", "link set eth2 up"]
    # It had an address.
    assert second[-3:] == ["addr flush dev eth1", "link set eth1 down", "link set eth2 down"]


def test_further_interfaces(root: FakeRoot) -> None:
    for name in ("eth0", "eth1", "eth2", "eth3", "eth4"):
        root.nic(name)
    root.dhcp("eth0")
    root.dhcp("eth2", values={"ip": "10.0.5.9", "mask": "16", "router": "10.0.5.1"})
    cmdline = "ip=eth0:dhcp ip=10.0.4.2::10.0.4.1:255.255.0.0::eth1:off"
    cmdline += " ip=eth2:dhcp:1400 ip=eth3:dhcp ip=eth4:auto6"
    said = run(
        root,
        f"{cmdline} ip=10.0.6.2:::::eth9:off ip=10.0.7.2",
        code="phase_lease; echo $lease_interface $ip_mode",
    )
    assert said.console.endswith("\neth0 dhcp\n")
    assert said.warnings == [
        "no DHCP answer on eth3",
        "no interface for another ip= (eth9)",
        "no interface for another ip= (it names none)",
    ]
    assert ip(root)[2:] == [
        "link set eth1 up",
        "addr add 10.0.4.2/16 broadcast + dev eth1",
        "link set eth2 up",
        "link set eth2 mtu 1400",
        "addr add 10.0.5.9/16 broadcast + dev eth2",
        "link set eth3 up",
        "link set eth4 up",
    ]
    assert root.read("run/pxeinit/lease/eth1/address") == "10.0.4.2"


def test_a_further_interface_does_not_hold_the_boot_up(root: FakeRoot) -> None:
    for name in ("eth0", "eth1"):
        root.nic(name)
    root.fake("ip", when="addr add 10.0.4.2", fails=2)
    said = run(root, "ip=10.0.0.2:::::eth0:off ip=10.0.4.2:::::eth1:off")
    assert said.warnings == ["the kernel refuses the address of eth1"]
    assert said.console.endswith("status 0\n")


def test_values_of_an_old_round_are_gone(root: FakeRoot) -> None:
    root.nic()
    root.lease(root_path="/old", hostname="old")
    root.dhcp()
    run(root)
    assert root.read("run/pxeinit/lease/eth0/hostname") is None
