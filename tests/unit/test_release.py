import itertools
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from mkpxeinit.errors import KernelError
from mkpxeinit.kernel.release import choose_release, find_releases, find_vmlinuz, read_config, version_key
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import Link, make_tree

ORDERED = [
    "4.19.0-27-amd64",
    "5.9.16",
    "5.10.0-8-amd64",
    "5.10.0-30-amd64",
    "6.1.0-rc7-amd64",
    "6.1.0-9-amd64",
    "6.1.0-10-amd64",
    "6.1.0-10-cloud-amd64",
    "6.1.0-56-amd64",
    "6.12.9+deb13-amd64",
    "6.12.117+deb13-amd64",
    "7.2.13+deb14-amd64",
]


def test_order() -> None:
    shuffled = ORDERED[:]
    random.Random(1).shuffle(shuffled)
    assert sorted(shuffled, key=version_key) == ORDERED


@pytest.mark.parametrize(
    ("older", "newer"),
    [("6.1-rc1", "6.1"), ("6.1.0-rc1", "6.1.0"), ("6.1~rc1", "6.1"), ("6.9", "6.10"), ("6.1", "6.1.1")],
)
def test_candidates_are_older(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is the oracle")
def test_dpkg_agrees() -> None:
    names = [name for name in ORDERED if "rc" not in name]
    for older, newer in itertools.combinations(names, 2):
        assert subprocess.run(["dpkg", "--compare-versions", older, "lt", newer], check=False).returncode == 0
        assert version_key(older) < version_key(newer)


def tree_with(root: Path, *releases: str) -> Sysroot:
    return Sysroot.open(make_tree(root, {f"lib/modules/{each}/modules.dep": "" for each in releases}))


def test_newest_is_taken(tmp_path: Path) -> None:
    choice = choose_release(tree_with(tmp_path, "6.1.0-9-amd64", "6.1.0-10-amd64"))
    assert choice.release == "6.1.0-10-amd64"
    assert choice.found == ("6.1.0-9-amd64", "6.1.0-10-amd64")


def test_wanted_is_taken(tmp_path: Path) -> None:
    assert choose_release(tree_with(tmp_path, "6.1", "6.2"), "6.1").release == "6.1"


def test_leftovers_do_not_count(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, "6.1")
    make_tree(tmp_path, {"lib/modules/6.9/modules.dep.bin": "", "lib/modules/new\nline/modules.dep": ""})
    assert find_releases(tree) == ("6.1",)


def test_modules_without_a_list_count(tmp_path: Path) -> None:
    """So that a build says that depmod is missing, and does not take an older kernel in silence."""
    tree = tree_with(tmp_path, "6.1")
    make_tree(tmp_path, {"lib/modules/6.9/kernel/x.ko": ""})
    assert find_releases(tree) == ("6.1", "6.9")


@pytest.mark.parametrize("wanted", ["6.2", "../modules/6.1", "", "6.1/"])
def test_unknown_release(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(KernelError, match=r"no kernel release .*; there are: 6\.1"):
        choose_release(tree_with(tmp_path, "6.1"), wanted)


def test_no_kernel(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match=r"/lib/modules: no kernel here; install one"):
        choose_release(Sysroot.open(tmp_path))


@pytest.mark.parametrize("place", ["boot/vmlinuz-6.1", "usr/lib/modules/6.1/vmlinuz"])
def test_vmlinuz(tmp_path: Path, place: str) -> None:
    tree = Sysroot.open(make_tree(tmp_path, {place: "MZ", "lib": Link("/usr/lib")}))
    assert find_vmlinuz(tree, "6.1") == tmp_path / place
    with pytest.raises(KernelError, match=r"no kernel image of 6\.2"):
        find_vmlinuz(tree, "6.2")


def test_vmlinuz_of_alpine(tmp_path: Path) -> None:
    """The file is named by the flavor; it counts for the one release that its package names."""
    place, told = "boot/vmlinuz-lts", "usr/share/kernel/lts/kernel.release"
    tree = Sysroot.open(make_tree(tmp_path, {place: "MZ", told: "6.6.2-0-lts\n"}))
    assert find_vmlinuz(tree, "6.6.2-0-lts") == tmp_path / place
    for other in ("6.6.1-0-lts", "6.6.2-0-virt"):
        with pytest.raises(KernelError, match="no kernel image"):
            find_vmlinuz(tree, other)


def test_config(tmp_path: Path) -> None:
    text = '#\n# CONFIG_RD_XZ is not set\nCONFIG_RD_ZSTD=y\nCONFIG_X="a=b"\nCONFIG_\n'
    tree = Sysroot.open(make_tree(tmp_path, {"boot/config-6.1": text}))
    assert read_config(tree, "6.1") == {"RD_ZSTD": "y", "X": '"a=b"'}
    assert read_config(tree, "6.2") is None
