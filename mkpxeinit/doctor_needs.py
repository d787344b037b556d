"""What each part of the work needs of a machine, and the packages that bring it: data for `doctor`.

Sources: the packages' lists of files of Debian 12, and of the other distributions' archives. None: no package
of the distribution is known to bring it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mkpxeinit import busybox
from mkpxeinit.netboot import loaders

FAMILIES = ("debian", "fedora", "suse", "arch", "alpine")


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that is needed, or with `optional` only useful, and what for.

    It is there if all of `programs` are, or all of `modules` (of Python), or the files of one of `places`,
    each a group that belongs together. `special` names a check of its own: `root`, `busybox`, `nfs`.
    """

    name: str
    why: str
    packages: Mapping[str, str | None]
    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    places: tuple[tuple[str, ...], ...] = ()
    special: str = ""
    optional: bool = False


def _packages(*names: str | None) -> dict[str, str | None]:
    """Return the names by family, in the order of FAMILIES; one name is that of all."""
    return dict(zip(FAMILIES, names * len(FAMILIES) if len(names) == 1 else names, strict=False))


def _loader(name: str, what: str, optional: bool, *packages: str | None) -> Need:
    """Return the need of a set of loaders, found where publish finds it."""
    (found,) = (each for each in loaders.SETS if each.name == name)
    return Need(what, f"{found.serves} load it", _packages(*packages), places=found.places, optional=optional)


def _root(why: str) -> Need:
    return Need("root", why, {}, special="root")


_LIBARCHIVE = Need(
    "libarchive",
    "writes the archives of images",
    # The module, which brings the library: that has another name in Debian 13 than in 12.
    _packages(
        "python3-libarchive-c",
        "python3-libarchive-c",
        "python3-libarchive-c",
        "python-libarchive-c",
        "py3-libarchive-c",
    ),
    modules=("libarchive",),
)
_PYTHON = tuple(
    Need(f"Python's {module}", why, _packages(*names), modules=(module,))
    for module, why, *names in (
        (
            "zstandard",
            "packs images",
            "python3-zstandard",
            "python3-zstandard",
            "python3-zstandard",
            "python-zstandard",
            "py3-zstandard",
        ),
        (
            "elftools",
            "reads programs and modules",
            "python3-pyelftools",
            "python3-pyelftools",
            "python3-pyelftools",
            "python-pyelftools",
            "py3-elftools",
        ),
    )
)
_BUSYBOX = Need(
    "a static busybox",
    "is in every image; a tree that has one needs none here",
    _packages("busybox-static", "busybox", "busybox-static", "busybox", "busybox-static"),
    places=tuple((str(path),) for path in (*busybox.OWN, *busybox.PLACES)),
    special="busybox",
    optional=True,
)
_PXELINUX = _loader(
    "pxelinux",
    "pxelinux",
    False,
    "pxelinux syslinux-common",
    "syslinux-nonlinux",
    "syslinux",
    "syslinux",
    "syslinux",
)
_GRUB = _loader("grub-x64", "GRUB for the network", True, "grub-efi-amd64-bin", None, None, None, None)
_SHIM = _loader(
    "shim-x64",
    "shim and GRUB, signed",
    True,
    "shim-signed grub-efi-amd64-signed",
    "shim-x64 grub2-efi-x64",
    "shim grub2-x86_64-efi",
    None,
    None,
)
_IPXE = _loader("ipxe-uefi", "iPXE", True, "ipxe", "ipxe-bootimgs-x86", "ipxe-bootimgs", "ipxe", None)
_DNSMASQ = Need(
    "dnsmasq",
    "DHCP and TFTP",
    _packages("dnsmasq-base", "dnsmasq", "dnsmasq", "dnsmasq", "dnsmasq"),
    programs=("dnsmasq",),
)
_IP = Need(
    "ip",
    "gives interfaces their addresses",
    _packages("iproute2", "iproute", "iproute2", "iproute2", "iproute2"),
    programs=("ip",),
)
_NFS = Need(
    "an NFS server",
    "the kernel's, or NFS-Ganesha",
    _packages("nfs-kernel-server", "nfs-utils", "nfs-kernel-server", "nfs-utils", "nfs-utils"),
    special="nfs",
)
_GANESHA = Need(
    "NFS-Ganesha",
    "serves the tree",
    _packages("nfs-ganesha-vfs", "nfs-ganesha-vfs", "nfs-ganesha-vfs", None, None),
    programs=("ganesha.nfsd",),
)
_RPCBIND = Need(
    "rpcbind", "clients that ask for NFS 3", _packages("rpcbind"), programs=("rpcbind",), optional=True
)
_NGINX = Need(
    "nginx",
    "HTTP; without it Python's own server does it",
    _packages("nginx-light", "nginx", "nginx", "nginx", "nginx"),
    programs=("nginx",),
    optional=True,
)
_UNSHARE = Need(
    "unshare and mount",
    "namespaces of their own",
    _packages("util-linux mount", "util-linux", "util-linux", "util-linux", "util-linux mount"),
    programs=("unshare", "mount"),
)
_QEMU = Need(
    "QEMU",
    "is the machine that boots",
    _packages("qemu-system-x86", "qemu-system-x86", "qemu-x86", "qemu-system-x86", "qemu-system-x86_64"),
    programs=("qemu-system-x86_64",),
)
_ROMS = Need(
    "QEMU's network ROMs",
    "boot by PXE",
    _packages("ipxe-qemu", "ipxe-roms-qemu", "qemu-ipxe", "qemu-system-x86-firmware", "qemu-system-x86_64"),
    places=(
        ("/usr/lib/ipxe/qemu/pxe-virtio.rom",),
        ("/usr/share/ipxe/qemu/pxe-virtio.rom",),
        ("/usr/share/qemu/pxe-virtio.rom",),
    ),
)
_OVMF = Need(
    "OVMF",
    "boot --uefi",
    _packages("ovmf", "edk2-ovmf", "qemu-ovmf-x86_64", "edk2-ovmf", "ovmf"),
    places=(
        ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ),
    optional=True,
)
_MMDEBSTRAP = Need(
    "mmdebstrap",
    "boot without --sysroot makes a Debian tree",
    _packages("mmdebstrap", "mmdebstrap", None, "mmdebstrap", "mmdebstrap"),
    programs=("mmdebstrap",),
    optional=True,
)
_COMPILER = (
    Need("make", "busybox' own Makefile", _packages("make"), programs=("make",)),
    Need(
        "gcc",
        "compiles busybox' configuration",
        _packages("gcc libc6-dev", "gcc", "gcc", "gcc", "gcc musl-dev"),
        programs=("gcc",),
    ),
    Need(
        "musl-gcc",
        "compiles what is in images",
        _packages("musl-tools", "musl-gcc", "musl-devel", "musl", None),
        programs=("musl-gcc",),
    ),
)

