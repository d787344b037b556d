"""The archive's newest kernel and systemd. Not in `make test`: what lies there changes from week to week."""

from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Tree, trees
from tests.boot.test_debian import EXPORT, HANDOVER_SECONDS, RUNNING_SECONDS, state_of

pytestmark = pytest.mark.newest


@pytest.fixture(scope="session")
def sid(shared_folder: Path) -> Tree:
    """Debian unstable."""
    return trees.debian("sid")


def test_every_useless_mount_is_passed_by(lab: Lab, sid: Tree, build_image: object) -> None:
    """Neither failing reads (4.2) nor failing listings (4.1) reach systemd, which comes up whole."""
    assert callable(build_image)
    lab.ganesha({EXPORT: sid.path})
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = lab.machine(Machine(kernel=sid.vmlinuz, initrd=(build_image(sid),)))
    machine.expect(r"handing over to /sbin/init", HANDOVER_SECONDS)
    assert machine.check("systemctl is-system-running --wait", RUNNING_SECONDS) == "running"
    log = machine.check("cat /run/pxeinit/log")
    version = state_of(machine.check("cat /run/pxeinit/state"))["nfs.vers"]
    for faulty in ("4.2", "4.1"):
        assert (f"the tree over NFS {faulty} is useless" in log) == (version < faulty)
    units = len(list((sid.path / "usr/lib/systemd/system").iterdir()))
    assert int(machine.check("ls -A /usr/lib/systemd/system | wc -l")) == units
    machine.forbid(r"^(?!pxeinit: ).*(Remote I/O error|Input/output error|Too many levels of symbolic)")
    machine.power_off(60)
