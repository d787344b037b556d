"""Virtual machines: what one is made of, and QEMU's arguments for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import run
from .errors import LabError
from .odd import Loss

# No time-stamp counter: a busy host spoils its calibration, and the guest's clock then runs many
# times too fast, deadlines and leases included. The HPET is exact, as QEMU keeps it. GRUB on UEFI
# insists on the counter: there the kernel has to be told to leave it alone.
CPU = "max,tsc=off"
CPU_UEFI = "max"
UEFI_APPEND = "tsc=unstable"
CPU_ARM64 = "cortex-a57"  # a newer one costs emulation more

PORTS = ("console", "guest", "control")


@dataclass(frozen=True, slots=True)
class Nic:
    """A network card; one whose model begins with `usb-` gets a USB controller of its own and no boot ROM.

    `network` is `tap` (on the laboratory's bridge) or `user` (QEMU's own, with its DHCP and
    TFTP servers and the laboratory's loopback as 10.0.2.2). `link` false is a card whose
    cable is out at power-on. `loss` is what a tap's cable loses. `tftp` and `boot_file` are for `user`.
    """

    model: str = "virtio-net-pci"
    mac: str = ""
    network: str = "tap"
    bridge: str = "br0"
    link: bool = True
    loss: Loss | None = None
    tftp: Path | None = None
    boot_file: str = "/pxelinux.0"


@dataclass(frozen=True, slots=True)
class Machine:
    """A client: with `kernel` QEMU loads it itself, without it the card's ROM boots by PXE.

    `initrd` files are loaded as one, in this order. With `guest`, a segment is added that
    brings a root shell on the second serial port of the booted system. `console=ttyS0` is
    put before `append`. `memory` is in MiB. With `reboot` false a reboot ends the machine.
    `files` are further small files for the initrd (hooks, configuration). With `arm64` it is a machine of
    that architecture, with UEFI and one serial port, ttyAMA0: without `kernel` and `guest`.
    """

    kernel: Path | None = None
    initrd: tuple[Path, ...] = ()
    append: str = ""
    nics: tuple[Nic, ...] = (Nic(),)
    memory: int = 1024
    uefi: bool = False
    guest: bool = True
    reboot: bool = False
    cpu: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    arm64: bool = False
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the laboratory made for one machine.

    `ports` are the descriptors of QEMU's ends of the sockets named in PORTS. `cables` are the UDP ports
    of each lossy cable: the relay's and the machine's.
    """

    ports: tuple[int, ...]
    taps: tuple[str, ...]
    cables: tuple[tuple[int, int], ...]
    macs: tuple[str, ...]
    initrd: Path | None
    variables: Path | None


def uefi_firmware(arm64: bool = False) -> tuple[Path, Path]:
    """Return OVMF's code and its template of variables, or those for arm64."""
    if arm64:
        arm = "/usr/share/AAVMF"
        return (
            run.need_file([f"{arm}/AAVMF_CODE.fd"], "AAVMF", "qemu-efi-aarch64"),
            run.need_file([f"{arm}/AAVMF_VARS.fd"], "AAVMF", "qemu-efi-aarch64"),
        )
    folder = "/usr/share/OVMF"
    code = run.need_file([f"{folder}/OVMF_CODE_4M.fd", f"{folder}/OVMF_CODE.fd"], "OVMF", "ovmf")
    variables = run.need_file([f"{folder}/{code.name.replace('CODE', 'VARS')}"], "OVMF", "ovmf")
    return code, variables


def _network(nics: tuple[Nic, ...], wiring: Wiring, direct: bool) -> list[str]:
    words = []
    taps = iter(wiring.taps)
    cables = iter(wiring.cables)
    for number, (nic, mac) in enumerate(zip(nics, wiring.macs, strict=True)):
        if nic.network == "tap" and nic.loss is not None:
            relay, own = next(cables)
            backend = f"dgram,id=net{number},local.type=inet,local.host=127.0.0.1,local.port={own}"
            backend += f",remote.type=inet,remote.host=127.0.0.1,remote.port={relay}"
        elif nic.network == "tap":
            backend = f"tap,id=net{number},ifname={next(taps)},script=no,downscript=no"
        elif nic.network == "user":
            backend = f"user,id=net{number}"
            if nic.tftp is not None:
                backend += f",tftp={nic.tftp},bootfile={nic.boot_file}"
        else:
            raise LabError(f"a network card's network is tap or user, not {nic.network!r}")
        device = f"{nic.model},id=nic{number},netdev=net{number},mac={mac}"
        words += ["-netdev", backend]
        if nic.model.startswith("usb-"):
            words += ["-device", f"qemu-xhci,id=usb{number}"]
            device += f",bus=usb{number}.0"
        else:
            device += ",romfile=" if direct else f",bootindex={number + 1}"
        words += ["-device", device]
    return words


def arguments(machine: Machine, wiring: Wiring) -> list[str]:
    """Return QEMU's command line for the machine."""
    program, kind, cpu = "qemu-system-x86_64", "pc,graphics=off", CPU_UEFI if machine.uefi else CPU
    if machine.arm64:
        program, kind, cpu = "qemu-system-aarch64", "virt", CPU_ARM64
    words = [program, "-nodefaults", "-no-user-config", "-display", "none"]
    words += ["-machine", kind, "-accel", "tcg", "-cpu", machine.cpu or cpu]
    words += ["-smp", "1", "-m", str(machine.memory)]
    for name, descriptor in zip(PORTS, wiring.ports, strict=True):
        words += ["-chardev", f"socket,id={name},fd={descriptor}"]
    words += ["-serial", "chardev:console"]
    if not machine.arm64:
        words += ["-serial", "chardev:guest"]
    words += ["-mon", "chardev=control,mode=control"]
    if not machine.reboot:
        words.append("-no-reboot")
    if any(not nic.link for nic in machine.nics):
        words.append("-S")
    if machine.uefi or machine.arm64:
        code, _ = uefi_firmware(machine.arm64)
        words += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"]
        words += ["-drive", f"if=pflash,unit=1,format=raw,file={wiring.variables}"]
    if machine.kernel is not None:
        words += ["-kernel", str(machine.kernel), "-append", command_line(machine)]
        if wiring.initrd is not None:
            words += ["-initrd", str(wiring.initrd)]
    words += _network(machine.nics, wiring, machine.kernel is not None)
    return [*words, *machine.arguments]


def command_line(machine: Machine) -> str:
    """Return the kernel's command line: the console first, then what was asked for."""
    if any(word.startswith("console=") for word in machine.append.split()):
        return machine.append
    return f"console=ttyS0 {machine.append}".strip()
