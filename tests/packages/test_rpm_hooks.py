"""The RPM's file triggers and plugin: real transactions of rpm, in a tree whose packages are rpm's, too."""

from pathlib import Path

import pytest

from pxelab import Lab, Tree
from pxelab.chroot import Chroot
from tests.packages import building, making
from tests.packages.conftest import OpenChroot

pytestmark = pytest.mark.long
CONFIG = "[[hook.tree]]\nbuild.buses = []\n"
FIRST, SECOND = "6.1.0-1-test", "6.2.0-1-test"
# As Fedora's kernels do: kernel-install is called after the transaction, and before the files go.
FEDORA = {
    "%posttrans": f"kernel-install add {SECOND} /lib/modules/{SECOND}/vmlinuz || exit $?",
    "%preun": f"kernel-install remove {SECOND} || exit $?",
}
# Where Debian's Python looks; the programs that run in the tree are Debian's.
SITELIB = "/usr/lib/python3/dist-packages"


class Rpm:
    """This machine's rpm with the root of another system, in which scripts run in a chroot."""

    def __init__(self, lab: Lab, system: Chroot) -> None:
        self._lab = lab
        self._words = ["rpm", "--root", str(system.view), "--dbpath", "/var/lib/rpm"]

    def run(self, *words: str | Path, check: bool = True) -> str:
        argv = [*self._words, *map(str, words)]
        done = self._lab.space.run(argv, timeout=120, check=False)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == 0 or not check, said
        return said


def images(system: Chroot) -> list[str]:
    return sorted(path.name for path in (system.outside / "boot").glob("pxeinit-*"))


def kernel(folder: Path, release: str, scripts: dict[str, str] | None = None) -> Path:
    return making.rpm(folder, "kernel", release.partition("-")[0], making.kernel_files(release), scripts)


def firmware(folder: Path, version: str, *names: str) -> Path:
    return making.rpm(folder, "firmware", version, {f"usr/lib/firmware/{each}": b"x" for each in names})


def test_transactions(lab: Lab, chroot: OpenChroot, bookworm: Tree, tmp_path: Path) -> None:
    system = chroot(bookworm)
    rpm = Rpm(lab, system)
    (system.outside / "etc/mkpxeinit.toml").write_text(CONFIG)
    rpm.run("--initdb")
    # What is there when we come gets an image, once.
    first = kernel(tmp_path, FIRST)
    rpm.run("-i", "--nodeps", first)
    said = rpm.run("-i", "--nodeps", building.rpm(tmp_path, SITELIB))
    assert said.count("image of kernel") == 2, said  # the newest, which is Debian's, and the rpm's
    assert images(system) == [f"pxeinit-{FIRST}.img", f"pxeinit-{bookworm.release}.img"]
    newest = system.outside / f"boot/pxeinit-{bookworm.release}.img"

    # Firmware alone comes, is upgraded, goes: each time what is there is made anew.
    for words in (
        ("-i", firmware(tmp_path, "1", "a.bin", "b.bin")),
        ("-U", firmware(tmp_path, "2", "a.bin")),
        ("-e", "firmware"),
    ):
        newest.write_bytes(b"old")
        assert "mkpxeinit: tree root: " in rpm.run(*words)
        assert newest.stat().st_size > 10_000
    assert not (system.outside / "usr/lib/firmware/a.bin").exists()

    # A kernel comes beside the other, as openSUSE has it: no script of its own tells anybody.
    second = kernel(tmp_path, SECOND)
    assert f"/boot/pxeinit-{SECOND}.img: image of kernel {SECOND}, " in rpm.run("-i", second)
    # It is installed once more: nothing has gone.
    rpm.run("-U", "--oldpackage", "--replacepkgs", second)
    assert f"pxeinit-{SECOND}.img" in images(system)
    # An upgrade from the first to the second: the first has gone already.
    assert f"pxeinit-{FIRST}.img" not in images(system)
    assert "pxeinit-6.2.0-1-test.img is removed" in rpm.run("-e", "kernel")
    assert images(system) == [f"pxeinit-{bookworm.release}.img"]

    # A failure is an error for rpm if the configuration says so, and then, too, the files are in place.
    (system.outside / "etc/mkpxeinit.toml").write_text("[[hook.tree]\n")
    assert "HOOK FAILED: update: /etc/mkpxeinit.toml: not TOML" in rpm.run("-i", first)
    fail = "hook.on-failure = 'fail'\n[[hook.tree]]\nbuild.drivers = ['no-such-driver']\n"
    (system.outside / "etc/mkpxeinit.toml").write_text(fail)
    said = rpm.run("-i", firmware(tmp_path, "3", "c.bin"), check=False)
    assert "no-such-driver" in said and "scriptlet failed, exit status 1" in said
    assert (system.outside / "usr/lib/firmware/c.bin").is_file()


def test_fedoras_kernels(lab: Lab, chroot: OpenChroot, bookworm: Tree, tmp_path: Path) -> None:
    """They call kernel-install as well, whose plugin does the same: done once more it is still right."""
    system = chroot(bookworm)
    rpm = Rpm(lab, system)
    (system.outside / "etc/mkpxeinit.toml").write_text(CONFIG)
    (system.outside / "etc/kernel/install.conf").write_text("layout=other\n")
    rpm.run("--initdb")
    rpm.run("-i", "--nodeps", building.rpm(tmp_path, SITELIB))
    said = rpm.run("-i", "--nodeps", kernel(tmp_path, SECOND, FEDORA))
    assert f"/boot/pxeinit-{SECOND}.img: image of kernel {SECOND}, " in said
    assert f"pxeinit-{SECOND}.img" in images(system)
    said = rpm.run("-e", "kernel")
    assert said.count(f"pxeinit-{SECOND}.img is removed") == 1
    assert images(system) == [f"pxeinit-{bookworm.release}.img"]
    # We go, with a kernel in the same transaction: nothing is missed.
    rpm.run("-i", "--nodeps", kernel(tmp_path / "again", FIRST))
    said = rpm.run("-e", "kernel", "mkpxeinit")
    assert "rpm-trigger: not found" not in said and "No such file" not in said
