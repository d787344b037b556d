"""`mkpxeinit hook run` when package managers call it: half a kernel, two at once, a full disk."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mkpxeinit.hooks import config as settings
from tests.cli.conftest import STATE, Hook, Run
from tests.cli.hooking import NEW, OLD, images, kernel, publishing, remove_kernel
from tests.unit.small import RELEASE, Link, make_tree

# As a full disk, but for the error's name; state and lock files are smaller than that.
FULL = ("prlimit", "--fsize=4096", "--")


def half(root: Path, release: str) -> None:
    """Unpack a kernel, and leave depmod for later, as dpkg does until the package is configured."""
    make_tree(root, kernel(release))
    for path in (root / f"lib/modules/{release}").glob("modules.*"):
        path.unlink()


def test_a_half_unpacked_kernel_is_none_that_clients_boot(
    hook: Hook, root: Path, config: Path, tftp: Path, tmp_path: Path
) -> None:
    """Two kernels are installed at once: both are unpacked, then each is configured."""
    publishing(config, tftp)
    half(root, NEW)
    done = hook("add", RELEASE)
    assert done.code == 0 and f"pc.1 is published: kernel {RELEASE}" in done.stderr
    done = hook("add", NEW)  # it is no kernel yet
    assert done.code == 1 and f"lib/modules/{NEW}/modules.dep: missing" in done.stderr
    # Something else is made anew meanwhile, say by a new busybox: that is no failure, and is not forgotten.
    done = hook("update")
    passed = f"lib/modules/{NEW}/modules.dep: missing; is the kernel's package configured?"
    assert (done.code, "HOOK FAILED" in done.stderr, "still open" in done.stderr) == (1, False, False)
    assert f"tree pc: kernel {NEW} is passed over: {root}/{passed}" in done.stderr
    assert f"pc.1 is served already: kernel {RELEASE}" in done.stderr
    assert hook("--as-hook", "update").code == 0
    assert f"still open from before: add {NEW}, tree pc: {root}/{passed}" in hook("add", RELEASE).stderr
    told = json.loads((tmp_path / STATE).read_text())["failures"]
    assert [(each["release"], passed in each["cause"]) for each in told] == [(NEW, True)]
    make_tree(root, kernel(NEW))
    done = hook("update")
    assert done.code == 0 and f"pc.2 is published: kernel {NEW}" in done.stderr
    assert not (tmp_path / STATE).exists()


def test_a_half_unpacked_kernel_is_no_error_for_a_package_manager(
    hook: Hook, root: Path, config: Path
) -> None:
    """dpkg configures mkpxeinit itself while a kernel is unpacked: that is as it should be."""
    config.write_text('[hook]\non-failure = "fail"\n' + config.read_text())
    half(root, NEW)
    done = hook("--as-hook", "update")
    assert done.code == 0 and f"kernel {NEW} is passed over" in done.stderr
    assert images(root) == [f"pxeinit-{RELEASE}.img"]
    # Modules alone, which others have built for a kernel that went, are not waited for.
    (root / f"boot/vmlinuz-{NEW}").unlink()
    done = hook("update")
    assert (done.code, "passed over" in done.stderr, "still open" in done.stderr) == (0, False, False)


def test_a_half_unpacked_kernel_takes_no_image_away(hook: Hook, root: Path) -> None:
    assert hook("add", RELEASE).code == 0
    half(root, NEW)
    remove_kernel(root, RELEASE)
    done = hook("remove", RELEASE)
    assert done.code == 0 and "is the last one, and is kept" in done.stderr
    assert images(root) == [f"pxeinit-{RELEASE}.img"]


def test_update_makes_images_of_kernels_that_have_come(hook: Hook, root: Path) -> None:
    """One run for a transaction of rpm: it may be an older kernel that came, beside new firmware."""
    make_tree(root, kernel(OLD))
    done = hook("--as-hook", "update", "--", OLD, "1.2.3")
    assert done.code == 0, done.stderr
    assert images(root) == [f"pxeinit-{OLD}.img", f"pxeinit-{RELEASE}.img"]
    assert done.stderr.count("image of kernel") == 2
    assert hook("update", "a/b").code == 2


def test_update_begins_with_what_clients_boot(hook: Hook, root: Path) -> None:
    """An older kernel that cannot be built any more does not keep the newest from its image."""
    make_tree(root, kernel(OLD))
    for release in (OLD, RELEASE):
        assert hook("add", release).code == 0
    (root / f"lib/modules/{OLD}/modules.dep").write_bytes(b"damaged")
    image = root / f"boot/pxeinit-{RELEASE}.img"
    image.unlink()
    done = hook("update")
    assert done.code == 1 and f"lib/modules/{OLD}/modules.dep:1: " in done.stderr
    assert image.is_file() and len(images(root)) == 2


def test_one_tree_alone_when_its_packages_are_at_rest(
    hook: Hook, root: Path, config: Path, tmp_path: Path
) -> None:
    """What mkpxeinit-hook@.service runs."""
    other = make_tree(tmp_path / "other", kernel(NEW))
    config.write_text(config.read_text() + f'[[hook.tree]]\nsysroot = "{other}"\nbuild.buses = []\n')
    done = hook("update", "--sysroot", other, "--wait")
    assert done.code == 0, done.stderr
    assert (images(root), images(other)) == ([], [f"pxeinit-{NEW}.img"])
    done = hook("update", "--sysroot", tmp_path / "none")
    assert done.code == 1
    assert f"no [[hook.tree]] of the configuration has the sysroot {tmp_path}/none" in done.stderr
    assert hook("update", "--wait").code == 2


def test_two_at_once(hook: Hook, root: Path, config: Path, tftp: Path) -> None:
    """The server's own run and the tree's package manager, or two packages' scripts: all of it is done."""
    publishing(config, tftp, f'output = "{root}/boot"')
    make_tree(root, kernel(NEW))
    with ThreadPoolExecutor(4) as pool:
        words = [("add", RELEASE), ("add", NEW), ("update",), ("add", NEW)]
        every = list(pool.map(lambda each: hook(*each), words))
    assert [done.code for done in every] == [0, 0, 0, 0], [done.stderr for done in every]
    assert sum("pc.1 is published" in done.stderr for done in every) == 1
    assert sorted(path.name for path in (root / "boot").iterdir() if "pxeinit" in path.name) == [
        f"pxeinit-{RELEASE}.img",
        f"pxeinit-{NEW}.img",
    ]
    told = json.loads((tftp / "generations/pc.1/generation.json").read_text())
    assert told["release"] == NEW
    assert [path.name for path in (tftp / "generations").iterdir() if path.is_dir()] == ["pc.1"]


