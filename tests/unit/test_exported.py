"""The identity that an export needs where it lies on no device."""

import os
import re
from pathlib import Path, PurePosixPath

import pytest

from mkpxeinit.netboot import exported, exports
from mkpxeinit.netboot.parts import Tree
from tests.netboot import sites

NOWHERE = PurePosixPath("/proc/self")  # on no device on any machine
MOUNT = "36 35 0:30 / {point} rw,noatime shared:1 - {kind} {source} rw\n"
PLAIN = "ro,no_root_squash,no_subtree_check,sync"


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table of mounts, to be written."""
    monkeypatch.setattr(exported, "MOUNTS", tmp_path / "mountinfo")
    return tmp_path / "mountinfo"


def table(*mounts: tuple[str, str]) -> str:
    return "".join(MOUNT.format(point=point, kind=kind, source="x") for point, kind in mounts)


def test_the_generated_exports_have_it() -> None:
    site = sites.plain(trees=(Tree("a", NOWHERE, mode="rw"), Tree("b", PurePosixPath("/proc"))))
    found = re.findall(r"\((r[ow]),no_root_squash,no_subtree_check,sync,fsid=([0-9a-f-]{36})\)",
                       exports.configuration(site))  # fmt: skip
    assert [access for access, _ in found] == ["rw", "ro"]
    # One each, the same every time: a client's file handles have it in them.
    assert found[0][1] != found[1][1]
    assert f"fsid={found[1][1]}" in exported.options("ro", PurePosixPath("/proc"))


def test_a_disk_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = PurePosixPath(tmp_path)
    monkeypatch.setattr(os, "major", lambda device: 0)
    assert "fsid=" in exported.options("ro", path)
    monkeypatch.setattr(os, "major", lambda device: 8)
    assert exported.options("ro", path) == PLAIN


def test_nor_what_is_not_here() -> None:
    assert exported.options("rw", PurePosixPath("/none/of/this")) == f"rw{PLAIN[2:]}"


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([("/", "ext4"), ("/proc", "overlay")], True),
        ([("/", "ext4"), ("/proc", "btrfs")], False),
        ([("/proc", "zfs"), ("/", "overlay")], False),
        ([("/", "btrfs"), ("/proc", "tmpfs"), ("/process", "zfs")], True),
        # The last of two mounts on one point is the uppermost.
        ([("/proc", "btrfs"), ("/proc", "tmpfs")], True),
        ([("/proc", "tmpfs"), ("/proc", "btrfs")], False),
    ],
)
def test_file_systems_that_have_their_own(mounts: Path, rows: list[tuple[str, str]], wanted: bool) -> None:
    mounts.write_text(table(*rows) + "\nodd - line\n")
    assert ("fsid=" in exported.options("ro", PurePosixPath("/proc"))) == wanted


def test_a_folder_with_a_space(mounts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a tree"
    folder.mkdir()
    monkeypatch.setattr(os, "major", lambda device: 0)
    point = str(folder.resolve()).replace(" ", "\\040")
    mounts.write_text(table(("/", "tmpfs"), (point, "btrfs")))
    assert exported.options("ro", PurePosixPath(folder)) == PLAIN
