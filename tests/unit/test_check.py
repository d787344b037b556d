"""Which machines an image serves. Images are built, unpacked, changed, and packed again by GNU cpio."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mkpxeinit import build
from mkpxeinit.check import Machine, Report, check, expand
from mkpxeinit.errors import ImageError, KernelError
from mkpxeinit.hardware.pci import PciClass
from tests.unit.images import archive
from tests.unit.objects import Extra, tree_with
from tests.unit.small import RELEASE, Link, Tree, kernel_tree, make_tree, module_path, unpack
from tests.unit.test_firmware import module

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="GNU cpio makes device nodes as root only")
MODULES = f"lib/modules/{RELEASE}"
E1000 = "00:03.0 0200: 8086:1000\n"
R8169 = "01:00.0 0200: 10ec:8168\n"
R8169_ALIAS = "pci:v000010ECd00008168sv00001043sd00008677bc02sc00i00\n"
VIRTIO = "00:02.0 0200: 1af4:1000\n"
RADIO = "02:00.0 0280: 8086:24f3\n"
KNOWN_PHY = "mdio:00000000000111001100100100010110\n"
SOFTDEP = "softdep realtek of r8169"
NO_PHYS = "PHY drivers, any of r8169"
OTHER_PHY = "mdio:00000000000000000000000000010110\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unpacked image for class 02; r8169 and libphy name firmware, which is there."""
    folder = tmp_path_factory.mktemp("built")
    tree = kernel_tree() | {
        f"{MODULES}/{module_path('r8169')}": module("rtl/a.fw", "rtl/b.fw"),
        f"{MODULES}/{module_path('libphy')}": module("phy.fw"),
        "lib/firmware/rtl/a.fw": "a",
        "lib/firmware/rtl/c.fw": "b",
        "lib/firmware/rtl/b.fw": Link("c.fw"),
        "lib/firmware/phy.fw": "p",
    }
    options = build.Options(make_tree(folder / "tree", tree), folder / "image", pci_classes=(PciClass("02"),))
    build.write(build.plan(options, {}))
    return unpack((folder / "image").read_bytes(), folder / "out")


Judge = Callable[..., Machine]


