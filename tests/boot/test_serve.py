"""`mkpxeinit serve` and real clients: from ROM or firmware to their own init, seen by their reports."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pxelab import SERVER, Lab, Machine, Nic, Tree
from pxelab.namespace import Process
from pxelab.running import RunningMachine
from tests.boot.quick import Report, read_report, reporting_tree
from tests.boot.test_server_config import prepare

SECONDS = 120.0
LOADER_SECONDS = 240.0
PHASES = tuple(f"phase {name}" for name in ("drivers", "lease", "root", "tree", "switch", "handover"))


@dataclass(frozen=True)
class Serving:
    process: Process
    out: Path

    def end(self) -> None:
        """Interrupt it, as Ctrl-C does."""
        self.process.signal("INT")
        assert self.process.wait(30) == 0

    def assert_steps(self, machine: RunningMachine, steps: Sequence[str]) -> None:
        """What it said of the machine has these words, in this order, and no failure."""
        said = self.out.read_text().splitlines()
        mine = [line.partition(machine.macs[0])[2] for line in said if machine.macs[0] in line]
        places = [next((number for number, line in enumerate(mine) if step in line), -1) for step in steps]
        assert places == sorted(places) and places[0] >= 0, said
        assert not any("failed" in line for line in mine)


def serve(lab: Lab, view: Path, image: Path) -> Serving:
    out = lab.results / "serve.log"
    command = [str(Path(sys.executable).with_name("mkpxeinit")), "serve", "--interface", "br0"]
    words = ["--sysroot", view, "--image", image, "--console", "ttyS0", "--append", "tsc=unstable"]
    with out.open("wb") as file:
        process = lab.space.start("serve", [*command, *map(str, words)], stdout=file, stderr=file)
    end = time.monotonic() + SECONDS
    while "ready; Ctrl-C ends it" not in out.read_text():
        assert process.running and time.monotonic() < end, out.read_text()
        time.sleep(0.1)
    return Serving(process, out)


def check(report: Report, view: Path) -> None:
    assert report.state["root"] == f"{SERVER}:{view}"
    assert report.state["mode"] == "farm"


def test_serve(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    view = reporting_tree(lab, bookworm)
    serving = serve(lab, view, bookworm_image)
    machine = lab.machine(Machine(nics=(Nic(model="e1000"),), guest=False))
    check(read_report(machine, LOADER_SECONDS), view)
    serving.end()
    # The ROM of QEMU's card is iPXE, so it gets the script.
    steps = ("DHCP: has 10.77.0.", "loads /boot.ipxe (HTTP)", "loads /generations/", *PHASES)
    serving.assert_steps(machine, steps)


def test_uefi_http_boot(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """The firmware loads iPXE from a URL, that its script, kernel and image: all of it by HTTP."""
    view = reporting_tree(lab, bookworm)
    prepare(lab, view)
    serving = serve(lab, view, bookworm_image)
    machine = lab.machine(http_machine())
    check(read_report(machine, LOADER_SECONDS), view)
    serving.end()
    files = ("snponly.efi", "boot.ipxe", "generations/", "generations/")
    serving.assert_steps(machine, (*(f"loads /{file}" for file in files), *PHASES))
    assert f"{machine.macs[0]}  loaded" not in serving.out.read_text(), "nothing by TFTP"


def http_machine() -> Machine:
    """Return a machine whose firmware boots by HTTP at once: no iPXE in its card, no PXE."""
    off = (f"name=opt/org.tianocore/IPv{version}PXESupport,string=n" for version in (4, 6))
    return Machine(
        nics=(Nic(model="virtio-net-pci,romfile="),),
        uefi=True,
        guest=False,
        arguments=tuple(word for each in off for word in ("-fw_cfg", each)),
    )
