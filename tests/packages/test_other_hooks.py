"""The hooks of kernel-install, pacman and Alpine, called by the real programs (Alpine's by a stand-in)."""

import re
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from pxelab import Lab, LabError, Tree
from pxelab.chroot import Chroot
from tests.packages.conftest import OpenChroot, put_ours
from tests.packages.making import kernel_files
from tests.unit.small import make_tree

CONFIG = "[[hook.tree]]\nbuild.buses = []\n"
SPY = """#!/bin/sh
# Beside the plugins that take initrds: what is in the staging area now?
ls "$KERNEL_INSTALL_STAGING_AREA" >/spied
"""
# In place of ukify's, which takes what of the staging area is named initrd*.
UKI = """#!/bin/sh
[ "$1 $KERNEL_INSTALL_LAYOUT" != "add uki" ] || cat "$4" "$KERNEL_INSTALL_STAGING_AREA"/initrd* \\
    >"$KERNEL_INSTALL_STAGING_AREA/uki.efi"
"""
TOKEN = "mkpxeinit-test"


def images(system: Chroot) -> list[str]:
    return sorted(path.name for path in (system.outside / "boot").glob("pxeinit-*"))


# --- kernel-install ---------------------------------------------------------------------------------------


def prepared_for_entries(system: Chroot, layout: str, config: str = CONFIG) -> None:
    """Make a system whose boot entries are made by kernel-install with our initrds."""
    put_ours(system, config)
    outside = system.outside
    make_tree(
        outside,
        {
            "etc/kernel/install.conf": f"layout={layout}\ninitrd_generator=mkpxeinit\n",
            "etc/kernel/entry-token": f"{TOKEN}\n",
            "etc/kernel/cmdline": "quiet\n",
            "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
            "etc/kernel/install.d/80-spy.install": SPY,
            "etc/kernel/install.d/60-uki.install": UKI,
            f"boot/{TOKEN}": None,
            "boot/loader/entries": None,
        },
    )
    for plugin in (outside / "etc/kernel/install.d").iterdir():
        plugin.chmod(0o755)
    # Debian's systemd would add that of initramfs-tools, whoever the generator is.
    for each in (outside / "boot").glob("initrd.img-*"):
        each.unlink()


def kernel_install(system: Chroot, *words: str) -> subprocess.CompletedProcess[bytes]:
    return system.run("kernel-install", *words, environment={"BOOT_ROOT": "/boot"})


def check_kernel_install(system: Chroot, tree: Tree, layout: str) -> None:
    prepared_for_entries(system, layout)
    release, vmlinuz = tree.release, f"/boot/vmlinuz-{tree.release}"
    done = kernel_install(system, "--verbose", "add", release, vmlinuz)
    assert f"tree root: /boot/pxeinit-{release}.img: image of kernel" in done.stderr.decode()
    assert images(system) == [f"pxeinit-{release}.img"]
    spied = (system.outside / "spied").read_text().split()
    if layout == "other":  # nobody takes initrds from the staging area
        assert "initrd" not in spied
    else:
        assert "initrd" in spied
    entry = system.outside / f"boot/loader/entries/{TOKEN}-{release}.conf"
    image = (system.outside / f"boot/pxeinit-{release}.img").read_bytes()
    if layout == "bls":
        (initrd,) = re.findall(r"^initrd\s+(\S+)$", entry.read_text(), re.MULTILINE)
        assert initrd.endswith(f"/{TOKEN}/{release}/initrd")
        assert (system.outside / initrd.lstrip("/")).read_bytes() == image
    elif layout == "uki":
        assert (system.outside / f"boot/EFI/Linux/{TOKEN}-{release}.efi").read_bytes().endswith(image)
    # It goes, but the only image stays; with another kernel it goes.
    done = kernel_install(system, "remove", release)
    assert "is the last one, and is kept" in done.stderr.decode()
    assert not entry.exists()
    make_tree(system.outside, kernel_files("6.2.0-1-test"))
    done = kernel_install(system, "remove", release)
    assert f"pxeinit-{release}.img is removed" in done.stderr.decode()
    assert images(system) == ["pxeinit-6.2.0-1-test.img"]


@pytest.mark.parametrize("layout", ["bls", pytest.param("other", marks=pytest.mark.long)])
def test_kernel_install_of_debian_12(chroot: OpenChroot, bookworm: Tree, layout: str) -> None:
    check_kernel_install(chroot(bookworm), bookworm, layout)


