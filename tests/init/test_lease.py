"""lease.sh: ip= and DHCP, one interface and several, and what the kernel is told."""

import pytest

from tests.init.fakeroot import DOOMSDAY, LEASE, FakeRoot, Result

PRELUDE = "read_params; read_ip_param; list_interfaces; list_linked;"
SHOW = 'echo "[$ip_mode|$ip_client|$ip_server|$ip_gateway|$ip_mask|$ip_hostname|$ip_device|$ip_dns]"'


def run(root: FakeRoot, cmdline: str = "", code: str = "phase_lease; echo status $?") -> Result:
    root.write("proc/cmdline", cmdline)
    return root.run(f"{PRELUDE} {code}")


def ip(root: FakeRoot) -> list[str]:
    return [" ".join(words) for words in root.calls("ip")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((word, "[dhcp|||||||]") for word in ("", "dhcp", "on", "any", "both", "bootp")),
        ("eth0:dhcp", "[dhcp||||||eth0|]"),
        (":::::eth1:dhcp", "[dhcp||||||eth1| ]"),
        (
            "10.0.0.2:10.0.0.1:10.0.0.254:255.255.0.0:c1:eth0:off",
            "[static|10.0.0.2|10.0.0.1|10.0.0.254|255.255.0.0|c1|eth0| ]",
        ),
        ("10.0.0.2::10.0.0.254:255.255.255.0", "[static|10.0.0.2||10.0.0.254|255.255.255.0||| ]"),
        ("10.0.0.2::::::none:1.1.1.1:8.8.8.8", "[static|10.0.0.2||||||1.1.1.1 8.8.8.8]"),
        ("10.0.0.2::::::dhcp:1.1.1.1", "[dhcp|10.0.0.2||||||1.1.1.1 ]"),
        ("10.0.0.2::::::off:1.1.1.1:8.8.8.8:0.pool.ntp.org", "[static|10.0.0.2||||||1.1.1.1 8.8.8.8]"),
        ("::::c1::dhcp", "[dhcp|||||c1|| ]"),
        ("::::c1::off", "[dhcp|||||c1|| ]"),
    ],
)
def test_ip_in_its_forms(root: FakeRoot, value: str, expected: str) -> None:
    assert run(root, f"ip={value}", SHOW).console.strip() == expected


