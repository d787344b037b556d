"""Small system trees made from a dict, and small ELF files to put into them."""

import struct
import subprocess
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import zstandard

RELEASE = "6.1.0-1-test"
X86_64, I386, AARCH64, PPC64 = 62, 3, 183, 21


@dataclass(frozen=True)
class Link:
    """A symbolic link in a tree."""

    target: str


Tree = Mapping[str, str | bytes | Link | None]


def make_tree(root: Path, tree: Tree) -> Path:
    """Make files, links, and folders (None) below `root`; return it."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in tree.items():
        path = root / name.lstrip("/")
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            path.symlink_to(content.target)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def elf(
    machine: int = X86_64,
    bits: int = 64,
    little: bool = True,
    interpreter: str | None = None,
    payload: bytes = b"",
) -> bytes:
    """Return an ELF file without sections (elf(5)); `payload` follows the headers."""
    order = "<" if little else ">"
    ident = b"\x7fELF" + bytes([2 if bits == 64 else 1, 1 if little else 2, 1]) + bytes(9)
    wide = bits == 64
    header_size, program_size = (64, 56) if wide else (52, 32)
    count = 1 if interpreter is not None else 0
    fields = (2, machine, 1, 0, header_size if count else 0, 0, 0, header_size, program_size, count, 0, 0, 0)
    head = ident + struct.pack(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), *fields)
    if interpreter is None:
        return head + payload
    name = interpreter.encode() + b"\0"
    start = header_size + program_size
    if wide:
        segment = struct.pack(order + "IIQQQQQQ", 3, 4, start, 0, 0, len(name), len(name), 1)
    else:
        segment = struct.pack(order + "IIIIIIII", 3, start, 0, 0, len(name), len(name), 4, 1)
    return head + segment + name + payload


def needed_applets() -> list[str]:
    """Return the applets that the client cannot do without."""
    text = Path("busybox-configs/applets.txt")
    here = Path(__file__).resolve().parents[2] / text
    lines = [line.partition("#")[0] for line in here.read_text().splitlines()]
    return [name for line in lines for name in line.split() if not name.startswith("?")]


def busybox(applets: list[str] | None = None, machine: int = X86_64, interpreter: str | None = None) -> bytes:
    """Return something like a static busybox that has `applets`."""
    names = sorted(applets if applets is not None else [*needed_applets(), "busybox", "[", "[["])
    table = b"".join(name.encode() + b"\0" for name in names) + b"\0"
    strings = b"usage: %s\0a\0zz\0mount\0\x01\xff\0" + table + b"can't stat '%s'\0/bin/mount\0"
    return elf(machine, interpreter=interpreter, payload=strings)


# Name: path below kernel/, what it needs (nearest first), its aliases.
MODULES: dict[str, tuple[str, list[str], list[str]]] = {
    "sunrpc": ("net/sunrpc/sunrpc.ko", [], []),
    "lockd": ("fs/lockd/lockd.ko", ["sunrpc"], []),
    "nfs": ("fs/nfs/nfs.ko", ["lockd", "sunrpc"], ["fs-nfs", "nfs4"]),
    "nfsv3": ("fs/nfs/nfsv3.ko", ["nfs", "lockd", "sunrpc"], []),
    "nfsv4": ("fs/nfs/nfsv4.ko", ["nfs", "lockd", "sunrpc"], []),
    "overlay": ("fs/overlayfs/overlay.ko", [], ["fs-overlay"]),
    "e1000": (
        "drivers/net/ethernet/intel/e1000/e1000.ko",
        [],
        ["pci:v00008086d00001000sv*sd*bc*sc*i*"],
    ),
    "r8169": (
        "drivers/net/ethernet/realtek/r8169.ko",
        ["libphy"],
        ["pci:v000010ECd00008168sv*sd*bc*sc*i*"],
    ),
    "libphy": ("drivers/net/phy/libphy.ko", [], []),
    "realtek": ("drivers/net/phy/realtek.ko", ["libphy"], ["mdio:0000000000011100110010??????????"]),
    "marvell": ("drivers/net/phy/marvell.ko", ["libphy"], ["mdio:00000001010000010000110001??????"]),
    "iwlwifi": ("drivers/net/wireless/intel/iwlwifi.ko", [], ["pci:v00008086d000024F3sv*sd*bc*sc*i*"]),
    "oddnic": ("drivers/misc/oddnic.ko", [], ["pci:v00001234d*sv*sd*bc02sc00i*"]),
    "oddradio": ("drivers/misc/oddradio.ko", [], ["pci:v00001234d*sv*sd*bc02sc80i*"]),
    "xhci_pci": ("drivers/usb/host/xhci-pci.ko", [], ["pci:v*d*sv*sd*bc0Csc03i30*"]),
    "snd_hda": ("sound/pci/snd-hda.ko", [], ["pci:v00008086d000024F4sv*sd*bc*sc*i*"]),
    "virtio_net": ("drivers/net/virtio_net.ko", ["virtio"], ["virtio:d00000001v*"]),
    "virtio": ("drivers/virtio/virtio.ko", [], []),
    "virtio_pci": (
        "drivers/virtio/virtio_pci.ko",
        ["virtio"],
        ["pci:v00001AF4d*sv*sd*bc*sc*i*"],
    ),
    "crc_a": ("crypto/crc_a.ko", [], ["crypto-crc"]),
    "crc_b": ("crypto/crc_b.ko", [], ["crypto-crc"]),
    "weak": ("lib/weak.ko", [], []),
}
SOFTDEPS = (
    "# Soft dependencies extracted from modules themselves.\n"
    "softdep r8169 pre: realtek\n"
    "softdep sunrpc pre: crypto-crc post: e1000\n"
    "softdep crc_a pre: sunrpc\n"  # a cycle
    "softdep iwlwifi gcm\n"
    "softdep overlay pre: not-there\n"
)
WEAKDEPS = "# Weak dependencies\nweakdep lockd weak\n"
CONFIG = (
    "# CONFIG_RD_XZ is not set\n"
    "CONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=y\nCONFIG_NFS_FS=m\nCONFIG_IA32_EMULATION=y\n"
)


def module_path(name: str) -> str:
    """Return the path that modules.dep has for the module `name`."""
    return f"kernel/{MODULES[name][0]}"


def dep_text(names: Mapping[str, object] = MODULES, suffix: str = "") -> str:
    """Return a modules.dep of `names`."""
    lines = []
    for name in names:
        needs = "".join(f" {module_path(need)}{suffix}" for need in MODULES[name][1])
        lines.append(f"{module_path(name)}{suffix}:{needs}\n")
    return "".join(lines)


def module_bytes(name: str) -> bytes:
    """Return the content of the module `name`, with a signature as signed kernels have."""
    body = (name.encode() + b"\0") * 50
    return elf(payload=body + b"~Module signature appended~\n")


def kernel_tree(release: str = RELEASE, lib: str = "lib") -> dict[str, str | bytes | Link | None]:
    """Return the files of a small kernel and of a busybox."""
    folder = f"{lib}/modules/{release}"
    tree: dict[str, str | bytes | Link | None] = {
        f"{folder}/{module_path(name)}": module_bytes(name) for name in MODULES
    }
    tree |= {
        f"{folder}/modules.dep": dep_text(),
        f"{folder}/modules.alias": "# Aliases extracted from modules themselves.\n"
        + "".join(
            f"alias {alias} {name}\n" for name, (_, _, aliases) in MODULES.items() for alias in aliases
        ),
        f"{folder}/modules.softdep": SOFTDEPS,
        f"{folder}/modules.weakdep": WEAKDEPS,
        f"{folder}/modules.builtin": "kernel/net/packet/af_packet.ko\nkernel/net/unix/unix.ko\n",
        f"boot/vmlinuz-{release}": b"MZ",
        f"boot/config-{release}": CONFIG,
        "bin/busybox": busybox(),
    }
    return tree


def served_tree(folder: Path) -> Path:
    """Make what a client's root has at least: a kernel, and an init that everybody may read."""
    made = make_tree(folder, kernel_tree() | {"sbin/init": b"#!/bin/sh\n", "usr/sbin": None})
    made.chmod(0o755)
    (made / "sbin/init").chmod(0o755)
    return made


