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

from collections.abc import Iterable
from dataclasses import dataclass

from mkpxeinit.errors import HardwareError
from mkpxeinit.hardware import devices
from mkpxeinit.hardware.inventory import Device, Inventory
from mkpxeinit.hardware.modalias import Matcher
from mkpxeinit.hardware.network import Network
from mkpxeinit.hardware.pci import WIRED
from mkpxeinit.kernel.builtin import has_devices
from mkpxeinit.kernel.index import ModuleIndex, normal_name


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
    matcher = Matcher(index.aliases, index.settings.aliases)
    found: dict[str, str] = {}
    notes: list[str] = []
    for inventory in inventories:
        found_here = [
            (device, names)
            for device in inventory.devices
            if (names := _network(index, matcher, device, known))
        ]
        listed = [device for device in inventory.devices if device.driver or _pci_network(device)]
        if not found_here and not listed:
            raise HardwareError(
                f"{inventory.shown}: no network device among {len(inventory.devices)} devices; "
                "list the whole machine, or name drivers with --module"
            )
        for device, names in found_here:
            for name in names:
                found.setdefault(name, device.where)
        usb = any(devices.is_on_usb(device) for device, _ in found_here)
        for device in inventory.devices:
            if _carries(device, usb):
                for name in _modules(index, matcher, device):
                    found.setdefault(name, device.where)
        notes += _remarks(index, matcher, listed, known)
    return Drivers(tuple(found.items()), tuple(dict.fromkeys(notes)))


def _pci_network(device: Device) -> bool | None:
    """Say whether a device on PCI is one of class 02; None if it is not on PCI."""
    parts = devices.pci(device.modalias)
    return None if parts is None else parts.is_network


def _modules(index: ModuleIndex, matcher: Matcher, device: Device) -> tuple[str, ...]:
    """Return the modules that the kernel would load for a device, and for virtio's behind it."""
    if device.modalias is None:
        return tuple(name for name in index.lookup(device.driver or "") if name in index.modules)
    needs = devices.needs_of(device.modalias)
    names = [name for need in needs for name in matcher.modules(need.modalias)]
    return tuple(name for name in names if name in index.modules)


def _network(index: ModuleIndex, matcher: Matcher, device: Device, known: Network) -> tuple[str, ...]:
    """Return the drivers of a network device, without those of wireless; empty if it is none."""
    on_pci = _pci_network(device)
    if on_pci is False:
        return ()
    found = {name: known.driver(name) for name in _modules(index, matcher, device)}
    if on_pci is None and device.driver is None and not any(found.values()):
        return ()
    return tuple(name for name, driver in found.items() if driver is None or driver.sub in WIRED)


def _carries(device: Device, usb: bool) -> bool:
    """Say whether network devices may hang on this one."""
    return devices.kind_of(device) == devices.CARRIER and (usb or not devices.is_usb_host(device))


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
