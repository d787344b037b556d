"""`mkpxeinit hook status` for whoever looks once a day, and what is in the system's log when nobody does."""

import json
import os
import socket
from pathlib import Path

import pytest

from mkpxeinit.hooks import state
from tests.cli.conftest import STATE, Done, Hook, Run
from tests.cli.hooking import NEW, kernel, publishing, remove_kernel
from tests.unit.small import RELEASE, make_tree

UPDATE = "mkpxeinit hook run update"


@pytest.fixture
def tree(root: Path) -> Path:
    """A Debian tree with our hooks, which has its images in its own /boot."""
    return make_tree(
        root, {"var/lib/dpkg/status": "", "usr/bin/mkpxeinit": "", "etc/mkpxeinit.toml": "[[hook.tree]]\n"}
    )


def behind(done: Done) -> list[str]:
    return [line[27:] for line in done.stdout.decode().splitlines() if line.startswith("behind")]


def test_a_kernel_without_an_image(run: Run, tree: Path) -> None:
    assert run("hook", "install", "--root", tree).code == 0
    done = run("hook", "status", "--root", tree)
    assert done.code == 1
    assert behind(done) == [f"{tree}/boot: kernel {RELEASE} has no image here; {UPDATE}"]
    image = tree / f"boot/pxeinit-{RELEASE}.img"
    image.write_bytes(b"image")
    assert run("hook", "status", "--root", tree).code == 0
    # A newer one has come, and nobody was told; half of it would be no reason.
    make_tree(tree, kernel(NEW))
    told = json.loads(run("hook", "status", "--root", tree, "--json").stdout)
    assert (told["ok"], [each["wanted"] for each in told["kernels"]]) == (False, [NEW])
    (tree / f"lib/modules/{NEW}/modules.dep").unlink()
    assert run("hook", "status", "--root", tree).code == 0
    (tree / "etc/mkpxeinit.toml").write_text('[[hook.tree]]\nkernel-release = "1.2.3"\n')
    done = run("hook", "status", "--root", tree)
    assert (done.code, behind(done)) == (1, [f"{tree}/: has no kernel 1.2.3 that boots"])
    (tree / "etc/mkpxeinit.toml").write_text('[[hook.tree]]\nsysroot = "/netboot/none"\n')
    done = run("hook", "status", "--root", tree)
    assert (done.code, behind(done)) == (1, [f"{tree}/netboot/none: No such file or directory"])


def test_clients_that_boot_another_kernel(run: Run, tree: Path, hook: Hook, config: Path, tftp: Path) -> None:
    publishing(config, tftp)
    assert hook("add", RELEASE).code == 0
    make_tree(tree, kernel(NEW))
    # The same as seen by the tree: its TFTP root is a folder in it.
    (tree / "etc/mkpxeinit.toml").write_text('[[hook.tree]]\nname = "pc"\ntftp-root = "/srv/tftp"\n')
    assert run("hook", "install", "--root", tree).code == 0
    (tree / "srv").mkdir()
    assert run("hook", "status", "--root", tree).code == 0  # not mounted there now: nothing can be said
    tftp.rename(tree / "srv/tftp")
    try:
        done = run("hook", "status", "--root", tree)
        wrong = f"clients boot kernel {RELEASE} (pc.1), the tree has {NEW}; {UPDATE}"
        assert (done.code, behind(done)) == (1, [wrong])
        (told,) = json.loads(run("hook", "status", "--root", tree, "--json").stdout)["kernels"]
        assert told == {"tree": "pc", "wanted": NEW, "booted": RELEASE, "problems": [wrong]}
        remove_kernel(tree, NEW)
        assert run("hook", "status", "--root", tree).code == 0
        # Debian upgrades a kernel within its release.
        (tree / f"boot/vmlinuz-{RELEASE}").write_bytes(b"MZ, but newer")
        done = run("hook", "status", "--root", tree)
        assert done.code == 1 and "as it was: the tree's has been replaced since" in behind(done)[0]
        (tree / "srv/tftp/generations/published.json").write_bytes(b"damaged")
        done = run("hook", "status", "--root", tree)
        assert done.code == 1 and "published.json: not as mkpxeinit writes it" in behind(done)[0]
    finally:
        (tree / "srv/tftp").rename(tftp)


# A /dev of its own, with a log in it that leads to a socket outside.
LOGGED = """
mount -t tmpfs none /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/urandom c 1 9
ln -s "$0" /dev/log
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a /dev of its own is mounted by root only")
def test_the_systems_log(hook: Hook, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures of hooks, at the level of errors (3) of daemons (3 × 8); by hand they are seen anyway."""
    (root / f"lib/modules/{RELEASE}/modules.dep").write_bytes(b"damaged")
    monkeypatch.chdir(tmp_path)  # an address has 107 bytes
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind("log")
        log.settimeout(20)
        prefix = ("unshare", "--mount", "sh", "-c", LOGGED, str(tmp_path / "log"))
        assert hook("add", RELEASE, prefix=prefix).code == 1
        done = hook("--as-hook", "add", NEW, prefix=prefix)
        assert (done.code, done.stderr.count("HOOK FAILED")) == (0, 0)
        assert hook("--as-hook", "add", RELEASE, prefix=prefix).code == 0
        said = log.recv(4096).decode()
        assert said.startswith("<27>")
        assert f"]: HOOK FAILED: add {RELEASE}, tree pc: {root}/lib/modules/{RELEASE}/modules.dep:1: " in said
        log.setblocking(False)
        with pytest.raises(BlockingIOError):
            log.recv(4096)


def test_status_shows_what_is_open(hook: Hook, run: Run, root: Path, config: Path, tmp_path: Path) -> None:
    make_tree(root, {"var/lib/dpkg/status": ""})
    (root / f"lib/modules/{RELEASE}/modules.dep").write_bytes(b"damaged")
    assert hook("--as-hook", "add", RELEASE).code == 0
    words = ("hook", "status", "--root", root, "--state")
    shown = run(*words, tmp_path / STATE).stdout.decode()
    assert f"UTC: --config {config}, add {RELEASE}, tree pc: " in shown
    assert b"UTC" not in run(*words, tmp_path / "none").stdout
    # A tree's own, seen from outside of it.
    make_tree(root, {"var/lib/mkpxeinit/hooks.json": (tmp_path / STATE).read_bytes()})
    assert f"add {RELEASE}, tree pc: " in run("hook", "status", "--root", root).stdout.decode()


def test_where_what_is_open_is_kept() -> None:
    """Root has one place: who calls a hook, and who asks for the status, have other environments."""
    environment = {"XDG_STATE_HOME": "/home/pat/state", "HOME": "/home/pat"}
    assert state.default_file(environment, 0) == Path("/var/lib/mkpxeinit/hooks.json")
    assert state.default_file(environment, 1000) == Path("/home/pat/state/mkpxeinit/hooks.json")
    assert state.default_file({"XDG_STATE_HOME": "relative"}, 1000).parts[-3:] == (
        "state",
        "mkpxeinit",
        "hooks.json",
    )