@pytest.mark.long
@pytest.mark.parametrize("layout", ["bls", "uki", "other"])
def test_kernel_install_of_debian_13(chroot: OpenChroot, trixie: Tree, layout: str) -> None:
    check_kernel_install(chroot(trixie), trixie, layout)


@pytest.mark.long
def test_kernel_install_when_it_fails(chroot: OpenChroot, trixie: Tree) -> None:
    """No entry without the initrd that it is to have; that a tree has no image is no reason."""
    system = chroot(trixie)
    prepared_for_entries(system, "bls", "[[hook.tree]]\nbuild.drivers = ['no-such-driver']\n")
    release, vmlinuz = trixie.release, f"/boot/vmlinuz-{trixie.release}"
    entry = system.outside / f"boot/loader/entries/{TOKEN}-{release}.conf"
    with pytest.raises(LabError, match=f"no initrd for kernel {re.escape(release)}: there will be"):
        kernel_install(system, "--verbose", "add", release, vmlinuz)
    assert not entry.exists()
    (system.outside / "etc/kernel/install.conf").write_text("layout=bls\ninitrd_generator=dracut\n")
    done = kernel_install(system, "add", release, vmlinuz)
    assert f"HOOK FAILED: add {release}, tree root: " in done.stderr.decode()
    assert entry.is_file()
    config = system.outside / "etc/mkpxeinit.toml"
    config.write_text("hook.on-failure = 'fail'\n" + config.read_text())
    with pytest.raises(LabError, match="55-mkpxeinit.install"):
        kernel_install(system, "--verbose", "add", release, vmlinuz)


@pytest.mark.long
def test_kernel_install_with_another_generator(chroot: OpenChroot, trixie: Tree) -> None:
    """The machine's own initrd is another program's, or was given: ours is not put in its place."""
    system = chroot(trixie)
    prepared_for_entries(system, "bls")
    release, vmlinuz = trixie.release, f"/boot/vmlinuz-{trixie.release}"
    (system.outside / "boot/mine").write_bytes(b"mine")
    kernel_install(system, "add", release, vmlinuz, "/boot/mine")
    assert "initrd" not in (system.outside / "spied").read_text().split()
    (system.outside / "etc/kernel/install.conf").write_text("layout=bls\ninitrd_generator=dracut\n")
    kernel_install(system, "add", release, vmlinuz)
    assert "initrd" not in (system.outside / "spied").read_text().split()
    assert images(system) == [f"pxeinit-{release}.img"]


# --- pacman -----------------------------------------------------------------------------------------------


def package(path: Path, name: str, version: str, files: dict[str, bytes]) -> Path:
    """Write a package as PKGBUILD(5)'s makepkg does: .PKGINFO first, then the files."""
    size = sum(map(len, files.values()))
    info = (
        f"pkgname = {name}\npkgver = {version}\npkgdesc = a test\nurl = http://192.0.2.1/\n"
        f"builddate = 1\npackager = nobody\nsize = {size}\narch = any\n"
    )
    target = path / f"{name}-{version}-any.pkg.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        for inside, data in {".PKGINFO": info.encode(), **files}.items():
            member = tarfile.TarInfo(inside)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, BytesIO(data))
    return target


class Pacman:
    """This machine's pacman with the root of another system; it runs hooks in a chroot there."""

    def __init__(self, lab: Lab, system: Chroot, folder: Path) -> None:
        self._lab, self._system = lab, system
        (system.outside / "var/lib/pacman").mkdir(parents=True, exist_ok=True)
        self._config = folder / "pacman.conf"
        # No HookDir: that of the system, below its root, is the default.
        self._config.write_text(
            "[options]\nArchitecture = auto\nSigLevel = Never\nLocalFileSigLevel = Never\n"
        )

    def run(self, *words: str | Path) -> str:
        argv = ["pacman", "--root", str(self._system.view), "--config", str(self._config), "--noconfirm"]
        done = self._lab.space.run([*argv, *map(str, words)], timeout=120, check=False)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == 0, said
        return said


