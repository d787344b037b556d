"""All or nothing: killed at any point, in the way of others, in a hostile tree."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from mkpxeinit.errors import MkpxeinitError, PrepareError
from mkpxeinit.prepare import apply as applying
from mkpxeinit.prepare import prepare, view
from mkpxeinit.prepare.catalogue import choose
from mkpxeinit.prepare.writer import Writer
from tests.unit.distributions import UNIT
from tests.unit.prepared import do, snapshot, undo
from tests.unit.small import Link, Tree, make_tree

# Steps of every kind: a file edited, one made in new folders, a link, a link for a file, a removal, a move.
CHOSEN = ("mtab", "resolv.conf", "fstab", "identity", "package-database", "logs")
TREE: Tree = {
    "etc/resolv.conf": "nameserver 192.0.2.1\n",
    "etc/fstab": "UUID=aa / ext4 defaults 0 1\n",
    "usr/lib/systemd/systemd": "",
    "var/lib/systemd/random-seed": "seed",
    "var/cache/libdnf5/x": "big",
}
# What changes a tree; a file that was only opened is one that the next of these finds.
CALLS = ("rename", "unlink", "symlink", "mkdir", "rmdir", "utime", "fchmod")


@pytest.fixture(autouse=True)
def any_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is killed here is a process, not the machine."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    # In an overlay too, what was made in it can be moved.
    monkeypatch.setattr(view, "_overlays", set)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = make_tree(tmp_path / "tree", TREE)
    (made / "etc/fstab").chmod(0o640)
    return made


def killed_at(number: int, act: Callable[[], object]) -> bool:
    """Run `act` in another process, that ends without a word before its call `number`; say whether."""
    child = os.fork()
    if child == 0:
        left = number

        def counting(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(9)
                return real(*arguments, **options)

            return call

        for name in CALLS:
            setattr(os, name, counting(getattr(os, name)))
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def rounds(root: Path, act: Callable[[Path], object], tmp_path: Path) -> Iterator[Path]:
    """Yield copies of the tree in which `act` was killed, before each of its calls in turn."""
    for number in range(2000):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(root, copy, symlinks=True)
        if not killed_at(number, lambda copy=copy: act(copy)):  # type: ignore[misc]
            assert number > 40
            return
        yield copy
    raise AssertionError("no end")


def settled(root: Path) -> dict[str, object]:
    """The tree without times: of what is new, and of the root, which is put back last."""
    found = dict(snapshot(root))
    return {name: entry[:3] + entry[4:] for name, entry in found.items()}


@pytest.mark.slow
def test_killed_prepare(root: Path, tmp_path: Path) -> None:
    """Wherever it is killed: the next run makes it whole, and --undo makes it as it was."""
    before = snapshot(root)
    whole = shutil.copytree(root, tmp_path / "whole", symlinks=True)
    do(whole, *CHOSEN)
    for copy in rounds(root, lambda tree: do(tree, *CHOSEN), tmp_path):
        again = tmp_path / "again"
        shutil.rmtree(again, ignore_errors=True)
        shutil.copytree(copy, again, symlinks=True)
        do(again, *CHOSEN)
        assert settled(again) == settled(whole)
        undo(copy)
        after = snapshot(copy)
        assert {**after, ".": before["."]} == before


@pytest.mark.slow
def test_killed_undo(root: Path, tmp_path: Path) -> None:
    before = snapshot(root)
    do(root, *CHOSEN)
    whole = settled(root)
    for copy in rounds(root, undo, tmp_path):
        again = tmp_path / "again"
        shutil.rmtree(again, ignore_errors=True)
        shutil.copytree(copy, again, symlinks=True)
        do(again, *CHOSEN)
        assert settled(again) == whole
        undo(copy)
        assert {**snapshot(copy), ".": before["."]} == before


def test_interrupted_is_said(root: Path) -> None:
    def act() -> object:
        return do(root, *CHOSEN)

    assert killed_at(35, act)
    tree = prepare.open_tree(root)
    with pytest.raises(PrepareError, match="an earlier run was interrupted; run prepare once more"):
        prepare.preview(tree, prepare.propose(tree, choose((), ()), chroot=False))
    said: list[str] = []
    prepare.undo(tree, frozenset(), frozenset(), said.append)
    assert len(said) == 1 and said[0].startswith("an earlier run was interrupted: its ")


def test_a_failing_step_takes_all_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot(root)

    def full(self: Writer, *rest: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "move", full)
    with pytest.raises(PrepareError, match="libdnf5: No space left on device; nothing was changed"):
        do(root, *CHOSEN)
    assert snapshot(root) == before


def test_a_signal_takes_all_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot(root)

    def stop(self: Writer, *rest: object) -> None:
        raise SystemExit(143)

    monkeypatch.setattr(Writer, "move", stop)
    with pytest.raises(SystemExit):
        do(root, *CHOSEN)
    assert snapshot(root) == before


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have somebody do something between planning and writing."""
    real = applying.apply

    def late(*arguments: Any) -> None:
        act()
        real(*arguments)

    monkeypatch.setattr(applying, "apply", late)


