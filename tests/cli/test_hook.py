"""`mkpxeinit hook`: what follows a kernel, what is kept when it goes wrong, and where scripts are put."""

import json
from pathlib import Path

import pytest

from mkpxeinit.errors import HookError
from mkpxeinit.hooks import state
from tests.cli.conftest import STATE, Done, Hook, Run
from tests.cli.hooking import NEW, OLD, images, kernel, publishing, remove_kernel
from tests.unit.small import RELEASE, make_tree


def test_add_and_remove(hook: Hook, root: Path, run: Run) -> None:
    done = hook("add", RELEASE)
    assert done.code == 0, done.stderr
    assert f"tree pc: {root}/boot/pxeinit-{RELEASE}.img: image of kernel {RELEASE}, " in done.stderr
    listed = run("list", root / f"boot/pxeinit-{RELEASE}.img").stdout.decode()
    assert f"lib/modules/{RELEASE}" in listed
    # The only kernel: its image stays, as it is what clients boot.
    remove_kernel(root, RELEASE)
    done = hook("remove", RELEASE)
    assert done.code == 0
    assert f"no other kernel is there: {root}/boot/pxeinit-{RELEASE}.img is the last one" in done.stderr
    assert images(root) == [f"pxeinit-{RELEASE}.img"]
    make_tree(root, kernel(NEW))
    assert hook("add", NEW).code == 0
    done = hook("remove", RELEASE)
    assert f"pxeinit-{RELEASE}.img is removed" in done.stderr
    assert images(root) == [f"pxeinit-{NEW}.img"]


def test_the_servers_kernel_is_not_the_trees(hook: Hook, root: Path, config: Path, tftp: Path) -> None:
    """The server has the same release, and removes its own: clients of the tree keep theirs."""
    publishing(config, tftp, f'output = "{root}/boot"')
    make_tree(root, kernel(NEW))
    for release in (RELEASE, NEW):
        assert hook("add", release).code == 0
    done = hook("--as-hook", "remove", NEW)
    assert (done.code, done.stderr) == (
        0,
        f"mkpxeinit: tree pc: has kernel {NEW} still: what was made for it stays\n",
    )
    assert images(root) == [f"pxeinit-{RELEASE}.img", f"pxeinit-{NEW}.img"]
    assert "generations/pc.1/" in (tftp / "pxelinux.cfg/default").read_text()
    # Configured again at this moment, by dpkg in the tree: it is there all the same.
    (root / f"lib/modules/{NEW}/modules.dep").unlink()
    assert "has kernel" in hook("remove", NEW).stderr
    # It goes from the tree, too; modules that others have built for it are no kernel.
    (root / f"boot/vmlinuz-{NEW}").unlink()
    done = hook("--as-hook", "remove", NEW)
    assert f"pc.2 is published: kernel {RELEASE}" in done.stderr
    assert images(root) == [f"pxeinit-{RELEASE}.img"]


def test_stripped_modules_are_asked_for(hook: Hook, root: Path, config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text().replace("buses = []", "buses = [], strip-modules = true"))
    done = hook("add", RELEASE, env={"PATH": str(tmp_path)})
    assert done.code != 0
    assert "--strip-modules: no program here strips modules for X86_64" in done.stderr
    assert images(root) == []


def test_remove_makes_the_other_one_first(hook: Hook, root: Path) -> None:
    """The other kernel has no image yet: that is made before this one's goes."""
    assert hook("add", RELEASE).code == 0
    make_tree(root, kernel(OLD))
    remove_kernel(root, RELEASE)
    done = hook("remove", RELEASE)
    assert done.code == 0, done.stderr
    assert images(root) == [f"pxeinit-{OLD}.img"]
    # It cannot be made: this one stays, and the package manager hears of it.
    make_tree(root, kernel(NEW))
    remove_kernel(root, OLD)
    (root / f"lib/modules/{NEW}/modules.dep").write_bytes(b"damaged")
    done = hook("remove", OLD)
    assert done.code == 1
    assert "HOOK FAILED: remove 5.9.0-1-test, tree pc: " in done.stderr
    assert images(root) == [f"pxeinit-{OLD}.img"]


def test_a_kernel_without_vmlinuz_is_not_bootable(hook: Hook, root: Path) -> None:
    assert hook("add", RELEASE).code == 0
    make_tree(root, {name: c for name, c in kernel(NEW).items() if "vmlinuz" not in name})
    assert hook("add", NEW).code == 0
    remove_kernel(root, RELEASE)
    hook("remove", RELEASE)
    assert f"pxeinit-{RELEASE}.img" in images(root)


