"""Images of real kernels: built with an inventory, they serve it; built with another, they do not.

And images that initramfs-tools and dracut made: judged by their own lists.
"""

import os
import random
from pathlib import Path

import pytest

from mkpxeinit import build
from mkpxeinit.check import Machine, check
from mkpxeinit.hardware.pci import WIRED, network_subclass
from mkpxeinit.image.read import open_image
from mkpxeinit.kernel.index import ModuleIndex, read_index
from mkpxeinit.kernel.release import choose_release
from mkpxeinit.sysroot import Sysroot
from tests.unit.kernels import device_of
from tests.unit.shares import shares
from tests.unit.test_hardware_trees import OFFICE, VM

pytestmark = [
    pytest.mark.tree,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="making a tree needs root"),
]
FLEETS = 4
SEED = 32


def patterns(index: ModuleIndex) -> dict[str, list[str]]:
    """Return the alias patterns of wired network drivers and PHYs by bus, PCI's with their class."""
    found: dict[str, list[str]] = {"pci": [], "usb": [], "virtio": [], "vmbus": [], "mdio": []}
    for alias in index.aliases:
        bus = alias.pattern.partition(":")[0]
        if bus in found and network_subclass(index.modules[alias.module].path) in WIRED:
            found[bus].append(alias.pattern.replace("bc*sc*i*", "bc02sc00i00"))
    return {bus: those for bus, those in found.items() if those}


def machine(by_bus: dict[str, list[str]], chance: random.Random) -> str:
    """Return the modaliases of a machine: a card on PCI, and one to three devices on any bus."""
    chosen = [chance.choice(by_bus["pci"])]
    chosen += [chance.choice(by_bus[chance.choice(list(by_bus))]) for _ in range(chance.randint(1, 3))]
    return "".join(f"{device_of(pattern, chance)}\n" for pattern in chosen)


def lacking(machines: tuple[Machine, ...], *kinds: str) -> set[str]:
    return {
        lack.name
        for each in machines
        for finding in each.findings
        for lack in finding.lacking
        if lack.kind in kinds or not kinds
    }


@shares(2)
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_an_image_serves_the_machines_that_it_was_built_for(suite: str, step: int, tmp_path: Path) -> None:
    """But for the firmware that the tree lacks, all of which the build has named."""
    from pxelab import trees

    root = Path(trees.debian(suite))
    tree = Sysroot.open(root)
    index = read_index(tree, choose_release(tree).release)
    by_bus = patterns(index)
    assert len(by_bus["pci"]) > 1000 and len(by_bus["mdio"]) > 100
    chance = random.Random(SEED)
    judged = strangers = 0
    previous: list[Path] = []
    for fleet in range(FLEETS // step):
        files = []
        for number in range(chance.randint(1, 5)):
            files.append(tmp_path / f"{fleet}-{number}")
            files[-1].write_text(machine(by_bus, chance))
        decided = build.plan(build.Options(sysroot=root, output=tmp_path / "i", hardware=tuple(files)), {})
        build.write(decided)
        found = check(tmp_path / "i", files, with_firmware=False)
        assert found.covered, found
        judged += sum(len(each.findings) for each in found.machines)
        strict = check(tmp_path / "i", files).machines
        assert lacking(strict) <= {each.name for each in decided.missing_firmware}
        taken = {each.module.name for each in decided.modules}
        for path, other in zip(previous, check(tmp_path / "i", previous).machines, strict=True):
            alone = build.plan(build.Options(sysroot=root, hardware=(path,)), {})
            needed = {each.module.name for each in alone.modules}
            if needed <= taken:
                assert lacking((other,)) <= {each.name for each in alone.missing_firmware}
            else:
                assert lacking((other,), "driver") & (needed - taken), path.read_text()
                strangers += 1
        previous = files
    assert judged >= FLEETS // step * 3 and strangers > 0


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_images_of_initramfs_tools(suite: str, tmp_path: Path) -> None:
    """It has the drivers of both machines, and lists with text."""
    from pxelab import trees

    image = next((Path(trees.debian(suite)) / "boot").glob("initrd.img-*"), None)
    if image is None:
        pytest.skip("this tree has no image of initramfs-tools")
    for name, text in (("vm", VM), ("office", OFFICE)):
        (tmp_path / name).write_text(text)
    found = check(image, [tmp_path / "vm", tmp_path / "office"], with_firmware=False)
    drivers = [each.drivers for machine in found.machines for each in machine.findings]
    assert drivers[:3] == [("virtio_pci", "virtio_net"), ("e1000e",), ("r8169",)]
    assert found.covered


def test_an_image_of_dracut(tmp_path: Path) -> None:
    """Debian's has no network module unless it is told to: lists and files agree in that."""
    from pxelab import initrds

    image = initrds.dracut("bookworm")
    with open_image(image) as opened:
        names = {found.record.path.name for found in opened.entries()}
    assert "virtio_pci.ko" in names and not {"virtio_net.ko", "e1000e.ko"} & names
    for name, text in (("vm", VM), ("office", OFFICE)):
        (tmp_path / name).write_text(text)
    found = check(image, [tmp_path / "vm", tmp_path / "office"])
    assert [machine.covered for machine in found.machines] == [False, False]
    (card,) = found.machines[0].findings
    assert card.drivers == ("virtio_pci",) and [lack.kind for lack in card.lacking] == ["driver"]
