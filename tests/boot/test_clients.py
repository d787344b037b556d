"""What a client has for itself, over real NFS: layers in farm and overlay, bind mounts in rw."""

from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Nic, Tree
from tests.boot.quick import EXPORT, quick_boot, read_report, reporting_tree

OWN = {
    "etc/own": b"mine",
    "etc/hostname": b"bench7\n",
    "var/lib/own": b"mine",
    "home/own": b"mine",
}
COMMANDS = {
    "own": "cat /etc/own /var/lib/own /home/own; echo",
    "tree": "cat /etc/debian_version && ls /var/lib/dpkg/status",
    "hostname": "cat /etc/hostname",
    "machine-id": "cat /etc/machine-id",
    "write": "for n in etc var home; do touch /$n/written && echo $n; done",
    "keys": "ls /etc/ssh",
}
KEYS = {"etc/ssh/ssh_host_rsa_key": b"shared", "etc/ssh/sshd_config": b""}


@pytest.mark.parametrize("mode", ["farm", "overlay"])
def test_layers(lab: Lab, bookworm: Tree, bookworm_image: Path, mode: str) -> None:
    report = quick_boot(
        lab,
        bookworm,
        bookworm_image,
        append=f"pxeinit.mode={mode} pxeinit.group=hall",
        commands=COMMANDS,
        variant={"files": {f"clients/hall/{name}": data for name, data in OWN.items()} | KEYS},
    )
    assert report.state["client"] == "hall"
    assert report.sections["own"] == "mine" * 3
    assert len(report.sections["tree"].splitlines()) == 2
    assert report.sections["hostname"] == "bench7"
    assert report.sections["write"].split() == ["etc", "var", "home"]
    assert len(report.sections["machine-id"]) == 32
    # There is no ssh-keygen in this tree.
    assert report.sections["keys"] == "sshd_config"


def test_an_export_of_its_own_in_mode_rw(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """By the hardware address; what is written stays, in the client's folder and nowhere else."""
    mac = "52:54:00:99:0a:0b"
    view = reporting_tree(lab, bookworm, COMMANDS)
    clients = lab.variant(bookworm.path)
    folder = lab.space.path(clients) / mac.replace(":", "-")
    for name, data in OWN.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    lab.ganesha({EXPORT: view, "/clients": clients}, read_only=False)
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = lab.machine(
        Machine(
            kernel=bookworm.vmlinuz,
            initrd=(bookworm_image,),
            append=f"pxeinit.mode=rw pxeinit.clients={SERVER}:/clients",
            nics=(Nic(mac=mac),),
            guest=False,
        )
    )
    report = read_report(machine)
    assert report.sections["own"] == "mine" * 3
    assert report.sections["hostname"] == "bench7"
    for name in ("etc", "var", "home"):
        assert (folder / name / "written").exists()
        assert not (lab.space.path(view) / name / "written").exists()
