"""`mkpxeinit serve` and a real client: from its network ROM to its own init, seen by its reports."""

import sys
import time
from pathlib import Path

from pxelab import SERVER, Lab, Machine, Nic, Tree
from tests.boot.quick import read_report, reporting_tree

SECONDS = 120.0
LOADER_SECONDS = 240.0


def test_serve(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    view = reporting_tree(lab, bookworm)
    out = lab.results / "serve.log"
    command = str(Path(sys.executable).with_name("mkpxeinit"))
    words = [
        "--sysroot",
        str(view),
        "--image",
        str(bookworm_image),
        "--console",
        "ttyS0",
        "--append",
        "tsc=unstable",
    ]
    with out.open("wb") as file:
        serving = lab.space.start(
            "serve", [command, "serve", "--interface", "br0", *words], stdout=file, stderr=file
        )
    end = time.monotonic() + SECONDS
    while "ready; Ctrl-C ends it" not in out.read_text():
        assert serving.running and time.monotonic() < end, out.read_text()
        time.sleep(0.1)
    machine = lab.machine(Machine(nics=(Nic(model="e1000"),), guest=False))
    report = read_report(machine, LOADER_SECONDS)
    assert report.state["root"] == f"{SERVER}:{view}"
    assert report.state["mode"] == "farm"
    serving.signal("INT")
    assert serving.wait(30) == 0
    said = out.read_text().splitlines()
    mine = [line.partition(machine.macs[0])[2] for line in said if machine.macs[0] in line]
    # The ROM of QEMU's card is iPXE, so it gets the script.
    steps = ["DHCP: has 10.77.0.", "loads /boot.ipxe (HTTP)", "loads /generations/"]
    steps += [f"phase {name}" for name in ("drivers", "lease", "root", "tree", "switch", "handover")]
    places = [next(number for number, line in enumerate(mine) if step in line) for step in steps]
    assert places == sorted(places), said
    assert not any("failed" in line for line in mine)
