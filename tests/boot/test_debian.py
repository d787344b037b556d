"""Unmodified Debian trees come up in farm mode to a running systemd and a login prompt, and go down again."""

from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Nic, Tree

EXPORT = "/netboot/pxeclient"
HANDOVER_SECONDS = 120.0
RUNNING_SECONDS = 240.0


def state_of(text: str) -> dict[str, str]:
    """Return the client's state file as a mapping."""
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.mark.parametrize(
    ("suite", "nic"),
    [
        pytest.param("bookworm", "virtio-net-pci", marks=pytest.mark.long),
        pytest.param("bookworm", "e1000", marks=pytest.mark.long),
        ("trixie", "virtio-net-pci"),
    ],
)
def test_farm_runs_whole(lab: Lab, request: pytest.FixtureRequest, suite: str, nic: str) -> None:
    """Up to `running` with no failed unit; the farm is what it should be; off within seconds."""
    tree: Tree = request.getfixturevalue(suite)
    image: Path = request.getfixturevalue(f"{suite}_image")
    lab.ganesha({EXPORT: tree.path})
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = lab.machine(Machine(kernel=tree.vmlinuz, initrd=(image,), nics=(Nic(model=nic),)))
    machine.expect(r"handing over to /sbin/init", HANDOVER_SECONDS)
    machine.expect(r" login:", RUNNING_SECONDS)

    assert machine.check("systemctl is-system-running --wait", RUNNING_SECONDS) == "running"
    assert machine.check("systemctl list-units --failed --no-legend --plain") == ""
    state = state_of(machine.check("cat /run/pxeinit/state"))
    assert state["mode"] == "farm"
    assert state["root"] == f"{SERVER}:{EXPORT}"
    assert state["switch"] == "switch_root"
    assert state["dev"] == "devtmpfs"
    assert machine.check("stat -f -c %T /") == "tmpfs"
    assert machine.check("stat -f -c %T /nfsroot") == "nfs"
    assert machine.check("stat -f -c %T /usr") == "nfs"
    assert machine.check("findmnt -n -o FSTYPE /etc") == "overlay"
    assert machine.check("readlink /srv /bin") == "nfsroot/srv\nusr/bin"
    # The real init gets every large folder whole, and the name server of the lease.
    units = len(list((tree.path / "usr/lib/systemd/system").iterdir()))
    assert int(machine.check("ls -A /usr/lib/systemd/system | wc -l")) == units
    assert machine.check("cat /etc/resolv.conf") == f"nameserver {SERVER}"
    assert machine.check("touch /etc/written /var/written /root/x 2>/dev/null; ls /etc/written /var/written")
    # The farm's idea is its tiny memory: what the tmpfs root holds, in KiB.
    assert int(machine.check("df --output=used / | tail -1")) < 16_384
    assert machine.check("dpkg-query -W -f '${Status}' systemd") == "install ok installed"

    machine.forbid(r"Too many levels of symbolic links")
    machine.forbid(r"PXE-INIT-")
    seconds = machine.power_off(60)
    assert seconds < 60
    machine.forbid(r"Failed unmounting")
    machine.forbid(r"Too many levels of symbolic links")


@pytest.mark.long
def test_pure_symlink_farm(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """`pxeinit.farm=symlink`: nothing but links, and systemd still comes up to a login prompt."""
    lab.ganesha({EXPORT: bookworm.path})
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = lab.machine(
        Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,), append="pxeinit.farm=symlink")
    )
    machine.expect(r" login:", RUNNING_SECONDS)
    assert machine.check("readlink /usr /etc") == "nfsroot/usr\nnfsroot/etc"
    assert machine.check("cat /etc/resolv.conf") == f"nameserver {SERVER}"
    machine.power_off(60)
