"""Selection on the kernels of all suites, with kmod as the oracle.

`pytest -rP tests/unit/test_kernels.py` prints what was compared, and the tables of docs/hardware.md.
"""

import random
import shutil
from collections import Counter
from pathlib import PurePath

import pytest

from mkpxeinit.hardware.modalias import Matcher
from mkpxeinit.hardware.network import BUSES, REGISTER, Network
from mkpxeinit.hardware.pci import PciClass, network_place
from mkpxeinit.kernel.index import Module
from mkpxeinit.reason import Reason
from mkpxeinit.selection import Selection, closure, select
from tests.unit.kernels import RealKernel, device_of, real_kernel, undefined_symbols
from tests.unit.shares import shares

pytestmark = [
    pytest.mark.tree,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="fetching Debian's kernels needs apt"),
]
KERNELS = ["bullseye-amd64", "bookworm-amd64", "trixie-amd64", "bookworm-arm64"]
SEED = 20


@pytest.fixture(scope="module", params=[*KERNELS, pytest.param("sid-amd64", marks=pytest.mark.newest)])
def kernel(request: pytest.FixtureRequest) -> RealKernel:
    suite, _, architecture = request.param.partition("-")
    return real_kernel(suite, architecture)


def network_modules(kernel: RealKernel) -> list[str]:
    """Return all modules under drivers/net, and those elsewhere that are network drivers by symbols."""
    for bus in BUSES:
        kernel.network.on(bus)
    return [driver.name for driver in kernel.network.known()]


def test_closures_are_those_of_kmod(kernel: RealKernel) -> None:
    """Soft dependencies included; for every network module, whatever class or bus takes it."""
    names = network_modules(kernel)
    assert len(names) > 400
    differ = []
    for name, theirs in zip(names, kernel.kmod_closures(names), strict=True):
        ours = set(closure(kernel.index, {name: Reason("test")}, []))
        differ += [f"{name}: {sorted(ours ^ theirs)}"] if ours != theirs else []
    print(f"{kernel.title}: closures of {len(names)} modules compared, {len(differ)} differ")
    assert not differ


@shares(5)
def test_aliases_pick_what_kmod_picks(kernel: RealKernel, step: int) -> None:
    """A random device for each alias of every network module."""
    modules = set(network_modules(kernel))
    patterns = dict.fromkeys(
        alias.pattern for alias in kernel.index.aliases if alias.module in modules and ":" in alias.pattern
    )
    chance = random.Random(SEED)
    asked = [device_of(pattern, chance) for pattern in patterns]
    assert len(asked) > 3500
    asked = asked[::step]
    matcher = Matcher((alias.pattern, alias.module) for alias in kernel.index.aliases)
    differ, picked = [], 0
    for modalias, theirs in zip(asked, kernel.kmod_matches(asked), strict=True):
        ours = set(matcher.modules(modalias))
        picked += len(ours)
        differ += [f"{modalias}: {sorted(ours ^ theirs)}"] if ours != theirs else []
    print(f"{kernel.title}: {len(asked)} aliases compared, {picked} modules picked, {len(differ)} differ")
    assert not differ and picked > len(asked) * 9 // 10


def test_no_network_driver_is_overlooked(kernel: RealKernel) -> None:
    """Every module of the kernel that has an alias is read here, by another reader of ELF."""
    known = set(network_modules(kernel))
    looked, found = 0, set()
    for name, module in kernel.index.modules.items():
        if kernel.network.buses(name).intersection(BUSES) and network_place(module.path) is None:
            looked += 1
            if REGISTER & undefined_symbols(kernel.bytes_of(module)):
                found.add(name)
    # Those of staging are known on whatever bus, as SDIO.
    ours = {name for name in known if kernel.network.buses(name).intersection(BUSES)}
    elsewhere = {name for name in ours if network_place(kernel.index.modules[name].path) is None}
    print(f"{kernel.title}: {looked} modules outside drivers/net read, network drivers: {sorted(found)}")
    assert looked > 1000 and found - {"dsa_core"} == elsewhere


def test_symbols_say_what_places_say(kernel: RealKernel) -> None:
    """Of the Ethernet drivers of PCI and USB all but a few helpers would be found anywhere else too."""
    missed, looked = set(), 0
    for driver in kernel.network.known():
        module = kernel.index.modules[driver.name]
        if driver.kind == "Ethernet" and driver.buses & {"pci", "usb"}:
            looked += 1
            if not REGISTER & undefined_symbols(kernel.bytes_of(module)):
                missed.add(driver.name)
    print(f"{kernel.title}: {looked} Ethernet drivers, by symbols all but {sorted(missed)}")
    helpers = {"cavium_ptp", "mlx4_core"}
    if "arm64" in kernel.title:
        helpers |= {
            "mdio_thunder",
            "hclge",
            "hclgevf",
            "nicpf",
            "thunder_bgx",
            "thunder_xcv",
            "fsl_enetc_mdio",
            "fsl_enetc_ptp",
        }
    assert looked > 100 and missed == helpers


