"""A new kernel, installed by apt in the tree's chroot, is what the clients boot: docs/hooks.md shows it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Nic, debs, trees
from pxelab.chroot import Chroot
from tests.boot.quick import EXPORT
from tests.packages.conftest import archive, put_ours
from tests.packages.places import RUNTIME

FLAVOR = "cloud-amd64"
APPEND = "console=ttyS0 tsc=unstable"
CONFIG = f"""[[hook.tree]]
name = "pxeclient"
tftp-root = "/srv/tftp"
append = "{APPEND}"
keep = 3
"""


@pytest.mark.long
def test_upgrade_in_the_chroot(lab: Lab) -> None:
    """apt, the kernel package's own script, the hook, the build, the publish, and a PXE boot of all that."""
    tree = trees.debian("bookworm", RUNTIME)
    system = Chroot(lab, tree.path)
    tftp = lab.folder / "tftp"
    tftp.mkdir()
    # The server has published what the tree had before; the loaders are from there.
    command = [str(Path(sys.executable).with_name("mkpxeinit")), "publish", "--sysroot", str(system.view)]
    words = ["--tftp-root", str(tftp), "--name", "pxeclient", "--append", APPEND]
    lab.space.run([*command, *words], timeout=120)
    put_ours(system, CONFIG)
    system.bind(tftp, "/srv/tftp")
    packages = debs.kernel("bookworm", FLAVOR)
    archive(system, packages)

    done: subprocess.CompletedProcess[bytes] = system.run(
        "sh", "-c", f"apt-get -q -y install linux-image-{FLAVOR} 2>&1", timeout=600
    )
    said = done.stdout.decode()
    print(said)
    found = re.search(r"^mkpxeinit: tree pxeclient: /srv/tftp: pxeclient\.2 is published: kernel (\S+)"
                      r"(?: \(\d+ remarks?: mkpxeinit hook run update -v\))?$",
                      said.replace("\r", ""), re.MULTILINE)  # fmt: skip
    assert found, said
    release = found[1]
    assert release.endswith(FLAVOR) and release != tree.release
    print(system.run("mkpxeinit", "publish", "--tftp-root", "/srv/tftp", "--list").stdout.decode())
    (system.outside / "usr/local/bin/mkpxeinit").unlink()
    (system.outside / "usr/sbin/policy-rc.d").unlink()
    system.unmount()

    lab.ganesha({EXPORT: system.view})
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER, boot_file="pxelinux.0", tftp=tftp)
    machine = lab.machine(Machine(nics=(Nic(model="virtio-net-pci"),), guest=False))
    machine.expect(r"Loading generations/pxeclient\.2/vmlinuz", 240)
    machine.expect(rf"Linux version {re.escape(release)} ", 120)
    machine.expect(r"handing over to /sbin/init", 120)
    machine.expect(r" login:", 240)
    print(
        "\n".join(
            line
            for _, line in machine.console.lines
            if re.match("pxeinit: |Loading ", line) or " login:" in line
        )
    )
