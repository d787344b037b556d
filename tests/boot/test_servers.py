"""Servers that fail while there is another, or while the client runs; and one that only listens."""

import json
import re
import sys
import time
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Tree
from tests.boot.quick import EXPORT, quick_boot

NOBODY = "10.77.0.9"
RUNNING_SECONDS = 300.0
LISTENER = """
import socket, sys
port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
port.bind(("0.0.0.0", 5140))
while True:
    print(port.recv(65536).decode().strip("\\0\\n"), flush=True)
"""


def test_the_next_server_is_taken(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """One is not there, one has no such name, the third serves."""
    servers = f"{NOBODY},nowhere.lab,nfs.lab"
    report = quick_boot(lab, bookworm, bookworm_image, root_path=f"{servers}:{EXPORT}")
    assert report.state["root"] == f"nfs.lab:{EXPORT}"
    assert f"the NFS server {NOBODY} cannot be used: " in report.sections["log"]
    assert "the NFS server nowhere.lab cannot be used: " in report.sections["log"]
    assert "hard" in report.mounts["/nfsroot"][2].split(",")


def test_a_kernel_that_the_tree_has_no_modules_for(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    variant = {
        "links": {f"usr/lib/modules/{bookworm.release}": "elsewhere"},
        "files": {"usr/lib/modules/99.0.1-amd64/modules.dep": b""},
    }
    report = quick_boot(lab, bookworm, bookworm_image, variant=variant)
    assert report.state["code"] == "PXE-INIT-root-stale"
    assert "kernel and image are stale: they are " in report.sections["log"]


def test_each_phase_is_reported(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Also with "quiet", from the first on."""
    with (lab.folder / "reports").open("wb") as log:
        lab.space.start("listener", [sys.executable, "-I", "-c", LISTENER], stdout=log)
    quick_boot(lab, bookworm, bookworm_image, append=f"quiet pxeinit.report=udp://{SERVER}:5140")
    datagrams = (lab.folder / "reports").read_text().splitlines()
    lines = [json.loads(re.sub(r"^<30>.*? pxeinit: ", "", line)) for line in datagrams]
    names = ["drivers", "network", "lease", "root", "writable", "tree", "handoff", "switch", "handover"]
    assert [line["name"] for line in lines] == names
    assert all(line["mac"].startswith("52:54:00:") for line in lines)


@pytest.mark.long
@pytest.mark.parametrize("seconds", [5, 120])
def test_a_server_that_goes_while_the_client_runs(
    lab: Lab, bookworm: Tree, bookworm_image: Path, seconds: int
) -> None:
    """The system waits and goes on as if nothing had been; its log of the boot is in the journal."""
    nfs = lab.ganesha({EXPORT: bookworm.path})
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = lab.machine(Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,)))
    machine.expect(r" login:", RUNNING_SECONDS)
    assert machine.check("systemctl is-system-running --wait", RUNNING_SECONDS) == "running"
    assert "handing over to /sbin/init" in machine.check("journalctl -b -t pxeinit --no-pager", 120)
    nfs.stop()
    time.sleep(seconds)
    nfs.start()
    machine.check("echo 3 > /proc/sys/vm/drop_caches; ls -lR /usr/lib > /dev/null", 240)
    assert machine.check("systemctl is-system-running", 120) == "running"
    machine.power_off(120)
    machine.forbid(r"Failed unmounting")
