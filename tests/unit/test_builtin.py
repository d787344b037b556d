"""Drivers that are built into the kernel: what is read of them, which count as present, their firmware."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mkpxeinit import build
from mkpxeinit.builtin import Present, split
from mkpxeinit.errors import KernelError
from mkpxeinit.hardware.inventory import Inventory, read_inventory
from mkpxeinit.hardware.pci import PciClass
from mkpxeinit.image.compress import Compressor
from mkpxeinit.kernel.builtin import BuiltIn, image_text, parse_modinfo
from mkpxeinit.kernel.index import ModuleIndex, read_index
from mkpxeinit.selection import Selection, select
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import CONFIG, RELEASE, kernel_tree, make_tree

FOLDER = f"lib/modules/{RELEASE}"
MODINFO = shutil.which("modinfo", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
ENTRIES = (
    "tg3.file=drivers/net/ethernet/broadcom/tg3",
    "tg3.firmware=tigon/tg3.bin",
    "tg3.firmware=tigon/tg3_tso.bin",
    "tg3.parm=debug:a line\nand = another.one",
    "tg3.alias=pci:v000014E4d00001644sv*sd*bc*sc*i*",
    "ath9k.file=drivers/net/wireless/ath/ath9k",
    "ath9k.firmware=ath9k.fw",
    "ath9k.alias=pci:v0000168Cd00000030sv*sd*bc*sc*i*",
    "ahci.file=drivers/ata/ahci",
    "ahci.firmware=ahci.fw",
    "ahci.alias=pci:v*d*sv*sd*bc01sc06i01*",
    "aquantia.file=drivers/net/phy/aquantia",
    "aquantia.firmware=phy/aq.cld",
    "aquantia.alias=mdio:0000001110100001101101001010????",
    "dwmac_sun8i.file=drivers/net/ethernet/stmicro/stmmac/dwmac-sun8i",
    "dwmac_sun8i.alias=of:N*T*Callwinner,sun8i-h3-emac",
    "dwmac_sun8i.firmware=emac.fw",
    "8250.license=GPL",
    "odd.alias=odd-alias",
)
OLD = tuple(entry for entry in ENTRIES if ".alias=" not in entry) + (
    "e100.alias=platform:e100",
    "a.alias=xen:vif",
)


def text_of(entries: tuple[str, ...]) -> str:
    return "".join(f"{entry}\0" for entry in entries)


def root_of(tmp_path: Path, entries: tuple[str, ...] = ENTRIES, config: str = "") -> Path:
    tree = kernel_tree()
    tree[f"{FOLDER}/modules.builtin.modinfo"] = text_of(entries)
    files = (entry.partition(".file=")[2] for entry in entries)
    tree[f"{FOLDER}/modules.builtin"] = "kernel/net/unix/unix.ko\n" + "".join(
        f"kernel/{file}.ko\n" for file in files if file
    )
    tree[f"boot/config-{RELEASE}"] = CONFIG + config
    return make_tree(tmp_path / "tree", tree)


def index_of(tmp_path: Path, entries: tuple[str, ...] = ENTRIES) -> ModuleIndex:
    return read_index(Sysroot.open(root_of(tmp_path, entries)), RELEASE)


def chosen(
    index: ModuleIndex, *classes: str, modules: tuple[str, ...] = (), machines: tuple[Inventory, ...] = ()
) -> tuple[Selection, dict[str, Present]]:
    picked = [PciClass.parse(each) for each in classes]
    selection, present = split(index, select(index.with_builtins(), picked, modules, machines))
    found = {each.driver.name: each for each in present}
    assert str(found.pop("unix").reason) == "built into the kernel ← sockets of the client"
    return selection, found


def test_what_is_read() -> None:
    found = parse_modinfo(text_of(ENTRIES), "f", {"unix": "kernel/net/unix/unix.ko"})
    assert found["tg3"] == BuiltIn(
        "tg3",
        "kernel/drivers/net/ethernet/broadcom/tg3.ko",
        ("pci:v000014E4d00001644sv*sd*bc*sc*i*",),
        ("tigon/tg3.bin", "tigon/tg3_tso.bin"),
    )
    assert found["unix"] == BuiltIn("unix", "kernel/net/unix/unix.ko", (), ())
    assert "8250" not in found  # nothing that matters


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a.b=c\0nonsense\0", "f: entry 2: not MODULE.KEY=VALUE: 'nonsense'"),
        ("a.b=c\0x=a.b\0", "f: entry 2: not"),
        ("../a.b=c\0", "f: entry 1: not"),
        ("a.=c\0", "f: entry 1: not"),
        (".b=c\0", "f: entry 1: not"),
        ("\0", "f: entry 1: not"),
        ("a.b=c\0a.firmwa", "f: entry 2 is cut short"),
        ("\x1b\udcff\0", "f: entry 1: not"),
    ],
)
def test_damaged(text: str, says: str) -> None:
    with pytest.raises(KernelError) as caught:
        parse_modinfo(text, "f", {})
    assert str(caught.value).startswith(says) and str(caught.value).isprintable()


@pytest.mark.parametrize("path", ["../../etc/shadow", "/etc/x", "a/../b", "a\nb", ""])
def test_a_path_that_is_none(path: str) -> None:
    assert parse_modinfo(f"a.file={path}\0a.firmware=x\0", "f", {})["a"].path == ""


def test_the_file_at_fault_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        KernelError, match=rf"{tmp_path}/tree/{FOLDER}/modules\.builtin\.modinfo: entry 1: not"
    ):
        index_of(tmp_path, ("x",))


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    """Some drivers are in modules.builtin.modinfo alone."""
    index = index_of(tmp_path)
    every = index.with_builtins()
    assert every.modules.keys() == index.modules.keys() | index.builtin_modules.keys()
    assert every.modules.keys() - every.builtin == index.modules.keys()
    assert list(every.modules)[: len(index.modules)] == list(index.modules)
    assert every.modules["tg3"].needs == ()


def test_by_class(tmp_path: Path) -> None:
    """As modules: wired ones for 02, PHY drivers, wireless and disks only when asked for."""
    index = index_of(tmp_path)
    selection, present = chosen(index, "02")
    assert set(present) == {"tg3", "aquantia"}
    assert str(present["tg3"].reason) == "built into the kernel ← PCI class 02"
    assert str(present["aquantia"].reason) == "built into the kernel ← PHY driver"
    assert "tg3" not in selection.names and "r8169" in selection.names
    assert set(chosen(index, "0280")[1]) == {"ath9k"}
    assert set(chosen(index, "0106")[1]) == {"ahci"}
    assert chosen(index)[1] == {}


def test_by_name(tmp_path: Path) -> None:
    """`--module` of a built-in driver, by its name or an alias."""
    index = index_of(tmp_path)
    assert set(chosen(index, modules=("dwmac-sun8i",))[1]) == {"dwmac_sun8i"}
    assert set(chosen(index, modules=("of:NethernetT(null)Callwinner,sun8i-h3-emac",))[1]) == {"dwmac_sun8i"}


def inventory(tmp_path: Path, *modaliases: str) -> tuple[Inventory, ...]:
    (tmp_path / "pc").write_text("".join(f"{each}\n" for each in modaliases))
    return (read_inventory(tmp_path / "pc"),)


TG3 = "pci:v000014E4d00001644sv00001028sd0000022Fbc02sc00i00"
UNKNOWN = "pci:v0000FFFEd00001644sv00001028sd0000022Fbc02sc00i00"


def test_by_hardware(tmp_path: Path) -> None:
    machines = inventory(tmp_path, TG3, "of:NethernetT(null)Callwinner,sun8i-h3-emac")
    selection, present = chosen(index_of(tmp_path), machines=machines)
    assert set(present) == {"tg3", "dwmac_sun8i"}
    assert not any(f"kernel {RELEASE} has no module" in note for note in selection.notes)
    assert "pc:1" in str(present["tg3"].reason)


def test_no_driver_at_all(tmp_path: Path) -> None:
    selection, _ = chosen(index_of(tmp_path), machines=inventory(tmp_path, TG3, UNKNOWN))
    assert [note for note in selection.notes if "pc:" in note] == [
        f"pc:2: kernel {RELEASE} has no driver for {UNKNOWN}, neither a module nor built in"
    ]


def test_a_kernel_that_does_not_tell_devices(tmp_path: Path) -> None:
    """Before 6.18 there are hardly any aliases: wired network drivers count by their place."""
    selection, present = chosen(index_of(tmp_path, OLD), machines=inventory(tmp_path, UNKNOWN))
    assert set(present) == {"tg3", "aquantia", "dwmac_sun8i"}
    assert str(present["tg3"].reason) == "network driver built into the kernel"
    assert f"pc:1: kernel {RELEASE} has no module for {UNKNOWN}; is it built in?" in selection.notes


def test_blacklists_do_not_reach_the_kernel_itself(tmp_path: Path) -> None:
    """A blacklist hides a module; what is built in probes its devices all the same."""
    make_tree(tmp_path / "tree", {"etc/modprobe.d/x.conf": "blacklist tg3\n"})
    selection, present = chosen(index_of(tmp_path), "02")
    assert "tg3" in present and not any("tg3" in note for note in selection.notes)


def planned(root: Path) -> build.Build:
    options = build.Options(sysroot=root, output=root.parent / "image", compressor=Compressor.parse("none"))
    return build.plan(options, {})


def test_firmware_of_built_in_drivers(tmp_path: Path) -> None:
    """In the tree, in the kernel (CONFIG_EXTRA_FIRMWARE), and nowhere."""
    root = root_of(tmp_path, config='CONFIG_EXTRA_FIRMWARE="phy/aq.cld other"\n')
    make_tree(root, {"lib/firmware/tigon/tg3.bin": "x"})
    decided = planned(root)
    reasons = {str(item.entry.path): str(item.reason) for item in decided.plan.segments[0].items}
    assert reasons["lib/firmware/tigon/tg3.bin"] == "firmware of tg3 ← built into the kernel ← PCI class 02"
    assert [str(each) for each in decided.missing_firmware] == ["tigon/tg3_tso.bin, asked for by tg3"]
    assert not any("tg3.ko" in path for path in reasons)


@pytest.mark.parametrize("config", ["", 'CONFIG_EXTRA_FIRMWARE=""\n'])
def test_no_firmware_in_the_kernel(tmp_path: Path, config: str) -> None:
    names = [each.name for each in planned(root_of(tmp_path, config=config)).missing_firmware]
    assert names == ["phy/aq.cld", "tigon/tg3.bin", "tigon/tg3_tso.bin"]


def test_firmware_names_are_those_of_modinfo(tmp_path: Path) -> None:
    assert MODINFO is not None, "kmod is not installed"
    root = root_of(tmp_path)
    subprocess.run(
        [str(Path(MODINFO).with_name("depmod")), "-b", str(root), RELEASE], capture_output=True, check=True
    )
    for name, driver in index_of(tmp_path / "ours").builtin_modules.items():
        if name in ("unix", "odd"):
            continue  # modinfo wants both lists to have it
        for field, ours in (("firmware", driver.firmware), ("alias", driver.aliases)):
            words = [MODINFO, "-b", str(root), "-k", RELEASE, "-F", field, name]
            said = subprocess.run(words, capture_output=True, check=True, text=True).stdout
            assert said.splitlines() == list(ours), name


def test_modules_builtin_knows_the_path_better() -> None:
    found = parse_modinfo("a.file=x/a\0b.file=x/b\0", "x", {"a": "kernel/y/a.ko"})
    assert {name: each.path for name, each in found.items()} == {"a": "kernel/y/a.ko", "b": "kernel/x/b.ko"}


def test_drivers_of_which_nothing_is_known_stay_out_of_the_image() -> None:
    known = BuiltIn("b", "kernel/drivers/net/b.ko", ("x:1",), ())
    assert image_text([BuiltIn("a", "kernel/drivers/net/a.ko", (), ()), known]) == (
        "b.file=drivers/net/b\0b.alias=x:1\0"
    )
