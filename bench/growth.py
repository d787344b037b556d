"""How `build`, `check`, `list` and `why` grow with what they are given: each thing is to take the same time.

The drivers are copies of a real kernel's, the inventories name devices of that kernel's modules.alias, and
the large images hold bytes by chance, which no compressor makes smaller.
"""

import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import frame, peers
from bench.frame import Case, Measured, measure

MODULES = (10, 100, 1000, 4000)
INVENTORIES = (1, 10, 100, 1000, 10_000)
IMAGES = (5, 50, 500)  # MB
RELEASE = "6.1.0-growth"
_FOLDER = f"lib/modules/{RELEASE}"
_DRIVERS = "kernel/drivers/net/ethernet/growth"
_SIZES = range(20_000, 60_000)  # bytes of the modules that are copied
_CHAIN = 10  # drivers of which each needs those before it
_ALIASES = 5  # of each driver
_FILE = 100_000  # bytes of a file in a large image
_SEED = 20


@dataclass(frozen=True, slots=True)
class Row:
    """What a verb took for `count` things, medians; `peak` in bytes."""

    verb: str
    count: int
    wall: float
    cpu: float
    peak: int


def run(rounds: int) -> dict[str, Any]:
    """Return the result: a row for each verb and size, with medians of `rounds` rounds."""
    tree = peers.tree("bookworm")
    with tempfile.TemporaryDirectory(prefix="mkpxeinit-growth-") as name:
        folder = Path(name)
        cases = tuple(_cases(tree, folder))
        found = frame.alternate([case for _, _, case in cases], rounds, frame.say)
        rows = []
        for verb, size, case in cases:
            middle = frame.median(found[case.name])
            rows.append(Row(verb, size, middle.wall, middle.cpu, middle.peak))
    return {
        "title": "Growth",
        "machine": frame.machine(),
        "versions": {"Python": frame.python_version(), "bookworm: kernel": tree.release},
        "rounds": rounds,
        "rows": [asdict(row) for row in rows],
    }


def _cases(tree: peers.BenchTree, folder: Path) -> Iterator[tuple[str, int, Case]]:
    """Yield verb, number of things and case; what they need is made in `folder`."""
    for size in MODULES:
        words = ["build", "--sysroot", str(make_tree(folder / f"tree{size}", tree, size))]
        yield _case("build", size, [*words, *_PLAIN, "-o", str(folder / "built.img")])
    image = folder / "fleet.img"
    measure([*frame.MKPXEINIT, "build", "--sysroot", str(tree.path), *_PLAIN, "-o", str(image)])
    devices = wired_devices(tree.path / f"lib/modules/{tree.release}/modules.alias")
    for size in INVENTORIES:
        fleet = make_fleet(folder / f"fleet{size}", devices, size)
        # A machine that is not served is an answer, too.
        yield _case("check", size, ["check", str(image), str(fleet)], (0, 1))
    for size in IMAGES:
        large = folder / f"large{size}.img"
        _make_image(tree, large, folder / "files", size)
        yield _case("list", size, ["list", str(large)])
        yield _case("why", size, ["why", str(large), "nfsv4"])


_PLAIN = ("--no-cache", "--no-drop-ins")


def _case(verb: str, size: int, words: Sequence[str], codes: Sequence[int] = (0,)) -> tuple[str, int, Case]:
    runner: Callable[[], Measured] = lambda: measure([*frame.MKPXEINIT, *words], codes=codes)  # noqa: E731
    return verb, size, Case(f"{verb} {size}", runner)


def make_tree(root: Path, tree: peers.BenchTree, count: int) -> Path:
    """Return a tree with a kernel that has `count` drivers, each with aliases and needs, and NFS built in."""
    bodies = [
        path.read_bytes()
        for path in sorted((tree.path / f"lib/modules/{tree.release}/kernel/drivers/net").rglob("*.ko"))
        if path.stat().st_size in _SIZES
    ]
    (root / _FOLDER / _DRIVERS).mkdir(parents=True)
    (root / "boot").mkdir()
    (root / f"boot/config-{RELEASE}").write_text("CONFIG_RD_ZSTD=y\n")
    (root / f"boot/vmlinuz-{RELEASE}").write_bytes(b"")
    paths = [f"{_DRIVERS}/driver{number:05}.ko" for number in range(count)]
    for number, path in enumerate(paths):
        (root / _FOLDER / path).write_bytes(bodies[number % len(bodies)])
    dep, alias = [], []
    for number, path in enumerate(paths):
        chain = paths[number - number % _CHAIN : number]
        dep.append(f"{path}:{''.join(f' {each}' for each in reversed(chain))}\n")
        for device in range(_ALIASES):
            pattern = f"pci:v0000{number:04X}d0000{device:04X}sv*sd*bc02sc00i*"
            alias.append(f"alias {pattern} driver{number:05}\n")
    for name, lines in (("dep", dep), ("alias", alias), ("builtin", _BUILT_IN)):
        (root / _FOLDER / f"modules.{name}").write_text("".join(lines))
    return root


_BUILT_IN = [f"kernel/fs/{each}.ko\n" for each in ("nfs/nfs", "nfs/nfsv3", "nfs/nfsv4", "overlayfs/overlay")]


def wired_devices(alias: Path) -> list[tuple[str, str]]:
    """Return vendor and device of all PCI devices that modules.alias names, network cards or others."""
    found = []
    for line in alias.read_text().splitlines():
        pattern = line.split()[1] if line.startswith("alias pci:v0000") else ""
        vendor, device = pattern[9:13].lower(), pattern[18:22].lower()
        if "*" not in vendor + device and pattern[13:18] == "d0000":
            found.append((vendor, device))
    return found


def make_fleet(folder: Path, devices: Sequence[tuple[str, str]], count: int) -> Path:
    """Return a folder of inventories of `count` machines, each with two network cards and ten others."""
    folder.mkdir()
    chance = random.Random(_SEED)
    for number in range(count):
        lines = []
        for slot in range(12):
            vendor, device = chance.choice(devices)
            kind = "Ethernet controller [0200]" if slot < 2 else "System peripheral [0880]"
            lines.append(f"00:{slot:02x}.0 {kind}: Somebody [{vendor}:{device}]\n")
        (folder / f"machine{number:05}.lspci").write_text("".join(lines))
    return folder


def _make_image(tree: peers.BenchTree, image: Path, files: Path, megabytes: int) -> None:
    """Make an image of so many MB beside the usual content."""
    files.mkdir(exist_ok=True)
    have = len(os.listdir(files))  # noqa: PTH208  (their number)
    chance = random.Random(_SEED + have)
    for number in range(have, megabytes * 1_000_000 // _FILE):
        (files / f"{number:05}").write_bytes(chance.randbytes(_FILE))
    words = ["build", "--sysroot", str(tree.path), "--compress", "zstd:1", "--file", f"{files}:/data"]
    measure([*frame.MKPXEINIT, *words, *_PLAIN, "-o", str(image)])