def archives(image: bytes) -> list[bytes]:
    """Return the newc archives of `image`, as the kernel finds them: zeros between them are skipped."""
    found = []
    while image := image.lstrip(b"\0"):
        if image.startswith(b"070701"):
            end = _end_of_archive(image)
            found.append(image[:end])
            image = image[end:]
        else:
            packed_by_gzip = image.startswith(b"\x1f\x8b")
            reader = (
                zlib.decompressobj(31) if packed_by_gzip else zstandard.ZstdDecompressor().decompressobj()
            )
            found += archives(reader.decompress(image))
            image = reader.unused_data
    return found


def _end_of_archive(data: bytes) -> int:
    """Return where the first archive in `data` ends."""
    at = 0
    while True:
        size, length = int(data[at + 54 : at + 62], 16), int(data[at + 94 : at + 102], 16)
        name = data[at + 110 : at + 110 + length]
        at += -(-(110 + length) // 4) * 4 + -(-size // 4) * 4
        if name == b"TRAILER!!!\0":
            return at


def unpack(image: bytes, folder: Path) -> Path:
    """Unpack all archives of `image` into `folder` with GNU cpio, which must find nothing odd."""
    folder.mkdir(exist_ok=True)
    for archive in archives(image):
        done = subprocess.run(
            ["cpio", "--extract", "--no-absolute-filenames", "--unconditional", "--quiet", "-m"],
            input=archive,
            cwd=folder,
            capture_output=True,
            check=True,
        )
        assert done.stderr == b""
    return folder


def superblock(*, magic: bytes = b"hsqs", packer: int = 6, major: int = 4, used: int = 4096) -> bytes:
    """Return a squashfs' first 96 bytes, as fs/squashfs/squashfs_fs.h has them."""
    head = struct.pack("<4s4I6H2Q", magic, 1, 0, 131072, 0, packer, 17, 0, 1, major, 0, 0, used)
    return head.ljust(96, b"\0")
