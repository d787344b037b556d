"""A machine that is switched on."""

import contextlib
import re
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from . import cpio, machine
from .console import Console, OnLine, Seen
from .errors import DeadlineError, LabError
from .guest import Guest, GuestResult, hook_segment
from .machine import Machine, Wiring
from .qmp import Qmp

if TYPE_CHECKING:
    from .lab import Lab

KERNEL_PANIC = r"Kernel panic - not syncing"


@dataclass(frozen=True, slots=True)
class _Ports:
    """The laboratory's ends of the three sockets, and QEMU's."""

    ours: tuple[socket.socket, ...]
    theirs: tuple[socket.socket, ...]


def _open_ports() -> _Ports:
    pairs = [socket.socketpair() for _ in range(3)]
    return _Ports(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


class RunningMachine:
    """A machine with its console, a shell inside, its cables and its power switch."""

    def __init__(self, lab: "Lab", description: Machine, name: str, on_line: OnLine | None = None) -> None:
        """Wire it up and switch it on."""
        self.description = description
        self.name = name
        self.macs = tuple(nic.mac or lab.new_mac() for nic in description.nics)
        self.log = lab.results / f"{name}.console.log"
        self._folder = lab.folder / name
        self._folder.mkdir()
        wired = [nic for nic in description.nics if nic.network == "tap"]
        taps = tuple(lab.new_tap(nic.bridge) for nic in wired if nic.loss is None)
        self.cables = tuple(lab.lossy_cable(nic.loss, nic.bridge) for nic in wired if nic.loss is not None)
        ports = _open_ports()
        wiring = Wiring(
            ports=tuple(end.fileno() for end in ports.theirs),
            taps=taps,
            cables=tuple(cable.ports for cable in self.cables),
            macs=self.macs,
            initrd=self._initrd(),
            variables=self._variables(),
        )
        with (lab.results / f"{name}.qemu.log").open("wb") as errors:
            self._errors = Path(errors.name)
            self._process = lab.space.start(
                name,
                machine.arguments(description, wiring),
                stderr=errors,
                pass_fds=[end.fileno() for end in ports.theirs],
            )
        for end in ports.theirs:
            end.close()
        console, guest, control = ports.ours
        self.console = Console(console, self.log, on_line)
        self._guest = Guest(guest, self._look_for_panic)
        self._qmp = self._open_control(control)
        self._start_unplugged()

    def _open_control(self, control: socket.socket) -> Qmp:
        try:
            return Qmp(control)
        except LabError as silent:
            said = self._errors.read_text(errors="replace").strip()
            self._process.stop()
            raise LabError(f"QEMU did not start: {said or silent}") from silent

    def _initrd(self) -> Path | None:
        wanted = self.description
        if wanted.kernel is None or not wanted.initrd:
            return None
        parts: list[Path | bytes] = list(wanted.initrd)
        if wanted.files:
            parts.append(cpio.archive({name: cpio.Entry(data, 0o755) for name, data in wanted.files.items()}))
        if wanted.guest:
            parts.append(hook_segment())
        if len(parts) == 1:
            return wanted.initrd[0]
        return cpio.concatenate(parts, self._folder / "initrd")

    def _variables(self) -> Path | None:
        if not (self.description.uefi or self.description.arm64):
            return None
        _, template = machine.uefi_firmware(self.description.arm64)
        return Path(shutil.copyfile(template, self._folder / "variables.fd"))

    def _start_unplugged(self) -> None:
        """Pull the cables that are to be out, then let the processor run."""
        out = [number for number, nic in enumerate(self.description.nics) if not nic.link]
        for number in out:
            self.set_link(number, up=False)
        if out:
            self._qmp.command("cont")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut the power."""
        self.kill()

    @property
    def running(self) -> bool:
        """True while the machine is switched on."""
        return self._process.running

    def expect(self, pattern: str, timeout: float, *, abort_on: str | None = KERNEL_PANIC) -> Seen:
        """Return the next match on the console: see Console.expect; a panic ends the wait."""
        if abort_on == KERNEL_PANIC and re.search(pattern, "Kernel panic - not syncing"):
            abort_on = None
        return self.console.expect(pattern, timeout, abort_on=abort_on)

    def seen(self, pattern: str) -> Seen | None:
        """Return the first match anywhere on the console so far, or None."""
        return self.console.seen(pattern)

    def forbid(self, pattern: str) -> None:
        """Raise LabError if the console showed this anywhere."""
        self.console.forbid(pattern)

    def send(self, text: str) -> None:
        """Type into the console; a line ends with a newline."""
        self.console.send(text)

    def guest(self, command: str, timeout: float = 60.0) -> GuestResult:
        """Run a shell command as root in the booted system.

        Waits for the system to be up first; a failure to answer shows the console's end.
        """
        try:
            return self._guest.run(command, timeout)
        except LabError as silent:
            raise type(silent)(f"{silent} (console: {self.log})\n{self.console.tail()}") from silent

    def _look_for_panic(self) -> None:
        if self.console.seen(KERNEL_PANIC) is not None:
            raise LabError("the guest's kernel panicked")

    def check(self, command: str, timeout: float = 60.0) -> str:
        """Return what a command in the guest says, stripped; raise LabError if it fails."""
        done = self.guest(command, timeout)
        if done.status != 0:
            raise LabError(f"{command}: exit status {done.status}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def set_link(self, nic: int, *, up: bool) -> None:
        """Plug a network card's cable in, or pull it out."""
        self._qmp.command("set_link", {"name": f"nic{nic}", "up": up})

    def control(self, command: str, **arguments: object) -> object:
        """Run a command of QEMU's machine protocol and return its result."""
        result: object = self._qmp.command(command, arguments)
        return result

    def power_off(self, timeout: float = 90.0) -> float:
        """Have the booted system switch itself off; return the seconds that it took."""
        began = time.monotonic()
        with contextlib.suppress(LabError):
            self._guest.run("systemctl --no-block poweroff", 20.0)
        self.wait(timeout)
        return time.monotonic() - began

    def wait(self, timeout: float) -> int:
        """Wait until the machine has switched itself off; return QEMU's exit status."""
        try:
            return self._process.wait(timeout)
        except DeadlineError as late:
            raise DeadlineError(f"{late} (console: {self.log})\n{self.console.tail()}") from late

    def kill(self) -> None:
        """Cut the power (nothing if it is off already)."""
        if self._process.running:
            with contextlib.suppress(LabError):
                self._qmp.command("quit")
            with contextlib.suppress(DeadlineError):
                self._process.wait(5.0)
        self._process.stop()
        self._qmp.close()
        self._guest.close()
        self.console.close()
