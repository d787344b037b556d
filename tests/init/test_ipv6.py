"""ipv6.sh: an address by router advertisements, or by udhcpc6 where there is one."""

import pytest

from tests.init.fakeroot import FakeRoot
from tests.init.test_lease import run

LINK_LOCAL = "fe80000000000000505400fffe123456 02 40 20 80     eth0"
TENTATIVE = "fd000000000000000000000000000005 02 40 00 40     eth0"
DOUBLE = "fd000000000000000000000000000005 02 40 00 88     eth0"
GOOD = "fd000000000000000000000000000005 02 40 00 80     eth0"
ELSEWHERE = "fd000000000000000000000000000006 03 40 00 80     eth1"
ADDRESS = "fd00:0000:0000:0000:0000:0000:0000:0005/64"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], ""),
        ([LINK_LOCAL], ""),
        ([TENTATIVE], ""),
        ([DOUBLE], ""),
        ([ELSEWHERE], ""),
        ([LINK_LOCAL, ELSEWHERE, GOOD], ADDRESS),
    ],
)
def test_the_kernels_addresses(root: FakeRoot, lines: list[str], found: str) -> None:
    root.write("proc/net/if_inet6", "\n".join(lines))
    assert root.run('find_address6 eth0; echo "$address6"').console == f"{found}\n"


def test_a_kernel_without_ipv6(root: FakeRoot) -> None:
    assert root.run("find_address6 eth0; echo $?").console == "1\n"


def test_router_advertisements(root: FakeRoot) -> None:
    root.nic()
    root.write("proc/net/if_inet6", LINK_LOCAL)
    root.fake("usleep", fails=[-1, -1, 0], does=f'[ "$count" -lt 2 ] || echo "{GOOD}" >> /proc/net/if_inet6')
    said = run(root, "ip=auto6 nameserver=fd00::1")
    assert f"lease: eth0 has {ADDRESS}" in said.console
    assert said.console.endswith("status 0\n")
    assert root.state()["interface"] == "eth0"
    assert root.calls("udhcpc") == []
    assert root.read("etc/resolv.conf") == "nameserver fd00::1"


def test_no_advertisement(root: FakeRoot) -> None:
    root.nic()
    said = run(root, "ip=auto6 panic=5")
    assert said.reports("PXE-INIT-lease-none")
    assert "no IPv6 address on eth0 after 30 s" in said.console
    assert "still waiting for an IPv6 address on eth0 (3 s)" in said.console
    assert said.console.endswith("status 1\n")
    assert run(root, "ip=auto6").status == -9


def test_dhcp6_without_udhcpc6_is_a_clear_word(root: FakeRoot) -> None:
    root.nic()
    root.write("proc/net/if_inet6", GOOD)
    said = run(root, "ip=dhcp6")
    assert said.warnings == [
        "ip=dhcp6: this image's busybox has no udhcpc6; router advertisements are waited for, "
        "as with ip=auto6"
    ]
    assert said.console.endswith("status 0\n")


def udhcpc6(root: FakeRoot, does: str) -> None:
    root.write("bin/udhcpc6", f'#!/fake/busybox sh\necho "$*" >> /tmp/udhcpc6\n{does}', 0o755)


OFFER = "lease=4294967295 ipv6=fd00::7 interface=eth0 exec /lib/pxeinit/dhcp-event bound"
LEASED = "fd000000000000000000000000000007 02 80 00 80     eth0"


def settle(root: FakeRoot, line: str, after: int = 0) -> None:
    """What the kernel says of an address at once, or some looks after it was given."""
    root.folder("proc/net")
    first = line.replace(" 00 80 ", " 00 40 ") if after else line
    root.fake("ip", when="-6 addr add", does=f'echo "{first}" > /proc/net/if_inet6')
    if after:
        does = f'[ "$count" -lt {after} ] || echo "{line}" > /proc/net/if_inet6'
        root.fake("usleep", when="100000", fails=-1, does=does)


def test_dhcp6(root: FakeRoot) -> None:
    root.nic()
    root.write("proc/net/if_inet6", LINK_LOCAL)
    udhcpc6(root, f"dns='fd00::1 fd00::2' search='lab example.org' {OFFER}")
    settle(root, LEASED)
    said = run(root, "ip=eth0:dhcp6")
    assert said.warnings == []
    assert "lease: eth0 has fd00::7/128" in said.console
    assert said.console.endswith("status 0\n")
    assert ["-6", "addr", "add", "fd00::7/128", "dev", "eth0"] in root.calls("ip")
    asked = root.read("tmp/udhcpc6") or ""
    assert "-i eth0 -s /lib/pxeinit/dhcp-event -O dns -O search" in asked
    assert root.read("etc/resolv.conf") == "search lab example.org\nnameserver fd00::1\nnameserver fd00::2"
    assert root.calls("udhcpc") == []
    # Nobody renews it: the keeper is that of IPv4.
    assert "obtained" not in root.names("run/pxeinit/lease/eth0")


