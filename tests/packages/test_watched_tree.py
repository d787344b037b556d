"""A tree whose packages change from outside of it, and a server that looks on: dpkg and systemd are real.

systemd is process 1 of a container: its own mounts, processes and control groups.
"""

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mkpxeinit import resources
from mkpxeinit.hooks import transaction
from mkpxeinit.sysroot import Sysroot
from pxelab import Lab, Tree
from pxelab.chroot import Chroot
from pxelab.run import run
from tests.packages.conftest import OpenChroot, put_ours
from tests.packages.making import deb, kernel_files
from tests.unit.small import RELEASE, kernel_tree, make_tree

TREE = "/netboot/pc"
UNIT = "mkpxeinit-hook@netboot-pc"
NEW = "6.2.0-1-test"
SECONDS = 90.0
CONFIG = f"""[[hook.tree]]
sysroot = "{TREE}"
build.buses = []
"""
# In a tree without a shell dpkg runs scripts outside of it (--force-script-chrootless).
POSTINST = f"""#!/bin/sh
cp "$DPKG_ROOT"/usr/share/depmod/* "$DPKG_ROOT/lib/modules/{NEW}/"
"""
DPKG: dict[str, str | None] = {
    "var/lib/dpkg/status": "",
    "var/lib/dpkg/info": None,
    "var/lib/dpkg/updates": None,
}
# Devices of its own, control groups of its own, and nothing but what the units ask for.
INIT = """
set -e
mount -t tmpfs none "$1/dev"
for name in null zero urandom; do
    touch "$1/dev/$name"
    mount --bind "/dev/$name" "$1/dev/$name"
done
mount -t proc none "$1/proc"
mount -o remount,bind,ro "$1/sys"
mount -t tmpfs none "$1/sys/fs/cgroup"
mount -t cgroup2 none "$1/sys/fs/cgroup"
exec env -i container=test PATH="$PATH" chroot "$1" /lib/systemd/systemd --system --unit=sysinit.target \
    --log-target=null
"""
# What a machine starts early, for its hardware.
OTHERS = ("lib/systemd/system/sysinit.target.wants", "lib/systemd/system-generators")


def kernel_package(folder: Path) -> Path:
    """A kernel whose depmod comes when it is configured."""
    files = {}
    for name, data in kernel_files(NEW, usr=False).items():
        path = Path(name)
        if path.name.startswith("modules."):
            files[f"usr/share/depmod/{path.name}"] = data
        elif path.name != "vmlinuz":
            files[name] = data
    files[f"boot/vmlinuz-{NEW}"] = b"kernel"
    return deb(folder, f"linux-image-{NEW}", "1", files, {"postinst": POSTINST})


class Server:
    """A Debian system with a tree in it."""

    def __init__(self, system: Chroot, folder: Path) -> None:
        self._system = system
        self.tree = make_tree(system.outside / TREE[1:], {**kernel_tree(), **DPKG})
        put_ours(system, CONFIG, kinds=("systemd",))
        system.bind(folder, "/packages")

    def dpkg(self, *words: str) -> None:
        self._system.run("dpkg", f"--root={TREE}", "--force-script-chrootless", *words)

    def images(self) -> list[str]:
        return sorted(path.name for path in (self.tree / "boot").glob("pxeinit-*"))