_STRIP = Need(
    "strip",
    "--strip-modules makes images smaller",
    _packages("binutils"),
    programs=("strip",),
    optional=True,
)

_COMMAND = Need(
    "mkpxeinit in /usr/bin",
    "hooks do nothing without it (or in /usr/local/bin)",
    {},
    places=(("/usr/bin/mkpxeinit",), ("/usr/local/bin/mkpxeinit",)),
    optional=True,
)

# Part of the work (a verb): what it needs, the most important first.
PARTS: dict[str, tuple[Need, ...]] = {
    "build": (_LIBARCHIVE, *_PYTHON, _BUSYBOX, _STRIP),
    "publish": (_LIBARCHIVE, *_PYTHON, _BUSYBOX, _PXELINUX, _GRUB, _SHIM, _IPXE),
    "hook": (_LIBARCHIVE, *_PYTHON, _BUSYBOX, _STRIP, _COMMAND),
    "serve": (
        _LIBARCHIVE,
        *_PYTHON,
        _root("ports, addresses and exports are root's"),
        _DNSMASQ,
        _NFS,
        _IP,
        _BUSYBOX,
        _PXELINUX,
        _GRUB,
        _SHIM,
        _IPXE,
        _RPCBIND,
        _NGINX,
    ),
    "boot": (
        _root("makes network namespaces"),
        _QEMU,
        _ROMS,
        _DNSMASQ,
        _GANESHA,
        _IP,
        _UNSHARE,
        _PXELINUX,
        _RPCBIND,
        _GRUB,
        _OVMF,
        _MMDEBSTRAP,
    ),
    "prepare": (_root("the tree is root's"), _UNSHARE),
    "busybox": _COMPILER,
    "verify-server": (_root("asks DHCP from a client's port"),),
}
