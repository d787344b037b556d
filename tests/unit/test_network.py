"""Network drivers by symbols and by bus, what requests what, and what is left out."""

import dataclasses
import lzma
from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

from mkpxeinit import build
from mkpxeinit.elf import imports
from mkpxeinit.errors import KernelError, MkpxeinitError, ProgramError
from mkpxeinit.hardware.inventory import Inventory, parse
from mkpxeinit.hardware.network import BUSES, REGISTER, Network
from mkpxeinit.hardware.pci import PciClass
from mkpxeinit.kernel.index import Alias, Module, ModuleIndex, read_index
from mkpxeinit.kernel.symbols import Imports, ReadImports, reader
from mkpxeinit.selection import Selection, select
from mkpxeinit.sysroot import Sysroot
from tests.unit.objects import object_file, tree_with
from tests.unit.small import RELEASE
from tests.unit.test_selection import NFS, WIRED, why

ETHERNET = ["__pci_register_driver", "alloc_etherdev_mqs", "register_netdev"]
EXTRA = {
    "r8168": ("updates/dkms/r8168.ko", [], ["pci:v000010ECd00008161sv*sd*bc*sc*i*"], ETHERNET),
    "8821au": ("updates/8821au.ko", [], ["usb:v0BDAp0811d*"], ["register_netdevice", "cfg80211_scan_done"]),
    "wext": ("kernel/drivers/staging/wext.ko", [], ["pci:v1*"], ["register_netdev", "wireless_send_event"]),
    "slgt": ("kernel/drivers/tty/slgt.ko", [], ["pci:v2*"], ["register_netdev", "alloc_hdlcdev"]),
    "canny": ("extra/canny.ko", [], ["pci:v3*"], ["register_candev"]),
    "selfsaid": ("extra/selfsaid.ko", [], ["pci:v4*bc02sc80i*"], ETHERNET),
    "drm": ("kernel/drivers/gpu/drm.ko", [], ["pci:v5*"], ETHERNET),
    "nvidia": ("updates/dkms/nvidia.ko", [], ["pci:v*d*sv*sd*bc03sc00i00*"], ETHERNET),
    "notifier": ("extra/notifier.ko", [], ["pci:v6*"], ["register_netdevice_notifier"]),
    "tunnel": ("kernel/net/tunnel.ko", [], [], ["register_netdev"]),
    "mlx4_core": ("kernel/drivers/net/mlx4_core.ko", [], ["pci:v000015B3d00001003sv*sd*bc*sc*i*"], []),
    "mlx4_en": ("kernel/drivers/net/mlx4_en.ko", ["mlx4_core"], [], ["register_netdev"]),
    "mlx4_aux": ("kernel/drivers/net/mlx4_aux.ko", ["mlx4_core"], ["auxiliary:m.x"], ["register_netdevice"]),
    "mlx4_lib": ("kernel/drivers/net/mlx4_lib.ko", ["mlx4_core"], [], ["printk"]),
    # Not requested: another device's, another kind, of a library.
    "twin": ("kernel/drivers/net/twin.ko", ["mlx4_core"], ["mhi:X"], ["register_netdev"]),
    "odd_air": ("kernel/drivers/net/wireless/odd_air.ko", ["mlx4_core"], [], ["register_netdev"]),
    "lib_user": ("kernel/drivers/net/lib_user.ko", ["mlx4_lib"], [], ["register_netdev"]),
    "iwlmvm": ("kernel/drivers/net/wireless/iwlmvm.ko", ["iwlwifi"], [], ["ieee80211_register_hw"]),
    "usbcore": ("kernel/drivers/usb/core/usbcore.ko", [], [], []),
    "r8152": ("kernel/drivers/net/usb/r8152.ko", ["usbcore"], ["usb:v0BDAp8153d*"], ETHERNET),
    "rtl8xxxu": ("kernel/drivers/net/wireless/rtl8xxxu.ko", ["usbcore"], ["usb:v0BDAp8176d*"], []),
    "dwc2": ("kernel/drivers/usb/dwc2/dwc2.ko", ["usbcore"], ["of:N*T*Csnps,dwc2"], []),
    "sl811_cs": ("kernel/drivers/usb/host/sl811_cs.ko", ["usbcore"], ["pcmcia:m0*"], []),
    "usb_storage": ("kernel/drivers/usb/storage/usb_storage.ko", ["usbcore"], ["usb:v*ic08*"], []),
    "genet": ("kernel/drivers/net/ethernet/genet.ko", ["libphy"], ["of:N*T*Cbrcm,genet", "platform:g"], []),
    "pcnet_cs": ("kernel/drivers/net/ethernet/pcnet_cs.ko", [], ["pcmcia:m0149c0230f*"], []),
    "bond": ("kernel/drivers/net/bond.ko", [], [], ["register_netdevice"]),
}  # fmt: skip
MORE = WIRED | {"r8168", "mlx4_core", "mlx4_en", "mlx4_aux"}
BY_SYMBOLS = {
    "r8168": "Ethernet",
    "wext": "wireless",
    "slgt": "WAN",
    "canny": "CAN",
    "selfsaid": "class 0280",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree_with(tmp_path / "root", EXTRA)


@pytest.fixture
def index(root: Path) -> ModuleIndex:
    return read_index(Sysroot.open(root), RELEASE)


@pytest.fixture
def read(root: Path) -> ReadImports:
    return reader(Sysroot.open(root), RELEASE)


@pytest.fixture
def network(index: ModuleIndex, read: ReadImports) -> Network:
    return Network(index, read)


def chosen(read: ReadImports, index: ModuleIndex, *words: str, named: tuple[str, ...] = ()) -> Selection:
    """Select by words as `02`, a class, and `usb`, a bus; without a bus those of virtual machines."""
    classes = [PciClass.parse(word) for word in words if word not in BUSES]
    buses = tuple(word for word in words if word in BUSES) or None
    return select(index, classes, buses=buses, named=named, read=read)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("little", [True, False])
def test_imported_symbols(bits: int, little: bool) -> None:
    data = object_file("b", "a", exports=("c",), bits=bits, little=little)
    assert imports(data, "m.ko") == {"a", "b"}


def test_damaged_objects_are_ours() -> None:
    data = object_file("register_netdev")
    assert imports(data, "m.ko")
    for end in range(len(data)):
        try:
            assert imports(data[:end], "m.ko") <= {"register_netdev"}
        except ProgramError as error:
            assert str(error).startswith("m.ko: damaged ELF file")


def test_names_without_end() -> None:
    """Each takes no more than a symbol's name may have."""
    names = [chr(97 + number % 26) * 100_000 for number in range(200)]
    found = imports(object_file(*names), "m.ko")
    assert {len(each) for each in found} == {512} and len(found) == 26


def test_reading_packed_lacking_and_damaged_modules(root: Path, index: ModuleIndex) -> None:
    folder = root / "lib/modules" / RELEASE
    plain = folder / EXTRA["r8168"][0]
    packed = plain.with_name("r8168.ko.xz")
    packed.write_bytes(lzma.compress(plain.read_bytes()))
    plain.unlink()
    names = ("r8168", "canny", "slgt", "notifier")
    (folder / EXTRA["canny"][0]).write_bytes(object_file("register_candev")[:-70])
    (folder / EXTRA["slgt"][0]).unlink()
    text = (folder / "modules.dep").read_text()
    (folder / "modules.dep").write_text(text.replace("r8168.ko", "r8168.ko.xz"))
    tree = Sysroot.open(root)
    index = read_index(tree, RELEASE)
    found = reader(tree, RELEASE)([index.modules[name] for name in names], REGISTER)
    assert found["r8168"] == frozenset(ETHERNET) and found["notifier"] == frozenset()
    assert isinstance(found["canny"], MkpxeinitError) and isinstance(found["slgt"], MkpxeinitError)
    selection = chosen(reader(tree, RELEASE), index, "02")
    assert "r8168" in selection.names
    for name in ("canny", "slgt"):
        (note,) = (note for note in selection.notes if f"/{name}.ko: " in note)
        assert note.endswith("; taken for no network driver")


def test_kinds_by_symbols(network: Network) -> None:
    assert {each.name: each.kind for each in network.on("pci") if each.name in EXTRA} == BY_SYMBOLS | {
        "mlx4_core": "Ethernet"
    }
    (found,) = (each for each in network.on("usb") if each.name == "8821au")
    assert (found.sub, found.kind, found.buses) == ("80", "wireless", frozenset(("usb",)))
    assert network.driver("tunnel") is None and network.driver("r8168") is not None


def test_what_is_not_read(index: ModuleIndex, read: ReadImports) -> None:
    """Places without network drivers, other classes, no device: a large kernel would take seconds."""
    names: list[str] = []

    def noted(modules: Iterable[Module], among: Collection[str]) -> Imports:
        some = tuple(modules)
        names.extend(module.name for module in some)
        return read(some, among)

    network = Network(index, noted)
    for bus in BUSES:
        network.on(bus)
    assert set(names).isdisjoint({"drm", "nvidia", "tunnel", "e1000", "usb_storage", "snd_hda"})
    assert len(names) == len(set(names)) and set(BY_SYMBOLS) <= set(names)


def test_classes(read: ReadImports, index: ModuleIndex) -> None:
    wired = chosen(read, index, "02")
    assert wired.names == NFS | MORE
    assert why(wired, "r8168") == "PCI class 02"
    other = chosen(read, index, "0280")
    assert other.names == NFS | {"iwlwifi", "iwlmvm", "oddradio", "wext", "slgt", "canny", "selfsaid"}


def test_what_a_driver_requests(read: ReadImports, index: ModuleIndex) -> None:
    assert why(chosen(read, index, "02"), "mlx4_en") == "requested by mlx4_core ← PCI class 02"
    listing = "01:00.0 0200: 15b3:1003\n"
    inventory = Inventory("pc", tuple(parse(listing, "pc", "pc")))
    names = select(index, (), (), [inventory], read=read).names
    assert names == NFS | {"mlx4_core", "mlx4_en", "mlx4_aux"}
    assert select(index, (), ("iwlwifi",), read=read).names == NFS | {"iwlwifi", "iwlmvm"}
    assert "lib_user" not in select(index, (), ("mlx4_lib",), read=read).names


def test_an_inventory_with_a_driver_from_elsewhere(read: ReadImports, index: ModuleIndex) -> None:
    listing = "usb:v0BDAp0811d0200dc00dsc00dp00icFFiscFFipFFin00\npci:v000010ECd00008161svXsdXbc02sc00i00\n"
    inventory = Inventory("pc", tuple(parse(listing, "pc", "pc")))
    assert select(index, (), (), [inventory], read=read).names == NFS | {"r8168"}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("usb", {"usbcore", "r8152", "xhci_pci", "dwc2"}),
        ("0280 usb", {"usbcore", "rtl8xxxu", "8821au", "xhci_pci", "dwc2", "iwlwifi", "iwlmvm", "oddradio"}
                     | {"wext", "slgt", "canny", "selfsaid"}),
        ("pci", MORE - {"virtio", "virtio_net", "virtio_pci"}),
        ("pci virtio", MORE),
        ("virtio", {"virtio", "virtio_net", "virtio_pci"}),
        ("of", {"genet", "libphy", "realtek", "marvell"}),
        ("platform", {"genet", "libphy", "realtek", "marvell"}),
        ("mdio", {"libphy", "realtek", "marvell"}),
        ("xen", set()),
    ],
)  # fmt: skip
def test_buses(read: ReadImports, index: ModuleIndex, words: str, names: set[str]) -> None:
    selection = chosen(read, index, *words.split())
    assert selection.names - NFS == names - {"e1000"}
    assert {each.name for each in selection.left_out}.isdisjoint(selection.names)


