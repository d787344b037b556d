"""`mkpxeinit hook install`, `remove`, and `status` of the scripts: where they are put, and in which trees."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.unit.small import RELEASE, Link, make_tree

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
    make_tree(root, {"etc/mkpxeinit.toml": "[[hook.tree]]\n", f"boot/pxeinit-{RELEASE}.img": b"image"})
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


def test_remove_says_what_is_a_packages(run: Run, root: Path) -> None:
    """apt brings back what is not below /etc, pacman all of it."""
    unit = "lib/systemd/system/mkpxeinit-hook@.path"
    local = "var/lib/pacman/local/mkpxeinit-0.1.0-1/files"
    script = "usr/share/libalpm/scripts/mkpxeinit-hook"
    words = ("--root", root, "--kind", "systemd", "--kind", "arch")
    assert run("hook", "install", *words).code == 0
    assert "package" not in run("hook", "remove", *words).stderr
    make_tree(root, {"var/lib/dpkg/info/mkpxeinit.list": f"/.\n/{unit}\n", local: f"%FILES%\n{script}\n"})
    assert run("hook", "install", *words).code == 0
    done = run("hook", "remove", *words)
    owned = "; it is the package's, which may bring it back"
    assert {line for line in done.stderr.splitlines() if "package" in line} == {
        f"mkpxeinit: {root}/usr/{unit}: removed{owned}",
        f"mkpxeinit: {root}/{script}: removed{owned}",
    }
    assert len(done.stderr.splitlines()) == 6


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
    "signs, kinds",
    [
        (("var/lib/pacman/local/ALPM_DB_VERSION", "var/lib/pacman/local/pacman-6.0.2-7/desc"), {"arch"}),
        (("etc/apk/world",), {"alpine"}),
        (("usr/bin/kernel-install",), {"kernel-install"}),
        (("var/lib/dpkg/status",), {"debian"}),
        (("run/systemd/system/x",), {"systemd"}),
        # Debian with its package of pacman, which somebody has asked something.
        (("var/lib/dpkg/status", "usr/bin/pacman", "var/lib/pacman/local/ALPM_DB_VERSION"), {"debian"}),
    ],
)
def test_kinds(run: Run, root: Path, signs: tuple[str, ...], kinds: set[str]) -> None:
    make_tree(root, dict.fromkeys(signs, ""))
    told = json.loads(run("hook", "status", "--root", root, "--json").stdout)
    assert {each["kind"] for each in told["scripts"]} == kinds


def test_no_package_manager(run: Run, root: Path) -> None:
    done = run("hook", "install", "--root", root)
    assert (
        done.code == 1 and "choose with --kind (debian, arch, alpine, kernel-install, systemd)" in done.stderr
    )
    assert run("hook", "install", "--root", root, "--kind", "alpine").code == 0
    assert (root / "etc/kernel-hooks.d/90-mkpxeinit.hook").stat().st_mode & 0o111
