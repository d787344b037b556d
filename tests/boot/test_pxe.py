"""The whole way over the wire: network ROM, loader, kernel and image over TFTP, root over NFS."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

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


STEPS = ["network ROM", "loader", "kernel", "pxeinit lease", "pxeinit root", "real init"]
SVG = "{http://www.w3.org/2000/svg}"


def drawn(plot: Path) -> tuple[list[str], list[str]]:
    """Return the words of a plot, from its top to its bottom, and the colours of its bars."""
    root = ElementTree.parse(plot).getroot()
    words = [each.text or "" for each in root.iter(f"{SVG}text")]
    return words, [each.get("fill", "") for each in root.iter(f"{SVG}rect")]


def check_plot(plot: Path, steps: list[str]) -> None:
    """Each step has its row, in this order; what was before and after the client differs in colour."""
    words, colours = drawn(plot)
    places = [next(n for n, word in enumerate(words) if word.startswith(step)) for step in steps]
    assert places == sorted(places)
    bars = [colour for colour in colours if colour != "#ffffff"]
    assert bars == sorted(bars, key=("#9aa5ad", "#2a6f97", "#7a9e7e").index)
    assert len(set(bars)) == (3 if steps[-1] in ("login prompt", "hand-over") else 2)


def test_smoke(tmp_path: Path, bookworm: Tree, bookworm_image: Path) -> None:
    """BIOS by pxelinux; an unmodified Debian to its login prompt, and a plot of the way."""
    words: list[str | Path] = [
        "--sysroot",
        bookworm.path,
        "--log",
        tmp_path / "console.log",
        "--timeline",
        tmp_path / "boot.svg",
    ]
    done = smoke(bookworm_image, *words, "--timeout", str(SMOKE_SECONDS), folder=tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    places = [done.stdout.index(f" s  {step}") for step in STEPS]
    assert places == sorted(places)
    assert "systemctl is-system-running: running" in done.stdout
    assert "failed units: none" in done.stdout
    assert " login:" in done.stdout
    assert "mode=farm" in done.stdout
    assert "handing over to /sbin/init" in (tmp_path / "console.log").read_text()
    check_plot(tmp_path / "boot.svg", [*STEPS, "login prompt"])
    # The client's own record of the same boot, as `scp client:/run/pxeinit/state` brings it.
    record = done.stdout.partition("(/run/pxeinit/state):\n")[2].partition("phases, seconds")[0]
    (tmp_path / "state").write_text("".join(f"{line.strip()}\n" for line in record.splitlines()))
    command = [str(Path(sys.executable).with_name("mkpxeinit")), "timeline", str(tmp_path / "state")]
    subprocess.run([*command, "--output", str(tmp_path / "state.svg")], check=True, timeout=60)
    phases = ["kernel", "early", "network", "lease", "root", "switch", "hand-over"]
    check_plot(tmp_path / "state.svg", phases)


@pytest.mark.long
def test_smoke_uefi(tmp_path: Path, bookworm: Tree, bookworm_image: Path) -> None:
    """UEFI by GRUB's network image; told as one JSON object."""
    words: list[str | Path] = [
        "--sysroot",
        bookworm.path,
        "--uefi",
        "--json",
        "--timeline",
        tmp_path / "boot.svg",
    ]
    done = smoke(bookworm_image, *words, "--timeout", str(SMOKE_SECONDS), folder=tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    told = json.loads(done.stdout)
    assert (told["ok"], told["reason"]) == (True, "")
    assert (told["system_state"], told["failed_units"]) == ("running", "")
    assert told["login_line"].endswith("login:")
    assert "mode=farm" in told["client_state"].splitlines()
    assert told["power_off_seconds"] > 0
    seconds = {each["name"]: each["seconds"] for each in told["phases"]}
    found = [next(time for name, time in seconds.items() if name.startswith(step)) for step in STEPS]
    assert found == sorted(found) and found[0] > 0
    check_plot(tmp_path / "boot.svg", [*STEPS, "login prompt"])


def test_smoke_fails_with_its_client(tmp_path: Path, bookworm: Tree, bookworm_image: Path) -> None:
    """Not the loader's success counts, but the word of the client's own init; told and drawn so far."""
    words: list[str | Path] = ["--sysroot", bookworm.path, "--append", "nfsroot=10.0.2.2:/nowhere"]
    done = smoke(bookworm_image, *words, "--json", "--timeline", tmp_path / "boot.svg", folder=tmp_path)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["ok"] is False and "PXE-INIT-root-no-export" in told["reason"]
    assert told["phases"][-1]["name"] == "pxeinit root"
    assert " s  pxeinit root" in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith(f"mkpxeinit: {bookworm_image}: ")
    assert "PXE-INIT-root-no-export" in done.stderr
    check_plot(tmp_path / "boot.svg", STEPS[:-1])


@pytest.mark.long
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
