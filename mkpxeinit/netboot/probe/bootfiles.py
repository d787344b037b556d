"""What a boot file is, by its bytes: for which firmware, which loader, which kernel, what archive."""

import re
import struct

_MACHINES = {0x14C: "ia32", 0x8664: "x64", 0xAA64: "arm64", 0x1C0: "arm", 0x5064: "riscv64"}
# Magic numbers of what Linux unpacks as an initrd (init/initramfs.c, lib/decompress.c).
_ARCHIVES = (
    (b"070701", "cpio"), (b"070702", "cpio"), (b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4"), (b"\x04\x22\x4d\x18", "lz4"),
    (b"BZh", "bzip2"), (b"\x5d\0\0", "lzma"), (b"\x89LZO", "lzo"),
)  # fmt: skip
_PXELINUX = re.compile(rb"PXELINUX ([0-9]{1,3})\.")
_CORES = {"x64": "ldlinux.e64", "ia32": "ldlinux.e32"}
_RELEASE = re.compile(rb"[0-9][A-Za-z0-9._+~-]{1,63}")


def firmware_of(head: bytes) -> str:
    """Return which firmware starts a file: x64, ia32, arm64 (UEFI, by the PE header), script, or bios."""
    if head.startswith(b"#!ipxe"):
        return "script"
    if head[:2] == b"MZ" and len(head) >= 64:
        at = struct.unpack("<I", head[60:64])[0]
        if head[at : at + 4] == b"PE\0\0" and len(head) >= at + 6:
            machine = struct.unpack("<H", head[at + 4 : at + 6])[0]
            return _MACHINES.get(machine, f"machine {machine:#x}")
    return "bios"


def loader_of(name: str, content: bytes) -> str:
    """Return which loader a boot file is: script, shim, grub, pxelinux, ipxe, or empty for an unknown one."""
    short = name.rpartition("/")[2].lower()
    if content.startswith(b"#!ipxe"):
        return "script"
    if "shim" in short or b"shim_init" in content or b"MokManager" in content or b"m\0m\0x\0" in content:
        return "shim"
    if (
        any(part in short for part in ("ipxe", "undionly", "snponly", "snp.efi"))
        or b"iPXE initialising" in content
    ):
        return "ipxe"
    if b"PXELINUX" in content or "pxelinux" in short or "syslinux" in short:
        return "pxelinux"
    if "grub" in short or b"grub_" in content or b"GNU GRUB" in content:
        return "grub"
    return ""


def pxelinux_core(content: bytes) -> str | None:
    """Return the file that pxelinux (since 5) or syslinux.efi loads as its core, None for older ones."""
    firmware = firmware_of(content)
    if firmware in _CORES:
        return _CORES[firmware]
    version = _PXELINUX.search(content)
    return "ldlinux.c32" if version and int(version[1]) >= 5 else None


def kernel_release(head: bytes) -> str | None:
    """Return the release in an x86 kernel, empty for a kernel that does not say, None for what is no kernel.

    Linux, Documentation/arch/x86/boot.rst (kernel_version), Documentation/arch/arm64/booting.rst.
    """
    if head[0x202:0x206] == b"HdrS":
        at = struct.unpack("<H", head[0x20E:0x210])[0] + 0x200
        found = _RELEASE.match(head, at) if at > 0x200 else None
        return found[0].decode("ascii") if found else ""
    if head[0x38:0x3C] == b"ARM\x64" or head[:2] in (b"MZ", b"\x1f\x8b"):
        return ""
    return None


def archive_of(head: bytes) -> str | None:
    """Return what an initrd is packed by, None for what no kernel unpacks."""
    start = head.lstrip(b"\0")
    return next((name for magic, name in _ARCHIVES if start.startswith(magic)), None)
