"""`mkpxeinit prepare`: what it prints, what it refuses, and that no program of the tree runs unasked."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.unit.distributions import ALL, DEBIAN
from tests.unit.prepared import Entry, snapshot
from tests.unit.small import Tree, make_tree


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree", DEBIAN)


def test_list(run: Run, debian: Path) -> None:
    """Names and reasons; on a tree also how far each change is."""
    done = run("prepare", "--list")
    assert (done.code, done.stderr) == (0, "")
    rows = [line.split(None, 1) for line in done.stdout.decode().splitlines()]
    assert len(rows) == 24
    assert ["machine-id", "all clients would be one machine: to DHCP servers, the journal, dbus"] in rows
    before = snapshot(debian)
    on_tree = run(
        "prepare", "--sysroot", debian, "--list", "--only", "fstab", "--only", "wicked"
    ).stdout.decode()
    assert re.findall(r"^(\S+) +(to do|done|nothing) ", on_tree, re.M) == [
        ("fstab", "to do"),
        ("wicked", "nothing"),
    ]
    assert snapshot(debian) == before
    run("prepare", "--sysroot", debian)
    assert (
        "fstab             done     clients" in run("prepare", "--sysroot", debian, "--list").stdout.decode()
    )


def test_what_it_says(run: Run, debian: Path) -> None:
    done = run("prepare", "--sysroot", debian)
    assert (done.code, done.stdout) == (0, b"")
    lines = done.stderr.splitlines()
    assert "mkpxeinit: resolv.conf: link 1" in lines
    assert (
        "mkpxeinit: logs: rsyslog writes to /var/log, which is lost at power-off: let it send to a log host"
        in lines
    )
    assert lines[-1] == f"mkpxeinit: {debian}/: 15 changes made"
    assert (
        run("prepare", "--sysroot", debian).stderr.splitlines()[-1] == f"mkpxeinit: {debian}/: nothing to do"
    )
    assert run("prepare", "--sysroot", debian, "--undo").stderr == f"mkpxeinit: {debian}: as it was\n"
    assert run("prepare", "--sysroot", debian, "--undo").stderr == f"mkpxeinit: {debian}: nothing to undo\n"
    assert (
        "mkpxeinit: fstab: write /etc/fstab" in run("prepare", "--sysroot", debian, "-v").stderr.splitlines()
    )


@pytest.mark.parametrize("name", ALL)
def test_the_patch_is_the_change(run: Run, tmp_path: Path, name: str) -> None:
    """git applies what --dry-run prints, and has the tree that prepare makes."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    # Binaries, folders that move and secrets are words in the patch.
    words = ("dev-archive", "package-database", "logs", "ssh-host-keys", "identity")
    options = [word for each in words for word in ("--skip", each)]
    patched, prepared = (make_tree(tmp_path / place, ALL[name]) for place in ("patched", "prepared"))
    before = snapshot(patched)
    done = run("prepare", "--sysroot", patched, "--dry-run", *options)
    assert done.code == 0
    assert snapshot(patched) == before
    subprocess.run(["git", "apply", "--whitespace=nowarn", "-"], cwd=patched, input=done.stdout, check=True)
    assert run("prepare", "--sysroot", prepared, *options).code == 0
    one, other = (snapshot(each, times=False, ours=False) for each in (patched, prepared))
    assert _files(one) == _files(other)


def _files(found: dict[str, Entry]) -> dict[str, tuple[int, bytes]]:
    """Modes and contents, without folders: git knows none that are empty."""
    return {name: (entry[0], entry[4]) for name, entry in found.items() if not stat.S_ISDIR(entry[0])}


def test_a_patch_names_what_it_does_not_show(run: Run, debian: Path) -> None:
    (debian / "etc/ssh/ssh_host_ed25519_key").chmod(0o600)
    patch = run("prepare", "--sysroot", debian, "--dry-run").stdout.decode()
    assert "PRIVATE KEY" not in patch
    assert "a/etc/ssh/ssh_host_ed25519_key and /dev/null differ; not shown" in patch
    assert re.search(r"^Binary files /dev/null and b/dev\.tar\.gz differ, 0 and \d+ bytes$", patch, re.M)
    assert "\nfolder var/lib/PackageKit moves to usr/lib/mkpxeinit/var/lib/PackageKit\n" in patch


def test_a_patch_has_no_control_characters(run: Run, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {"etc/fstab": "UUID=a / ext4 \x1b[2J 0 0\n"})
    patch = run("prepare", "--sysroot", tree, "--dry-run", "--only", "fstab").stdout
    assert b"\\x1b[2J" in patch and b"\x1b" not in patch


def test_an_interrupted_run_is_not_silent(run: Run, debian: Path) -> None:
    """Killed in the middle: every way to call the command says so, and what to do."""
    before = snapshot(debian)
    run("prepare", "--sysroot", debian, "--only", "fstab", "--only", "mtab")
    path = debian / ".mkpxeinit/record.json"
    path.write_text(path.read_text().replace('"open": []', '"open": [0]'))
    words = f"mkpxeinit: {debian}/: an earlier run was interrupted; run prepare once more, or --undo\n"
    assert run("prepare", "--sysroot", debian, "--list").stderr == words
    done = run("prepare", "--sysroot", debian, "--dry-run")
    assert (done.code, done.stdout, done.stderr) == (1, b"", words)
    done = run("prepare", "--sysroot", debian, "--undo")
    assert done.code == 0
    assert done.stderr.splitlines() == [
        "mkpxeinit: an earlier run was interrupted: its 1 steps are taken back first",
        f"mkpxeinit: {debian}: as it was",
    ]
    assert snapshot(debian) == before


