"""`mkpxeinit hook`: what follows a kernel, what is kept when it goes wrong, and where scripts are put."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Hook, Run
from tests.cli.hooking import NEW, OLD, images, kernel, publishing, remove_kernel
from tests.unit.small import RELEASE, Link, make_tree


def test_add_and_remove(hook: Hook, root: Path, run: Run) -> None:
    done = hook("add", RELEASE)
    assert done.code == 0, done.stderr
    assert f"tree pc: {root}/boot/pxeinit-{RELEASE}.img: image of kernel {RELEASE}, " in done.stderr
    listed = run("list", root / f"boot/pxeinit-{RELEASE}.img").stdout.decode()
    assert f"lib/modules/{RELEASE}" in listed
    # The only kernel: whatever is said, its image stays.
    done = hook("remove", RELEASE)
    assert done.code == 0
    assert f"no other kernel is there: {root}/boot/pxeinit-{RELEASE}.img is the last one" in done.stderr
    assert images(root) == [f"pxeinit-{RELEASE}.img"]
    make_tree(root, kernel(NEW))
    assert hook("add", NEW).code == 0
    done = hook("remove", RELEASE)
    assert f"pxeinit-{RELEASE}.img is removed" in done.stderr
    assert images(root) == [f"pxeinit-{NEW}.img"]


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
    done = hook("remove", RELEASE)
    assert done.code == 0, done.stderr
    assert images(root) == [f"pxeinit-{OLD}.img"]
    # It cannot be made: this one stays, and the package manager hears of it.
    make_tree(root, kernel(NEW))
    (root / f"lib/modules/{NEW}/modules.dep").write_bytes(b"damaged")
    done = hook("remove", OLD)
    assert done.code == 1
    assert "HOOK FAILED: remove 5.9.0-1-test, tree pc: " in done.stderr
    assert images(root) == [f"pxeinit-{OLD}.img"]


def test_a_kernel_without_vmlinuz_is_not_bootable(hook: Hook, root: Path) -> None:
    assert hook("add", RELEASE).code == 0
    make_tree(root, {name: c for name, c in kernel(NEW).items() if "vmlinuz" not in name})
    assert hook("add", NEW).code == 0
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
    assert "mkpxeinit hook run update" in done.stderr
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
    kept = json.loads((tmp_path / "xdg-state/mkpxeinit/hooks.json").read_text())["failures"]
    assert [(each["action"], each["tree"], each["release"]) for each in kept] == [("add", "pc", RELEASE)]
    assert "tries again" in hook("remove", "1.2.3").stderr
    modules.write_bytes(good)
    image.unlink()
    done = hook("update")
    assert (done.code, "still open" in done.stderr) == (0, False), done.stderr
    assert images(root) == [f"pxeinit-{RELEASE}.img", f"pxeinit-{NEW}.img"]
    assert not (tmp_path / "xdg-state/mkpxeinit/hooks.json").exists()


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
    assert "tree pc: group old boots pc.1, whose kernel leaves" in hook("remove", RELEASE).stderr


def test_pinned(hook: Hook, root: Path, config: Path, tftp: Path) -> None:
    publishing(config, tftp, f'kernel-release = "{RELEASE}"')
    hook("add", RELEASE)
    make_tree(root, kernel(NEW))
    assert f"clients boot {RELEASE}" in hook("add", NEW).stderr
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
    assert done.code == 0 and "HOOK FAILED: add 0.0.1-none: /lib/modules: no kernel release" in done.stderr
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
    assert not (tmp_path / "xdg-state/mkpxeinit/hooks.json").exists()


def test_missing_configuration(run: Run, tmp_path: Path) -> None:
    done = run("hook", "run", "--config", tmp_path / "none", "update")
    assert done.code == 1 and "none: no such file" in done.stderr


DEBIAN = [
    "etc/initramfs/post-update.d/mkpxeinit",
    "etc/kernel/postinst.d/zz-mkpxeinit",
    "etc/kernel/postrm.d/zz-mkpxeinit",
]


def test_install_status_remove(run: Run, root: Path) -> None:
    make_tree(root, {"var/lib/dpkg/status": "", "usr/bin/mkpxeinit": ""})
    done = run("hook", "status", "--root", root)
    assert done.code == 1
    assert [line.split() for line in done.stdout.decode().splitlines()] == [
        ["absent", "debian", f"{root}/{name}"] for name in DEBIAN
    ]
    done = run("hook", "install", "--root", root)
    assert done.code == 0
    assert done.stderr.splitlines() == [
        *(f"mkpxeinit: {root}/{name}: written" for name in DEBIAN),
        f"mkpxeinit: {root}/etc/mkpxeinit.toml: has no [[hook.tree]]: the hooks do nothing until it names "
        "one; see mkpxeinit.toml(5)",
    ]
    for name in DEBIAN:
        assert (root / name).stat().st_mode & 0o777 == 0o755
    (root / "etc/mkpxeinit.toml").write_text("[[hook.tree]]\n")
    done = run("hook", "status", "--root", root)
    assert (done.code, done.stderr) == (0, "")
    assert "tree       root            /" in done.stdout.decode()
    assert run("hook", "install", "--root", root).stderr == ""
    # Changed by hand: seen, and put right.
    (root / DEBIAN[0]).write_text("#!/bin/sh\n# Part of mkpxeinit\nexit 0\n")
    told = json.loads(run("hook", "status", "--root", root, "--json").stdout)
    assert (told["ok"], [each["state"] for each in told["scripts"]]) == (
        False,
        ["changed", "installed", "installed"],
    )
    assert f"{root}/{DEBIAN[0]}: replaced" in run("hook", "install", "--root", root).stderr
    done = run("hook", "remove", "--root", root)
    assert done.stderr.splitlines() == [f"mkpxeinit: {root}/{name}: removed" for name in DEBIAN]
    assert not any((root / name).exists() for name in DEBIAN)


def test_install_does_not_replace_what_is_not_ours(run: Run, root: Path) -> None:
    make_tree(root, {"var/lib/dpkg/status": "", DEBIAN[2]: "#!/bin/sh\necho mine\n"})
    done = run("hook", "install", "--root", root)
    assert done.code == 1
    assert f"{root}/{DEBIAN[2]}: is there already, and is not part of mkpxeinit" in done.stderr
    assert not (root / DEBIAN[0]).exists()
    assert run("hook", "remove", "--root", root).stderr == ""
    assert (root / DEBIAN[2]).is_file()
    assert run("hook", "install", "--root", root, "--force").code == 0
    assert b"Part of mkpxeinit" in (root / DEBIAN[2]).read_bytes()


def test_install_stays_in_the_tree(run: Run, root: Path, tmp_path: Path) -> None:
    """A hostile tree's links lead to the tree itself, as in a chroot; a link for a script is refused."""
    outside = tmp_path / "outside"
    (outside / "kernel/postinst.d").mkdir(parents=True)
    make_tree(root, {"var/lib/dpkg/status": "", "etc/kernel": Link(str(outside / "kernel"))})
    done = run("hook", "install", "--root", root)
    assert done.code == 1 and "mkpxeinit:" in done.stderr
    assert not list((outside / "kernel/postinst.d").iterdir())
    (root / "etc/kernel").unlink()
    make_tree(root, {"etc/kernel": Link("/usr/share/kernel"), "usr/share/kernel/postinst.d": None})
    assert run("hook", "install", "--root", root).code == 0
    assert (root / "usr/share/kernel/postinst.d/zz-mkpxeinit").is_file()
    (root / "usr/share/kernel/postinst.d/zz-mkpxeinit").unlink()
    (root / "usr/share/kernel/postinst.d/zz-mkpxeinit").symlink_to(outside / "x")
    assert "is not part of mkpxeinit" in run("hook", "install", "--root", root).stderr


@pytest.mark.parametrize(
    "sign, kinds",
    [
        ("var/lib/pacman/local/x", {"arch"}),
        ("etc/apk/world", {"alpine"}),
        ("usr/bin/kernel-install", {"kernel-install"}),
        ("var/lib/dpkg/status", {"debian"}),
    ],
)
def test_kinds(run: Run, root: Path, sign: str, kinds: set[str]) -> None:
    make_tree(root, {sign: ""})
    told = json.loads(run("hook", "status", "--root", root, "--json").stdout)
    assert {each["kind"] for each in told["scripts"]} == kinds


def test_no_package_manager(run: Run, root: Path) -> None:
    done = run("hook", "install", "--root", root)
    assert done.code == 1 and "choose with --kind (debian, arch, alpine, kernel-install)" in done.stderr
    assert run("hook", "install", "--root", root, "--kind", "alpine").code == 0
    assert (root / "etc/kernel-hooks.d/90-mkpxeinit.hook").stat().st_mode & 0o111
