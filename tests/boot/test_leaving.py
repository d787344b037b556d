"""Power-off when the server of the root has gone: by the power button, which asks no program of the tree."""

import time

import pytest

from pxelab import SERVER, Lab, Machine, Tree

EXPORT = "/netboot/pxeclient"
RUNNING_SECONDS = 300.0


@pytest.mark.parametrize(
    ("suite", "mode", "when", "limit"),
    [
        pytest.param("bookworm", "farm", "asked", 60, marks=pytest.mark.long),
        pytest.param("trixie", "farm", "asked", 60, marks=pytest.mark.long),
        # Nothing gets past logind: every path begins on the server.
        pytest.param("trixie", "overlay", "asked", 60, marks=pytest.mark.long),
        # systemd-shutdown itself lies in the tree: nobody can start it.
        pytest.param("trixie", "overlay", "last unit", 20, marks=pytest.mark.long),
    ],
)
def test_power_off_without_the_server(
    lab: Lab, request: pytest.FixtureRequest, suite: str, mode: str, when: str, limit: float
) -> None:
    tree: Tree = request.getfixturevalue(suite)
    nfs = lab.ganesha({EXPORT: tree.path})
    dhcp = lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = lab.machine(
        Machine(
            kernel=tree.vmlinuz,
            initrd=(request.getfixturevalue(f"{suite}_image"),),
            append=f"pxeinit.mode={mode}",
        )
    )
    machine.expect(r" login:", RUNNING_SECONDS)
    assert machine.check("systemctl is-system-running --wait", RUNNING_SECONDS) == "running"
    assert machine.check("systemctl list-units --failed --no-legend --plain") == ""
    if when == "asked":
        nfs.pause()
        # What the kernel knew of the tree is no longer taken for true.
        time.sleep(70)
        machine.control("system_powerdown")
    else:
        # So that it is read when it is needed.
        machine.check("sync; echo 3 > /proc/sys/vm/drop_caches")
        machine.control("system_powerdown")
        machine.expect(r"Reached target .*(umount|final)\.target", 60)
        nfs.pause()
    began = time.monotonic()
    machine.wait(120)
    assert time.monotonic() - began < limit
    machine.forbid(r"Kernel panic")
    if when == "asked":
        machine.expect(r"is silent: poweroff without the rest", 1)
    assert "DHCPRELEASE" in dhcp.said()
    nfs.resume()