def test_reasons_of_buses(read: ReadImports, index: ModuleIndex) -> None:
    selection = chosen(read, index, "usb")
    assert why(selection, "r8152") == why(selection, "xhci_pci") == "bus usb"
    assert why(chosen(read, index, "02"), "virtio_net") == "virtual network"


def test_no_bus_at_all(read: ReadImports, index: ModuleIndex) -> None:
    selection = select(index, (), buses=(), read=read)
    assert selection.names == NFS and selection.left_out == ()
    assert select(index, [PciClass.parse("02")], buses=(), read=read).names.isdisjoint({"virtio_net"})


@pytest.mark.parametrize(
    ("name", "brought"),
    [
        ("r8152", {"r8152", "usbcore", "xhci_pci", "dwc2"}),
        ("virtio_net", {"virtio_net", "virtio", "virtio_pci"}),
        ("genet", {"genet", "libphy", "realtek", "marvell"}),
        ("usb_storage", {"usb_storage", "usbcore", "xhci_pci", "dwc2"}),
    ],
)
def test_named_driver(read: ReadImports, index: ModuleIndex, name: str, brought: set[str]) -> None:
    selection = chosen(read, index, named=(name,))
    assert selection.names == NFS | brought and why(selection, name) == "--driver"
    assert not any("--driver" in note for note in selection.notes)


