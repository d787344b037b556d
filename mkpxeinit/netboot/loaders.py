"""Loader files: which there are, where distributions keep them, and what of them a TFTP root has.

The files of a set belong together (pxelinux refuses modules of another version, a shim loads what its
own distribution signed): they come from one place, all or none. Paths: the packages' lists of files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import PublishError, os_cause, printable
from mkpxeinit.netboot.tftproot import Staged, Stored, TftpRoot, digest_of
from mkpxeinit.sysroot import Sysroot, open_regular

_MODULES = ("ldlinux.c32", "libutil.c32", "libcom32.c32", "menu.c32", "vesamenu.c32")
_GRUB, _SHIM = "/usr/lib/grub", "/usr/lib/shim"


@dataclass(frozen=True, slots=True)
class LoaderSet:
    """Files that belong together: `places` are alternatives, each with a source for every file of `names`."""

    name: str
    serves: str
    package: str
    names: tuple[str, ...]
    places: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A loader file as it was found: its name in the TFTP root, the file, how messages name it."""

    name: str
    path: Path
    shown: str


@dataclass(frozen=True, slots=True)
class FoundSet:
    """A set, and where it is; without sources it was not found."""

    set: LoaderSet
    sources: tuple[Source, ...]


def _pxelinux(loader: str, modules: str) -> tuple[str, ...]:
    return (loader, *(f"{modules}/{name}" for name in _MODULES))


SETS = (
    LoaderSet(
        "pxelinux",
        "BIOS clients",
        "pxelinux and syslinux-common",
        ("pxelinux.0", *_MODULES),
        (
            _pxelinux("/usr/lib/PXELINUX/pxelinux.0", "/usr/lib/syslinux/modules/bios"),  # Debian
            _pxelinux("/usr/share/syslinux/pxelinux.0", "/usr/share/syslinux"),  # Fedora, openSUSE, Alpine
            _pxelinux("/usr/lib/syslinux/bios/pxelinux.0", "/usr/lib/syslinux/bios"),  # Arch
        ),
    ),
    LoaderSet(
        "grub-x64",
        "UEFI clients (x64)",
        "grub-efi-amd64-bin",
        ("grubnetx64.efi",),
        ((f"{_GRUB}/x86_64-efi/monolithic/grubnetx64.efi",),),
    ),
    LoaderSet(
        "grub-arm64",
        "UEFI clients (arm64)",
        "grub-efi-arm64-bin or -signed (of arm64)",
        ("grubnetaa64.efi",),
        (
            (f"{_GRUB}/arm64-efi/monolithic/grubnetaa64.efi",),
            (f"{_GRUB}/arm64-efi-signed/grubnetaa64.efi.signed",),  # without Secure Boot it needs no shim
        ),
    ),
    LoaderSet(
        "shim-x64",
        "UEFI clients with Secure Boot (x64)",
        "shim-signed and grub-efi-amd64-signed",
        ("shimx64.efi", "grubx64.efi"),
        (
            (f"{_SHIM}/shimx64.efi.signed", f"{_GRUB}/x86_64-efi-signed/grubnetx64.efi.signed"),
            ("/boot/efi/EFI/fedora/shimx64.efi", "/boot/efi/EFI/fedora/grubx64.efi"),
            ("/usr/share/efi/x86_64/shim.efi", "/usr/share/efi/x86_64/grub.efi"),  # openSUSE
        ),
    ),
    LoaderSet(
        "shim-arm64",
        "UEFI clients with Secure Boot (arm64)",
        "shim-signed and grub-efi-arm64-signed (of arm64)",
        ("shimaa64.efi", "grubaa64.efi"),
        (
            (f"{_SHIM}/shimaa64.efi.signed", f"{_GRUB}/arm64-efi-signed/grubnetaa64.efi.signed"),
            ("/boot/efi/EFI/fedora/shimaa64.efi", "/boot/efi/EFI/fedora/grubaa64.efi"),
            ("/usr/share/efi/aarch64/shim.efi", "/usr/share/efi/aarch64/grub.efi"),
        ),
    ),
    LoaderSet(
        "ipxe-bios",
        "iPXE on BIOS clients",
        "ipxe",
        ("undionly.kpxe",),
        (("/usr/lib/ipxe/undionly.kpxe",), ("/usr/share/ipxe/undionly.kpxe",)),
    ),
    LoaderSet(
        "ipxe-uefi",
        "iPXE on UEFI clients (x64)",
        "ipxe",
        ("snponly.efi",),
        (
            ("/usr/lib/ipxe/snponly.efi",),
            ("/usr/share/ipxe/snponly.efi",),
            ("/usr/share/ipxe/ipxe-snponly-x86_64.efi",),  # Fedora
        ),
    ),
)
NAMES = tuple(each.name for each in SETS)


def find(host: Sysroot, tree: Sysroot) -> tuple[FoundSet, ...]:
    """Return every set, found on this machine (`host`), else in `tree`, or not at all."""
    return tuple(FoundSet(each, _find(each, (host, tree))) for each in SETS)


def _find(wanted: LoaderSet, roots: tuple[Sysroot, ...]) -> tuple[Source, ...]:
    for root in roots:
        for place in wanted.places:
            if all(root.is_file(path) for path in place):
                return tuple(
                    Source(name, root.resolve(path), root.show(path))
                    for name, path in zip(wanted.names, place, strict=True)
                )
    return ()


def absent(found: tuple[FoundSet, ...], wanted: tuple[str, ...], root: TftpRoot) -> tuple[str, ...]:
    """Return a line for each set that is not there; PublishError if it is one of `wanted`, or all are.

    What `root` has already is there: a publish from within a tree's chroot finds no other.
    """
    lines = []
    for each in found:
        if each.sources or all(root.digest(PurePosixPath(name)) for name in each.set.names[:2]):
            continue
        line = (
            f"no {' and '.join(each.set.names[:2])} on this machine or in the tree, for {each.set.serves}: "
            f"Debian package {each.set.package}"
        )
        if each.set.name in wanted:
            raise PublishError(f"{line}; install it, or leave --loader {each.set.name} out")
        lines.append(line)
    if len(lines) == len(found):
        raise PublishError(
            "no loader at all on this machine or in the tree; install one (Debian: pxelinux and "
            "syslinux-common for BIOS, grub-efi-amd64-bin for UEFI)"
        )
    return tuple(lines)


def stage(
    root: TftpRoot, found: tuple[FoundSet, ...], update: bool
) -> Iterator[tuple[FoundSet, tuple[Staged, ...], str | None]]:
    """Yield for each set that was found what of it is to be put into `root`, and a remark or None.

    Files of another version are left alone unless `update`: a client that has loaded half of a set must
    find the other half.
    """
    for each in found:
        if not each.sources:
            continue
        there = {source.name: root.digest(PurePosixPath(source.name)) for source in each.sources}
        here = {source.name: _digest(source) for source in each.sources}
        differing = [name for name, stored in there.items() if stored not in (None, here[name])]
        if differing and not update:
            yield (
                each,
                (),
                f"{root.show(PurePosixPath(differing[0]))}: not the same as {each.sources[0].shown} and its "
                "like, left as it is; --update-loaders replaces the set, when no client is booting",
            )
            continue
        missing = [source for source in each.sources if there[source.name] != here[source.name]]
        yield each, tuple(root.stage(PurePosixPath(source.name), source.path) for source in missing), None


def _digest(source: Source) -> Stored:
    try:
        with open_regular(source.path) as file:
            return digest_of(file)
    except OSError as error:
        raise PublishError(f"{printable(source.shown)}: {os_cause(error)}") from error