def test_pacman(lab: Lab, chroot: OpenChroot, bookworm: Tree, tmp_path: Path) -> None:
    """A kernel installed, upgraded and removed, and firmware: by real transactions."""
    system = chroot(bookworm)
    pacman = Pacman(lab, system, tmp_path)
    put_ours(system, CONFIG, kinds=("arch",))
    assert (system.outside / "usr/share/libalpm/hooks/90-mkpxeinit-add.hook").is_file()
    first, second = "6.2.0-arch1-1", "6.3.0-arch1-1"
    said = pacman.run("-U", package(tmp_path, "linux", "6.2.0-1", kernel_files(first)))
    assert "Building network-boot images..." in said
    assert f"mkpxeinit: tree root: /boot/pxeinit-{first}.img: image of kernel {first}, " in said
    assert images(system) == [f"pxeinit-{first}.img"]
    # An upgrade brings the new one and takes the old one away, in this order.
    said = pacman.run("-U", package(tmp_path, "linux", "6.3.0-1", kernel_files(second)))
    assert said.index(f"image of kernel {second}") < said.index(f"pxeinit-{first}.img is removed")
    assert images(system) == [f"pxeinit-{second}.img"]
    # Firmware is in images too: those that are there are made anew.
    (system.outside / f"boot/pxeinit-{second}.img").write_bytes(b"old")
    pacman.run("-U", package(tmp_path, "firmware", "1-1", {"usr/lib/firmware/test.bin": b"x"}))
    assert (system.outside / f"boot/pxeinit-{second}.img").stat().st_size > 10_000
    # A failure: the transaction is done, the old image stays.
    (system.outside / "etc/mkpxeinit.toml").write_text("[[hook.tree]\n")
    before = (system.outside / f"boot/pxeinit-{second}.img").read_bytes()
    said = pacman.run("-U", tmp_path / "linux-6.3.0-1-any.pkg.tar.gz")
    assert "HOOK FAILED: add: /etc/mkpxeinit.toml: not TOML" in said
    assert (system.outside / f"boot/pxeinit-{second}.img").read_bytes() == before
    (system.outside / "etc/mkpxeinit.toml").write_text(CONFIG)
    # Another kernel comes in the transaction that upgrades this one: the hook is called once, with both.
    third, lts = "6.4.0-arch1-1", "6.1.9-1-lts"
    upgrade = package(tmp_path, "linux", "6.4.0-1", kernel_files(third))
    said = pacman.run("-U", upgrade, package(tmp_path, "linux-lts", "6.1.9-1", kernel_files(lts)))
    assert said.count("Building network-boot images...") == 1
    assert images(system) == [f"pxeinit-{lts}.img", f"pxeinit-{third}.img"]
    # Both go at once; the tree has another kernel, which gets an image first.
    said = pacman.run("-R", "linux", "linux-lts")
    assert f"pxeinit-{third}.img is removed" in said and f"pxeinit-{lts}.img is removed" in said
    assert images(system) == [f"pxeinit-{bookworm.release}.img"]


# --- Alpine -----------------------------------------------------------------------------------------------


# A stand-in for the trigger of the package kernel-hooks, which Debian has not. apk calls that one with the
# folders below lib/modules that have come, changed or gone; /usr/share/kernel/FLAVOR/kernel.release tells it
# which version is installed; it runs every hook for each flavor, and does not mind their exit codes.
TRIGGER = """#!/bin/sh
[ -d /etc/kernel-hooks.d ] || exit 0
changed=
for folder; do
    [ ! -f "$folder" ] || continue
    release=${folder##*/}
    if ! expr "$release" : '[0-9][^-]*-[0-9][^-]*-.' >/dev/null; then
        echo "kernel-hooks: $release: not VERSION-FLAVOR" >&2
        exit 1
    fi
    version=$(expr "$release" : '\\([^-]*-[^-]*\\)')
    flavor=${release#"$version-"}
    state=old
    [ "$(cat "/usr/share/kernel/$flavor/kernel.release" 2>/dev/null)" != "$release" ] || state=new
    changed="$changed$flavor $state $version
"
done
last() { # FLAVOR STATE: its version
    printf %s "$changed" | awk -v flavor="$1" -v state="$2" \\
        '$1 == flavor && $2 == state { found = $3 } END { print found }'
}
printf %s "$changed" | cut -d' ' -f1 | sort -u | while read -r flavor; do
    for hook in /etc/kernel-hooks.d/*; do
        [ ! -x "$hook" ] || "$hook" "$flavor" "$(last "$flavor" new)" "$(last "$flavor" old)" </dev/null \\
            || echo "kernel-hooks: $hook: exit code $?" >&2
    done
done
exit 0
"""