def test_named_driver_reasons(read: ReadImports, index: ModuleIndex) -> None:
    selection = chosen(read, index, named=("r8152", "bond"))
    assert why(selection, "xhci_pci") == "carries the bus of r8152 ← --driver"
    assert "--driver bond: it names no devices that load it; --module loads it at boot" in selection.notes
    with pytest.raises(KernelError, match=r"^--driver r8153: kernel .* close to it: r8152"):
        chosen(read, index, named=("r8153",))


def test_driver_is_not_loaded_by_name(root: Path) -> None:
    options = build.Options(sysroot=root, drivers=("r8152",), modules=("dwc2",), buses=())
    plan = build.plan(options, {}).plan
    (listed,) = (item.entry for item in plan.items() if str(item.entry.path) == "etc/pxeinit/modules")
    assert getattr(listed, "source", None) == b"dwc2\n"


@pytest.mark.parametrize(
    ("name", "reason", "options"),
    [
        ("iwlwifi", "wireless", "--pci-class 0280"),
        ("rtl8xxxu", "wireless", "--pci-class 0280 --bus usb"),
        ("iwlmvm", "wireless", "--module iwlmvm"),
        ("slgt", "WAN", "--pci-class 0280"),
        ("r8152", "bus usb", "--bus usb"),
        ("genet", "bus of", "--bus of"),
        ("pcnet_cs", "bus pcmcia", "--driver pcnet_cs"),
        ("bond", "no alias of a device", "--module bond"),
        ("selfsaid", "class 0280", "--pci-class 0280"),
    ],
)
def test_left_out(read: ReadImports, index: ModuleIndex, name: str, reason: str, options: str) -> None:
    (found,) = (each for each in chosen(read, index, "02").left_out if each.name == name)
    assert (found.reason, found.options) == (reason, options)
    assert str(found) == f"{name}: {reason}; {options} takes it"


