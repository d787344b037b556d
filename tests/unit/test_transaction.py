"""Whether a package manager is at work in a tree: its locks as the kernel knows them, its database."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from mkpxeinit.hooks import transaction
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import Link, make_tree

FRONTEND = "var/lib/dpkg/lock-frontend"
STATUS = "var/lib/dpkg/status"
# As apt and dpkg do: a lock for writing, by fcntl(2), from another process.
HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree", {FRONTEND: "", "var/lib/dpkg/lock": "", STATUS: "Package: a\n"})


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Have another process hold the lock."""
    words = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            process.communicate()


def test_locks(tree: Path) -> None:
    sysroot = Sysroot.open(tree)
    assert transaction.running(sysroot) is None
    with held(tree / FRONTEND):
        assert transaction.running(sysroot) == f"{tree}/{FRONTEND}"
    with held(tree / "var/lib/dpkg/lock"):
        assert transaction.running(sysroot) == f"{tree}/var/lib/dpkg/lock"
    assert transaction.running(sysroot) is None
    make_tree(tree, {"var/lib/pacman/db.lck": ""})
    assert transaction.running(sysroot) == f"{tree}/var/lib/pacman/db.lck"


def test_looking_takes_no_lock(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package manager that begins at that moment is not turned away."""
    asked = []

    def spy(file: FileIO, command: int, *rest: bytes) -> bytes:
        asked.append(command)
        return fcntl.fcntl(file, command, *rest)

    monkeypatch.setattr(transaction, "fcntl", SimpleNamespace(**vars(fcntl) | {"fcntl": spy}))
    assert transaction.running(Sysroot.open(tree)) is None
    assert asked == [fcntl.F_GETLK, fcntl.F_GETLK]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_a_hostile_trees_lock(tree: Path, tmp_path: Path, kind: str) -> None:
    (tree / FRONTEND).unlink()
    if kind == "link":
        make_tree(tree, {FRONTEND: Link(str(tmp_path / "outside"))})
    elif kind == "fifo":
        os.mkfifo(tree / FRONTEND)
    else:
        (tree / FRONTEND).mkdir()
    assert transaction.running(Sysroot.open(tree)) is None
    assert not (tmp_path / "outside").exists()


def test_a_transaction_is_seen_afterwards(tree: Path) -> None:
    sysroot = Sysroot.open(tree)
    before = transaction.look(sysroot)
    assert transaction.look(sysroot) == before
    (tree / "var/lib/dpkg/status-new").write_text("Package: a\n")
    (tree / "var/lib/dpkg/status-new").rename(tree / STATUS)
    assert transaction.look(sysroot) != before


class Clock:
    """Time that passes when it is waited for."""

    def __init__(self) -> None:
        self.now = 0.0

    def pause(self, seconds: float) -> None:
        self.now += seconds


def test_waits_until_it_is_quiet(tree: Path) -> None:
    """Changes begin the wait anew: apt runs dpkg to unpack, and again to configure."""
    clock = Clock()

    def pause(seconds: float) -> None:
        clock.pause(seconds)
        if clock.now in (1.0, 3.5):
            (tree / STATUS).write_text(f"Package: at {clock.now}\n")

    said: list[str] = []
    seen = transaction.wait(Sysroot.open(tree), said.append, pause)
    assert (tree / STATUS).read_text() == "Package: at 3.5\n"
    assert clock.now == 3.5 + transaction.QUIET
    assert seen == transaction.look(Sysroot.open(tree)) and said == []


def test_waits_for_a_lock(tree: Path) -> None:
    clock = Clock()
    lock = tree / "var/lib/pacman/db.lck"
    make_tree(tree, {"var/lib/pacman/db.lck": ""})

    def pause(seconds: float) -> None:
        clock.pause(seconds)
        if clock.now == 100.0:
            lock.unlink()

    said: list[str] = []
    transaction.wait(Sysroot.open(tree), said.append, pause)
    assert 99.0 < clock.now - transaction.QUIET < 101.0
    assert said == [f"{lock}: held by a package manager; waiting until it is done"]


def test_does_not_wait_for_ever(tree: Path) -> None:
    """pacman was killed, and its lock is there still."""
    make_tree(tree, {"var/lib/pacman/db.lck": ""})
    clock, said = Clock(), list[str]()
    transaction.wait(Sysroot.open(tree), said.append, clock.pause)
    assert clock.now == transaction.LIMIT
    assert said[1] == f"{tree}/: a package manager is at work for 60 minutes; going on"
