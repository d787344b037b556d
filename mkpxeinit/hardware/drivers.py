"""Which devices of an inventory a network boot needs, and their drivers in one kernel.

What counts:

- PCI devices of class 02, whatever driver they have, and the virtio device behind virtio's PCI ids;
- devices on other buses (USB, virtio, vmbus, Xen, device tree, MDIO, …) whose driver is a network
  driver by its place in the kernel's source, or by the symbols that it imports (network.py);
- what such devices hang on: the announcements of vmbus and virtio-mmio, and the PCI host controllers of
  USB if a USB network device is listed too.

Graphics, sound, disks and the rest are not taken. Drivers of wireless networks (and of the other
media that a plain `--pci-class 02` leaves out) are not taken either, and said to be left out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mkpxeinit.errors import HardwareError
from mkpxeinit.hardware.inventory import Device, Inventory
from mkpxeinit.hardware.modalias import Matcher
from mkpxeinit.hardware.network import Network
from mkpxeinit.hardware.pci import WIRED
from mkpxeinit.kernel.builtin import has_devices
from mkpxeinit.kernel.index import ModuleIndex, normal_name

_PCI = re.compile(r"pci:v0000(?P<vendor>[^:]{4})d0000(?P<device>[^:]{4}).*bc(?P<base>..)sc(?P<sub>..)i..")
_VIRTIO_NET = ("1000", "1041")  # of vendor 1AF4: transitional, and 1040 + 1 (virtio specification, 4.1.2)
_CARRIERS = ("acpi:VMBUS", "acpi:LNRO0005")
_CARRIER_OF = re.compile(r"of:N.*Cvirtio,mmio(?:C.*)?")


@dataclass(frozen=True, slots=True)
class Drivers:
    """Modules with the device that each is for, and remarks for the user."""

    modules: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def find(index: ModuleIndex, inventories: Iterable[Inventory], network: Network | None = None) -> Drivers:
    """Return the drivers of all network devices; HardwareError if an inventory has none.

    `network` knows the kernel's network drivers; without it only their place tells.
    """
    known = network or Network(index)
    matcher = Matcher(index.aliases)
    found: dict[str, str] = {}
    notes: list[str] = []
    for inventory in inventories:
        found_here = [
            (device, names)
            for device in inventory.devices
            if (names := _network(index, matcher, device, known))
        ]
        listed = [device for device in inventory.devices if device.driver or _class(device) == "02"]
        if not found_here and not listed:
            raise HardwareError(
                f"{inventory.shown}: no network device among {len(inventory.devices)} devices; "
                "list the whole machine, or name drivers with --module"
            )
        for device, names in found_here:
            for name in names:
                found.setdefault(name, device.where)
        usb = any((device.modalias or "").startswith("usb:") for device, _ in found_here)
        for device in inventory.devices:
            if _carries(device, usb):
                for name in _modules(index, matcher, device):
                    found.setdefault(name, device.where)
        notes += _remarks(index, matcher, listed, known)
    return Drivers(tuple(found.items()), tuple(dict.fromkeys(notes)))


def _class(device: Device, both: bool = False) -> str | None:
    """Return the PCI base class of a device, with its subclass if `both`; None if it is not on PCI."""
    match = _PCI.fullmatch(device.modalias or "")
    if match is None:
        return None
    return match["base"] + match["sub"] if both else match["base"]


def _modules(index: ModuleIndex, matcher: Matcher, device: Device) -> tuple[str, ...]:
    """Return the modules that the kernel would load for a device, and for virtio's behind it."""
    if device.modalias is None:
        return tuple(name for name in index.lookup(device.driver or "") if name in index.modules)
    names = matcher.modules(device.modalias)
    match = _PCI.fullmatch(device.modalias)
    if match and match["vendor"] == "1AF4" and match["device"] in _VIRTIO_NET:
        names += matcher.modules("virtio:d00000001v00001AF4")
    return tuple(name for name in names if name in index.modules)


def _network(index: ModuleIndex, matcher: Matcher, device: Device, known: Network) -> tuple[str, ...]:
    """Return the drivers of a network device, without those of wireless; empty if it is none."""
    base = _class(device)
    if base is not None and base != "02":
        return ()
    found = {name: known.driver(name) for name in _modules(index, matcher, device)}
    if base is None and device.driver is None and not any(found.values()):
        return ()
    return tuple(name for name, driver in found.items() if driver is None or driver.sub in WIRED)


def _carries(device: Device, usb: bool) -> bool:
    """Say whether network devices may hang on this one."""
    text = device.modalias or ""
    if usb and _class(device, both=True) == "0C03":
        return True
    return text.startswith(_CARRIERS) or _CARRIER_OF.fullmatch(text) is not None


def _none(index: ModuleIndex, shown: str) -> str:
    """Return the remark that nothing drives a device; kernels before 6.18 do not tell what is built in."""
    if any(map(has_devices, index.builtin_modules.values())):
        return f"kernel {index.release} has no driver for {shown}, neither a module nor built in"
    return f"kernel {index.release} has no module for {shown}; is it built in?"


def _remarks(index: ModuleIndex, matcher: Matcher, listed: list[Device], known: Network) -> list[str]:
    """Return a line for each network device without a driver of the image."""
    notes = []
    for device in listed:
        names = _modules(index, matcher, device)
        left = [n for n in names if (driver := known.driver(n)) and driver.sub not in WIRED]
        shown = device.modalias or f"driver {device.driver}"
        if left:
            notes.append(f"{device.where}: {', '.join(left)} left out, no wired network; --module takes it")
        elif not names and normal_name(device.driver or "") not in index.builtin:
            notes.append(f"{device.where}: {_none(index, shown)}")
    return notes
