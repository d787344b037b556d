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


def test_dhcp6(root: FakeRoot) -> None:
    root.nic()
    udhcpc6(root, "ipv6=fd00::7 interface=eth0 exec /lib/pxeinit/dhcp-event bound")
    said = run(root, "ip=eth0:dhcp6")
    assert said.warnings == []
    assert "lease: eth0 has fd00::7/128" in said.console
    assert ["-6", "addr", "add", "fd00::7/128", "dev", "eth0"] in root.calls("ip")
    assert "-i eth0 -s /lib/pxeinit/dhcp-event" in (root.read("tmp/udhcpc6") or "")


def test_dhcp6_in_vain_or_refused(root: FakeRoot) -> None:
    root.nic()
    udhcpc6(root, "exit 1")
    assert run(root, "ip=dhcp6 panic=5").console.endswith("status 1\n")
    udhcpc6(root, "ipv6=fd00::7 interface=eth0 exec /lib/pxeinit/dhcp-event bound")
    root.fake("ip", when="-6 addr", fails=2)
    assert run(root, "ip=dhcp6 panic=5").console.endswith("status 1\n")