@pytest.fixture
def out(built: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the unpacked image, to be changed."""
    yield shutil.copytree(built, tmp_path / "out", symlinks=True, ignore=shutil.ignore_patterns("dev"))


def report(out: Path, *texts: str, **options: bool) -> Report:
    (out.parent / "image").write_bytes(archive(out))
    paths = []
    for number, text in enumerate(texts):
        paths.append(out.parent / f"pc{number}")
        paths[-1].write_text(text)
    return check(out.parent / "image", paths, **options)  # type: ignore[arg-type]


def judged(out: Path, text: str, **options: bool) -> dict[str, list[str]]:
    """Return what is lacking by driver, or by place if there is none."""
    (machine,) = report(out, text, **options).machines
    assert machine.error is None
    assert machine.covered == all(each.verdict != "uncovered" for each in machine.findings)
    return {
        ",".join(each.drivers) or each.where: [each.reason] if each.reason else list(map(str, each.lacking))
        for each in machine.findings
    }


def test_covered(out: Path) -> None:
    assert judged(out, E1000 + R8169 + VIRTIO + "00:1f.3 0403: 8086:24f4\n") == {
        "e1000": [],
        "r8169": [],
        "virtio_pci,virtio_net": [],
    }


def test_a_driver_that_was_left_out_is_named(out: Path) -> None:
    """Whatever the bus: the image lists what its kernel has beside it."""
    remove(out, "e1000")
    with (out / "lib/pxeinit/left-out").open("a") as file:
        file.write("00\te1000\tpci:v00008086d00001000sv*sd*bc*sc*i*\n")
        file.write("00\tr8152\tusb:v0BDAp8153d*dc*dsc*dp*ic*isc*ip*in*\n")
    card = "usb:v0BDAp8153d3100dc00dsc00dp00icFFiscFFip00in00\n"
    nic = "pci:v00008086d00001000sv00001028sd00000869bc02sc00i00\n"
    assert judged(out, nic + card) == {"pc0:1": ["driver e1000"], "pc0:2": ["driver r8152"]}


def test_a_device_that_the_kernel_does_not_know(out: Path) -> None:
    where = "pci:v00008086d0000FFFFsv????????sd????????bc02sc00i??"
    known = f"driver for {where}, of which kernel {RELEASE} has none"
    assert judged(out, "00:03.0 0200: 8086:ffff\n") == {"pc0:1": [known]}
    with (out / MODULES / "modules.builtin").open("a") as file:
        file.write("kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko\n")
    known += "; built in, for unknown devices: e1000e"
    assert judged(out, "00:03.0 0200: 8086:ffff\n") == {"pc0:1": [known]}


def test_the_nearest_in_an_image_of_another_tool(out: Path) -> None:
    (out / "lib/pxeinit/left-out").unlink()
    lack = "driver for pci:v0000{}d0000FFFFsv????????sd????????bc02sc00i??; for vendor {} it has {}"
    for vendor, near in (("8086", "e1000"), ("10EC", "r8169"), ("1011", "none")):
        assert judged(out, f"00:03.0 0200: {vendor}:ffff\n") == {"pc0:1": [lack.format(vendor, vendor, near)]}


@pytest.mark.parametrize("line", ["00\tx", "\t\tx", "drivers/net/x\ta", "00\tx\ta\x1b"])
def test_a_damaged_list(out: Path, line: str) -> None:
    with (out / "lib/pxeinit/left-out").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(
        KernelError, match=rf"^{out.parent}/image:/lib/pxeinit/left-out:\d+: no subclass, name and"
    ):
        report(out, E1000)


@pytest.mark.parametrize("name", ["rtl/a.fw", "rtl/b.fw", "rtl/c.fw", "phy.fw"])
def test_each_firmware_file_counts(out: Path, name: str) -> None:
    """Also the target of a link, and what a module names that the driver needs."""
    (out / "lib/firmware" / name).unlink()
    owner = "libphy" if name == "phy.fw" else "r8169"
    lacking = "rtl/b.fw" if name == "rtl/c.fw" else name
    assert judged(out, R8169 + E1000) == {"r8169": [f"firmware {lacking} of {owner}"], "e1000": []}
    assert judged(out, R8169, with_firmware=False) == {"r8169": []}


def test_firmware_that_the_kernel_carries(tmp_path: Path) -> None:
    """CONFIG_EXTRA_FIRMWARE: it is not in the image, and lacks nowhere; the rest does."""
    tree = kernel_tree() | {
        f"{MODULES}/{module_path('r8169')}": module("rtl/a.fw", "rtl/b.fw"),
        f"boot/config-{RELEASE}": 'CONFIG_RD_GZIP=y\nCONFIG_EXTRA_FIRMWARE="x/y.fw rtl/a.fw"\n',
    }
    out = unpacked(make_tree(tmp_path / "tree", tree))
    assert (out / "lib/pxeinit/carried-firmware").read_text() == "rtl/a.fw\n"
    assert judged(out, R8169) == {"r8169": ["firmware rtl/b.fw of r8169"]}


def unpacked(tree: Path, **options: Any) -> Path:
    """Build an image of class 02 of a tree, and unpack it beside it."""
    image = tree.with_name("built")
    build.write(build.plan(build.Options(tree, image, pci_classes=(PciClass("02"),), **options), {}))
    return unpack(image.read_bytes(), tree.with_name("out"))


@pytest.mark.parametrize(("bus", "lacking"), [("usb", []), ("virtio", ["driver ours"])])
def test_drivers_by_symbols(tmp_path: Path, bus: str, lacking: list[str]) -> None:
    """Out-of-tree drivers wherever they stand: those of the image, and those that it could have had."""
    alias, device = (
        "usb:v1234p{}d*dc*dsc*dp*ic*isc*ip*in*",
        "usb:v1234p{}d0000dc00dsc00dp00icFFiscFFip00in00\n",
    )
    extra: Extra = {
        "ours": ("extra/ours.ko", [], [alias.format("0001")], ["register_netdev"]),
        "stick": ("extra/stick.ko", [], [alias.format("0002")], ["input_register_device"]),
        "air": ("extra/air.ko", [], [alias.format("0003")], ["register_netdev", "cfg80211_scan_done"]),
    }
    out = unpacked(tree_with(tmp_path / "tree", extra), buses=(bus,))
    card = "pci:v00008086d00001000sv00001028sd00000869bc02sc00i00\n"
    found = judged(out, card + "".join(device.format(f"000{number}") for number in (1, 2, 3)))
    names = {"e1000": [], "pc0:4": ["no wired network: air"]}
    assert found == names | {"pc0:2" if lacking else "ours": lacking}


@pytest.mark.parametrize("suffix", [".xz", ".zst"])
def test_packed_firmware_is_there(out: Path, suffix: str) -> None:
    path = out / "lib/firmware/rtl/a.fw"
    path.rename(path.with_name(f"a.fw{suffix}"))
    assert judged(out, R8169) == {"r8169": []}


def test_a_listed_module_that_is_not_there(out: Path) -> None:
    (out / MODULES / module_path("libphy")).unlink()
    assert judged(out, R8169, with_firmware=False) == {"r8169": ["module libphy of r8169", NO_PHYS]}
    (out / MODULES / module_path("e1000")).unlink()
    assert judged(out, E1000) == {"e1000": ["module e1000"]}


def remove(out: Path, *names: str) -> None:
    """Remove modules, their lines included, as a tool does that never knew of them."""
    for name in names:
        (out / MODULES / module_path(name)).unlink()
        for text in (out / MODULES / "modules.dep", out / MODULES / "modules.alias"):
            lines = text.read_text().splitlines(keepends=True)
            gone = (f"{module_path(name)}:", f" {name}\n")
            text.write_text(
                "".join(x for x in lines if not x.startswith(gone[0]) and not x.endswith(gone[1]))
            )


def test_phys(out: Path) -> None:
    assert judged(out, R8169_ALIAS + KNOWN_PHY) == {"r8169": [], "realtek": []}
    remove(out, "marvell")
    assert judged(out, R8169) == {"r8169": []}
    remove(out, "realtek")
    # The mistake that images are most often found with: the driver is there, its PHY's is not.
    assert judged(out, R8169) == {"r8169": [SOFTDEP, NO_PHYS]}
    assert judged(out, E1000) == {"e1000": []}
    (out / MODULES / "modules.softdep").write_text("")
    assert judged(out, R8169) == {"r8169": [NO_PHYS]}


def test_phys_of_an_inventory_are_matched_exactly(out: Path) -> None:
    assert judged(out, R8169_ALIAS + OTHER_PHY) == {"r8169": [], "pc0:2": ["the kernel's generic driver"]}
    remove(out, "realtek")
    with (out / "lib/pxeinit/left-out").open("a") as file:
        file.write("00\trealtek\tmdio:0000000000011100110010??????????\n")
    assert judged(out, R8169_ALIAS + KNOWN_PHY) == {"r8169": [SOFTDEP], "pc0:2": ["driver realtek"]}
    # Another tool's image does not tell what its kernel has: a PHY without a driver counts.
    (out / "lib/pxeinit/left-out").unlink()
    assert judged(out, R8169_ALIAS + OTHER_PHY)["pc0:2"] == [f"driver for {OTHER_PHY.strip()}"]


def test_weak_dependencies(out: Path) -> None:
    (out / MODULES / "modules.weakdep").write_text("weakdep e1000 crc_a no-such\n")
    assert judged(out, E1000) == {"e1000": ["weakdep no-such of e1000"]}


def test_virtio_needs_both(out: Path) -> None:
    remove(out, "virtio_net")
    (lack,) = judged(out, VIRTIO)["virtio_pci"]
    assert lack == "driver virtio_net or another for virtio:d00000001v00001AF4"
    with (out / MODULES / "modules.builtin").open("a") as file:
        file.write("kernel/drivers/net/virtio_net.ko\n")
    assert judged(out, VIRTIO) == {"virtio_pci,virtio_net": []}


def test_built_in_drivers(out: Path) -> None:
    """Kernels from 6.18 on say which devices they are for; their firmware is needed all the same."""
    with (out / MODULES / "modules.builtin").open("a") as file:
        file.write("kernel/drivers/net/ethernet/broadcom/tg3.ko\n")
    card = "00:03.0 0200: 14e4:1644\n"
    (lack,) = judged(out, card)["pc0:1"]
    assert lack.endswith("; built in, for unknown devices: tg3")
    facts = ("file=drivers/net/ethernet/broadcom/tg3", "alias=pci:v000014E4d00001644sv*sd*bc*sc*i*")
    text = "".join(f"tg3.{fact}\0" for fact in (*facts, "firmware=tigon/tg3.bin"))
    (out / MODULES / "modules.builtin.modinfo").write_text(text)
    assert judged(out, card) == {"tg3": ["firmware tigon/tg3.bin of tg3"]}
    make_tree(out, {"lib/firmware/tigon/tg3.bin": "x"})
    assert judged(out, card) == {"tg3": []}
    assert "built in" not in str(judged(out, "00:03.0 0200: 14e4:ffff\n"))


def test_the_image_says_what_is_built_in(tmp_path: Path) -> None:
    """As much of modules.builtin.modinfo as networks need."""
    facts = {
        "tg3": ("drivers/net/ethernet/tg3", "pci:v000014E4d00001644sv*sd*bc*sc*i*"),
        "ahci": ("drivers/ata/ahci", "pci:v*d*sv*sd*bc01sc06i01*"),
    }
    modinfo = "".join(f"{n}.file={path}\0{n}.license=GPL\0{n}.alias={a}\0" for n, (path, a) in facts.items())
    tree = kernel_tree() | {
        f"{MODULES}/modules.builtin": "kernel/drivers/net/ethernet/tg3.ko\nkernel/drivers/ata/ahci.ko\n",
        f"{MODULES}/modules.builtin.modinfo": modinfo,
    }
    (tmp_path / "pc").write_text("00:03.0 0200: 14e4:1644\n")
    options = build.Options(
        make_tree(tmp_path / "tree", tree), tmp_path / "image", hardware=(tmp_path / "pc",)
    )
    build.write(build.plan(options, {}))
    out = unpack((tmp_path / "image").read_bytes(), tmp_path / "out")
    assert (out / MODULES / "modules.builtin.modinfo").read_text() == (
        "tg3.file=drivers/net/ethernet/tg3\0tg3.alias=pci:v000014E4d00001644sv*sd*bc*sc*i*\0"
    )
    assert check(tmp_path / "image", [tmp_path / "pc"]).covered


def test_usb_needs_its_controller(out: Path) -> None:
    card = "usb:v0BDAp8153d3100dc00dsc00dp00ic02isc06ip00in00\n"
    stick = "usb:v0951p1666d0001dc00dsc00dp00ic08isc06ip50in00\n"
    host = "pci:v00008086d0000A36Dsv00001028sd00000869bc0Csc03i30\n"
    found = judged(out, card + stick + host)
    assert [lacks[0].partition(" for ")[0] for lacks in found.values()] == [
        "driver cdc_ether or another",
        "driver xhci_pci or another",
    ]
    nic = "pci:v00008086d00001000sv00001028sd00000869bc02sc00i00\n"
    assert judged(out, nic + stick + host) == {"e1000": []}


def test_what_is_ignored(out: Path) -> None:
    assert judged(out, E1000 + RADIO) == {"e1000": [], "pc0:2": ["no wired network: iwlwifi"]}
    (out / "lib/pxeinit/left-out").unlink()
    assert judged(out, E1000 + RADIO) == {"e1000": [], "pc0:2": ["no wired network"]}


def test_wireless_cards_that_say_ethernet(out: Path) -> None:
    """Some do; their driver tells, be it in the image or not."""
    card = RADIO.replace("0280", "0200")
    assert judged(out, E1000 + card) == {"e1000": [], "pc0:2": ["no wired network: iwlwifi"]}
    with (out / MODULES / "modules.dep").open("a") as file:
        file.write(f"{module_path('iwlwifi')}:\n")
    with (out / MODULES / "modules.alias").open("a") as file:
        file.write("alias pci:v00008086d000024F3sv*sd*bc*sc*i* iwlwifi\n")
    assert judged(out, E1000 + card) == {"e1000": [], "iwlwifi": ["no wired network: iwlwifi"]}


def test_drivers_by_name(out: Path) -> None:
    def nodes(*names: str) -> str:
        node = '{"class": "network", "businfo": "pci@%d", "configuration": {"driver": "%s"}}'
        return f"[{', '.join(node % (number, name) for number, name in enumerate(names))}]"

    assert judged(out, nodes("e1000", "bridge", "af-packet")) == {"e1000": [], "af_packet": []}
    assert judged(out, nodes("e1000", "tg3")) == {"e1000": [], "pc0 pci@1": ["driver tg3"]}


def test_machines_are_judged_one_by_one(out: Path) -> None:
    found = report(out, E1000, "00:02.0 0300: 8086:3e92\n", "pci:v1\n%%%\n", RADIO, "", R8169)
    assert [machine.covered for machine in found.machines] == [True, False, False, False, False, True]
    assert not found.covered and found.release == RELEASE
    folder = out.parent
    assert [machine.error for machine in found.machines] == [
        None,
        f"{folder}/pc1: no wired network device among 1 devices; list the whole machine",
        f"{folder}/pc2:2: not a modalias: '%%%'",
        f"{folder}/pc3: no wired network device among 1 devices; list the whole machine",
        f"{folder}/pc4:1: an empty inventory; wanted is lspci -nn, -n, -nmm or -nnk, "
        "lshw -json -numeric, a list of modaliases, or a copy of /sys",
        None,
    ]


def test_folders(tmp_path: Path) -> None:
    tree: Tree = {
        "fleet/b": "x", "fleet/a": "x", "fleet/.hidden": "x", "fleet/c/sys/bus/pci/devices": None,
        "fleet/d/deeper": "x", "sys/bus/pci": None, "empty": None,
    }  # fmt: skip
    make_tree(tmp_path, tree)
    assert [path.name for path in expand(tmp_path / "fleet")] == ["a", "b", "c", "d"]
    for single in ("sys", "fleet/c", "fleet/a", "none", "empty"):
        assert expand(tmp_path / single) == (tmp_path / single,)


def test_images_that_cannot_be_judged_by(out: Path) -> None:
    def says() -> str:
        with pytest.raises(ImageError) as caught:
            report(out, E1000)
        return str(caught.value).removeprefix(f"{out.parent}/image: ")

    (out / MODULES / "modules.alias").rename(out / MODULES / "modules.alias.bin")
    assert says() == (
        f"has no modules.alias for kernel {RELEASE}, only modules.alias.bin, which mkpxeinit does not read; "
        "it cannot be judged"
    )
    shutil.copytree(out / MODULES, out / "lib/modules/6.2")
    assert says() == f"has modules of {RELEASE}, 6.2; choose with --kernel-release"
    shutil.rmtree(out / "lib/modules")
    assert says() == "no kernel modules of any release; it has none at all"


def test_an_image_that_would_fill_the_disk(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is unpacked for the time being has a limit; other files of an image do not count."""
    size = sum(path.stat().st_size for path in (out / "lib").rglob("*") if path.is_file())
    (out / "large").write_bytes(bytes(size))
    monkeypatch.setattr("mkpxeinit.check._MAX_UNPACKED", size)
    assert report(out, E1000).covered
    monkeypatch.setattr("mkpxeinit.check._MAX_UNPACKED", 1000)
    with pytest.raises(ImageError, match=r"image: more than 1000 bytes of modules and firmware"):
        report(out, E1000)


def test_errors_name_the_image(out: Path) -> None:
    """Not the folder into which it is unpacked for the time being."""
    path = out / MODULES / module_path("r8169")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ImageError, match=rf"^{out.parent}/image:/{MODULES}/.*r8169\.ko: damaged"):
        report(out, R8169)


def test_usr_merged_images(out: Path) -> None:
    (out / "usr").mkdir()
    (out / "lib").rename(out / "usr/lib")
    (out / "lib").symlink_to("usr/lib")
    assert judged(out, R8169) == {"r8169": []}
    (out / "usr/lib/firmware/phy.fw").unlink()
    assert judged(out, R8169) == {"r8169": ["firmware phy.fw of libphy"]}
