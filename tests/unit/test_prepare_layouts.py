"""Prepare on the layouts of five distributions, and on real Debian trees: what is done, twice, and back."""

import os
import shutil
from pathlib import Path

import pytest

from mkpxeinit.prepare import view
from pxelab import LabError, trees
from tests.unit.distributions import ALL
from tests.unit.prepared import do, snapshot, undo
from tests.unit.small import make_tree


@pytest.fixture(autouse=True)
def any_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is killed here is a process, not the machine."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    # In an overlay too, what was made in it can be moved.
    monkeypatch.setattr(view, "_overlays", set)


COMMON = {"resolv.conf", "fstab", "machine-id", "ssh-host-keys", "fsck", "network-root", "dev-archive"}
SYSTEMD = COMMON | {"identity", "hardware", "logs", "timers"}
EXPECTED = {
    "debian": SYSTEMD | {"ifupdown", "nfsmount.conf", "package-database", "package-jobs"},
    "fedora": SYSTEMD | {"networkmanager", "package-database", "package-jobs", "selinux"},
    "opensuse": SYSTEMD | {"mtab", "wicked", "package-database", "package-jobs"},
    "arch": SYSTEMD | {"networkd", "dhcpcd", "package-database", "package-jobs"},
    "alpine": COMMON | {"ifupdown", "package-database"},
}


@pytest.mark.parametrize("name", ALL)
def test_what_is_done(name: str, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "tree", ALL[name])
    assert set(do(root)) == EXPECTED[name]


@pytest.mark.parametrize("name", ALL)
def test_twice_is_once_and_undo_is_never(name: str, tmp_path: Path) -> None:
    """Over bytes, modes, owners, times and links of the whole tree."""
    root = make_tree(tmp_path / "tree", ALL[name])
    before = snapshot(root)
    do(root)
    once = snapshot(root)
    assert once != before
    assert do(root) == {}
    assert snapshot(root) == once
    assert undo(root)
    assert snapshot(root) == before
    assert undo(root) == 0


@pytest.mark.parametrize("name", ALL)
def test_one_after_the_other(name: str, tmp_path: Path) -> None:
    """Changes made one by one, in any order, are those of one run; and back, one by one."""
    root, other = (make_tree(tmp_path / place, ALL[name]) for place in ("one", "other"))
    before = snapshot(root)
    do(other)
    for change in sorted(EXPECTED[name], reverse=True):
        # timers leaves alone what fsck and package-jobs mask; here they have gone first or come later.
        do(root, *((change, "fsck", "package-jobs") if change == "timers" else (change,)))
    assert snapshot(root, times=False, ours=False) == snapshot(other, times=False, ours=False)
    for change in sorted(EXPECTED[name]):
        undo(root, change)
    assert {p: e[:3] + e[4:] for p, e in snapshot(root).items()} == {
        p: e[:3] + e[4:] for p, e in before.items()
    }


PARTS = ("etc", "var", "dev", "usr/lib/systemd", "usr/lib/udev", "usr/lib/tmpfiles.d")
PROGRAMS = ("usr/sbin/mount.nfs", "usr/sbin/sshd", "usr/sbin/ldconfig", "usr/bin/journalctl")


@pytest.mark.tree
@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie"])
def test_debian(suite: str, tmp_path: Path) -> None:
    """The real tree's configuration, units and /var, copied."""
    try:
        source = Path(trees.debian(suite))
    except LabError as error:
        pytest.skip(str(error))
    root = tmp_path / "tree"
    # Debian 11 has a real /lib beside /usr/lib.
    for part in (*PARTS, *(() if (source / "lib").is_symlink() else ("lib/systemd",))):
        (root / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source / part, root / part, symlinks=True, ignore=_no_devices)
    for part in PROGRAMS:
        if (source / part).exists():
            (root / part).parent.mkdir(parents=True, exist_ok=True)
            (root / part).touch()
    before = snapshot(root)
    done = do(root)
    assert {"resolv.conf", "fsck", "network-root", "logs", "timers", "dev-archive"} <= set(done)
    assert "package-jobs" in done
    once = snapshot(root)
    assert do(root) == {}
    assert snapshot(root) == once
    undo(root)
    assert snapshot(root) == before


def _no_devices(folder: str, names: list[str]) -> list[str]:
    return [
        name
        for name in names
        if not (Path(folder, name).is_file() or Path(folder, name).is_dir())
        and not Path(folder, name).is_symlink()
    ]
