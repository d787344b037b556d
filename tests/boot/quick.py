"""A short way to look at what the client left: a tree whose init prints it and powers off.

A whole Debian takes half a minute to come up under emulation. Where a test is about the client
alone, the same tree gets a script for an init: it runs in the root that the client made, as PID 1.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pxelab import SERVER, Lab, Machine, Nic, Tree
from pxelab.running import RunningMachine

EXPORT = "/netboot/pxeclient"
INIT = "usr/local/sbin/report"
BOOT_SECONDS = 120.0
RESULTS = Path(os.environ.get("MKPXEINIT_RESULTS", Path(__file__).parents[2] / "results")) / "boot"
KERNEL_LINE = re.compile(r"\[ *\d+\.\d{6}\] ")  # it speaks when it wants to
SECTIONS = {
    "state": "cat /run/pxeinit/state",
    "log": "cat /run/pxeinit/log",
    "mounts": "cat /proc/mounts",
    "resolv.conf": "cat /etc/resolv.conf",
    "pid": "echo $$",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What the script printed: a text for each section, and the state file as a mapping."""

    sections: Mapping[str, str]
    machine: RunningMachine

    @property
    def state(self) -> dict[str, str]:
        """The client's state file."""
        pairs = (line.partition("=") for line in self.sections["state"].splitlines())
        return {key: value for key, _, value in pairs}

    @property
    def mounts(self) -> dict[str, tuple[str, str, str]]:
        """Device, type and options of each mount point; the uppermost where several lie."""
        words = (line.split() for line in self.sections["mounts"].splitlines())
        return {point: (device, kind, options) for device, point, kind, options, *_ in words}


def script(commands: Mapping[str, str]) -> bytes:
    """Return the init: each section between marks, then power-off."""
    lines = ["#!/bin/sh", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    for name, command in {**SECTIONS, **commands}.items():
        lines += [f"echo '<<{name}>>'", f"{command} 2>&1", f"echo '<</{name}>>'"]
    lines += ["echo '<<end>>'", "echo o > /proc/sysrq-trigger", "exec sleep 60", ""]
    return "\n".join(lines).encode()


def reporting_tree(
    lab: Lab,
    tree: Tree,
    commands: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    links: Mapping[str, str] | None = None,
) -> Path:
    """Return a variant of the tree with the script for its init, further files and links."""
    links = {"usr/sbin/init": f"/{INIT}", **(links or {})}
    view = lab.variant(tree.path, remove=list(links), files={INIT: script(commands or {}), **(files or {})})
    for name, target in links.items():
        (lab.space.path(view) / name).symlink_to(target)
    return view


def read_report(machine: RunningMachine, timeout: float = BOOT_SECONDS) -> Report:
    """Wait for the script's sections and for the end of the machine."""
    machine.expect(r"handing over to", timeout)
    # The last of the script's words, not the machine's end: what QEMU wrote may still be on its way to us.
    machine.expect(r"^<<end>>", 60)
    machine.wait(60)
    sections: dict[str, str] = {}
    name = None
    lines: list[str] = []
    for _, line in machine.console.lines:
        if name is None and line.startswith("<<") and line.endswith(">>"):
            name, lines = line[2:-2], []
        elif name is not None and line == f"<</{name}>>":
            sections[name], name = "\n".join(lines), None
        elif name is not None and not KERNEL_LINE.match(line):
            lines.append(line)
    report = Report(sections, machine)
    _note_times(report.state)
    return report


def _note_times(state: Mapping[str, str]) -> None:
    """Keep the guest's times for the table of faults (docs/faults.md), a line for each boot."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0].rpartition("::")[2]
    times = (f"{name}={state.get(f'phase.{name}', '-')}" for name in ("network", "lease", "root", "switch"))
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / "times").open("a", encoding="utf-8") as table:
        table.write(f"{test} {' '.join(times)} code={state.get('code', '-')}\n")


def quick_boot(
    lab: Lab,
    tree: Tree,
    image: Path,
    *,
    append: str = "quick",
    root_path: str | None = EXPORT,
    commands: Mapping[str, str] | None = None,
    nfs: Mapping[str, Any] | None = None,
    dhcp: Mapping[str, Any] | None = None,
    variant: Mapping[str, Any] | None = None,
    nics: tuple[Nic, ...] = (Nic(),),
    files: Mapping[str, bytes] | None = None,
) -> Report:
    """Boot the tree with the reporting init over the tap network and return its report."""
    view = reporting_tree(lab, tree, commands, **(variant or {}))
    lab.ganesha({EXPORT: view}, **(nfs or {}))
    lab.dnsmasq(
        **{"root_path": root_path, "names": {"nfs.lab": SERVER}, "next_server": SERVER, **(dhcp or {})}
    )
    machine = lab.machine(
        Machine(
            kernel=tree.vmlinuz,
            initrd=(image,),
            append=append,
            nics=nics,
            guest=False,
            files=dict(files or {}),
        )
    )
    return read_report(machine)
