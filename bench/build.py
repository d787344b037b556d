"""Building: mkpxeinit, its peers and the floor, on Debian 12 and 13, in turns.

The floor is `cpio | zstd` of exactly the files in our image, at its level. mkinitcpio and booster are in no
suite of Debian's archive (12, 13, forky, sid) and are left out.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from bench import frame, peers
from bench.frame import Case, Measured, measure

_STRONG = "zstd:19"
# A virtio machine, as `lspci -nn` has it.
_VIRTIO = "00:03.0 Ethernet controller [0200]: Red Hat, Inc. Virtio network device [1af4:1000]\n"


@dataclass(frozen=True, slots=True)
class Row:
    """What one case took on one suite: medians, and the sizes of its image, bytes."""

    suite: str
    case: str
    wall: float
    cpu: float
    peak: int
    size: int
    unpacked: int


@dataclass(frozen=True, slots=True)
class _Maker:
    """A case and the image that it writes."""

    case: Case
    image: Path


class _Ours:
    """The command as a user runs it, for one tree."""

    def __init__(self, tree: peers.BenchTree, folder: Path) -> None:
        self._tree = tree
        self._folder = folder
        self._number = count()

    def maker(self, name: str, *options: str, warm: bool = False, rebuild: bool = False) -> _Maker:
        """Return a case of `build`; `warm`: with a cache, `rebuild`: another command line each time."""
        image = self._folder / f"{name.replace(' ', '-').replace(':', '')}.img"
        cache = self._folder / "cache"
        words = [*frame.MKPXEINIT, "build", "--sysroot", str(self._tree.path), "-o", str(image)]
        words += ["--no-drop-ins", *options]

        def run() -> Measured:
            more = ["--cache", str(cache)] if warm else ["--no-cache"]
            line = f"panic={next(self._number)}" if rebuild else ""
            return measure([*words, *more, "--cmdline", line])

        if warm:
            measure([*words, "--cache", str(cache)])
        return _Maker(Case(name, run), image)


def run(rounds: int, suites: Sequence[str] = peers.SUITES) -> dict[str, Any]:
    """Return the result: a row for each case and suite, with medians of `rounds` rounds."""
    rows: list[Row] = []
    versions = _common_versions()
    for suite in suites:
        tree = peers.tree(suite)
        versions |= {f"{suite}: {name}": version for name, version in _versions(tree).items()}
        with tempfile.TemporaryDirectory(prefix="mkpxeinit-bench-") as folder:
            rows += _suite(tree, Path(folder), rounds)
    return {
        "title": "Building an image",
        "machine": frame.machine(),
        "versions": versions,
        "rounds": rounds,
        "rows": [asdict(row) for row in rows],
    }


def _suite(tree: peers.BenchTree, folder: Path, rounds: int) -> Iterator[Row]:
    """Yield the rows of one tree."""
    ours = _Ours(tree, folder)
    (folder / "vm.lspci").write_text(_VIRTIO)
    generic = ours.maker("mkpxeinit")
    strong = ours.maker("mkpxeinit zstd:19", "--compress", _STRONG)
    for maker in (generic, strong):
        maker.case.run()  # for the floor, and so that all files are in memory for everyone
    level = _level()
    files = folder / "files"
    _extract(generic.image, files)
    makers = (
        generic,
        ours.maker("mkpxeinit rebuild", warm=True, rebuild=True),
        ours.maker("mkpxeinit zstd:19 rebuild", "--compress", _STRONG, warm=True, rebuild=True),
        ours.maker("mkpxeinit hardware", "--hardware", str(folder / "vm.lspci")),
        _floor(f"floor zstd:{level}", files, level, folder / "floor.img"),
        ours.maker("mkpxeinit stripped", "--strip-modules"),
        strong,
        ours.maker(f"mkpxeinit {_STRONG} stripped", "--compress", _STRONG, "--strip-modules"),
        _floor(f"floor {_STRONG}", files, 19, folder / "floor19.img"),
        _peer("initramfs-tools netboot", tree, lambda: peers.mkinitramfs(tree, "netboot")),
        _peer("initramfs-tools most", tree, lambda: peers.mkinitramfs(tree, "most")),
        _peer("dracut", tree, lambda: peers.dracut(tree)),
    )

    def say(text: str) -> None:
        frame.say(f"{tree.suite}: {text}")

    found = frame.alternate([each.case for each in makers], rounds, say)
    for each in makers:
        middle = frame.median(found[each.case.name])
        size, unpacked = _sizes(each.image)
        yield Row(tree.suite, each.case.name, middle.wall, middle.cpu, middle.peak, size, unpacked)


def _peer(name: str, tree: peers.BenchTree, make: Callable[[], tuple[Measured, Path]]) -> _Maker:
    image = tree.folder / ("dracut.img" if name == "dracut" else f"{name.replace(' ', '-')}.img")
    return _Maker(Case(name, lambda: make()[0]), image)


def _floor(name: str, files: Path, level: int, image: Path) -> _Maker:
    """Return the case of cpio and zstd alone, from files that are in memory."""
    pack = f"cpio --quiet -0 -o -H newc | zstd -q -f -T0 -{level}"
    script = f'cd "$1"; find . -mindepth 1 -print0 | LC_ALL=C sort -z | {pack} -o "$2"'
    return _Maker(Case(name, lambda: measure(["sh", "-ec", script, "sh", str(files), str(image)])), image)


def _level() -> int:
    """Return the level of zstd that `build` takes by itself."""
    from mkpxeinit.image.compress import Compressor

    return Compressor.parse("zstd").level


def _extract(image: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    measure([*frame.MKPXEINIT, "extract", str(image), "-C", str(folder)])


def _sizes(image: Path) -> tuple[int, int]:
    """Return the bytes of an image, packed and as archives."""
    words = [*frame.MKPXEINIT, "diff", "--json", str(image), str(image)]
    done = subprocess.run(words, capture_output=True, check=False, timeout=300)
    if done.returncode not in (0, 1) or not done.stdout:
        raise frame.BenchError(f"{image}: {done.stderr.decode(errors='replace').strip()}")
    old = json.loads(done.stdout)["old"]
    return int(old["packed"]), int(old["unpacked"])


def _common_versions() -> dict[str, str]:
    import zstandard

    import mkpxeinit

    return {
        "mkpxeinit": mkpxeinit.__version__,
        "Python": frame.python_version(),
        "zstandard": f"{zstandard.__version__} (libzstd {'.'.join(map(str, zstandard.ZSTD_VERSION))})",
        "cpio": frame.package_version("cpio"),
        "zstd": frame.package_version("zstd"),
        "cores": str(os.cpu_count()),
    }


def _versions(tree: peers.BenchTree) -> dict[str, str]:
    names = ("initramfs-tools", "dracut-core", "zstd")
    return {"kernel": tree.release} | {name: frame.package_version(name, tree.path) for name in names}