def test_left_out_is_all_the_rest(read: ReadImports, network: Network, index: ModuleIndex) -> None:
    selection = chosen(read, index, "02")
    network.on("pci")
    everything = {each.name for each in network.known()}
    assert {each.name for each in selection.left_out} == everything - selection.names
    phys = {each.name: each.reason for each in chosen(read, index, "usb").left_out}
    assert phys["marvell"] == "PHY, used by no driver taken"
    assert chosen(read, index, named=("e1000",)).left_out == ()


def test_built_in_drivers_are_not_read_and_not_left_out(index: ModuleIndex, read: ReadImports) -> None:
    """Where the index lists them among the modules, as for matching; they have no file."""
    fixed = dataclasses.replace(index, builtin=index.builtin | {"r8168", "r8152", "mlx4_en"})
    selection = chosen(read, fixed, "02")
    assert {"r8152", "mlx4_en"}.isdisjoint(each.name for each in selection.left_out)
    assert Network(fixed, read).driver("r8168") is None and "mlx4_en" not in selection.names


def test_imports_in_the_tail_of_another_name(tmp_path: Path) -> None:
    """As linkers merge strings; and a packed module that is damaged is an error of that module alone."""
    data = bytearray(object_file("my_register_netdev"))
    at = 64 + len(b"code") + 2 * 24  # the name of the third symbol
    data[at] += len("my_")
    root = tree_with(tmp_path, {})
    folder = root / f"lib/modules/{RELEASE}"
    (folder / "a.ko").write_bytes(data)
    (folder / "b.ko.xz").write_bytes(b"x")
    modules = [Module("a", "a.ko", ()), Module("b", "b.ko.xz", ())]
    found = reader(Sysroot.open(root), RELEASE)(modules, REGISTER)
    assert found["a"] == frozenset({"register_netdev"})
    assert isinstance(found["b"], KernelError) and "b.ko.xz: damaged: " in str(found["b"])


def test_files_of_dev_are_no_bus(tmp_path: Path) -> None:
    extra = {"tun": ("kernel/drivers/net/tun.ko", list[str](), ["devname:net/tun", "usb*:x"], ETHERNET)}
    index = read_index(Sysroot.open(tree_with(tmp_path, extra)), RELEASE)
    assert Network(index).buses("tun") == {"usb"}


def test_the_buses_of_aliases() -> None:
    """Of one bus, of several, with the bus itself left open, and what is no device's."""
    aliases = [
        ("pci:v1*", "one"), ("pci:v2*", "one"),
        ("pci:v3*", "two"), ("usb:v1*", "two"),
        ("acpi*:INT1:*", "open"), ("acpi*:INT2:*", "open"),
        ("devname:net/tun", "tun"), ("char-major-10-200", "tun"),
        ("char-major-1", "late"), ("virtio:d1v*", "late"),
        ("fs-nfs", "nfs"),
    ]  # fmt: skip
    modules = {name: Module(name, f"kernel/{name}.ko", ()) for _, name in aliases}
    index = ModuleIndex(RELEASE, modules, frozenset(), [Alias(*each) for each in aliases], {}, "")
    network = Network(index)
    found = {name: set(network.buses(name)) for name in modules}
    assert found == {
        "one": {"pci"},
        "two": {"pci", "usb"},
        "open": {"acpi"},
        "tun": set(),
        "late": {"virtio"},
        "nfs": set(),
    }