@pytest.mark.parametrize(
    ("value", "expected", "warning"),
    [
        ("off", "[dhcp|||||||]", "ip='off' is ignored: a network root needs an address"),
        ("none", "[dhcp|||||||]", "ip='none' is ignored"),
        ("yes", "[dhcp|||||||]", "not the kernel's form"),
        ("10.0.0.2", "[dhcp|||||||]", "not the kernel's form"),
        ("eth0:auto6", "[dhcp|||||||]", "only dhcp can follow the interface"),
        ("10.0.0.2::10.0.0.1", "[dhcp|||||||]", "only dhcp can follow the interface"),
        ("a*b:dhcp", "[dhcp|||||||]", "not an interface's name"),
        ("300.0.0.2::::::off", "[dhcp||||||| ]", "ip (its client)='300.0.0.2' is ignored"),
        ("10.0.0.2:$(x):::::off", "[static|10.0.0.2|||||| ]", "ip (its server)='$(x)'"),
        ("10.0.0.2::0.0.0.0::::off", "[static|10.0.0.2|||||| ]", "ip (its gateway)"),
        ("10.0.0.2::::-c::off", "[static|10.0.0.2|||||| ]", "ip (its host name)='-c'"),
        ("10.0.0.2:::::../x:off", "[static|10.0.0.2|||||| ]", "ip (its device)='../x'"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_ip_is_dropped(root: FakeRoot, value: str, expected: str, warning: str) -> None:
    said = run(root, f"ip={value}", SHOW)
    *warnings, shown = said.console.strip().splitlines()
    assert shown == expected
    assert len(warnings) == 1
    assert warning in warnings[0]


MASKS = {f"{(0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF:032b}": bits for bits in range(33)}


def test_masks(root: FakeRoot) -> None:
    good = {
        ".".join(str(int(mask[at : at + 8], 2)) for at in range(0, 32, 8)): bits
        for mask, bits in MASKS.items()
    }
    said = root.run('for m; do mask_to_prefix "$m" && echo $prefix; done', *good)
    assert [int(word) for word in said.console.split()] == list(good.values())


def test_masks_with_holes(root: FakeRoot) -> None:
    bad = [
        "255.0.255.0",
        "255.255.0.128",
        "254.255.0.0",
        "255.255.255.1",
        "255.255.255",
        "24",
        "",
        "1.1.1.1",
        "x",
        "*",
    ]
    assert root.run('for m; do mask_to_prefix "$m" && echo "$m"; done', *bad).console == ""


def test_a_static_address(root: FakeRoot) -> None:
    root.nic()
    said = run(
        root, "ip=10.0.0.2:10.0.0.1:10.0.0.254:255.255.0.0:c1:eth0:off:1.1.1.1:nonsense nameserver=9.9.9.9"
    )
    assert said.console == "pxeinit: [3.00] lease: eth0 has 10.0.0.2/16, as ip= says\nstatus 0\n"
    assert ip(root) == [
        "addr add 10.0.0.2/16 broadcast + dev eth0",
        "route add default via 10.0.0.254 dev eth0",
    ]
    assert root.read("etc/resolv.conf") == "nameserver 9.9.9.9\nnameserver 1.1.1.1"
    assert root.read("proc/sys/kernel/hostname") == "c1"
    assert root.read("run/pxeinit/lease/eth0/next-server") == "10.0.0.1"
    assert root.state()["interface"] == "eth0"
    assert root.calls("udhcpc") == []


@pytest.mark.parametrize(
    ("mask", "prefix", "told"),
    [("", "24", False), ("255.0.0.255", "24", True), ("255.255.255.252", "30", False)],
)
def test_a_static_mask(root: FakeRoot, mask: str, prefix: str, told: bool) -> None:
    root.nic()
    said = run(root, f"ip=10.0.0.2:::{mask}:::off")
    assert ip(root)[0] == f"addr add 10.0.0.2/{prefix} broadcast + dev eth0"
    assert bool(said.warnings) == told


def test_a_lease(root: FakeRoot) -> None:
    root.nic()
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
        "route add default via 10.0.2.2 dev eth0",
    ]
    assert root.read("etc/resolv.conf") == "search lab\nnameserver 1.1.1.1\nnameserver 8.8.8.8"
    assert root.read("proc/sys/kernel/hostname") == "c1"
    (call,) = root.calls("udhcpc")
    assert {"-n", "-q", "-f"} < set(call)
    assert call[call.index("-i") + 1] == "eth0"
    assert call[call.index("-s") + 1] == "/lib/pxeinit/dhcp-event"


def test_a_bare_lease(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(values={"ip": "10.0.2.15"})
    said = run(root)
    assert "eth0 has 10.0.2.15/24 from an unnamed server, no s" in said.console
    assert ip(root) == ["addr add 10.0.2.15/24 broadcast + dev eth0"]
    assert root.read("etc/resolv.conf") == ""


def test_udhcpc_that_succeeds_without_a_lease_is_asked_again(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(values={"ip": "127.0.0.1"})
    said = run(root)
    assert said.status == -9
    assert "PXE-INIT-lease-none" in said.codes
    assert "is not one that a host can have" in (root.read("run/pxeinit/log") or "")


def test_a_router_outside_the_subnet_gets_a_way(root: FakeRoot) -> None:
    root.nic()
    root.dhcp()
    root.fake(
        "ip", when="route add default", fails=[2, 0], says="ip: RTNETLINK answers: Network is unreachable"
    )
    assert run(root).warnings == []
    assert ip(root)[1:] == [
        "route add default via 10.0.2.2 dev eth0",
        "route add 10.0.2.2 dev eth0",
        "route add default via 10.0.2.2 dev eth0",
    ]


def test_no_route_is_a_warning(root: FakeRoot) -> None:
    root.nic()
    root.dhcp()
    root.fake("ip", when="route", fails=2)
    said = run(root)
    assert said.warnings == ["no route through the router 10.0.2.2"]
    assert said.console.endswith("status 0\n")


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


def test_three_quick_rounds_then_growing_delays(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(fails=[1] * 7 + [0])
    root.fake("od", prints="0")
    said = run(root)
    assert said.console.endswith("status 0\n")
    assert said.reports("PXE-INIT-lease-none")
    assert said.codes == ["PXE-INIT-lease-none"]
    assert "52:54:00:12:34:56" in said.console
    assert root.calls("sleep") == [["1"], ["2"], ["4"], ["8"], ["16"]]
    order = [words[0] for words in root.all_calls() if words[0] in ("udhcpc", "sleep")]
    assert order[:5] == ["udhcpc", "udhcpc", "udhcpc", "sleep", "udhcpc"]
    assert said.console.count("then trying again: a DHCP answer on eth0") == 5


@pytest.mark.parametrize("panic", ["", "panic=0"])
def test_the_wait_has_no_end_and_is_jittered(root: FakeRoot, panic: str) -> None:
    root.nic()
    said = run(root, panic)
    assert said.status == -9
    delays = [int(words[0]) for words in root.calls("sleep")]
    assert sum(delays) >= DOOMSDAY - 3
    for delay, limit in zip(delays, [2, 4, 8, 16, 32] + [60] * 20, strict=False):
        assert limit // 2 <= delay <= limit


def test_with_panic_it_is_a_failure_and_a_reboot(booting: FakeRoot) -> None:
    booting.fake("udhcpc", fails=1)
    said = booting.boot("panic=7")
    assert said.status == -9
    assert said.reports("PXE-INIT-lease-none")
    assert len(booting.calls("udhcpc")) == 3
    assert booting.calls("sleep") == [["7"]]
    assert booting.calls("reboot") == [["-f"]]


def test_a_link_that_goes_is_waited_for(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(fails=[1, 0])
    root.fake("udhcpc", fails=[1, -1], does='[ "$count" -gt 0 ] || echo 0 > /sys/class/net/eth0/carrier')
    root.fake("usleep", fails=[-1, -1, 0], does='[ "$count" -lt 2 ] || echo 1 > /sys/class/net/eth0/carrier')
    said = run(root)
    assert said.console.endswith("status 0\n")
    assert len(root.calls("usleep")) == 3


def test_the_first_of_several_wins(root: FakeRoot) -> None:
    for number in (0, 1, 2):
        root.nic(f"eth{number}", carrier="0" if number == 2 else "1")
    root.fake("udhcpc", when="-i eth0 ", fails=1)
    root.dhcp("eth1")
    said = run(root)
    assert "lease: eth1 has 10.0.2.15/24" in said.console
    assert root.state()["interface"] == "eth1"
    assert ["-q", "udhcpc"] in root.calls("killall")
    down = [line for line in ip(root) if line.endswith("down")]
    assert down == ["link set eth0 down", "link set eth2 down"]


def test_a_slow_loser_does_not_hold_the_winner_up(root: FakeRoot) -> None:
    for name in ("eth0", "eth1"):
        root.nic(name)
    root.fake("udhcpc", when="-i eth0 ", does="echo $$ > /tmp/loser; exec /fake/busybox.real sleep 30")
    root.fake("killall", does='kill "$(/bin/cat /tmp/loser)"')
    root.dhcp("eth1")
    assert "lease: eth1 has" in run(root).console


def test_none_of_several_answers(root: FakeRoot) -> None:
    for name in ("eth0", "eth1"):
        root.nic(name)
    root.dhcp("eth1", fails=[1, 1, 1, 0])
    said = run(root)
    assert said.reports("PXE-INIT-lease-none")
    assert "no DHCP answer on eth0 eth1 after 3 rounds" in said.console
    assert said.console.endswith("status 0\n")
    assert "link set eth0 down" in ip(root)


def test_values_of_an_old_round_are_gone(root: FakeRoot) -> None:
    root.nic()
    root.lease(root_path="/old")
    root.dhcp()
    run(root)
    assert root.read("run/pxeinit/lease/eth0/root-path") is None
