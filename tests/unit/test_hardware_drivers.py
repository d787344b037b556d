"""Which devices of an inventory count, on the small kernel of small.py."""

import dataclasses

import pytest

from mkpxeinit.errors import HardwareError
from mkpxeinit.hardware.inventory import Inventory, parse
from mkpxeinit.kernel.index import Alias, Module, ModuleIndex, read_index
from mkpxeinit.selection import Selection, select
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import RELEASE
from tests.unit.test_selection import NFS, why

OFFICE = """00:02.0 VGA compatible controller [0300]: Intel UHD [8086:3e92]
00:14.0 USB controller [0c03]: Intel xHCI [8086:a36d] (prog-if 30 [XHCI])
00:1f.3 Audio device [0403]: Intel HDA [8086:24f4]
00:1f.6 Ethernet controller [0200]: Intel PRO/1000 [8086:1000]
01:00.0 Ethernet controller [0200]: Realtek RTL8168 [10ec:8168]
"""


@pytest.fixture
def index(tree: Sysroot) -> ModuleIndex:
    return read_index(tree, RELEASE)


def inventory(text: str) -> Inventory:
    return Inventory("dir/pc", tuple(parse(text, "dir/pc", "pc")))


def chosen(index: ModuleIndex, *texts: str) -> Selection:
    return select(index, (), (), [inventory(text) for text in texts])


def with_usb(index: ModuleIndex) -> ModuleIndex:
    """Return the kernel with a driver for a USB network card, and one for a USB stick."""
    modules = {
        "r8152": Module("r8152", "kernel/drivers/net/usb/r8152.ko", ()),
        "usb_storage": Module("usb_storage", "kernel/drivers/usb/storage/usb-storage.ko", ()),
    }
    aliases = (Alias("usb:v0BDAp8153d*", "r8152"), Alias("usb:v*ic08*", "usb_storage"))
    return dataclasses.replace(index, modules=index.modules | modules, aliases=(*index.aliases, *aliases))


def test_network_controllers_and_nothing_else(index: ModuleIndex) -> None:
    selection = chosen(index, OFFICE)
    assert selection.names == NFS | {"e1000", "r8169", "libphy", "realtek", "marvell"}
    assert why(selection, "e1000") == "hardware pc:4"
    assert why(selection, "realtek") == "softdep of r8169 ← hardware pc:5"
    assert why(selection, "marvell") == "PHY driver"


@pytest.mark.parametrize("device", ["1000", "1041"])
def test_virtio_behind_its_pci_device(index: ModuleIndex, device: str) -> None:
    selection = chosen(index, f"00:03.0 0200: 1af4:{device}\n00:04.0 0100: 1af4:1001\n")
    assert selection.names == NFS | {"virtio", "virtio_pci", "virtio_net"}


def test_a_machine_each_file(index: ModuleIndex) -> None:
    assert chosen(index, "00:03.0 0200: 8086:1000", "virtio:d00000001v00001AF4").names == NFS | {
        "e1000",
        "virtio",
        "virtio_net",
    }


def test_usb_with_its_controller(index: ModuleIndex) -> None:
    card = "usb:v0BDAp8153d3100dc00dsc00dp00icFFiscFFip00in00\n"
    stick = "usb:v0951p1666d0001dc00dsc00dp00ic08isc06ip50in00\n"
    controller = "pci:v00008086d0000A36Dsv00001028sd00000869bc0Csc03i30\n"
    index = with_usb(index)
    assert chosen(index, card + stick + controller).names == NFS | {"r8152", "xhci_pci"}
    nic = "pci:v00008086d00001000sv00001028sd00000869bc02sc00i00\n"
    assert chosen(index, nic + stick + controller).names == NFS | {"e1000"}


def test_what_buses_hang_on(index: ModuleIndex) -> None:
    modules = {name: Module(name, f"kernel/drivers/{name}.ko", ()) for name in ("virtio_mmio", "hv_vmbus")}
    aliases = (
        Alias("of:N*T*Cvirtio,mmio", "virtio_mmio"),
        Alias("acpi*:LNRO0005:*", "virtio_mmio"),
        Alias("acpi*:VMBUS:*", "hv_vmbus"),
    )
    index = dataclasses.replace(index, modules=index.modules | modules, aliases=(*index.aliases, *aliases))
    net = "virtio:d00000001v1AF4\n"
    expected = NFS | {"virtio", "virtio_net"}
    assert chosen(index, net + "of:NvirtioTCvirtio,mmio\n").names == expected | {"virtio_mmio"}
    assert chosen(index, net + "acpi:LNRO0005:\n").names == expected | {"virtio_mmio"}
    assert chosen(index, net + "acpi:VMBUS:VMBus:\nacpi:PNP0303:\n").names == expected | {"hv_vmbus"}


def test_wireless_is_left_out_and_said(index: ModuleIndex) -> None:
    selection = chosen(index, "00:03.0 0200: 8086:1000\n02:00.0 0280: 8086:24f3\n")
    assert selection.names == NFS | {"e1000"}
    assert "pc:2: iwlwifi left out, no wired network; --module takes it" in selection.notes


def test_a_card_without_a_module_is_said(index: ModuleIndex) -> None:
    selection = chosen(index, "00:03.0 0200: 15b3:1017\n")
    assert selection.names == NFS
    assert (
        f"pc:1: kernel {RELEASE} has no module for pci:v000015B3d00001017sv????????sd????????bc02sc00i??;"
        " is it built in?"
    ) in selection.notes


def test_driver_by_name(index: ModuleIndex) -> None:
    node = '{"class": "network", "businfo": "pci@1", "configuration": {"driver": "%s"}}'
    assert chosen(index, node % "e1000").names == NFS | {"e1000"}
    virtio = f"[{node % 'virtio-pci'}, {node % 'virtio_net'}]"
    assert chosen(index, virtio).names == NFS | {"virtio", "virtio_pci", "virtio_net"}
    assert not any("built in" in note for note in chosen(index, node % "af-packet").notes)
    notes = chosen(index, node % "nothing").notes
    assert f"pc pci@1: kernel {RELEASE} has no module for driver nothing; is it built in?" in notes


@pytest.mark.parametrize(
    "text", ["00:02.0 0300: 8086:3e92\n00:1f.3 0403: 8086:24f4\n", "dmi:bvnX\nusb:v1p2\n"]
)
def test_no_network_device(index: ModuleIndex, text: str) -> None:
    with pytest.raises(HardwareError) as caught:
        chosen(index, text)
    assert str(caught.value) == (
        "dir/pc: no network device among 2 devices; list the whole machine, or name drivers with --module"
    )
