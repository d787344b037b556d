"""The whole way over the wire: network ROM, loader, kernel and image over TFTP, root over NFS."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Nic, Tree, netboot
from tests.boot.quick import EXPORT, read_report, reporting_tree

SMOKE = Path(__file__).parents[2] / "qemu" / "smoke"
SMOKE_SECONDS = 420


def smoke(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run qemu/smoke with the interpreter's own mkpxeinit first in the path."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [str(word) for word in (SMOKE, *words)],
        capture_output=True,
        text=True,
        timeout=SMOKE_SECONDS + 60,
        check=False,
        cwd=folder,
        env={**os.environ, "PATH": path},
    )


@pytest.mark.parametrize("firmware", ["bios", pytest.param("uefi", marks=pytest.mark.long)])
def test_smoke(tmp_path: Path, bookworm: Tree, bookworm_image: Path, firmware: str) -> None:
    """BIOS by pxelinux, UEFI by GRUB's network image; an unmodified Debian to its login prompt."""
    words = ["--uefi"] if firmware == "uefi" else []
    done = smoke(
        bookworm_image,
        "--sysroot",
        bookworm.path,
        "--log",
        tmp_path / "console.log",
        "--timeout",
        str(SMOKE_SECONDS),
        *words,
        folder=tmp_path,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    steps = ["network ROM", "loader", "kernel", "pxeinit lease", "pxeinit root", "real init"]
    places = [done.stdout.index(f" s  {step}") for step in steps]
    assert places == sorted(places)
    assert "systemctl is-system-running: running" in done.stdout
    assert "failed units: none" in done.stdout
    assert " login:" in done.stdout
    assert "mode=farm" in done.stdout
    assert "handing over to /sbin/init" in (tmp_path / "console.log").read_text()


def test_smoke_fails_with_its_client(tmp_path: Path, bookworm: Tree, bookworm_image: Path) -> None:
    """Not the loader's success counts, but the word of the client's own init."""
    done = smoke(
        bookworm_image,
        "--sysroot",
        bookworm.path,
        "--append",
        "nfsroot=10.0.2.2:/nowhere",
        folder=tmp_path,
    )
    assert done.returncode == 1
    assert "pxeinit root" in done.stdout
    assert done.stderr.strip().splitlines()[-1].startswith(f"mkpxeinit: {bookworm_image}: ")
    assert "PXE-INIT-root-no-export" in done.stderr


def test_pxelinux_from_dnsmasq(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """A real DHCP server that names the loader and the root; the e1000's own ROM asks it."""
    folder = netboot.pxelinux(lab.folder / "tftp", bookworm.vmlinuz, (bookworm_image,), "console=ttyS0")
    lab.ganesha({EXPORT: reporting_tree(lab, bookworm)})
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER, boot_file="pxelinux.0", tftp=folder.path)
    machine = lab.machine(Machine(nics=(Nic(model="e1000"),), guest=False))
    machine.expect(r"PXELINUX", 120)
    report = read_report(machine, 180)
    assert report.state["root"] == f"{SERVER}:{EXPORT}"
    # pxelinux says by which card it booted (IPAPPEND 2), the client has taken that one.
    assert "lease: eth0 has" in report.sections["log"]