def folder(module: Module, depth: int) -> str:
    """Return the folder of a module, so many steps below kernel/, as far as the table tells."""
    return "/".join(PurePath(module.path).parent.parts[1 : depth + 1])


def chosen(kernel: RealKernel, *classes: str, buses: tuple[str, ...] | None = None) -> Selection:
    parsed = [PciClass.parse(each) for each in classes]
    return select(kernel.index, parsed, buses=buses, read=kernel.read)


def test_what_class_02_takes_and_leaves_out(kernel: RealKernel) -> None:
    selection = chosen(kernel, "02")
    direct = [each.module for each in selection.modules if str(each.reason) == "PCI class 02"]
    print(f"{kernel.title}: class 02 takes {len(direct)} drivers of {len(selection.modules)} modules")
    for place, count in sorted(Counter(folder(each, 3) for each in direct).items()):
        print(f"| {place} | {count} |")
    vendors = Counter(folder(each, 4).removeprefix("drivers/net/ethernet/") for each in direct)
    print(", ".join(f"{vendor} {count}" for vendor, count in sorted(vendors.items()) if "/" not in vendor))
    print(f"{kernel.title}: left out are {len(selection.left_out)} network drivers")
    for reason, count in Counter(each.reason for each in selection.left_out).most_common():
        print(f"| {reason} | {count} |")
    assert {"mlx4_en", "e1000e", "r8169", "virtio_net", "hv_netvsc", "xen_netfront"} <= selection.names
    assert selection.names.isdisjoint({"iwlwifi", "ath9k", "r8152", "slip"})
    assert selection.names.isdisjoint(each.name for each in selection.left_out)
    network = Network(kernel.index, kernel.read)
    network.on("pci")
    everything = {each.name for each in network.known()}
    assert everything == {each.name for each in selection.left_out} | (selection.names & everything)
    # What an option is said to take, it takes.
    for options in {each.options for each in selection.left_out if "--bus" in each.options}:
        words = options.split()
        classes = words[1:2] if words[0] == "--pci-class" else []
        more = chosen(kernel, *classes, buses=(words[-1],))
        assert {each.name for each in selection.left_out if each.options == options} <= more.names, options
    wireless = chosen(kernel, "0280").names
    assert {each.name for each in selection.left_out if each.options == "--pci-class 0280"} <= wireless
    assert {"iwlmvm", "iwldvm"} <= wireless


@pytest.mark.parametrize(
    ("bus", "names"),
    [
        ("usb", {"r8152", "asix", "cdc_ether", "xhci_pci", "usbcore", "mii"}),
        ("vmbus", {"hv_netvsc", "hv_vmbus"}),
        ("virtio", {"virtio_net", "virtio_pci", "virtio_mmio"}),
        ("xen", {"xen_netfront"}),
        ("mdio", {"realtek", "marvell", "libphy"}),
    ],
)
def test_buses(kernel: RealKernel, bus: str, names: set[str]) -> None:
    selection = chosen(kernel, buses=(bus,))
    present = names & kernel.index.modules.keys()
    assert present and present <= selection.names
    assert selection.names.isdisjoint({"e1000e", "igb", "rt2800usb"})


@pytest.mark.parametrize(
    ("bus", "names"),
    [
        ("of", {"genet", "mvneta", "fec", "dwmac_rk", "dwmac_sun8i", "stmmac", "mdio_bcm_unimac", "marvell"}),
        ("acpi", {"mvpp2", "xgene_enet", "netsec", "amd_xgbe"}),
        ("platform", {"smc91x", "macb", "fec"}),
        ("fsl-mc", {"fsl_dpaa2_eth", "fsl_mc_dpio"}),
    ],
)
def test_buses_of_boards(bus: str, names: set[str]) -> None:
    """Ethernet of ARM boards and servers, with the glue and the PHYs that it needs."""
    kernel = real_kernel("bookworm", "arm64")
    selection = chosen(kernel, buses=(bus,))
    assert names <= selection.names and selection.names.isdisjoint({"e1000e", "r8152", "iwlwifi"})