def test_failure_keeps_the_old_image(hook: Hook, root: Path, run: Run, tmp_path: Path, config: Path) -> None:
    assert hook("add", RELEASE).code == 0
    image = root / f"boot/pxeinit-{RELEASE}.img"
    before = image.read_bytes()
    modules = root / f"lib/modules/{RELEASE}/modules.dep"
    good = modules.read_bytes()
    modules.write_bytes(b"damaged")
    done = hook("add", RELEASE)
    assert done.code == 1
    assert f"mkpxeinit: HOOK FAILED: add {RELEASE}, tree pc: {modules}:1: " in done.stderr
    assert f"mkpxeinit hook run --config {config} update" in done.stderr
    assert image.read_bytes() == before
    # A package manager is not to stop for it, unless it is told so.
    assert hook("--as-hook", "add", RELEASE).code == 0
    config.write_text('[hook]\non-failure = "fail"\n' + config.read_text())
    assert hook("--as-hook", "add", RELEASE).code == 10
    # What is open is told by every run, until it is made good.
    make_tree(root, kernel(NEW))
    done = hook("add", NEW)
    assert done.code == 0
    assert f"still open from before: add {RELEASE}, tree pc: " in done.stderr
    kept = json.loads((tmp_path / STATE).read_text())["failures"]
    assert [(each["action"], each["tree"], each["release"]) for each in kept] == [("add", "pc", RELEASE)]
    assert "tries again" in hook("remove", "1.2.3").stderr
    modules.write_bytes(good)
    image.unlink()
    done = hook("update")
    assert (done.code, "still open" in done.stderr) == (0, False), done.stderr
    assert images(root) == [f"pxeinit-{RELEASE}.img", f"pxeinit-{NEW}.img"]
    assert not (tmp_path / STATE).exists()


def test_one_tree_does_not_keep_another(hook: Hook, root: Path, config: Path, tmp_path: Path) -> None:
    other = config.read_text()
    config.write_text(f'[[hook.tree]]\nsysroot = "{tmp_path}/none"\nname = "gone"\n' + other)
    done = hook("--as-hook", "add", RELEASE)
    assert done.code == 0
    assert "HOOK FAILED: add 6.1.0-1-test, tree gone: sysroot " in done.stderr
    assert images(root) == [f"pxeinit-{RELEASE}.img"]
    # A tree that is no more in the configuration has nothing open.
    config.write_text(other)
    assert "still open" not in hook("update").stderr


def test_a_configuration_makes_good_what_is_its_own(
    hook: Hook, run: Run, root: Path, config: Path, tmp_path: Path
) -> None:
    """Of two with a tree `pc` each, and one in which the tree that failed is not."""
    tree = tmp_path / "other"
    make_tree(tree, kernel(RELEASE))
    second, empty = tmp_path / "with a space.toml", tmp_path / "empty.toml"
    second.write_text(config.read_text().replace(str(root), str(tree)))
    empty.write_text("")
    modules = root / f"lib/modules/{RELEASE}/modules.dep"
    good = modules.read_bytes()
    modules.write_bytes(b"damaged")
    assert hook("add", RELEASE).code == 1

    def again(other: Path) -> Done:
        words = ("--config", other, "--state", tmp_path / STATE, "--as-hook", "add", RELEASE)
        return run("hook", "run", *words)

    for each in (second, empty):
        done = again(each)
        assert f"still open from before: add {RELEASE}, tree pc: {modules}:1: " in done.stderr
        assert f"; mkpxeinit hook run --config {config} update tries again" in done.stderr
    assert images(tree) == [f"pxeinit-{RELEASE}.img"]
    make_tree(tree, {f"lib/modules/{RELEASE}/modules.dep": "damaged"})
    assert f"this is mended: mkpxeinit hook run --config '{second}' update" in again(second).stderr
    modules.write_bytes(good)
    done = hook("update")
    assert f"still open from before: add {RELEASE}, tree pc: {tree}/" in done.stderr
    kept = json.loads((tmp_path / STATE).read_text())["failures"]
    assert [each["config"] for each in kept] == [str(second)]


def test_failures_of_before_configurations_were_told_apart(tmp_path: Path) -> None:
    """They are those of the configuration that hooks have."""
    path = tmp_path / "hooks.json"
    failure = {"action": "add", "tree": "pc", "release": RELEASE, "when": 1, "cause": "a disk is full"}
    path.write_text(json.dumps({"failures": [failure]}))
    assert state.read(path) == (state.Failure("add", "pc", RELEASE, 1, "a disk is full"),)
    path.write_text(json.dumps({"failures": [[]]}))
    with pytest.raises(HookError, match="not as mkpxeinit writes it"):
        state.read(path)


