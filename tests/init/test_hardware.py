"""The client's inventory, which the builder's own reader must understand."""

from mkpxeinit.hardware.inventory import read_inventory
from tests.init.fakeroot import FakeRoot
from tests.init.test_drivers import DEVICES, plant

EXPECTED = [alias for place, alias in DEVICES.items() if place not in ("acpi/PNP0A03:00", "platform/rtc")]


def test_what_the_builder_reads(root: FakeRoot) -> None:
    plant(root, DEVICES | {"pci/hostile": "pci:$(touch canary)", "pci/hostile2": "-r x", "acpi/bare": ""})
    root.folder("newroot/etc")
    assert root.run("new_root=/newroot; phase_handoff; echo status $?").console == "status 0\n"
    devices = read_inventory(root.place("run/pxeinit/hardware")).devices
    assert sorted(str(each.modalias) for each in devices) == sorted(EXPECTED)


def test_written_without_other_programs(root: FakeRoot) -> None:
    plant(root, DEVICES)
    said = root.run("write_hardware > /run/pxeinit/hardware; echo status $?")
    assert said.console == "status 0\n" and root.all_calls() == []


def test_a_client_without_devices(root: FakeRoot) -> None:
    assert root.run("write_hardware").console.splitlines() == [
        "# modaliases of this client, for mkpxeinit build --hardware"
    ]
