"""The changes of units, /var, timers and the rest: what each makes of a tree, and what it leaves alone."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from mkpxeinit.prepare import package_database, timers, view
from tests.unit.distributions import DAILY, SYSTEMD, wanted
from tests.unit.prepared import after, do, notes, untouched
from tests.unit.small import Link, Tree, make_tree

INIT = Path(__file__).resolve().parents[2] / "init/lib"


@pytest.fixture(autouse=True)
def any_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """In an overlay too, what was made in it can be moved; and no machine is lost here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(view, "_overlays", set)


# units


def test_masks(tmp_path: Path) -> None:
    tree: Tree = {
        **SYSTEMD,
        "usr/lib/systemd/system/e2scrub_all.timer": DAILY,
        "usr/lib/systemd/system/fstrim.timer": DAILY,
        "etc/systemd/system/fstrim.timer": DAILY,
        "etc/systemd/system/systemd-fsck-root.service": "",
    }
    root = after(tmp_path, tree, "fsck")
    folder = root / "etc/systemd/system"
    assert str((folder / "e2scrub_all.timer").readlink()) == "/dev/null"
    assert (folder / "fstrim.timer").read_text() == DAILY
    assert (folder / "systemd-fsck-root.service").read_text() == ""
    assert notes(root, "fsck") == ["/etc/systemd/system/fstrim.timer is this site's own, and is left alone"]


def test_network_root(tmp_path: Path) -> None:
    root = after(tmp_path, SYSTEMD, "network-root")
    for name in ("system/systemd-remount-fs.service", "system-generators/systemd-gpt-auto-generator"):
        assert str((root / "etc/systemd" / name).readlink()) == "/dev/null"


def test_openrc(tmp_path: Path) -> None:
    services = ("boot/fsck", "boot/swap", "boot/root", "boot/hostname", "sysinit/hwdrivers")
    tree = {f"etc/runlevels/{name}": Link("/etc/init.d/x") for name in services}
    root = after(tmp_path, tree, "fsck", "network-root")
    left = {f"{path.parent.name}/{path.name}" for path in (root / "etc/runlevels").glob("*/*")}
    assert left == {"boot/hostname", "sysinit/hwdrivers"}


# /var


def test_package_databases_that_the_client_leaves_alone() -> None:
    line = next(row for row in (INIT / "tree.sh").read_text().splitlines() if row.startswith("package_fold"))
    assert tuple(line.partition('"')[2].strip('"').split()) == package_database.CLIENT_LINKS
    assert not set(package_database.CLIENT_LINKS) & set(package_database.FOLDERS)


def test_package_database(tmp_path: Path) -> None:
    tree: Tree = {
        "usr/lib/tmpfiles.d/man.conf": "# x\nd /var/cache/man 0755 man man 1w\n",
        "var/cache/man/index": "x",
        "var/cache/libdnf5/x": "cached",
        "var/lib/PackageKit": None,
        "var/lib/dpkg/status": "x",
        "var/lib/pacman/db.lck": "",
        "var/lib/yum": Link("/elsewhere"),
        "var/lib/zypp/x": "x",
        "usr/lib/mkpxeinit/var/lib/zypp/y": "y",
    }
    root = after(tmp_path, tree, "package-database")
    assert str((root / "var/cache/libdnf5").readlink()) == "/usr/lib/mkpxeinit/var/cache/libdnf5"
    assert (root / "usr/lib/mkpxeinit/var/cache/libdnf5/x").read_text() == "cached"
    for name in ("var/cache/man", "var/lib/PackageKit", "var/lib/dpkg", "var/lib/zypp"):
        assert (root / name).is_dir() and not (root / name).is_symlink()
    assert not (root / "var/lib/pacman/db.lck").exists()
    assert [note.partition(":")[0] for note in notes(root, "package-database")] == [
        "/var/lib/zypp stays",
        "/var/cache/man stays, and is copied by clients",
    ]