def test_only_and_skip(run: Run, debian: Path) -> None:
    run("prepare", "--sysroot", debian, "--only", "fstab", "--only", "logs", "--skip", "logs")
    assert "mkpxeinit:" in (debian / "etc/fstab").read_text()
    assert not (debian / "etc/systemd/journald.conf.d").exists()
    run("prepare", "--sysroot", debian, "--skip", "ssh-host-keys")
    assert (debian / "etc/ssh/ssh_host_ed25519_key").exists()
    run("prepare", "--sysroot", debian, "--undo", "--only", "logs")
    assert not (debian / "etc/systemd/journald.conf.d").exists()
    assert "mkpxeinit:" in (debian / "etc/fstab").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--only", "fstb"], "no change is called 'fstb'; did you mean fstab?"),
        (["--skip", "a\nb"], "no change is called 'a\\nb'; see mkpxeinit prepare --list"),
        (["--list", "--undo"], "--list, --dry-run and --undo: one of them only"),
        ([], "--sysroot is missing: the folder of the installed system"),
        (["--undo"], "--sysroot is missing: the folder of the installed system"),
    ],
)
def test_wrong_usage(run: Run, options: list[str], words: str) -> None:
    done = run("prepare", *options)
    assert (done.code, done.stderr) == (2, f"mkpxeinit: {words}\n")


def test_what_is_no_tree(run: Run, tmp_path: Path) -> None:
    done = run("prepare", "--sysroot", tmp_path / "none")
    assert (done.code, done.stderr.count("\n")) == (1, 1)
    done = run("prepare", "--sysroot", tmp_path)
    assert (done.code, done.stderr) == (
        1,
        f"mkpxeinit: {tmp_path}/etc: no such folder; is --sysroot an installed system?\n",
    )


@pytest.mark.parametrize("action", ["--dry-run", "--list", "--undo", "--only=fstab"])
def test_the_running_system_is_refused(run: Run, action: str) -> None:
    done = run("prepare", "--sysroot", "/", action)
    assert (done.code, done.stderr) == (
        1,
        "mkpxeinit: this machine's own root cannot be prepared; give a copy of it\n",
    )


def test_a_tree_that_is_read_only(run: Run, debian: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount")
    before = snapshot(debian)
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    done = run("prepare", "--sysroot", debian, prefix=("unshare", "--mount", "sh", "-c", script, str(debian)))
    assert (done.code, done.stderr) == (
        1,
        f"mkpxeinit: {debian}/: Read-only file system; nothing was changed\n",
    )
    assert snapshot(debian) == before


# Programs of the tree


def canary(program: str) -> Tree:
    """Return a tree with a shell, and a program that does what it is for and more."""
    return {
        "etc/os-release": "",
        "etc/ld.so.conf": "",
        "bin/sh": Path("/bin/busybox").read_bytes(),
        "sbin/ldconfig": f"#!/bin/sh\n{program}\n",
    }


@pytest.fixture
def rooted() -> None:
    if os.geteuid() != 0 or not Path("/bin/busybox").exists():
        pytest.skip("only root can chroot, into a tree with a static shell")


def make_canary(tmp_path: Path, program: str) -> Path:
    tree = make_tree(tmp_path / "tree", canary(program))
    for name in ("bin/sh", "sbin/ldconfig"):
        (tree / name).chmod(0o755)
    return tree


def test_nothing_runs_without_chroot(run: Run, tmp_path: Path, rooted: None) -> None:
    tree = make_canary(tmp_path, f"echo x > /etc/ld.so.cache; echo x > {tmp_path}/ran")
    done = run("prepare", "--sysroot", tree)
    assert "/etc/ld.so.cache is missing or old" in done.stderr
    assert not (tree / "etc/ld.so.cache").exists() and not (tmp_path / "ran").exists()


def test_chroot_takes_over_one_file(run: Run, tmp_path: Path, rooted: None) -> None:
    """What else the program writes goes with the layer; once is enough; undo knows it."""
    tree = make_canary(
        tmp_path, "echo made > /etc/ld.so.cache; echo x > /canary; echo noise; cd /sys && exit 1 || :"
    )
    before = snapshot(tree)
    done = run("prepare", "--sysroot", tree, "--chroot", "--only", "boot-databases")
    assert (done.code, done.stderr.splitlines()[0]) == (0, "mkpxeinit: boot-databases: write 1")
    assert (tree / "etc/ld.so.cache").read_text() == "made\n"
    assert not (tree / "canary").exists() and not (tree / "proc").exists()
    once = snapshot(tree)
    run("prepare", "--sysroot", tree, "--chroot", "--only", "boot-databases")
    assert snapshot(tree) == once
    run("prepare", "--sysroot", tree, "--undo")
    assert snapshot(tree) == before


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("echo no luck >&2; exit 3", "exit code 3, no luck; --chroot needs root, and a tree whose"),
        (":", "exit code 1, it made no file /etc/ld.so.cache; --chroot needs"),
        ("ln -s /etc/os-release /etc/ld.so.cache", "exit code 1, it made no file /etc/ld.so.cache;"),
    ],
)
def test_chroot_that_fails(run: Run, tmp_path: Path, rooted: None, program: str, words: str) -> None:
    """All or nothing: the other changes are not made either."""
    tree = make_canary(tmp_path, program)
    before = snapshot(tree)
    done = run("prepare", "--sysroot", tree, "--chroot")
    assert done.code == 1
    assert done.stderr.startswith(f"mkpxeinit: {tree}: /sbin/ldconfig: {words}")
    assert snapshot(tree) == before
