"""A TFTP folder from which a PXE ROM boots: pxelinux for BIOS, GRUB for UEFI."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from . import run

_SYSLINUX = "/usr/lib/syslinux/modules/bios"
_KERNEL = "vmlinuz"


@dataclass(frozen=True, slots=True)
class NetbootFolder:
    """A filled TFTP folder and the file that the ROM asks for first."""

    path: Path
    boot_file: str


def _publish(source: Path, folder: Path, name: str) -> None:
    """Copy a file, readable by all: dnsmasq serves no other."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)


def pxelinux(
    folder: Path, kernel: Path, initrds: tuple[Path, ...], append: str, *, ipappend: int = 0
) -> NetbootFolder:
    """Fill a folder for BIOS clients; initrds are loaded one after another, as one.

    With `ipappend` pxelinux adds what it knows itself: 1 is `ip=`, 2 is `BOOTIF=`, 3 both.
    """
    loader = run.need_file(["/usr/lib/PXELINUX/pxelinux.0"], "pxelinux.0", "pxelinux")
    library = run.need_file([f"{_SYSLINUX}/ldlinux.c32"], "ldlinux.c32", "syslinux-common")
    _publish(loader, folder, "pxelinux.0")
    _publish(library, folder, "ldlinux.c32")
    names = _publish_system(folder, kernel, initrds)
    config = folder / "pxelinux.cfg" / "default"
    config.parent.mkdir()
    config.write_text(
        "default pxeinit\nlabel pxeinit\n"
        f"  kernel {_KERNEL}\n  initrd {','.join(names)}\n  append {append}\n  ipappend {ipappend}\n",
        encoding="utf-8",
    )
    return NetbootFolder(folder, "/pxelinux.0")


def grub(folder: Path, kernel: Path, initrds: tuple[Path, ...], append: str) -> NetbootFolder:
    """Fill a folder for UEFI clients."""
    image = "/usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi"
    _publish(run.need_file([image], "grubnetx64.efi", "grub-efi-amd64-bin"), folder, "grubnetx64.efi")
    names = _publish_system(folder, kernel, initrds)
    config = folder / "grub" / "grub.cfg"
    config.parent.mkdir()
    config.write_text(
        "set timeout=0\nmenuentry pxeinit {\n"
        f"  linux /{_KERNEL} {append}\n  initrd {' '.join('/' + name for name in names)}\n}}\n",
        encoding="utf-8",
    )
    return NetbootFolder(folder, "/grubnetx64.efi")


def _publish_system(folder: Path, kernel: Path, initrds: tuple[Path, ...]) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    _publish(kernel, folder, _KERNEL)
    names = [f"initrd{number}.img" for number in range(1, len(initrds) + 1)]
    for name, initrd in zip(names, initrds, strict=True):
        _publish(initrd, folder, name)
    return names
