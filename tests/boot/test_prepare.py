"""A Debian 12 or 13 tree as an installer leaves it, prepared, boots to `running`."""

import subprocess
import sys
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Tree, trees
from tests.boot.conftest import BuildImage

EXPORT = "/netboot/pxeclient"
HANDOVER_SECONDS = 120.0
RUNNING_SECONDS = 240.0
PACKAGES = ("cron", "ifupdown", "isc-dhcp-client", "openssh-server")
MACHINE_ID = "0123456789abcdef0123456789abcdef"
# As on the disk of the machine installed on; each of them costs an unprepared client its boot, or its root.
INSTALLED = {
    "etc/fstab": b"UUID=2f6b4c1e-0000-4000-8000-000000000001 / ext4 errors=remount-ro 0 1\n"
    b"UUID=2f6b4c1e-0000-4000-8000-000000000002 /home ext4 defaults 0 2\n"
    b"UUID=2f6b4c1e-0000-4000-8000-000000000003 none swap sw 0 0\n"
    b"tmpfs /tmp tmpfs nosuid,nodev 0 0\n",
    "etc/network/interfaces": b"auto lo\niface lo inet loopback\nauto /en*\nauto /eth*\n"
    b"iface eth0 inet dhcp\niface enp0s3 inet dhcp\n",
    "etc/machine-id": f"{MACHINE_ID}\n".encode(),
    "var/log/journal/0123456789abcdef0123456789abcdef/system.journal": bytes(1 << 20),
    "var/lib/systemd/random-seed": bytes(512),
}


@pytest.fixture(scope="module")
def installed(request: pytest.FixtureRequest) -> Tree:
    """Return a tree of this suite that was never booted."""
    return trees.debian(str(request.param), PACKAGES)


def prepare(lab: Lab, view: Path, *options: str) -> str:
    """Run the installed command in the laboratory, where the view is; return what it said."""
    command = str(Path(sys.executable).with_name("mkpxeinit"))
    done = lab.space.run([command, "prepare", "--sysroot", str(view), *options])
    assert isinstance(done, subprocess.CompletedProcess)
    return str(done.stderr.decode())


@pytest.mark.parametrize(
    ("installed", "mode"),
    [
        ("bookworm", "farm"),
        pytest.param("bookworm", "overlay", marks=pytest.mark.long),
        pytest.param("bookworm", "ro", marks=pytest.mark.long),
        pytest.param("trixie", "farm", marks=pytest.mark.long),
        pytest.param("trixie", "ro", marks=pytest.mark.long),
    ],
    indirect=["installed"],
)
def test_prepared_tree_runs(lab: Lab, installed: Tree, build_image: BuildImage, mode: str) -> None:
    view = lab.variant(installed.path, files=INSTALLED)
    keys = list((lab.space.path(view) / "etc/ssh").glob("ssh_host_*_key"))
    assert keys
    said = prepare(lab, view)
    assert "changes made" in said
    assert "nothing to do" in prepare(lab, view)

    lab.ganesha({EXPORT: view})
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = lab.machine(
        Machine(kernel=installed.vmlinuz, initrd=(build_image(installed),), append=f"pxeinit.mode={mode}")
    )
    machine.expect(r"handing over to /sbin/init", HANDOVER_SECONDS)
    machine.expect(r" login:", RUNNING_SECONDS)
    assert machine.check("systemctl is-system-running --wait", RUNNING_SECONDS) == "running"
    assert machine.check("systemctl list-units --failed --no-legend --plain") == ""
    # Nobody else asked for a lease, the name servers are the lease's.
    assert machine.check("pgrep -c dhclient; true") == "0"
    assert machine.check("cat /etc/resolv.conf") == f"nameserver {SERVER}"
    assert machine.check("cat /etc/machine-id") not in ("", MACHINE_ID)
    # SSH answers, with keys that are in no tree.
    assert machine.check("systemctl is-active ssh") == "active"
    assert machine.check("ls /etc/ssh/ssh_host_ed25519_key") == "/etc/ssh/ssh_host_ed25519_key"
    assert not list((lab.space.path(view) / "etc/ssh").glob("ssh_host_*"))
    # The journal is in memory. (The old one stays: in the laboratory the tree is an overlay.)
    assert "/var/log/journal stays" in said
    assert machine.check("ls /run/log/journal") == machine.check("cat /etc/machine-id")
    assert machine.check("findmnt -n -o FSTYPE /tmp") == "tmpfs"
    machine.forbid(r"PXE-INIT-")
    machine.power_off(60)
