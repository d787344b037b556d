"""The smoke test: one image, one real PXE boot, from the ROM to the tree's own init."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import guest, netboot
from .alone import alone
from .errors import LabError
from .lab import USER_SERVER, Lab
from .machine import UEFI_APPEND, Machine, Nic
from .running import KERNEL_PANIC, RunningMachine

EXPORT = "/netboot/pxeclient"
_POWER_OFF_SECONDS = 90.0

# What the console shows, and the phase that begins with it; each counts once.
_MARKS: tuple[tuple[str, str], ...] = (
    (r"SeaBIOS|BdsDxe", "firmware"),
    (r"iPXE \d", "network ROM"),
    (r"PXELINUX|Welcome to GRUB|Booting `pxeinit'", "loader"),
    (r"Linux version ", "kernel"),
    (r"pxeinit: \[[ 0-9.]+\] phase (\w+)", "pxeinit {}"),
    (r"pxeinit: \[[ 0-9.]+\] handing over to (\S+)", "real init {}"),
    (r" login: ?$", "login prompt"),
)
# The same failure three times will not go away: the client would go on trying.
FAILURE = rf"{KERNEL_PANIC}|pxeinit: a shell for you|(PXE-INIT-[\w-]+): (?:[\s\S]*?\b\1: ){{2}}"


@dataclass(frozen=True, slots=True)
class Phase:
    """A step of the boot and its beginning, in seconds since power-on."""

    name: str
    time: float


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """What came of a smoke test; `ok` only when the booted system reported from inside."""

    ok: bool
    reason: str
    phases: tuple[Phase, ...]
    system_state: str = ""
    failed_units: str = ""
    mounts: str = ""
    client_state: str = ""
    login_line: str = ""
    power_off_seconds: float | None = None
    log: Path | None = None


@dataclass(slots=True)
class _Progress:
    """Notes phases as console lines pass, and says each aloud."""

    emit: Callable[[str], object]
    phases: list[Phase] = field(default_factory=list)

    def line(self, moment: float, text: str) -> None:
        """Look at one console line."""
        for pattern, name in _MARKS:
            found = re.search(pattern, text)
            if found is not None:
                self.note(name.format(*found.groups()), moment)

    def note(self, name: str, moment: float) -> None:
        """Say a phase once."""
        if all(phase.name != name for phase in self.phases):
            self.phases.append(Phase(name, moment))
            self.emit(f"{moment:7.1f} s  {name}")


def _published(lab: Lab, image: Path, kernel: Path, append: str, uefi: bool) -> netboot.NetbootFolder:
    reporter = lab.folder / "reporter.cpio"
    reporter.write_bytes(guest.hook_segment())
    fill = netboot.grub if uefi else netboot.pxelinux
    where = f"root=/dev/nfs nfsroot={USER_SERVER}:{EXPORT} ip=dhcp console=ttyS0 {append}"
    if uefi:
        where = f"{where} {UEFI_APPEND}"
    return fill(lab.folder / "tftp", kernel, (image, reporter), where.strip())


def _details(machine: RunningMachine, result: dict[str, str], deadline: float) -> None:
    """Ask the booted system; raises LabError when it does not answer."""

    def ask(command: str) -> str:
        return machine.guest(command, max(5.0, deadline - time.monotonic())).stdout.strip()

    result["system_state"] = ask("systemctl is-system-running --wait")
    result["failed_units"] = ask("systemctl --failed --no-legend --plain")
    result["mounts"] = ask(
        "findmnt --list --types nfs,nfs4,tmpfs,devtmpfs,overlay,squashfs --output TARGET,FSTYPE,SOURCE"
    )
    result["client_state"] = ask("cat /run/pxeinit/state")


def _judge(result: dict[str, str]) -> str:
    """Return why the boot is not good, or nothing."""
    if result["system_state"] != "running":
        return f"systemd says {result['system_state'] or 'nothing'}: {result['failed_units']}"
    if result["failed_units"]:
        return f"failed units: {result['failed_units']}"
    return ""


def _boot(machine: RunningMachine, progress: _Progress, result: dict[str, str], deadline: float) -> str:
    """Follow one boot to its end; return why it is not good, or nothing."""
    left = deadline - time.monotonic()
    machine.expect(r"handing over to \S+", left, abort_on=FAILURE)
    _details(machine, result, deadline)
    progress.note(f"systemd: {result['system_state']}", machine.console.now)
    reason = _judge(result)
    if not reason:
        prompt = machine.expect(r"^.* login: ?", max(10.0, deadline - time.monotonic()))
        result["login_line"] = prompt[0].strip()
        progress.note("login prompt", prompt.time)
    return reason


def run_smoke(
    image: Path,
    kernel: Path,
    sysroot: Path,
    *,
    log: Path | None = None,
    memory: int = 1024,
    nic: str = "virtio-net-pci",
    timeout: float = 300.0,
    append: str = "",
    uefi: bool = False,
    emit: Callable[[str], object] = print,
) -> SmokeResult:
    """Boot an image as a client would: ROM, loader, TFTP, NFS root, the tree's own init.

    `log` is where the console's log is kept. `emit` gets a line for each phase as it
    passes. Raises LabError only when the laboratory itself cannot be set up (MissingProgramError
    names the package); a boot that fails is a result that is not ok, with the reason.
    """
    deadline = time.monotonic() + timeout
    progress = _Progress(emit)
    found: dict[str, str] = {}
    power_off: float | None = None
    with Lab.open() as lab:
        folder = _published(lab, image, kernel, append, uefi)
        tree, left_out = alone(lab, sysroot)
        if left_out:
            emit(f"what is mounted in {sysroot} is not in the client's root: {', '.join(left_out)}")
        lab.ganesha({EXPORT: tree})
        card = Nic(model=nic, network="user", tftp=folder.path, boot_file=folder.boot_file)
        machine = lab.machine(Machine(nics=(card,), memory=memory, uefi=uefi), on_line=progress.line)
        try:
            reason = _boot(machine, progress, found, deadline)
            began = machine.console.now
            power_off = machine.power_off(_POWER_OFF_SECONDS)
            progress.note("switched itself off", began + power_off)
        except LabError as failure:
            reason = str(failure).replace(str(machine.log), str(log or machine.log))
        finally:
            machine.kill()
            if log is not None:
                log.parent.mkdir(parents=True, exist_ok=True)
                log.write_bytes(machine.log.read_bytes())
    return SmokeResult(
        ok=not reason,
        reason=reason,
        phases=tuple(progress.phases),
        power_off_seconds=power_off,
        log=log,
        **found,
    )


def report(result: SmokeResult) -> list[str]:
    """Return lines for a person: system state, failed units, mounts, phase times."""
    lines = [f"systemctl is-system-running: {result.system_state or 'no answer'}"]
    lines += [f"failed units: {result.failed_units or 'none'}", "mounts:"]
    lines += [f"  {line}" for line in result.mounts.splitlines()]
    lines.append("the client's own record (/run/pxeinit/state):")
    lines += [f"  {line}" for line in result.client_state.splitlines()]
    lines.append("phases, seconds since power-on:")
    lines += [f"  {phase.time:7.1f}  {phase.name}" for phase in sorted(result.phases, key=lambda p: p.time)]
    if result.login_line:
        lines.append(f"console: {result.login_line}")
    if result.power_off_seconds is not None:
        lines.append(f"the client switched itself off in {result.power_off_seconds:.1f} s")
    return lines
