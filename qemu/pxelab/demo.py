"""`make demo`: a tree is prepared, published and served by mkpxeinit, and a machine boots it by PXE."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import guest, trees
from .errors import LabError
from .lab import NETWORK, SERVER, Lab
from .machine import Machine, Nic
from .namespace import Process
from .running import KERNEL_PANIC, RunningMachine

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MAC = "52:54:00:77:00:0d"
_COMMAND_SECONDS = 300.0
_READY_SECONDS = 60.0
_BOOT_SECONDS = 300.0
_STOP_SECONDS = 30.0

# QEMU's cards have iPXE for their ROM: it is to load what the ROMs of real cards load.
_DESCRIPTION = """\
[server]
address = "{server}"
interface = "br0"
tftp-root = "{tftp}"
console = "ttyS0"
report = 5140
[loaders]
ipxe = "none"
[[subnet]]
network = "{network}.0/24"
range = ["{network}.100", "{network}.199"]
[tree.debian12]
path = "{tree}"
[[client]]
mac = "{mac}"
name = "diskless1"
"""
_FRAGMENT = """\
[[hooks]]
phase = "handoff"
script = "reporter"
"""
# What the console shows before the client can report by itself.
_MARKS = (
    (r"SeaBIOS", "firmware"),
    (r"iPXE \d", "network ROM"),
    (r"PXELINUX", "loader: PXELINUX"),
    (r"Linux version ", "kernel"),
    (r"handing over to ", "the tree's own init"),
)
_QUESTIONS = (
    ("system", "systemctl is-system-running --wait"),
    ("failed units", "systemctl --failed --no-legend --plain"),
    ("root", "findmnt -n -o SOURCE,FSTYPE,OPTIONS /nfsroot | cut -c1-100"),
    ("address", "ip -4 -o address show scope global | awk '{print $2, $4}'"),
)


def main(tree: Path | None = None) -> int:
    """Run the demonstration, with a Debian 12 tree of the cache; return the exit status.

    However it ends, nothing that it started goes on, and the tree is as it was.
    """
    for number in _SIGNALS:
        signal.signal(number, _interrupted)
    began = time.monotonic()
    try:
        _say("a Debian 12 tree, made once and cached; what is changed in it is changed in an overlay")
        made = tree or Path(trees.debian("bookworm"))
        with Lab.open() as lab:
            _demonstrate(lab, lab.variant(made))
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    _say(f"done in {time.monotonic() - began:.0f} s; the console's log: build/demo.log")
    return 0


def _interrupted(number: int, _: object) -> None:
    """End in order; what comes while it does changes nothing."""
    for each in _SIGNALS:
        # Not SIG_IGN: of a signal that is on its way already, Python would complain.
        signal.signal(each, lambda *_: None)
    raise SystemExit(128 + number)


def _say(text: str) -> None:
    print(f"== {text}", flush=True)


def _demonstrate(lab: Lab, tree: Path) -> None:
    tftp, drop_ins = lab.folder / "tftp", lab.folder / "drop-ins"
    for folder in (tftp, drop_ins):
        folder.mkdir()
        folder.chmod(0o755)
    site = lab.folder / "mkpxeinit.toml"
    site.write_text(_DESCRIPTION.format(server=SERVER, network=NETWORK, tftp=tftp, tree=tree, mac=_MAC))
    # A drop-in by which the booted system answers questions: a shell on its second serial port.
    (drop_ins / "reporter.toml").write_text(_FRAGMENT)
    (drop_ins / "reporter").write_text(guest.HOOK)
    (drop_ins / "reporter").chmod(0o755)
    _command(lab, "prepare", "--sysroot", tree)
    _command(lab, "publish", "--config", site, "--drop-in-dir", drop_ins)
    _command(lab, "publish", "--config", site, "--check")
    with _serving(lab, "--config", site, "--published", tftp, "--interface", "br0"):
        machine = lab.machine(Machine(nics=(Nic(mac=_MAC),), guest=False), on_line=_Marks().line)
        try:
            _follow(machine)
        finally:
            machine.kill()
            Path("build").mkdir(exist_ok=True)
            shutil.copyfile(machine.log, "build/demo.log")


def _mkpxeinit(*words: str | Path) -> list[str]:
    print(f"\n$ mkpxeinit {' '.join(map(str, words))}", flush=True)
    return [str(Path(sys.executable).with_name("mkpxeinit")), *map(str, words)]


def _command(lab: Lab, *words: str | Path) -> None:
    """Run a verb of mkpxeinit; what it says is seen. LabError if it fails."""
    process = lab.space.start(str(words[0]), _mkpxeinit(*words), stdout=1, stderr=2)
    if process.wait(_COMMAND_SECONDS) != 0:
        raise LabError(f"mkpxeinit {words[0]} has failed")


@contextmanager
def _serving(lab: Lab, *words: str | Path) -> Iterator[None]:
    """Serve as long as the block runs, from `ready` on. LabError if that does not come, or the end fails."""
    process = lab.space.start(
        "serve", _mkpxeinit("serve", *words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    ready = threading.Event()
    echo = threading.Thread(target=_echo, args=(process, ready), daemon=True)
    echo.start()
    try:
        end = time.monotonic() + _READY_SECONDS
        while not ready.wait(0.1):
            if not process.running or time.monotonic() > end:
                raise LabError("mkpxeinit serve does not serve")
        yield
    finally:
        process.signal("INT")
        with contextlib.suppress(LabError):
            process.wait(_STOP_SECONDS)
        process.stop()
        echo.join(5.0)
    if process.popen.returncode != 0:
        raise LabError("mkpxeinit serve has not ended well")


def _echo(process: Process, ready: threading.Event) -> None:
    assert process.popen.stdout is not None
    for line in process.popen.stdout:
        print(line.decode(errors="replace").rstrip("\n"), flush=True)
        if b"ready; Ctrl-C ends it" in line:
            ready.set()


class _Marks:
    """Says each step of the console once."""

    def __init__(self) -> None:
        """Begin with the first."""
        self._left = list(_MARKS)

    def line(self, moment: float, text: str) -> None:
        """Look at one line of the console."""
        for mark in self._left:
            if re.search(mark[0], text):
                self._left.remove(mark)
                print(f"{moment:7.1f} s after power-on: {mark[1]}", flush=True)
                return


def _follow(machine: RunningMachine) -> None:
    """Wait for the login prompt, ask the system how it is, switch it off. LabError if it is not well."""
    machine.expect(
        r"handing over to \S+", _BOOT_SECONDS, abort_on=rf"{KERNEL_PANIC}|pxeinit: a shell for you"
    )
    prompt = machine.expect(r"^.* login: ?", _BOOT_SECONDS)
    print(f"{prompt.time:7.1f} s after power-on: login prompt\n\nconsole: {prompt[0].strip()}")
    said = {}
    for name, question in _QUESTIONS:
        said[name] = machine.guest(question, _BOOT_SECONDS).stdout.strip()
        print(f"{name}: {said[name] or 'none'}", flush=True)
    if said["system"] != "running":
        raise LabError(f"the system is not running, but {said['system'] or 'does not answer'}")
    print(f"the client switched itself off in {machine.power_off():.1f} s", flush=True)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