def test_published(hook: Hook, root: Path, config: Path, tftp: Path) -> None:
    publishing(config, tftp, "keep = 1")
    done = hook("add", RELEASE)
    assert f"tree pc: {tftp}: pc.1 is published: kernel {RELEASE}" in done.stderr, done.stderr
    assert images(root) == []  # what is published lies in no other place
    assert "append quiet" in (tftp / "pxelinux.cfg/default").read_text()
    make_tree(root, kernel(NEW))
    assert f"pc.2 is published: kernel {NEW}" in hook("add", NEW).stderr
    # An older kernel, configured once more, is not what clients boot.
    done = hook("add", RELEASE)
    assert f"tree pc: kernel {RELEASE} is not published: clients boot {NEW}" in done.stderr
    # The kernel that they boot goes: they get the one that stays, and the last one stays served.
    remove_kernel(root, NEW)
    done = hook("remove", NEW)
    assert f"pc.3 is published: kernel {RELEASE}" in done.stderr
    assert "generations/pc.3/" in (tftp / "pxelinux.cfg/default").read_text()
    remove_kernel(root, RELEASE)
    done = hook("remove", RELEASE)
    assert "tree pc: no other kernel is there: pc.3 is served as before" in done.stderr
    assert (tftp / "generations/pc.3/pxeinit.img").is_file()


def test_a_group_is_told_of(hook: Hook, run: Run, root: Path, config: Path, tftp: Path) -> None:
    publishing(config, tftp)
    hook("add", RELEASE)
    make_tree(root, kernel(NEW))
    words = ("--group", "old", "--mac", "52:54:00:00:00:01", "--generation", "pc.1")
    assert run("publish", "--tftp-root", tftp, *words).code == 0
    hook("add", NEW)
    remove_kernel(root, RELEASE)
    assert "tree pc: group old boots pc.1, whose kernel leaves" in hook("remove", RELEASE).stderr


def test_pinned(hook: Hook, root: Path, config: Path, tftp: Path) -> None:
    publishing(config, tftp, f'kernel-release = "{RELEASE}"')
    hook("add", RELEASE)
    make_tree(root, kernel(NEW))
    assert f"clients boot {RELEASE}" in hook("add", NEW).stderr
    remove_kernel(root, RELEASE)
    done = hook("remove", RELEASE)
    assert done.code == 1 and f"kernel {RELEASE} is the tree's kernel-release" in done.stderr
    assert "generations/pc.1/" in (tftp / "pxelinux.cfg/default").read_text()


def test_described(hook: Hook, root: Path, config: Path, tftp: Path, run: Run) -> None:
    """One file for the servers and the hooks."""
    config.write_text(
        f'[server]\naddress = "192.0.2.1"\ntftp-root = "{tftp}"\n[tree.pc]\npath = "{root}"\n'
        '[tree.pc.build]\nbuses = []\ndrivers = ["e1000"]\n[[hook.tree]]\ntree = "pc"\n'
    )
    done = hook("add", RELEASE)
    assert "pc.1 is published" in done.stderr, done.stderr
    told = json.loads((tftp / "generations/pc.1/generation.json").read_text())
    assert "nfsroot=192.0.2.1:" in told["cmdline"]
    assert "e1000" in run("list", tftp / "generations/pc.1/pxeinit.img").stdout.decode()
    assert run("server-config", "--config", config, "--only", "pxelinux").code == 0


def test_both(hook: Hook, root: Path, config: Path, tftp: Path) -> None:
    """With an output and a TFTP root, the same image is in both."""
    publishing(config, tftp, f'output = "{root}/boot"')
    assert hook("add", RELEASE).code == 0
    same = (tftp / "generations/pc.1/pxeinit.img").read_bytes()
    assert (root / f"boot/pxeinit-{RELEASE}.img").read_bytes() == same


