"""arm64 by UEFI: AAVMF, GRUB, Debian's kernel, an image of ours, made on this machine of a tree for that one.

Nothing of the tree is ever run here. It has a kernel and a busybox, whose shell is its init.
"""

from pathlib import Path

import pytest

from mkpxeinit.netboot import description
from pxelab import SERVER, Lab, Machine, Nic, foreign
from tests.boot import test_systems as systems
from tests.boot.quick import INIT, read_report, reporting_tree
from tests.boot.test_server_config import serve_nfs
from tests.netboot import servers

pytestmark = pytest.mark.long

BOOT_SECONDS = 400.0


def test_uefi_grub(lab: Lab) -> None:
    links = {"sbin/init": f"/{INIT}"}
    view = reporting_tree(lab, foreign.arm64(), {"machine": "uname -m"}, links=links)
    config = described(lab, view)
    systems.mkpxeinit(lab, "publish", "--config", config, "--loader", "grub-arm64")
    site = description.read(config)
    serve_nfs(lab, site)
    servers.serve_dhcp(lab, "dnsmasq", site)
    # No ROM in the card: those that QEMU has are for x86.
    machine = lab.machine(Machine(nics=(Nic(model="virtio-net-pci,romfile="),), guest=False, arm64=True))
    report = read_report(machine, BOOT_SECONDS)
    assert report.sections["machine"] == "aarch64"
    assert (report.state["mode"], report.state["root"]) == ("farm", f"{SERVER}:{view}")
    assert "code" not in report.state
    assert report.mounts["/"][1] == "tmpfs"
    assert report.mounts["/nfsroot"][1] == "nfs4"
    said = (lab.results / "dnsmasq.log").read_text()
    assert "sent" in said and "/tftp/grubnetaa64.efi to 10.77.0." in said


def described(lab: Lab, tree: Path) -> Path:
    """Describe one network and one tree; the loader is chosen by what the firmware says it is (option 93).

    The console is that of the other machines of such a site, which this one lacks.
    """
    (lab.folder / "tftp").mkdir()
    path = lab.folder / "mkpxeinit.toml"
    path.write_text(f"""
[server]
address = "{SERVER}"
console = "ttyS0"
interface = "br0"
tftp-root = "{lab.folder}/tftp"
[[subnet]]
network = "10.77.0.0/24"
range = ["10.77.0.100", "10.77.0.199"]
[tree.board]
path = "{tree}"
cmdline = "console=ttyAMA0"
""")
    return path