def test_changed_meanwhile(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile(monkeypatch, lambda: (root / "etc/fstab").write_text("mine\n"))
    with pytest.raises(PrepareError, match=r"etc/fstab: changed meanwhile by somebody else; try again"):
        do(root, *CHOSEN)
    assert (root / "etc/fstab").read_text() == "mine\n"
    assert (root / "etc/resolv.conf").read_text() == "nameserver 192.0.2.1\n"
    assert not (root / ".mkpxeinit").exists()


@pytest.mark.parametrize("place", ["etc", "var/lib/systemd", "var/cache"])
def test_a_folder_that_becomes_a_link(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Nothing outside is touched, though the same names are there."""
    outside = shutil.copytree(root / place, tmp_path / "outside", symlinks=True)
    before = snapshot(outside)

    def swap() -> None:
        (root / place).rename(root / "aside")
        (root / place).symlink_to(outside)

    meanwhile(monkeypatch, swap)
    with pytest.raises(MkpxeinitError):
        do(root, *CHOSEN)
    assert snapshot(outside) == before


@pytest.mark.parametrize("target", ["{outside}", "../../outside", "/outside"])
def test_links_out_of_the_tree(root: Path, tmp_path: Path, target: str) -> None:
    """They lead into the tree, or nowhere; what is outside stays."""
    outside = make_tree(tmp_path / "outside", {"fstab": "UUID=aa / ext4 defaults 0 1\n", "x.service": UNIT})
    before = snapshot(outside)
    for name in ("etc/fstab", "etc/systemd", "etc/mtab", "usr/lib/mkpxeinit", "var/log"):
        path = root / name
        path.unlink(missing_ok=True)
        path.symlink_to(target.format(outside=outside) + ("/fstab" if name == "etc/fstab" else ""))
    with pytest.raises(PrepareError, match="leads nowhere; mend it, or --skip"):
        do(root)
    do(root, skip=("logs", "package-database"))
    assert snapshot(outside) == before


def test_a_hard_link_to_another_file(root: Path, tmp_path: Path) -> None:
    """As snapshots by rsync or cp -l have them: a file is replaced, never written to."""
    other = tmp_path / "snapshot"
    os.link(root / "etc/fstab", other)
    do(root, "fstab")
    assert other.read_text() == TREE["etc/fstab"]
    undo(root)
    assert (root / "etc/fstab").read_text() == TREE["etc/fstab"]


def test_what_is_no_file(root: Path) -> None:
    (root / "etc/fstab").unlink()
    os.mkfifo(root / "etc/fstab")
    (root / "etc/mtab").mkdir()
    assert do(root, "fstab") == {}
    with pytest.raises(PrepareError, match="etc/mtab: is no file; mend it, or --skip mtab"):
        do(root)


def test_two_names_of_one_file(root: Path) -> None:
    make_tree(root, {"etc/selinux/config": "SELINUX=enforcing\nUUID=aa / ext4 x 0 0\n"})
    (root / "etc/fstab").unlink()
    (root / "etc/fstab").symlink_to("selinux/config")
    with pytest.raises(PrepareError, match="two changes want it"):
        do(root)


def test_a_file_behind_a_link_is_edited_where_it_is(root: Path) -> None:
    (root / "etc/fstab").rename(root / "etc/fstab.static")
    (root / "etc/fstab").symlink_to("/etc/fstab.static")
    do(root, "fstab")
    assert (root / "etc/fstab").is_symlink()
    assert "mkpxeinit: the root comes from the network" in (root / "etc/fstab.static").read_text()


def test_extended_attributes_stay(root: Path) -> None:
    try:
        os.setxattr(root / "etc/fstab", "user.note", b"mine")
    except OSError:
        pytest.skip("no extended attributes here")
    do(root, "fstab")
    assert os.getxattr(root / "etc/fstab", "user.note") == b"mine"
    undo(root)
    assert os.getxattr(root / "etc/fstab", "user.note") == b"mine"


def test_owner_and_mode_stay(root: Path) -> None:
    if os.geteuid() == 0:
        os.chown(root / "etc/fstab", 12, 34)
    before = (root / "etc/fstab").stat()
    do(root, "fstab")
    after = (root / "etc/fstab").stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_changed_since(root: Path) -> None:
    """What somebody has edited is not thrown away; the rest can be undone."""
    do(root, *CHOSEN)
    with (root / "etc/fstab").open("a") as file:
        file.write("# mine\n")
    now = snapshot(root)
    with pytest.raises(
        PrepareError, match="etc/fstab: changed since it was prepared; .* --undo --skip fstab"
    ):
        undo(root)
    assert snapshot(root) == now
    assert undo(root, skip=("fstab",))
    assert (root / "etc/fstab").read_text().endswith("# mine\n")
    assert (root / "etc/resolv.conf").read_text() == "nameserver 192.0.2.1\n"
    assert {s["change"] for s in json.loads((root / ".mkpxeinit/record.json").read_text())["steps"]} == {
        "fstab"
    }


def test_files_in_a_folder_of_ours(root: Path) -> None:
    do(root, "logs")
    (root / "etc/systemd/journald.conf.d/mine.conf").write_text("mine")
    said: list[str] = []
    prepare.undo(prepare.open_tree(root), frozenset({"logs"}), frozenset(), said.append)
    assert said[0].endswith("etc/systemd/journald.conf.d stays: Directory not empty")
    assert (root / "etc/systemd/journald.conf.d/mine.conf").exists()


@pytest.mark.parametrize("order", [("logs", "package-database"), ("package-database", "logs")])
def test_folders_that_two_changes_are_in(root: Path, order: tuple[str, str]) -> None:
    """Whichever is undone last takes them with it."""
    make_tree(root, {"var/log/journal/x": "old"})
    before = snapshot(root)
    do(root)
    for name in order:
        undo(root, name)
    assert not (root / "usr/lib/mkpxeinit").exists()
    undo(root)
    assert snapshot(root) == before


def test_only_one_at_a_time(root: Path) -> None:
    descriptor = os.open(root, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(PrepareError, match="another mkpxeinit prepare is at work in it"):
        do(root)
    os.close(descriptor)
    assert do(root, "fstab")


# The record may be anybody's


def test_a_saved_file_that_was_changed(root: Path) -> None:
    do(root, "fstab")
    (root / ".mkpxeinit/saved/0").write_text("forged")
    with pytest.raises(PrepareError, match=r"\.mkpxeinit/saved/0: damaged, so that .*/etc/fstab cannot"):
        undo(root)


def set_path(data: Any, path: object) -> Any:
    data["steps"][0]["path"] = path
    return data


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: set_path(data, "../../etc/passwd"),
        lambda data: set_path(data, "/etc/passwd"),
        lambda data: set_path(data, ".mkpxeinit/record.json"),
        lambda data: set_path(data, "a\0b"),
        lambda data: set_path(data, 7),
        lambda data: data | {"version": 99},
        lambda data: data | {"token": "../x"},
        lambda data: data | {"steps": data["steps"] * 2},
        lambda data: data | {"open": [-1]},
        lambda data: data | {"tree_time": True},
        lambda data: {},
        lambda data: [],
        lambda data: data | {"steps": [data["steps"][0] | {"kind": "exec"}]},
        lambda data: data | {"steps": [data["steps"][0] | {"before": {"kind": "device"}}]},
    ],
)
def test_a_damaged_record(root: Path, damage: Callable[[Any], Any]) -> None:
    do(root, "fstab")
    path = root / ".mkpxeinit/record.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    now = snapshot(root)
    for act in (undo, do):
        with pytest.raises(PrepareError, match=r"/\.mkpxeinit/record\.json in the tree is damaged"):
            act(root)
    assert snapshot(root) == now


def test_a_folder_of_that_name(root: Path, tmp_path: Path) -> None:
    (root / ".mkpxeinit").symlink_to(tmp_path)
    with pytest.raises(PrepareError, match="is not a folder that only uid"):
        do(root)
    (root / ".mkpxeinit").unlink()
    (root / ".mkpxeinit").mkdir(mode=0o755)
    (root / ".mkpxeinit").chmod(0o777)
    with pytest.raises(PrepareError, match="is not a folder that only uid"):
        do(root)
    (root / ".mkpxeinit").chmod(0o700)
    (root / ".mkpxeinit/x").touch()
    with pytest.raises(PrepareError, match="no record in it: remove it"):
        do(root)


def test_the_writer_follows_no_link(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree", {"real/x": "x", "link": Link("real"), "out": Link(str(tmp_path))})
    writer = Writer(tmp_path / "tree")
    for name in ("link", "out"):
        with pytest.raises(OSError), writer.folder(PurePosixPath(name)):
            pass
        assert writer.see(PurePosixPath(name, "x")) is None
    writer.close()
