"""Mounts that succeed and are useless are recognised, worked round and named; failures have their code."""

import re
from pathlib import Path
from typing import Any

import pytest

from pxelab import SERVER, Lab, Machine, Nic, Tree
from pxelab.running import RunningMachine
from tests.boot.quick import EXPORT, quick_boot


def test_owner_nobody_over_v4(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Owners by name, no idmapd: version 4 shows nobody, version 3 has numbers."""
    report = quick_boot(
        lab,
        bookworm,
        bookworm_image,
        nfs={"versions": (3, 4), "numeric_owners": False},
        commands={"owner": "stat -c %u /nfsroot"},
    )
    assert report.state["nfs.vers"] == "3"
    assert report.sections["owner"] == "0"
    assert "the tree over NFS 4.2 is useless: / belongs to uid" in report.sections["log"]


def test_read_plus_and_version_4_1(lab: Lab, trixie: Tree, trixie_image: Path) -> None:
    """Linux 6.12 cannot read from this server over 4.2 (READ_PLUS): 4.1 is taken."""
    report = quick_boot(lab, trixie, trixie_image)
    assert report.state["nfs.vers"] == "4.1"
    assert re.search(r"over NFS 4.2 is useless: /usr/.*: Input/output error", report.sections["log"])


def failing(
    lab: Lab,
    tree: Tree,
    image: Path,
    *,
    view: Path | None = None,
    root_path: str | None = EXPORT,
    append: str = "",
    nics: tuple[Nic, ...] = (Nic(),),
    export: str = EXPORT,
    **nfs: Any,
) -> RunningMachine:
    """Start a client that will not get there."""
    lab.ganesha({export: view or tree.path}, **nfs)
    lab.dnsmasq(root_path=root_path, next_server=SERVER)
    return lab.machine(Machine(kernel=tree.vmlinuz, initrd=(image,), append=append, nics=nics, guest=False))


def test_owner_nobody_without_a_way_round(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Only version 4, and owners by name: the code, the cause, the way out."""
    machine = failing(lab, bookworm, bookworm_image, numeric_owners=False)
    machine.expect(r"PXE-INIT-root-owner", 60)
    machine.expect(r"try: .*Only_Numeric_Owners", 10)
    machine.expect(r"press Enter for a shell", 10)


def test_no_init(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """A tree without an init is named; a typed Enter gives a shell, leaving it another try."""
    view = lab.variant(bookworm.path, remove=["usr/sbin/init", "usr/lib/systemd/systemd"])
    machine = failing(lab, bookworm, bookworm_image, view=view)
    machine.expect(r"PXE-INIT-root-no-init", 60)
    machine.expect(r"press Enter for a shell", 10)
    machine.send("\n")
    machine.expect(r"a shell for you", 20)
    machine.send("echo shell-$((6 * 7)); exit\n")
    machine.expect(r"^shell-42", 20)
    machine.expect(r"PXE-INIT-root-no-init", 60)


def test_refused_mount(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """An export that is not there; with panic= the machine reboots by itself."""
    machine = failing(lab, bookworm, bookworm_image, export="/another", append="panic=3")
    machine.expect(r"PXE-INIT-root-no-export", 60)
    machine.expect(r"rebooting in 3 s, as panic=3 says", 10)
    machine.wait(30)


def test_no_root_path(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Neither the command line nor DHCP says where the root is."""
    machine = failing(lab, bookworm, bookworm_image, root_path=None)
    machine.expect(r"PXE-INIT-root-no-path", 60)


@pytest.mark.parametrize(
    "root_path",
    [
        "/../etc",
        "$(reboot):/x",
        pytest.param("/a/../../b", marks=pytest.mark.long),
        pytest.param("ftp://x/y", marks=pytest.mark.long),
    ],
)
def test_bad_root_path(lab: Lab, bookworm: Tree, bookworm_image: Path, root_path: str) -> None:
    """What DHCP says is data: it is quoted and refused, not used."""
    machine = failing(lab, bookworm, bookworm_image, root_path=root_path)
    machine.expect(r"PXE-INIT-root-(bad-path|no-path)", 60)
    machine.expect(r"press Enter for a shell", 10)


def test_no_nic(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """A machine without a network card."""
    machine = failing(lab, bookworm, bookworm_image, nics=())
    machine.expect(r"PXE-INIT-network-no-nic", 60)
    machine.expect(r"no PCI network controller is visible", 10)


def test_no_driver(lab: Lab, bookworm: Tree, build_image: object) -> None:
    """A card for which the image has no driver is shown with its PCI id."""
    assert callable(build_image)
    image = build_image(bookworm, "--pci-class", "0c05")
    machine = failing(lab, bookworm, image, nics=(Nic(model="e1000"),))
    machine.expect(r"PXE-INIT-network-no-nic", 60)
    machine.expect(r"\[8086:100e\] no driver", 10)


def test_no_lease(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Nobody answers: the code, and what it waits for; with panic= a reboot."""
    machine = lab.machine(
        Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,), append="panic=2", guest=False)
    )
    machine.expect(r"PXE-INIT-lease-none: no DHCP answer on eth0", 90)
    machine.expect(r"rebooting in 2 s", 10)
    machine.wait(30)
