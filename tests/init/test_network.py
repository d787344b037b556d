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
    # Told after 3 s, reported after 5; buses are looked at again meanwhile, for half a minute.
    assert "still waiting for an Ethernet interface (3 s)" in said.console
    assert said.codes == ["PXE-INIT-network-no-nic"]
    assert len(root.calls("usleep")) == 30


def test_no_interface_and_nothing_on_pci(root: FakeRoot) -> None:
    assert "no PCI network controller is visible" in run(root)[1]


@pytest.mark.parametrize(
    "cmdline", ["ip=eth7:dhcp", "ip=eth7:dhcp BOOTIF=01-52-54-00-12-34-56", "bootdev=eth7"]
)
def test_the_named_interface_is_not_there(root: FakeRoot, cmdline: str) -> None:
    root.nic("eth0")
    status, console = run(root, cmdline)
    assert status == 1
    assert "PXE-INIT-network-no-nic: no interface is " in console
    assert "eth7" in console or "52:54:00:12:34:56" in console
    assert "eth0 up" not in str(root.calls("ip"))


def test_bootif_that_is_not_there_leaves_room_for_the_others(root: FakeRoot) -> None:
    root.nic("eth0")
    said = root.run("take_param BOOTIF=01-00-11-22-33-44-55; read_release; phase_network; say on")
    assert said.reports("PXE-INIT-network-no-nic")
    assert "no interface is 00:11:22:33:44:55" in said.console
    assert said.warnings == [
        "BOOTIF=00:11:22:33:44:55 has no interface after 15 s: the other interfaces are taken too (eth0)"
    ]
    assert "network: link on eth0" in said.console


def test_bootif_without_others_stays_what_it_is(root: FakeRoot) -> None:
    status, console = run(root, "BOOTIF=01-00-11-22-33-44-55")
    assert status == 1
    assert "taken too" not in console


def test_bootif_without_a_link_leaves_room_for_the_others(root: FakeRoot) -> None:
    root.nic("eth0", mac="52:54:00:00:00:01", carrier="0")
    root.nic("eth1", mac="52:54:00:00:00:02")
    said = root.run("take_param BOOTIF=01-52-54-00-00-00-01; read_release; phase_network; echo $linked")
    assert said.reports("PXE-INIT-network-no-link")
    assert "has no link after 30 s: the other interfaces are taken too (eth0 eth1)" in said.console
    assert said.console.endswith("\neth1\n")


def test_a_second_try_begins_with_bootif_alone(root: FakeRoot) -> None:
    root.nic("eth0", mac="52:54:00:00:00:01")
    root.nic("eth1", mac="52:54:00:00:00:02")
    said = root.run("take_param BOOTIF=01-52-54-00-00-00-01; network_bootif=no; phase_network; echo $linked")
    assert said.console.endswith("\neth0\n")


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
    steps = [-1] * 54 + [0]
    root.fake("usleep", fails=steps, does='[ "$count" -lt 54 ] || echo 1 > /sys/class/net/eth0/carrier')
    said = root.run("read_params; read_release; phase_network && say on")
    assert said.reports("PXE-INIT-network-no-link")
    assert said.codes == ["PXE-INIT-network-no-link"]
    assert "no link on eth0 after 10 s" in said.console
    for seconds in (3, 33):
        assert f"still waiting for a link on eth0 ({seconds} s)" in said.console
    assert said.console.count("still waiting") == 2
    assert said.console.splitlines()[-2].endswith("network: link on eth0")


def test_a_carrier_that_cannot_be_read_is_no_link(root: FakeRoot) -> None:
    # The kernel says EINVAL while an interface is down.
    root.nic("eth0")
    root.place("sys/class/net/eth0/carrier").unlink()
    root.folder("sys/class/net/eth0/carrier")
    assert root.run("read_params; read_release; wait_link").status == -9


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


def test_a_card_on_a_slow_bus_gets_its_driver_and_link_while_another_has_none(root: FakeRoot) -> None:
    root.nic("eth0", carrier="0")
    root.nic("usb0")
    root.write("lib/modules/6.1.0-test/modules.alias", "alias virtio:d00000001v* virtio_net\n")
    root.place("sys/class/net/usb0").rename(root.place("sys/later"))
    root.write("sys/bus/later", "virtio:d00000001v00001AF4")
    plug = """mkdir -p /sys/bus/virtio/devices/x; /bin/mv /sys/bus/later /sys/bus/virtio/devices/x/modalias"""
    root.fake("usleep", fails=[-1] * 20 + [0, -1], does=f'[ "$count" -ne 20 ] || {{ {plug}; }}')
    root.fake("modprobe", when="virtio:", does="/bin/mv /sys/later /sys/class/net/usb0")
    status, console = run(root)
    assert status == 0
    assert "network: link on usb0" in console


def test_quiet_waits_of_more_than_3_s_are_told(root: FakeRoot) -> None:
    root.nic("eth0", carrier="0")
    root.fake(
        "usleep", fails=[-1] * 5 + [0], does='[ "$count" -lt 5 ] || echo 1 > /sys/class/net/eth0/carrier'
    )
    status, console = run(root, "quiet")
    assert status == 0
    assert console.splitlines()[:-1] == ["pxeinit: [6.00] still waiting for a link on eth0 (3 s)"]


def test_quiet_waits_of_less_are_not(root: FakeRoot) -> None:
    root.nic("eth0", carrier="0")
    root.fake("usleep", fails=[-1, 0], does='[ "$count" -lt 1 ] || echo 1 > /sys/class/net/eth0/carrier')
    assert run(root, "quiet") == (0, "status 0; eth0; eth0\n")
