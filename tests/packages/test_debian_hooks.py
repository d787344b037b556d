"""Kernels installed, configured again and removed by real apt and dpkg: the hooks have their work."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from pxelab import LabError, Tree, debs
from pxelab.chroot import Chroot
from tests.packages.conftest import OpenChroot, archive, put_ours
from tests.packages.making import deb, kernel_files

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


# Ubuntu's kernels run the hooks of /etc/kernel/postinst.d later, by a trigger of their own, when all packages
# of the kernel are configured. What is to be run then lies in a file.
UBUNTU = "6.8.0-31-generic"
INTEREST = f"interest linux-update-{UBUNTU}\n"
POSTINST = f"""#!/bin/sh
set -e
deferred=/usr/lib/linux/triggers/{UBUNTU}
case $1 in
    configure)
        cp /usr/share/depmod/* /lib/modules/{UBUNTU}/ # what depmod would write
        mkdir -p "${{deferred%/*}}"
        echo "DEB_MAINT_PARAMS='$*' run-parts --report --exit-on-error --arg={UBUNTU}" \\
            "--arg=/boot/vmlinuz-{UBUNTU} /etc/kernel/postinst.d" >"$deferred"
        dpkg-trigger --no-await linux-update-{UBUNTU}
        ;;
    triggered)
        [ ! -f "$deferred" ] || sh "$deferred"
        rm -f "$deferred"
        ;;
esac
"""
POSTRM = f"""#!/bin/sh
set -e
DEB_MAINT_PARAMS="$*" run-parts --report --exit-on-error --arg={UBUNTU} --arg=/boot/vmlinuz-{UBUNTU} \\
    /etc/kernel/postrm.d
"""


def ubuntu_kernel(folder: Path) -> tuple[Path, Path]:
    """Return the packages of a kernel as Ubuntu has them: the kernel, and its modules."""
    image: dict[str, bytes] = {f"boot/vmlinuz-{UBUNTU}": b"kernel"}
    modules: dict[str, bytes] = {}
    for name, data in kernel_files(UBUNTU, usr=False).items():
        path = Path(name)
        if path.name.startswith("modules."):
            image[f"usr/share/depmod/{path.name}"] = data
        elif path.suffix == ".ko":
            modules[f"usr/{name}"] = data
    scripts = {"postinst": POSTINST, "postrm": POSTRM, "triggers": INTEREST}
    needs = f"Depends: linux-modules-{UBUNTU}\n"
    return (
        deb(folder, f"linux-image-{UBUNTU}", "1", image, scripts, needs),
        deb(folder, f"linux-modules-{UBUNTU}", "1", modules, {}),
    )


def test_kernels_as_ubuntu_packages_them(chroot: OpenChroot, bookworm: Tree, tmp_path: Path) -> None:
    system = chroot(bookworm)
    put_ours(system, CONFIG + "build.buses = []\n")
    system.bind(tmp_path, "/packages")
    paths = [f"/packages/{path.name}" for path in ubuntu_kernel(tmp_path)]
    # Without the distribution's own hooks, which take longer than all the rest.
    dpkg = ("sh", "-c", 'rm -f /etc/kernel/p*.d/[a-y]* && exec dpkg "$@" 2>&1', "sh")
    said = system.run(*dpkg, "--install", *paths).stdout.decode()
    lines = said.splitlines()
    called = lines.index("/etc/kernel/postinst.d/zz-mkpxeinit:")
    assert lines.index(f"Processing triggers for linux-image-{UBUNTU} (1) ...") < called, said
    assert said.count(f"image of kernel {UBUNTU}, ") == 1
    assert images(system) == [f"pxeinit-{UBUNTU}.img"]
    # It is removed; its modules, another package, are there until then or longer.
    said = system.run(*dpkg, "--remove", f"linux-image-{UBUNTU}").stdout.decode()
    assert f"tree root: /boot/pxeinit-{UBUNTU}.img is removed" in said
    assert images(system) == [f"pxeinit-{bookworm.release}.img"]
    said = system.run(*dpkg, "--purge", f"linux-image-{UBUNTU}", f"linux-modules-{UBUNTU}").stdout.decode()
    assert "mkpxeinit" not in said.replace("zz-mkpxeinit", "")
    assert system.run("dpkg", "--audit").stdout == b""
