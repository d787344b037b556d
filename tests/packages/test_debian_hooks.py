"""Kernels installed, configured again and removed by real apt and dpkg: the hooks have their work."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from pxelab import LabError, Tree, debs
from pxelab.chroot import Chroot
from tests.packages.conftest import OpenChroot, archive, put_ours

FLAVOR = "cloud-amd64"
CONFIG = "[[hook.tree]]\n"
DAMAGED = "[[hook.tree]\n"


def installed(system: Chroot, *words: str, environment: Mapping[str, str] | None = None) -> str:
    """Run apt-get; return all that was said."""
    script = 'exec apt-get -q -y "$@" 2>&1'
    done = system.run("sh", "-c", script, "sh", *words, environment=environment)
    return done.stdout.decode()


def images(system: Chroot) -> list[str]:
    return sorted(path.name for path in (system.outside / "boot").glob("pxeinit-*"))


def release_of(packages: tuple[Path, ...]) -> str:
    """Return the release of the kernel in these packages."""
    (name,) = [path.name for path in packages if not path.name.startswith("linux-image-cloud")]
    return name.partition("_")[0].removeprefix("linux-image-")


def with_kernel(chroot: OpenChroot, tree: Tree, suite: str) -> tuple[Chroot, tuple[Path, ...]]:
    """Return the tree with our hooks, and a kernel's packages that apt finds there."""
    packages = debs.kernel(suite, FLAVOR)
    system = chroot(tree)
    put_ours(system, CONFIG)
    archive(system, packages)
    return system, packages


def check_apt(system: Chroot, tree: Tree, packages: tuple[Path, ...]) -> None:
    """A second kernel comes, its hook fails in two ways, it goes; then the last one goes."""
    new = release_of(packages)
    said = installed(system, "install", f"linux-image-{FLAVOR}")
    assert "/etc/kernel/postinst.d/zz-mkpxeinit:" in said, said
    assert f"mkpxeinit: tree root: /boot/pxeinit-{new}.img: image of kernel {new}, " in said
    assert images(system) == [f"pxeinit-{new}.img"]
    image = system.outside / f"boot/pxeinit-{new}.img"
    listed = system.run("mkpxeinit", "list", f"/boot/{image.name}").stdout.decode()
    assert f"lib/modules/{new}/" in listed and "lib/pxeinit" in listed
    assert system.run("mkpxeinit", "hook", "status").stdout.decode().count("installed  debian") == 3

    # The configuration is damaged: apt does its work all the same, the image stays, status tells.
    before = image.read_bytes()
    config = system.outside / "etc/mkpxeinit.toml"
    config.write_text(DAMAGED)
    again = ("install", "--reinstall", f"linux-image-{new}")
    # (That status finds it does not depend on the environment that apt had.)
    said = installed(system, *again, environment={"XDG_STATE_HOME": "/root/elsewhere"})
    assert "mkpxeinit: HOOK FAILED: add: /etc/mkpxeinit.toml: not TOML: " in said
    assert image.read_bytes() == before
    assert system.run("dpkg", "--audit").stdout == b""
    config.write_text(CONFIG)
    done = system.run("mkpxeinit", "hook", "status", check=False)
    assert done.returncode == 1 and b"/etc/mkpxeinit.toml: not TOML: " in done.stdout
    # With on-failure = "fail" dpkg has an error, and when it is mended goes on.
    dep = system.outside / f"lib/modules/{new}/modules.dep.bin"
    fail = '[hook]\non-failure = "fail"\n' + CONFIG + 'build.drivers = ["no-such-driver"]\n'
    config.write_text(fail)
    assert dep.exists()
    with pytest.raises(LabError, match=rf"HOOK FAILED: add {re.escape(new)}, tree root: .*no-such-driver"):
        installed(system, *again)
    assert image.read_bytes() == before
    assert f"linux-image-{new}" in system.run("dpkg", "--audit").stdout.decode()
    config.write_text(CONFIG)
    system.run("dpkg", "--configure", "-a")
    assert system.run("dpkg", "--audit").stdout == b""
    assert system.run("mkpxeinit", "hook", "status").returncode == 0

    # The new one goes: first the other kernel gets an image, then this one's goes; and the last one's stays.
    said = installed(system, "purge", f"linux-image-{new}", f"linux-image-{FLAVOR}")
    assert f"tree root: /boot/pxeinit-{new}.img is removed" in said
    assert images(system) == [f"pxeinit-{tree.release}.img"]
    said = installed(system, "purge", f"linux-image-{tree.release}", "linux-image-amd64")
    assert f"no other kernel is there: /boot/pxeinit-{tree.release}.img is the last one" in said
    assert images(system) == [f"pxeinit-{tree.release}.img"]
    assert not (system.outside / f"boot/vmlinuz-{tree.release}").exists()


def test_apt(chroot: OpenChroot, bookworm: Tree) -> None:
    """Without the distribution's own initrd, which takes longer than all the rest."""
    system, packages = with_kernel(chroot, bookworm, "bookworm")
    (system.outside / "usr/sbin/update-initramfs").unlink()
    check_apt(system, bookworm, packages)


@pytest.mark.long
def test_apt_of_debian_13(chroot: OpenChroot, trixie: Tree) -> None:
    system, packages = with_kernel(chroot, trixie, "trixie")
    (system.outside / "usr/sbin/update-initramfs").unlink()
    check_apt(system, trixie, packages)


@pytest.mark.long
def test_update_initramfs(chroot: OpenChroot, bookworm: Tree) -> None:
    """What makes the distribution's initrd anew makes ours anew, too; a kernel's script does so once."""
    system, packages = with_kernel(chroot, bookworm, "bookworm")
    new = release_of(packages)
    said = installed(system, "install", f"linux-image-{FLAVOR}")
    assert said.count(f"image of kernel {new}, ") == 1 and "update-initramfs: Generating" in said
    (system.outside / f"boot/pxeinit-{new}.img").unlink()
    done: subprocess.CompletedProcess[bytes] = system.run("update-initramfs", "-u", "-k", new)
    assert f"image of kernel {new}, " in done.stderr.decode()
    assert images(system) == [f"pxeinit-{new}.img"]