class Apk:
    """What apk would do to a system: files come and go, then triggers are called with the folders."""

    def __init__(self, system: Chroot) -> None:
        self._system = system
        make_tree(system.outside, {"root/kernel-hooks.trigger": TRIGGER, "etc/kernel-hooks.d/README": "text"})

    def trigger(self, *releases: str, check: bool = True) -> str:
        """Call the trigger for these folders; return what was said."""
        words = (
            "busybox",
            "ash",
            "/root/kernel-hooks.trigger",
            *(f"/lib/modules/{each}" for each in releases),
        )
        done = self._system.run("sh", "-c", 'exec "$@" 2>&1', "sh", *words, check=check)
        return done.stdout.decode()

    def add(self, version: str, flavor: str = "lts") -> None:
        """Put the files of a kernel there: its own file has the flavor's name alone."""
        files = kernel_files(f"{version}-{flavor}", usr=False)
        del files[f"usr/lib/modules/{version}-{flavor}/vmlinuz"]
        told = {f"usr/share/kernel/{flavor}/kernel.release": f"{version}-{flavor}\n"}
        make_tree(self._system.outside, {**files, f"boot/vmlinuz-{flavor}": version, **told})

    def remove(self, version: str, flavor: str = "lts", *, last: bool = False) -> None:
        """Take the modules of a version away, and with the last the rest of the flavor."""
        outside = self._system.outside
        shutil.rmtree(outside / f"lib/modules/{version}-{flavor}")
        if last:
            shutil.rmtree(outside / f"usr/share/kernel/{flavor}")
            (outside / f"boot/vmlinuz-{flavor}").unlink()


def test_alpine(chroot: OpenChroot, bookworm: Tree) -> None:
    """A kernel comes, is upgraded, gets modules of another package, goes; another flavor beside it."""
    system = chroot(bookworm)
    tftp = system.outside / "srv/tftp"
    tftp.mkdir(parents=True)
    for name in ("pxelinux.0", "ldlinux.c32"):  # the server has put them there: the tree has none
        (tftp / name).write_bytes(b"loader")
        (tftp / name).chmod(0o644)
    tree = 'name = "pc"\ntftp-root = "/srv/tftp"\noutput = "/boot"\n'
    put_ours(system, CONFIG + tree, kinds=("alpine",))
    apk = Apk(system)

    apk.add("6.6.1-0")
    said = apk.trigger("6.6.1-0-lts")
    assert "pc.1 is published: kernel 6.6.1-0-lts" in said, said
    assert (tftp / "generations/pc.1/vmlinuz").read_bytes() == b"6.6.1-0"
    # The trigger has both folders; the old one is gone already.
    apk.add("6.6.2-0")
    apk.remove("6.6.1-0")
    said = apk.trigger("6.6.1-0-lts", "6.6.2-0-lts")
    assert "pc.2 is published: kernel 6.6.2-0-lts" in said and "pxeinit-6.6.1-0-lts.img is removed" in said
    assert images(system) == ["pxeinit-6.6.2-0-lts.img"]
    # A package of modules for the same kernel, and another flavor, in one transaction.
    apk.add("6.6.2-0", "virt")
    assert "pxeinit-6.6.2-0-virt.img: image of kernel 6.6.2-0-virt" in apk.trigger(
        "6.6.2-0-virt", "6.6.2-0-lts"
    )
    assert images(system) == ["pxeinit-6.6.2-0-lts.img", "pxeinit-6.6.2-0-virt.img"]
    # The flavors are removed: clients get the kernel that is left.
    for flavor in ("lts", "virt"):
        apk.remove("6.6.2-0", flavor, last=True)
    said = apk.trigger("6.6.2-0-lts", "6.6.2-0-virt")
    assert f"is published: kernel {bookworm.release}" in said
    assert images(system) == [f"pxeinit-{bookworm.release}.img"]

    # The exit code of a hook is nothing to apk.
    config = 'hook.on-failure = "fail"\n[[hook.tree]]\nbuild.drivers = ["no-such-driver"]\n'
    (system.outside / "etc/mkpxeinit.toml").write_text(config)
    apk.add("6.6.3-0")
    said = apk.trigger("6.6.3-0-lts")
    assert "HOOK FAILED: add 6.6.3-0-lts" in said
    assert "kernel-hooks: /etc/kernel-hooks.d/90-mkpxeinit.hook: exit code 1" in said
