"""What the bench of growth makes its figures of, and how it shows them."""

import re
from pathlib import Path

import pytest

from bench import growth, growth_words, peers
from bench.frame import BenchError, measure
from bench.plot import curves
from mkpxeinit import build
from mkpxeinit.hardware.inventory import read_inventory
from tests.unit.small import Tree, busybox, elf, make_tree


@pytest.fixture
def real(tmp_path: Path) -> peers.BenchTree:
    """What stands for a distribution's tree: some drivers, and one that is too large to be copied."""
    folder = "lib/modules/6.1.0-real"
    alias = (
        "# Aliases\n"
        "alias pci:v00008086d00001000sv*sd*bc*sc*i* e1000\n"
        "alias pci:v000010ECd*sv*sd*bc02sc00i* r8169\n"
        "alias virtio:d00000001v* virtio_net\n"
    )
    tree: Tree = {
        f"{folder}/kernel/drivers/net/a.ko": elf(payload=bytes(25_000)),
        f"{folder}/kernel/drivers/net/b/b.ko": elf(payload=bytes(30_000)),
        f"{folder}/kernel/drivers/net/c.ko": elf(payload=bytes(90_000)),
        f"{folder}/modules.alias": alias,
    }
    return peers.BenchTree(make_tree(tmp_path / "real", tree), "bookworm", "6.1.0-real")


def test_all_drivers_of_a_grown_tree_are_in_its_image(real: peers.BenchTree, tmp_path: Path) -> None:
    box = tmp_path / "busybox"
    box.write_bytes(busybox())
    root = growth.make_tree(tmp_path / "grown", real, 25)
    decided = build.plan(build.Options(root, busybox=box))
    assert decided.release == growth.RELEASE
    chosen = {each.module.name: each.module for each in decided.modules}
    assert sorted(chosen) == [f"driver{number:05}" for number in range(25)]
    assert chosen["driver00013"].needs == ("driver00012", "driver00011", "driver00010")
    sizes = {path.stat().st_size for path in root.rglob("*.ko")}
    assert sizes == {64 + 25_000, 64 + 30_000}


def test_a_fleet_is_read_as_it_is_meant(real: peers.BenchTree, tmp_path: Path) -> None:
    devices = growth.wired_devices(real.path / "lib/modules/6.1.0-real/modules.alias")
    assert devices == [("8086", "1000")]
    folder = growth.make_fleet(tmp_path / "fleet", devices, 3)
    paths = sorted(folder.iterdir())
    assert len(paths) == 3
    found = read_inventory(paths[2])
    assert len(found.devices) == 12
    assert sum("bc02sc00" in (each.modalias or "") for each in found.devices) == 2


def test_an_answer_that_is_no_failure() -> None:
    assert measure(["sh", "-c", "exit 1"], codes=(0, 1)).wall > 0
    with pytest.raises(BenchError, match="exit code 1"):
        measure(["sh", "-c", "exit 1"])


def test_the_last_column_is_what_each_thing_costs() -> None:
    rows = [
        {"verb": "check", "count": count, "wall": cpu, "cpu": cpu, "peak": 3e7}
        for count, cpu in ((1, 1.0), (11, 1.5), (111, 2.5))
    ]
    text, plots = growth_words.growth({"rows": rows})
    assert "| check, 1 inventories | 1.00 | 1.00 | 30 |  |" in text
    assert "| check, 11 inventories | 1.50 | 1.50 | 30 | 50.00 |" in text
    assert "| check, 111 inventories | 2.50 | 2.50 | 30 | 10.00 |" in text
    assert list(plots) == ["plots/growth.svg"]


def test_what_grows_in_proportion_is_a_straight_line() -> None:
    text = curves("a < b", "s", {"one": [(1.0, 0.5), (10.0, 5.0), (100.0, 50.0)], "none": [(1.0, 0.0)]})
    path = re.search(r'd="M([0-9. L]+)" fill="none"', text)
    assert path is not None
    (ax, ay), (bx, by), (cx, cy) = (map(float, each.split()) for each in path[1].split("L"))
    assert bx - ax == pytest.approx(cx - bx, abs=0.2) and ay - by == pytest.approx(by - cy, abs=0.2)
    assert cx > bx and cy < by
    assert "a &lt; b" in text and text.count("<circle") == 3
    assert all(label in text for label in (">0.1 s<", ">100 s<", ">1<", ">10<"))
    with pytest.raises(ValueError, match="no points"):
        curves("none", "s", {"one": [(1.0, 0.0)]})
