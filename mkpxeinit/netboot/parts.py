"""The parts of a site: its networks, what its clients boot, and the clients."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath

from mkpxeinit.hardware.pci import PciClass


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network with clients. Without a range only the clients that are named get an address."""

    network: IPv4Network
    first: IPv4Address | None = None
    last: IPv4Address | None = None
    router: IPv4Address | None = None
    lease_time: int = 43200  # seconds
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What the image of a tree is built from, named as in build.Options; None and () are its defaults."""

    hardware: tuple[Path, ...] = ()
    modules: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    buses: tuple[str, ...] | None = None
    pci_classes: tuple[PciClass, ...] | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    """An installed system that clients have as their root; `nfs_server` None is the site's server.

    `path` is the folder on the NFS server, which is also where it is found here if that is this machine.
    `squashfs` is a file on the NFS server that holds it, which clients then have as their root instead.
    """

    name: str
    path: PurePosixPath
    nfs_server: str | None = None
    nfs_options: str = ""
    mode: str = "farm"
    kernel_release: str | None = None
    cmdline: str = ""
    title: str | None = None
    build: BuildOptions = field(default_factory=BuildOptions)
    squashfs: PurePosixPath | None = None

    @property
    def root(self) -> PurePosixPath:
        """What a root-path names."""
        return self.squashfs or self.path

    @property
    def export(self) -> PurePosixPath:
        """What is exported: the tree, or the folder with its squashfs."""
        return self.squashfs.parent if self.squashfs else self.path


@dataclass(frozen=True, slots=True)
class Group:
    """Clients that have something in common. What is None or empty is the tree's."""

    name: str
    tree: str
    mode: str | None = None
    cmdline: str = ""
    generation: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A machine, known by its hardware address. What is None or empty is its group's, then its tree's."""

    mac: str
    name: str | None = None
    address: IPv4Address | None = None
    group: str | None = None
    tree: str | None = None
    mode: str | None = None
    cmdline: str = ""
    generation: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Loaders:
    """The file that each kind of firmware is told to load, below the TFTP root.

    `http_x64` and `http_arm64` are for UEFI HTTP boot; None: that firmware is told nothing. `ipxe` is iPXE's
    script; None: iPXE is treated as the firmware that it stands in for.
    """

    bios: PurePosixPath = PurePosixPath("pxelinux.0")
    x64: PurePosixPath = PurePosixPath("grubnetx64.efi")
    arm64: PurePosixPath = PurePosixPath("grubnetaa64.efi")
    http_x64: PurePosixPath | None = PurePosixPath("snponly.efi")
    http_arm64: PurePosixPath | None = None
    ipxe: PurePosixPath | None = PurePosixPath("boot.ipxe")
