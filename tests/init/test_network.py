"""network.sh: which interfaces count, and the waits for one and for its link."""

import pytest

from tests.init.fakeroot import FakeRoot


def pci(root: FakeRoot, slot: str, device_class: str, *, driven: bool = False) -> None:
    base = f"sys/bus/pci/devices/{slot}"
    root.write(f"{base}/class", device_class)
    root.write(f"{base}/vendor", "0x8086")
    root.write(f"{base}/device", "0x100e")
    if driven:
        root.folder(f"{base}/driver")


def run(root: FakeRoot, cmdline: str = "") -> tuple[int, str]:
    root.write("proc/cmdline", cmdline)
    said = root.run('read_params; read_release; phase_network; echo "status $?; $interfaces; $linked"')
    *lines, last = said.console.splitlines()
    return int(last.split(";")[0].removeprefix("status ")), said.console


def test_the_lists_hold_what_has_hardware(root: FakeRoot) -> None:
    root.nic("eth0")
    root.nic("eth1", carrier="0")
    root.nic("wlan0")
    root.folder("sys/class/net/wlan0/phy80211")
    root.nic("dummy0")
    root.place("sys/class/net/dummy0/device").rmdir()
    root.nic("ib0")
    root.write("sys/class/net/ib0/type", "32")
    root.nic("typeless")
    root.place("sys/class/net/typeless/type").unlink()
    root.nic("$(touch x)")
    root.write("sys/class/net/bonding_masters", "")
    status, console = run(root)
    assert status == 0
    assert "status 0; eth0 eth1; eth0" in console
    assert root.calls("ip") == [
        ["link", "set", "lo", "up"],
        ["link", "set", "eth0", "up"],
        ["link", "set", "eth1", "up"],
    ]


def test_no_interface(root: FakeRoot) -> None:
    pci(root, "0000:00:03.0", "0x020000")
    pci(root, "0000:00:04.0", "0x028000", driven=True)
    pci(root, "0000:00:02.0", "0x030000")
    said = root.run("read_params; read_release; phase_network || echo failed")
    assert said.reports("PXE-INIT-network-no-nic")
    assert "0000:00:03.0 [8086:100e] no driver; 0000:00:04.0 [8086:100e] driven" in said.console
    assert "00:02.0" not in said.console
    assert said.console.endswith("failed\n")
    # Buses are looked at again meanwhile, for a few seconds.
    assert len(root.calls("usleep")) == 5


def test_no_interface_and_nothing_on_pci(root: FakeRoot) -> None:
    assert "no PCI network controller is visible" in run(root)[1]


@pytest.mark.parametrize("cmdline", ["BOOTIF=01-00-11-22-33-44-55", "ip=eth7:dhcp"])
def test_the_named_interface_is_not_there(root: FakeRoot, cmdline: str) -> None:
    root.nic("eth0")
    status, console = run(root, cmdline)
    assert status == 1
    assert "PXE-INIT-network-no-nic: no interface is " in console
    assert "00:11:22:33:44:55" in console or "eth7" in console


def test_an_interface_that_comes_late(root: FakeRoot) -> None:
    root.nic("eth0")
    root.place("sys/class/net").rename(root.place("sys/class/later"))
    root.fake(
        "usleep", fails=[-1, -1, 0], does='[ "$count" -lt 2 ] || /bin/mv /sys/class/later /sys/class/net'
    )
    status, console = run(root)
    assert status == 0
    assert "network: link on eth0" in console


@pytest.mark.parametrize(
    "cmdline", ["BOOTIF=01-52-54-00-00-00-02", "ip=eth1:dhcp", "ip=10.0.0.2:::::eth1:off"]
)
def test_one_is_picked(root: FakeRoot, cmdline: str) -> None:
    root.nic("eth0", mac="52:54:00:00:00:01")
    root.nic("eth1", mac="52:54:00:00:00:02")
    assert "status 0; eth1; eth1" in run(root, cmdline)[1]
    assert ["link", "set", "eth0", "up"] not in root.calls("ip")


def test_no_link_is_reported_and_waited_for(root: FakeRoot) -> None:
    root.nic("eth0", carrier="0")
    steps = [-1] * 44 + [0]
    root.fake("usleep", fails=steps, does='[ "$count" -lt 44 ] || echo 1 > /sys/class/net/eth0/carrier')
    said = root.run("read_params; read_release; phase_network && say on")
    assert said.reports("PXE-INIT-network-no-link")
    assert said.codes == ["PXE-INIT-network-no-link"]
    assert "no link on eth0 after 10 s" in said.console
    assert "still waiting for a link on eth0 (40 s)" in said.console
    assert said.console.splitlines()[-2].endswith("network: link on eth0")


def test_a_carrier_that_cannot_be_read_is_no_link(root: FakeRoot) -> None:
    # The kernel says EINVAL while an interface is down.
    root.nic("eth0")
    root.place("sys/class/net/eth0/carrier").unlink()
    root.folder("sys/class/net/eth0/carrier")
    assert root.run("read_params; wait_link").status == -9


@pytest.mark.parametrize(
    ("panic", "ends"), [("panic=5", True), ("panic=-1", True), ("panic=0", False), ("", False)]
)
def test_panic_ends_the_wait_for_a_link(root: FakeRoot, panic: str, ends: bool) -> None:
    root.nic("eth0", carrier="0")
    root.write("proc/cmdline", panic)
    said = root.run("read_params; read_release; phase_network || echo gave up")
    assert said.codes == ["PXE-INIT-network-no-link"]
    assert ("gave up" in said.console) == ends
    # Otherwise to the end of the world.
    assert said.status == (0 if ends else -9)


def test_raising_is_tried_again_until_it_works(root: FakeRoot) -> None:
    root.nic("eth0", carrier="0")
    root.fake(
        "ip",
        when="eth0 up",
        fails=[2, 2, 0],
        does='[ "$status" -ne 0 ] || echo 1 > /sys/class/net/eth0/carrier',
    )
    assert run(root)[0] == 0
    assert root.calls("ip").count(["link", "set", "eth0", "up"]) == 3
