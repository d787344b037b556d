"""The client's inventory, which the builder's own reader must understand."""

from mkpxeinit.hardware.inventory import read_inventory
from mkpxeinit.hardware.network import BUSES
from tests.init.fakeroot import FakeRoot
from tests.init.test_drivers import DEVICES, plant

# One device on each bus of --bus that DEVICES lacks; what stands on several is listed by its modalias.
MORE = {
    "platform/APMC0D05:00": "acpi:APMC0D05:",
    "platform/smsc911x.0": "platform:smsc911x",
    "spi/spi0.0": "spi:enc28j60",
    "spi/spi0.1": "of:NethernetT(null)Cmicrochip,enc28j60",
    "fsl-mc/dpni.0": "fsl-mc:v00001957ddpni",
    "xen/vif-0": "xen:vif",
}
ALL = DEVICES | MORE
PHY = "0x001cc916"


def test_every_bus_of_the_builder(root: FakeRoot) -> None:
    plant(root, ALL)
    root.write("sys/bus/mdio_bus/devices/eth-0:01/phy_id", f"{PHY}\n")
    lines = root.run("write_hardware").console.splitlines()[1:]
    assert {line.partition(":")[0] for line in lines} == set(BUSES)
    copied = read_inventory(root.place("sys")).devices
    assert sorted(str(each.modalias) for each in copied) == sorted(lines)


def test_what_the_builder_reads(root: FakeRoot) -> None:
    plant(root, ALL | {"pci/hostile": "pci:$(touch canary)", "pci/hostile2": "-r x", "acpi/bare": ""})
    root.folder("newroot/etc")
    assert root.run("new_root=/newroot; phase_handoff; echo status $?").console == "status 0\n"
    devices = read_inventory(root.place("run/pxeinit/hardware")).devices
    assert sorted(str(each.modalias) for each in devices) == sorted(ALL.values())


PHYS = {
    "stmmac-0:01/phy_id": "0x001cc916",
    "10g:00/phy_id": "0x00000000",
    "10g:00/c45_phy_ids/mmd1_device_id": "0x31c31c12",
    "10g:00/c45_phy_ids/mmd7_device_id": "0xffffffff",
    "high:00/phy_id": "0xffffff0f",
}
BITS = [
    "00000000000111001100100100010110",
    "11111111111111111111111100001111",
    "00110001110000110001110000010010",
]


def test_phys(root: FakeRoot) -> None:
    """The client and the reader of a copied sysfs make the same of a PHY's identifier."""
    for place, text in PHYS.items():
        root.write(f"sys/bus/mdio_bus/devices/{place}", f"{text}\n")
    for number, text in enumerate(("0x$(touch canary)", "0x1 2", "-1", "0x", "0x123456789", "a[$(id)]", "")):
        root.write(f"sys/bus/mdio_bus/devices/bad{number}/phy_id", text)
    lines = root.run("write_hardware").console.splitlines()[1:]
    assert sorted(lines) == sorted(f"mdio:{bits}" for bits in BITS)
    copied = read_inventory(root.place("sys")).devices
    assert sorted(str(each.modalias) for each in copied) == sorted(lines)
    assert not list(root.place("").rglob("canary"))


def test_written_without_other_programs(root: FakeRoot) -> None:
    plant(root, DEVICES)
    said = root.run("write_hardware > /run/pxeinit/hardware; echo status $?")
    assert said.console == "status 0\n" and root.all_calls() == []


def test_a_client_without_devices(root: FakeRoot) -> None:
    assert root.run("write_hardware").console.splitlines() == [
        "# modaliases of this client, for mkpxeinit build --hardware"
    ]
