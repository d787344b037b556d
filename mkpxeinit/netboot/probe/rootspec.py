"""Where the root is, read as the client reads it: `[SERVER[,SERVER]...:]/PATH[,OPTIONS]` (docs/client.md)."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address

from mkpxeinit.netboot.probe.wire import ProbeError, shown

VERSIONS = ("4.2", "4.1", "4.0", "3")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9-]{1,63})*", re.ASCII)
_PATH = re.compile(r"/[A-Za-z0-9 ._/@%+=:~,-]*", re.ASCII)
_FORM = "[SERVER:]/PATH[,OPTIONS]"
_SQUASHFS = ".squashfs"


@dataclass(frozen=True, slots=True)
class RootSpec:
    """Servers (none: the one of DHCP), path, versions that may be tried, port, and who says so.

    `squashfs` is the file below the path that holds the tree; empty: the path is the tree.
    """

    servers: tuple[str, ...]
    path: str
    versions: tuple[str, ...]
    port: int | None
    source: str
    squashfs: str = ""


def from_cmdline(cmdline: str) -> tuple[str, str] | None:
    """Return the root that a kernel command line names, and by which parameter; None if it leaves it to DHCP.

    Raises ProbeError for a root that is none of the network.
    """
    told = {key: value for key, _, value in (word.partition("=") for word in cmdline.split())}
    root = told.get("root", "")
    if root.startswith(("nfs:", "nfs4:")) and root not in ("nfs:", "nfs4:"):
        return root.partition(":")[2] + (",vers=4" if root.startswith("nfs4:") else ""), "root="
    if root not in ("", "/dev/nfs", "nfs", "nfs4", "nfs:", "nfs4:"):
        raise ProbeError(
            f"the kernel's command line has root={shown(root)}", "root=/dev/nfs, or leave it to option 17"
        )
    return (told["nfsroot"], "nfsroot=") if told.get("nfsroot") else None


def parse(text: str, source: str, address: str = "", squashfs: str = "") -> RootSpec:
    """Return the parts of a root; `address` is the client's, for `%s` in it. Raises ProbeError.

    `squashfs` is that of the command line (pxeinit.squashfs=); without it the path may name such a file.
    """
    rest = text.removeprefix("nfs:")
    servers: tuple[str, ...] = ()
    if not rest.startswith("/"):
        before, colon, behind = rest.partition(":/")
        if not colon:
            raise _malformed(text, source)
        servers, rest = tuple(_server(each, text, source) for each in before.split(",")), f"/{behind}"
    path, _, options = rest.partition(",")
    if ":" in path:
        path, _, more = path.rpartition(":")
        options = f"{more},{options}"
    path = path.replace("%s", address, 1)
    if path.startswith("//") or not _PATH.fullmatch(path) or len(path) > 1024 or ".." in path.split("/"):
        raise _malformed(text, source)
    versions, port = _options(options)
    if squashfs:
        if not _PATH.fullmatch(f"/{squashfs}") or ".." in squashfs.split("/"):
            raise ProbeError(
                f"pxeinit.squashfs={shown(squashfs)} is no file's path", "a path below the export"
            )
    elif path.endswith(_SQUASHFS):
        path, _, squashfs = path.rpartition("/")
    return RootSpec(servers, path or "/", versions, port, source, squashfs.lstrip("/"))


def _malformed(text: str, source: str) -> ProbeError:
    return ProbeError(f"{source}: {shown(text)!r} is no root", f"it is {_FORM}")


def _server(name: str, text: str, source: str) -> str:
    if name.startswith("[") and name.endswith("]"):
        try:
            return str(IPv6Address(name[1:-1]))
        except AddressValueError:
            raise _malformed(text, source) from None
    if not _HOST.fullmatch(name):
        raise _malformed(text, source)
    return name


def _options(options: str) -> tuple[tuple[str, ...], int | None]:
    """Return the versions and the port that mount options leave."""
    versions: tuple[str, ...] = VERSIONS
    port = None
    for option in options.split(","):
        key, _, value = option.partition("=")
        if key in ("vers", "nfsvers") or (key in ("v3", "v4", "v4.0", "v4.1", "v4.2") and not value):
            value = value or key[1:]
            versions = tuple(each for each in VERSIONS if each == value or each.startswith(f"{value}."))
        elif key == "minorversion" and value in ("0", "1", "2"):
            versions = (f"4.{value}",)
        elif key == "port" and value.isdigit() and 0 < int(value[:6]) < 65536:
            port = int(value)
    return versions or VERSIONS, port