class Systemd:
    """systemd as process 1 of a system, until the laboratory ends."""

    def __init__(self, lab: Lab, system: Chroot) -> None:
        self._lab = lab
        for name in OTHERS:
            shutil.rmtree(system.outside / name)
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc"]
        self._process = lab.space.start("systemd", [*words, "sh", "-c", INIT, "sh", str(system.view)])
        self._enter = "exec nsenter --target=$(pgrep -x systemd) --all --root --wd -- systemctl"
        self._until(lambda: self.ctl("is-active", "sysinit.target") == "active", "sysinit.target")

    def ctl(self, *words: str) -> str:
        """Run systemctl; return what it says."""
        argv = ["sh", "-c", f'{self._enter} "$@"', "sh", *words]
        return self._lab.space.run(argv, check=False).stdout.decode().strip()

    def ended(self, result: str, before: str = "") -> str:
        """Wait for an end of the service with that result after the one at `before`; return when it was."""
        when = ""

        def has_ended() -> bool:
            nonlocal when
            names = ("Result", "ExecMainExitTimestampMonotonic")
            said, when = (self.ctl("show", f"{UNIT}.service", "--value", "-p", name) for name in names)
            return when not in ("0", before) and said == result

        self._until(has_ended, f"{UNIT}.service: {result}")
        return when

    def _until(self, reached: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + SECONDS
        while not reached():
            assert self._process.running and time.monotonic() < end, f"systemd: not reached: {what}"
            time.sleep(0.2)


@pytest.mark.long
def test_a_kernel_that_comes_from_outside(
    lab: Lab, chroot: OpenChroot, bookworm: Tree, tmp_path: Path
) -> None:
    """dpkg unpacks it, and then configures it; the service has its image when both are done."""
    system = chroot(bookworm)
    server = Server(system, tmp_path)
    package = f"/packages/{kernel_package(tmp_path).name}"
    verified = system.run(
        "systemd-analyze", "verify", "--man=no", f"{UNIT}.path", f"{UNIT}.service", check=False
    )
    assert (verified.returncode, verified.stderr) == (0, b"")
    # Sooner than after its two minutes, for the test.
    make_tree(system.outside, {f"etc/systemd/system/{UNIT}.service.d/soon.conf": "[Service]\nRestartSec=1\n"})
    systemd = Systemd(lab, system)
    systemd.ctl("start", f"{UNIT}.path")
    assert systemd.ctl("is-active", f"{UNIT}.path") == "active"

    server.dpkg("--unpack", package)
    when = systemd.ended("exit-code")
    assert server.images() == [f"pxeinit-{RELEASE}.img"]
    kept = system.run("mkpxeinit", "hook", "status", check=False).stdout.decode()
    assert (
        "open       " in kept and f"add {NEW}, tree pc: {TREE}/lib/modules/{NEW}/modules.dep: missing" in kept
    )

    server.dpkg("--configure", "-a")
    when = systemd.ended("success", when)
    assert server.images() == [f"pxeinit-{RELEASE}.img", f"pxeinit-{NEW}.img"]
    assert b"open" not in system.run("mkpxeinit", "hook", "status", check=False).stdout
    # What it waits for is the next transaction, whatever that is.
    (server.tree / f"boot/pxeinit-{NEW}.img").unlink()
    server.dpkg("--remove", f"linux-image-{NEW}")
    systemd.ended("success", when)
    assert (server.tree / f"boot/pxeinit-{RELEASE}.img").is_file()


def test_what_is_watched_changes_with_each_transaction(tmp_path: Path) -> None:
    """dpkg's own writing, seen as the service and the path unit see it: unpacked, configured, removed."""
    root = make_tree(tmp_path / "tree", DPKG)
    sysroot = Sysroot.open(root)
    states = [transaction.look(sysroot)]
    package = kernel_package(tmp_path)
    for words in (("--unpack", package), ("--configure", "-a"), ("--remove", f"linux-image-{NEW}")):
        run(["dpkg", f"--root={root}", "--force-script-chrootless", *words], timeout=SECONDS)
        states.append(transaction.look(sysroot))
    assert len(set(states)) == 4
    assert transaction.running(sysroot) is None  # its lock file stays, and is nobody's


def test_the_unit_watches_what_the_service_looks_at() -> None:
    unit = resources.folder("packaging/hooks") / "systemd/usr/lib/systemd/system/mkpxeinit-hook@.path"
    watched = re.findall(r"^PathChanged=%f/(.*)$", unit.read_text(), re.MULTILINE)
    assert tuple(watched) == transaction.DATABASES