def test_links_lead_nowhere_else(hook: Hook, root: Path, tmp_path: Path) -> None:
    """`boot` of a tree is a link to /boot of that tree, whatever it says; its images are no links."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "boot").rename(root / "real")
    (root / "boot").symlink_to("/real")
    assert hook("add", RELEASE).code == 0
    assert (root / f"real/pxeinit-{RELEASE}.img").is_file()
    (root / f"real/pxeinit-{RELEASE}.img").unlink()
    (root / f"real/pxeinit-{RELEASE}.img").symlink_to(outside / "image")
    done = hook("add", RELEASE)
    assert done.code == 1 and "a symbolic link, where our image has to be" in done.stderr
    assert not list(outside.iterdir())


def test_initrd_for_this_machine(run: Run, tmp_path: Path) -> None:
    """This machine has no such kernel: that is a failure of its own, and the file is not there."""
    empty = tmp_path / "empty.toml"
    empty.write_text("[hook]\n")
    words = ("--initrd", tmp_path / "initrd")
    done = run("hook", "run", "--config", empty, "--as-hook", "add", "0.0.1-none", *words)
    assert done.code == 10 and "HOOK FAILED: add 0.0.1-none: /lib/modules: no kernel release" in done.stderr
    assert not (tmp_path / "initrd").exists()


@pytest.mark.parametrize("release", ["../../etc", "", "a/b", "x" * 200, "a b", "-h;x"])
def test_releases_are_checked(hook: Hook, release: str) -> None:
    done = hook("--as-hook", "add", "--", release)
    assert done.code == 2 and "is not a kernel release" in done.stderr


def test_nothing_to_do(run: Run, hook: Hook, tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("[hook]\n")
    done = run("hook", "run", "--config", empty, "--as-hook", "add", RELEASE)
    assert (done.code, done.stderr) == (0, "")
    done = run("hook", "run", "--config", empty, "--as-hook", "add", "-v", RELEASE)
    assert "nothing to do" in done.stderr
    done = run("hook", "run", "--config", empty, "update")
    assert done.code == 1 and "no [[hook.tree]] in the configuration" in done.stderr
    done = hook("add", "1.2.3")
    assert done.code == 1 and "no tree of the configuration has a kernel 1.2.3" in done.stderr
    assert hook("--as-hook", "add", "1.2.3").code == 0


@pytest.mark.parametrize(
    "text, message",
    [
        ("[[hook.tree]]\nsysroot = 'x'", "[[hook.tree]] 1: sysroot: 'x' is not an absolute path"),
        ("[[hook.tree]]\nsysroot = '/a/../b'", "without .."),
        ("[[hook.tree]]\ntre = 'x'", "[[hook.tree]] 1: tre: no such key"),
        ("[hook]\non-failure = 'no'", "[hook]: on-failure: there is no 'no'; there are: report, fail"),
        ("[[hook.tree]]\ntree = 'x'", "[[hook.tree]] 1: tree: is of use with a [server]"),
        ("[[hook.tree]]\nkeep = 3", "keep: is for what is published"),
        ("[[hook.tree]]\ntftp-root = '/srv'", "name: is needed"),
        ("[[hook.tree]]\nsysroot = '/a.b'", "name: is needed: the folder's 'a.b' is not"),
        ("[[hook.tree]]\n[[hook.tree]]\n", "2 are named 'root'"),
        ("[[hook.tree]]\n[hook.tree.build]\nmodule = 'x'", "[hook.tree.build] of [[hook.tree]] 1: module"),
        ("[[hook.tree]]\n[hook.tree.build]\ncompress = 'x'", "compress: "),
        ("[[hook.tree]]\nappend = '`'\ntftp-root = '/srv'", "append: '`' cannot pass"),
        ("[tree.x]\npath = '/x'", "tree: no such key"),
        ("[hook", "not TOML"),
    ],
)
def test_configuration_is_checked(run: Run, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    done = run("hook", "run", "--config", path, "update")
    assert done.code == 1
    assert message in done.stderr and str(path) in done.stderr
    # The package manager goes on, and the next run tells of it.
    assert run("hook", "run", "--config", path, "--as-hook", "update").code == 0
    path.write_text("")
    assert "HOOK" not in run("hook", "run", "--config", path, "--as-hook", "update").stderr
    assert not (tmp_path / STATE).exists()


def test_missing_configuration(run: Run, tmp_path: Path) -> None:
    done = run("hook", "run", "--config", tmp_path / "none", "update")
    assert done.code == 1 and "none: no such file" in done.stderr


def test_a_kernel_that_takes_no_initrd(hook: Hook, root: Path) -> None:
    """Built by somebody for this machine alone, and packaged by `make deb-pkg`, say."""
    make_tree(root, kernel(NEW))
    config = "# CONFIG_BLK_DEV_INITRD is not set\nCONFIG_NFS_FS=y\n"
    (root / f"boot/config-{NEW}").write_text(config)
    done = hook("--as-hook", "add", NEW)
    assert (done.code, "takes no initrd" in done.stderr, "FAILED" in done.stderr) == (0, True, False)
    assert hook("update").code == 0
    assert images(root) == [f"pxeinit-{RELEASE}.img"]
    # If it is the only one, clients keep what they have.
    remove_kernel(root, RELEASE)
    done = hook("update")
    assert done.code == 1 and f"kernel {NEW} takes no initrd (CONFIG_BLK_DEV_INITRD); the" in done.stderr