def test_logs(tmp_path: Path) -> None:
    root = after(tmp_path, {**SYSTEMD, "usr/sbin/rsyslogd": ""}, "logs")
    text = (root / "etc/systemd/journald.conf.d/50-mkpxeinit.conf").read_text()
    assert text.endswith("[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n")
    assert not (root / "var/log/journal").exists()
    assert (root / "usr/lib/mkpxeinit/var/log/journal/0123/system.journal").exists()
    assert notes(root, "logs")[0].startswith("rsyslog writes to /var/log")


def test_folders_of_an_overlay_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses to rename what is in a lower layer."""
    monkeypatch.setattr(view, "_overlays", lambda: {tmp_path.stat().st_dev})
    tree: Tree = {**SYSTEMD, "var/cache/libdnf5/x": "cached"}
    root = after(tmp_path, tree, "logs", "package-database")
    assert (root / "var/log/journal/0123").is_dir()
    assert not (root / "var/cache/libdnf5").is_symlink()
    assert len(notes(root, "logs", "package-database")) == 2


@pytest.mark.parametrize("name", ["journald.conf", "journald.conf.d/site.conf"])
def test_logs_by_hand(tmp_path: Path, name: str) -> None:
    tree: Tree = {"usr/lib/systemd/systemd": "", f"etc/systemd/{name}": "[Journal]\nStorage=volatile\n"}
    assert untouched(tmp_path, tree, "logs")


# timers


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("daily", 3600),
        ("weekly", 3600),
        ("hourly", 600),
        ("minutely", 0),
        ("*-*-* 6,18:00", 600),
        ("Mon *-*-* 03:30:00", 3600),
        ("*:0/10", 0),
        ("*:15", 600),
        ("*-*-01", 3600),
        ("Sun 4:00 Europe/Berlin", 3600),
    ],
)
def test_spread_of_calendar(text: str, seconds: int) -> None:
    assert timers.spread_of_calendar(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h 30min", 5400), ("90", 90), ("12h", 43200), ("1d", 86400), ("x", 0), ("5fn", 0)]
)
def test_time_spans(text: str, seconds: int) -> None:
    assert timers.seconds(text) == seconds


@pytest.mark.parametrize(
    ("timer", "delay"),
    [
        (DAILY, "3600"),
        ("[Timer]\nOnCalendar=hourly\n", "600"),
        ("[Timer]\nOnBootSec=15min\nOnUnitActiveSec=20min\n", "300"),
        ("[Timer]\nOnBootSec=15min\n", "300"),
        ("[Timer]\nOnCalendar=daily\nRandomizedDelaySec=12h\n", None),
        ("[Timer]\nOnCalendar=daily\nRandomizedDelaySec=60\n", "3600"),
        ("[Timer]\nOnUnitActiveSec=30s\n", None),
        ("[Timer]\nOnCalendar=\n", None),
        ("", None),
    ],
)
def test_timers(tmp_path: Path, timer: str, delay: str | None) -> None:
    root = after(tmp_path, {"usr/lib/systemd/systemd": "", **wanted("x.timer", timer)}, "timers")
    file = root / "etc/systemd/system/x.timer.d/50-mkpxeinit.conf"
    assert file.exists() == (delay is not None)
    if delay:
        assert f"[Timer]\nRandomizedDelaySec={delay}\nFixedRandomDelay=true\n" in file.read_text()


def test_timers_by_hand(tmp_path: Path) -> None:
    drop_in: Tree = {"etc/systemd/system/x.timer.d/site.conf": "[Timer]\nRandomizedDelaySec=2h\n"}
    assert untouched(tmp_path / "a", {**wanted("x.timer"), **drop_in}, "timers")
    assert untouched(tmp_path / "b", {"usr/lib/systemd/system/x.timer": DAILY}, "timers")


def test_a_masked_timer_needs_no_delay(tmp_path: Path) -> None:
    """Also where it is masked by the same run, but not if that is left away."""
    tree: Tree = {"usr/lib/systemd/systemd": "", **wanted("man-db.timer")}
    assert set(do(make_tree(tmp_path / "a", {"etc/x": "", **tree}), "timers", "package-jobs")) == {
        "package-jobs"
    }
    assert set(do(make_tree(tmp_path / "b", {"etc/x": "", **tree}), "timers")) == {"timers"}


def test_cron_gets_a_word(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree", {"etc/cron.daily/job": "", "usr/sbin/cron": ""})
    assert notes(tmp_path / "tree", "timers") == [
        "cron runs its jobs on all clients at the same minute: look at its crontabs"
    ]


# the rest


def test_selinux(tmp_path: Path) -> None:
    tree: Tree = {".autorelabel": "", "etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=targeted\n"}
    root = after(tmp_path, tree, "selinux")
    assert not (root / ".autorelabel").exists()
    lines = (root / "etc/selinux/config").read_text().splitlines()
    assert lines[1:] == ["SELINUX=permissive", "SELINUXTYPE=targeted"]
    assert untouched(tmp_path / "b", {"etc/selinux/config": "SELINUX=disabled\n"}, "selinux")


def test_nfsmount_conf(tmp_path: Path) -> None:
    client: Tree = {"usr/sbin/mount.nfs": ""}
    root = after(tmp_path, {**client, "etc/nfsmount.conf": "# Soft=True\n[ Server ]"}, "nfsmount.conf")
    text = (root / "etc/nfsmount.conf").read_text()
    assert text.startswith("# Soft=True\n[ Server ]\n# Written by mkpxeinit prepare: ")
    assert text.endswith("\n[ NFSMount_Global_Options ]\nHard=True\n")
    by_hand: Tree = {**client, "etc/nfsmount.conf": "[ NFSMount_Global_Options ]\nSoft=True\n"}
    assert untouched(tmp_path / "b", by_hand, "nfsmount.conf")
    assert untouched(tmp_path / "c", {}, "nfsmount.conf")


def test_dev_archive(tmp_path: Path) -> None:
    """In the shape that init/lib/dev.sh takes, always the same bytes, with the tree's own nodes."""
    tree: Tree = {"dev/mine": Link("null"), "dev/sub/deep": Link("../zero"), "dev/file": "no node"}
    root = after(tmp_path, tree, "dev-archive")
    data = (root / "dev.tar.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        nodes = {node.name: node for node in archive}
    assert (nodes["dev/null"].devmajor, nodes["dev/null"].devminor, nodes["dev/null"].mode) == (1, 3, 0o666)
    assert nodes["dev/console"].ischr() and nodes["dev/pts"].isdir()
    assert nodes["dev/mine"].linkname == "null" and nodes["dev/sub/deep"].issym()
    assert "dev/file" not in nodes
    other = after(tmp_path / "other", tree, "dev-archive")
    assert (other / "dev.tar.gz").read_bytes() == data
    assert gzip.decompress(data)
    assert "dev.tar.gz holds dev/NODE or NODE" in (INIT / "dev.sh").read_text()


def test_dev_archive_of_odd_links(tmp_path: Path) -> None:
    """A /dev that leads elsewhere in the tree, or in circles, is followed in the tree alone."""
    make_tree(tmp_path / "outside", {"node": Link("x")})
    for number, target in enumerate((f"{tmp_path}/outside", "dev", "/etc")):
        root = after(tmp_path / str(number), {"dev": Link(target), "etc/link": Link("x")}, "dev-archive")
        with tarfile.open(root / "dev.tar.gz") as archive:
            assert ("dev/link" in archive.getnames()) == (target == "/etc")
            assert "dev/node" not in archive.getnames()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices")
def test_dev_archive_of_devices(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "tree", {"etc": None, "dev": None})
    os.mknod(root / "dev/sda", 0o060640, os.makedev(8, 0))
    do(root, "dev-archive")
    with tarfile.open(root / "dev.tar.gz") as archive:
        node = archive.getmember("dev/sda")
    assert node.isblk() and (node.devmajor, node.devminor, node.mode) == (8, 0, 0o640)


def test_boot_databases_without_chroot(tmp_path: Path) -> None:
    tree: Tree = {"sbin/ldconfig": "", "etc/ld.so.conf": ""}
    assert untouched(tmp_path, tree, "boot-databases")
    assert notes(tmp_path / "tree", "boot-databases") == [
        "/etc/ld.so.cache is missing or old: --chroot lets the tree's sbin/ldconfig make it"
    ]
    (tmp_path / "tree/etc/ld.so.cache").touch()
    assert notes(tmp_path / "tree", "boot-databases") == []