def test_a_dhcp6_lease_with_an_end_is_a_warning(root: FakeRoot) -> None:
    root.nic()
    udhcpc6(root, OFFER.replace("4294967295", "1476526080"))
    settle(root, LEASED)
    said = run(root, "ip=dhcp6")
    assert said.warnings == [
        "the DHCPv6 lease of eth0 has an end and is not renewed: nobody else must get its address"
    ]


def test_dhcp6_asks_on_all_interfaces_at_once(root: FakeRoot) -> None:
    root.nic("eth0")
    root.nic("eth1")
    offer = OFFER.replace("eth0", "eth1")
    both = "until [ $(wc -l < /tmp/udhcpc6) = 2 ]; do :; done"  # whichever is the first to ask
    udhcpc6(root, f"case $* in *'-i eth1 '*) {both}; {offer} ;; esac; exit 1")
    settle(root, LEASED.replace("eth0", "eth1"))
    said = run(root, "ip=dhcp6")
    assert said.console.endswith("status 0\n")
    assert root.state()["interface"] == "eth1"
    assert len((root.read("tmp/udhcpc6") or "").splitlines()) == 2
    assert ["link", "set", "eth0", "down"] in root.calls("ip")


def test_dhcp6_waits_until_the_address_is_known_to_be_free(root: FakeRoot) -> None:
    root.nic()
    udhcpc6(root, OFFER)
    settle(root, LEASED, after=12)
    said = run(root, "ip=dhcp6")
    assert said.codes == []
    assert said.console.endswith("status 0\n")
    assert len([words for words in root.calls("usleep") if words == ["100000"]]) >= 12


def test_dhcp6_and_an_address_in_use(root: FakeRoot) -> None:
    root.nic()
    udhcpc6(root, OFFER)
    settle(root, LEASED.replace(" 00 80 ", " 00 88 "))
    said = run(root, "ip=dhcp6 panic=5")
    assert said.reports("PXE-INIT-lease-duplicate")
    assert ["-6", "addr", "del", "fd00::7/128", "dev", "eth0"] in root.calls("ip")
    assert said.console.endswith("status 1\n")


def test_dhcp6_in_vain_or_refused(root: FakeRoot) -> None:
    root.nic()
    udhcpc6(root, "exit 1")
    assert run(root, "ip=dhcp6 panic=5").console.endswith("status 1\n")
    udhcpc6(root, OFFER)
    root.fake("ip", when="-6 addr", fails=2)
    said = run(root, "ip=dhcp6 panic=5")
    assert said.console.endswith("status 1\n")
    assert "the kernel refuses the address fd00::7/128 on eth0" in said.warnings


def test_dhcp6_in_vain_and_an_advertisement(root: FakeRoot) -> None:
    root.nic()
    root.folder("proc/net")
    udhcpc6(root, f'echo "{GOOD}" > /proc/net/if_inet6; exit 1')
    said = run(root, "ip=either6")
    assert f"lease: eth0 has {ADDRESS}" in said.console


@pytest.mark.parametrize(
    ("lease", "kind"), [({"address6": "fd00::7/128"}, "aaaa"), ({"address": "10.0.2.15"}, "a")]
)
def test_names_are_looked_up_over_what_there_is(root: FakeRoot, lease: dict[str, str], kind: str) -> None:
    root.lease(**lease)
    answer = "Server:\t\tfd00::1\nAddress:\tfd00::1:53\n\nName:\tnfs.lab\nAddress: "
    root.fake("nslookup", when="-type=aaaa nfs.lab", prints=f"{answer}fd00::9")
    root.fake("nslookup", when="-type=a nfs.lab", prints=f"{answer}10.0.2.9")
    said = root.run('lease_interface=eth0; resolve_host nfs.lab; echo "$resolved"').console
    assert said == ("fd00::9\n" if kind == "aaaa" else "10.0.2.9\n")
    assert root.calls("nslookup") == [[f"-type={kind}", "nfs.lab"]]
