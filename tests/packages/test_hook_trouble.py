"""Disks that are full, and a configuration that is not there: the Debian hook in a real system."""

import subprocess
from pathlib import Path

import pytest

from pxelab import Tree
from pxelab.chroot import Chroot
from tests.packages.conftest import OpenChroot, put_ours

pytestmark = pytest.mark.long  # each takes some seconds; tests/cli/test_hook_trouble.py has the like of it
CONFIG = '[[hook.tree]]\nname = "pc"\nbuild.buses = []\n'
HOOK = "/etc/kernel/postinst.d/zz-mkpxeinit"
FULL = "No space left on device"


def run_hook(system: Chroot, release: str) -> str:
    """Call it as a kernel's package does; return what it said. The package manager goes on in any case."""
    maintainer = {"DEB_MAINT_PARAMS": "configure"}
    done: subprocess.CompletedProcess[bytes] = system.run(HOOK, release, environment=maintainer)
    return done.stderr.decode()


def disk(system: Chroot, place: str, size: str) -> Path:
    """Mount an empty file system of that size there; return it as seen from here."""
    inside = f"{system.view}{place}"
    system.lab.space.run(["mkdir", "-p", inside])
    system.lab.space.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "disk", inside])
    return system.outside / place[1:]


def fill(folder: Path) -> Path:
    """Leave no byte there; return the file that has them."""
    filler = folder / "filler"
    with pytest.raises(OSError, match=FULL), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_full_disks(chroot: OpenChroot, bookworm: Tree) -> None:
    """Images and the TFTP root: the old ones stay whole, nothing is left of the new, status tells."""
    system, release = chroot(bookworm), bookworm.release
    boot, tftp = disk(system, "/images", "64m"), disk(system, "/srv/tftp", "64m")
    for name in ("pxelinux.0", "ldlinux.c32"):
        (tftp / name).write_bytes(b"loader")
        (tftp / name).chmod(0o644)
    config = CONFIG + 'output = "/images"\ntftp-root = "/srv/tftp"\n'
    put_ours(system, config)
    assert "pc.1 is published" in run_hook(system, release)
    for folder in (boot, tftp):
        filler = fill(folder)
        before = files(boot), files(tftp)
        (system.outside / "etc/mkpxeinit.toml").write_text(config + f'build.cmdline = "{folder.name}"\n')
        said = run_hook(system, release)
        assert f"HOOK FAILED: add {release}, tree pc: " in said and FULL in said
        after = files(boot), files(tftp)
        assert after[folder is tftp] == before[folder is tftp]
        assert after[1]["pxelinux.cfg/default"] == before[1]["pxelinux.cfg/default"]
        status = system.run("mkpxeinit", "hook", "status", check=False)
        assert status.returncode == 1 and FULL in status.stdout.decode()
        filler.unlink()
        assert "is published" in system.run("mkpxeinit", "hook", "run", "update").stderr.decode()
        assert system.run("mkpxeinit", "hook", "status").returncode == 0


def test_a_full_disk_below_var(chroot: OpenChroot, bookworm: Tree) -> None:
    """Without the cache it takes longer; a failure that cannot be kept is said."""
    system, release = chroot(bookworm), bookworm.release
    put_ours(system, CONFIG)
    for place in ("/var/cache/mkpxeinit", "/var/lib/mkpxeinit"):
        fill(disk(system, place, "64k"))
    said = run_hook(system, release)
    assert f"image of kernel {release}, " in said and "FAILED" not in said
    image = system.outside / f"boot/pxeinit-{release}.img"
    before = image.read_bytes()
    (system.outside / "etc/mkpxeinit.toml").write_text(CONFIG + 'build.drivers = ["no-such-driver"]\n')
    said = run_hook(system, release)
    assert "HOOK FAILED" in said and "what failed could not be kept: " in said and FULL in said
    assert image.read_bytes() == before


def test_without_a_configuration(chroot: OpenChroot, bookworm: Tree) -> None:
    """The package is installed and nobody has said what for: silence."""
    system = chroot(bookworm)
    put_ours(system, CONFIG)
    (system.outside / "etc/mkpxeinit.toml").unlink()
    assert run_hook(system, bookworm.release) == ""
    assert not list((system.outside / "boot").glob("pxeinit-*"))
    # A link that leads nowhere is no missing file: somebody has said something.
    (system.outside / "etc/mkpxeinit.toml").symlink_to("/etc/nowhere")
    said = run_hook(system, bookworm.release)
    assert "HOOK FAILED: add: /etc/mkpxeinit.toml: " in said