def test_failures_of_two_at_once_are_both_kept(hook: Hook, root: Path, tmp_path: Path) -> None:
    make_tree(root, kernel(NEW))
    for release in (RELEASE, NEW):
        (root / f"lib/modules/{release}/modules.dep").write_bytes(b"damaged")
    with ThreadPoolExecutor(2) as pool:
        every = list(pool.map(lambda each: hook("--as-hook", "add", each), (RELEASE, NEW)))
    assert [done.code for done in every] == [0, 0]
    kept = json.loads((tmp_path / STATE).read_text())["failures"]
    assert {each["release"] for each in kept} == {RELEASE, NEW}


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="Debian package util-linux")
def test_a_disk_that_takes_no_more(hook: Hook, root: Path, config: Path, tftp: Path) -> None:
    publishing(config, tftp, f'output = "{root}/boot"')
    assert hook("add", RELEASE).code == 0
    every = {path: path.read_bytes() for top in (root / "boot", tftp) for path in files(top)}
    make_tree(root, {f"lib/modules/{RELEASE}/modules.softdep": "softdep e1000 pre: virtio_net\n"})
    done = hook("--as-hook", "add", RELEASE, prefix=FULL)
    assert done.code == 0
    assert f"HOOK FAILED: add {RELEASE}, tree pc: " in done.stderr and "File too large" in done.stderr
    assert {path: path.read_bytes() for top in (root / "boot", tftp) for path in files(top)} == every
    # The next run has room, and makes it good.
    assert "still open" not in hook("update").stderr


def files(top: Path) -> list[Path]:
    return sorted(path for path in top.rglob("*") if path.is_file())


def test_what_failed_cannot_be_kept(hook: Hook, root: Path, tmp_path: Path) -> None:
    """Where the state belongs is a file: it is said, and is no failure of its own."""
    (tmp_path / STATE).parent.write_text("in the way")
    (root / f"lib/modules/{RELEASE}/modules.dep").write_bytes(b"damaged")
    done = hook("--as-hook", "add", RELEASE)
    assert done.code == 0
    assert "HOOK FAILED" in done.stderr and "what failed could not be kept: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["nowhere", "folder", "fifo", "bytes"])
def test_a_configuration_that_is_no_file(run: Run, root: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "odd.toml"
    if kind == "nowhere":
        make_tree(tmp_path, {path.name: Link("nowhere")})
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(b"\xff\x00[[hook.tree]]")
    done = run("hook", "run", "--config", path, "--as-hook", "add", RELEASE)
    assert done.code == 0
    assert f"HOOK FAILED: add: {path}: " in done.stderr and "Traceback" not in done.stderr


def test_without_a_configuration_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert settings.read(tmp_path / "none.toml") == settings.HookConfig()


def test_what_is_the_same_each_time_is_counted(hook: Hook, root: Path, config: Path, tftp: Path) -> None:
    """One line when all is well; a loader that is not replaced is a remark at each run."""
    publishing(config, tftp)
    assert hook("add", RELEASE).code == 0
    loader = next(path for path in files(tftp) if path.suffix in (".0", ".efi"))
    loader.write_bytes(b"of another version")
    done = hook("update")
    (line,) = done.stderr.splitlines()
    assert f"pc.1 is served already: kernel {RELEASE} (" in line
    assert line.endswith(": mkpxeinit hook run update -v)")
    done = hook("update", "-v")
    assert f"tree pc: {loader.parent}/" in done.stderr and "left as it is" in done.stderr
    assert "remark" not in done.stderr
    # They may be about the cause of a failure.
    (tftp / "pxelinux.cfg/default").write_text("mine\n")
    done = hook("update")
    assert done.code == 1 and "left as it is" in done.stderr
