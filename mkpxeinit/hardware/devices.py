"""What a device's modalias says by itself, whatever drivers are known, and what buses hang on.

Where all drivers of a kernel are known, its network drivers tell which devices are network devices; an
image has few of them. PCI classes: `include/linux/pci_ids.h`; USB's: usb.org/defined-class-codes; vmbus:
`HV_NIC_GUID` of `include/linux/hyperv.h`; virtio: the virtio specification, 5.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mkpxeinit.hardware import pci as pci_class
from mkpxeinit.hardware.modalias import UNKNOWN
from mkpxeinit.hardware.pci import WIRED

if TYPE_CHECKING:
    from mkpxeinit.hardware.inventory import Device

NETWORK, PHY, CARRIER, OTHER_MEDIA = "network", "PHY", "carrier", "other media"
# The modules that carry a bus, where they are modules; USB's are too many to name.
CARRIERS: dict[str, tuple[str, ...]] = {"virtio": ("virtio_pci", "virtio_mmio"), "vmbus": ("hv_vmbus",)}
_VIRTIO_NET = "virtio:d00000001v00001AF4"
_VIRTIO_PCI = ("1000", "1041")  # of vendor 1AF4: transitional, and 1040 + 1 (virtio specification, 4.1.2)
_PCI = re.compile(
    r"pci:v0000(?P<vendor>.{4})d0000(?P<device>.{4})sv.*bc(?P<base>..)sc(?P<sub>..)i(?P<interface>..)"
)
# How modaliases begin, or are: what such devices are, and the module that the kernel has for them.
_KNOWN: tuple[tuple[re.Pattern[str], str, str | None], ...] = (
    (re.compile(r"virtio:d00000001v.*"), NETWORK, "virtio_net"),
    (re.compile(r"vmbus:635161f83edfc546913ff2d2f965ed0e"), NETWORK, "hv_netvsc"),
    (re.compile(r"xen:vif"), NETWORK, "xen_netfront"),
    (re.compile(r"usb:.*ic02isc06ip.*"), NETWORK, "cdc_ether"),
    (re.compile(r"usb:.*ic02isc0[Dd]ip.*"), NETWORK, "cdc_ncm"),
    (re.compile(r"usb:.*ic[Ee]0isc01ip03.*"), NETWORK, "rndis_host"),
    (re.compile(r"of:NethernetT.*"), NETWORK, None),
    (re.compile(r"mdio:[01]{32}"), PHY, None),
    (re.compile(r"acpi:VMBUS.*"), CARRIER, CARRIERS["vmbus"][0]),
    (re.compile(r"acpi:LNRO0005.*"), CARRIER, CARRIERS["virtio"][1]),
    (re.compile(r"of:N.*Cvirtio,mmio(?:C.*)?"), CARRIER, CARRIERS["virtio"][1]),
)
_USB_HOSTS = {"00": "uhci_hcd", "10": "ohci_pci", "20": "ehci_pci", "30": "xhci_pci"}
# What lshw calls a network, and is no device.
_VIRTUAL = frozenset({"bridge", "bonding", "dummy", "macvlan", "tun", "veth", "wireguard", "openvswitch"})


@dataclass(frozen=True, slots=True)
class Pci:
    """The parts of a PCI modalias, hexadecimal digits; `?` where they are not known."""

    vendor: str
    device: str
    base: str
    sub: str
    interface: str

    @property
    def is_network(self) -> bool:
        """Whether it is a device of class 02, with or without a cable."""
        return self.base == pci_class.NETWORK


@dataclass(frozen=True, slots=True)
class Need:
    """A driver that a device needs: for `modalias`, usually the module `usual`."""

    modalias: str
    usual: str | None


def pci(modalias: str | None) -> Pci | None:
    """Return the parts of a PCI modalias, None if it is none."""
    match = _PCI.fullmatch(modalias or "")
    return Pci(**match.groupdict()) if match else None


def kind_of(device: "Device") -> str | None:
    """Return NETWORK, PHY, CARRIER (what network devices hang on) or OTHER_MEDIA (networks without cables).

    None if the device alone does not tell, or is something else. USB's host controllers are carriers.
    """
    if device.modalias is None:
        return NETWORK if device.driver and device.driver not in _VIRTUAL else None
    parts = pci(device.modalias)
    if parts is not None:
        if parts.is_network:
            return NETWORK if parts.sub in WIRED or UNKNOWN in parts.sub else OTHER_MEDIA
        return CARRIER if is_usb_host(device) else None
    return next((kind for pattern, kind, _ in _KNOWN if pattern.fullmatch(device.modalias)), None)


def is_on_usb(device: "Device") -> bool:
    """Say whether `device` hangs on USB, so that one of USB's host controllers is needed."""
    return (device.modalias or "").startswith("usb:")


def is_usb_host(device: "Device") -> bool:
    """Say whether `device` is a host controller of USB on PCI."""
    parts = pci(device.modalias)
    return parts is not None and parts.base + parts.sub == "0C03"


def needs_of(modalias: str) -> tuple[Need, ...]:
    """Return what a device needs: its driver, and that of the virtio device behind virtio's PCI ids."""
    parts = pci(modalias)
    if parts is None:
        usual = next((name for pattern, _, name in _KNOWN if pattern.fullmatch(modalias)), None)
        return (Need(modalias, usual),)
    if parts.vendor == "1AF4":
        behind = (Need(_VIRTIO_NET, "virtio_net"),) if parts.device in _VIRTIO_PCI else ()
        return (Need(modalias, CARRIERS["virtio"][0]), *behind)
    return (Need(modalias, _USB_HOSTS.get(parts.interface) if parts.base == "0C" else None),)
