"""All that can be written for a site: a name each, what it is for, and the files with their places."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from mkpxeinit.errors import ServerError, UsageError
from mkpxeinit.meant import meant
from mkpxeinit.netboot import dhcpd, dnsmasq, exports, ganesha, grub, ipxe, kea, nginx, pxelinux, tftpd
from mkpxeinit.netboot.entries import make_menu, unversioned
from mkpxeinit.netboot.menu import Menu
from mkpxeinit.netboot.site import Site

Files = dict[PurePosixPath, str]  # paths relative to /, or to another folder that stands for it


@dataclass(frozen=True, slots=True)
class Writer:
    """What is written for one server or loader. `lacking` says why a site has no use for it, or None."""

    name: str
    about: str
    files: Callable[[Site], Files]
    lacking: Callable[[Site], str | None]


def _always(site: Site) -> str | None:
    return None


def _dhcp_server(site: Site) -> str | None:
    return "it cannot be a proxyDHCP server" if site.proxy else _networks(site)


def _networks(site: Site) -> str | None:
    return None if site.subnets else "no [[subnet]]"


def _http(site: Site) -> str | None:
    return None if site.http_url else "no http-url"


def _script(site: Site) -> str | None:
    return None if site.loaders.ipxe else "iPXE is to be treated as the firmware"


def _one(place: str, make: Callable[[Site], str]) -> Callable[[Site], Files]:
    return lambda site: {PurePosixPath(place): make(site)}


def _dhcpd(site: Site) -> Files:
    files = {PurePosixPath("etc/dhcp/dhcpd.conf"): dhcpd.configuration(site)}
    if site.interface:
        files[PurePosixPath("etc/default/isc-dhcp-server")] = dhcpd.defaults(site)
    return files


def _loader(make: Callable[[Menu], Files]) -> Callable[[Site], Files]:
    def files(site: Site) -> Files:
        folder = site.tftp_root.relative_to("/")
        return {folder / path: text for path, text in make(make_menu(site, unversioned)).items()}

    return files


def _ipxe(site: Site) -> Files:
    script = site.loaders.ipxe or ipxe.FILE
    return _loader(lambda menu: ipxe.configuration(menu, script))(site)


WRITERS = (
    Writer(
        "dnsmasq",
        "DHCP, DNS and TFTP in one; also proxyDHCP",
        _one("etc/dnsmasq.d/mkpxeinit.conf", dnsmasq.configuration),
        _networks,
    ),
    Writer("dhcpd", "DHCP: ISC dhcpd", _dhcpd, _dhcp_server),
    Writer("kea", "DHCP: Kea", _one("etc/kea/kea-dhcp4.conf", kea.configuration), _dhcp_server),
    Writer(
        "exports",
        "NFS: the kernel's server",
        _one("etc/exports.d/mkpxeinit.exports", exports.configuration),
        _networks,
    ),
    Writer("ganesha", "NFS: Ganesha", _one("etc/ganesha/ganesha.conf", ganesha.configuration), _networks),
    Writer("tftpd-hpa", "TFTP: tftpd-hpa", _one("etc/default/tftpd-hpa", tftpd.hpa), _always),
    Writer("atftpd", "TFTP: atftpd", _one("etc/default/atftpd", tftpd.advanced), _always),
    Writer(
        "nginx",
        "HTTP, for UEFI HTTP boot and iPXE",
        _one("etc/nginx/conf.d/mkpxeinit.conf", nginx.configuration),
        _http,
    ),
    Writer("pxelinux", "loader of BIOS clients", _loader(pxelinux.configuration), _always),
    Writer("grub", "loader of UEFI clients", _loader(grub.configuration), _always),
    Writer("ipxe", "script for iPXE", _ipxe, _script),
)


def choose(names: tuple[str, ...]) -> tuple[Writer, ...]:
    """Return the writers of these names, in the list's order; UsageError if there is no such one."""
    known = {writer.name: writer for writer in WRITERS}
    for name in names:
        if name not in known:
            raise UsageError(f"nothing to write is named {name!r}{meant(name, known)}")
    return tuple(writer for writer in WRITERS if writer.name in names)


@dataclass(frozen=True, slots=True)
class Written:
    """What is to be written, and what is not and why: (name, reason)."""

    files: Files
    left_out: tuple[tuple[str, str], ...]


# Those of which `mkpxeinit publish` is in charge where it is used.
LOADERS = ("pxelinux", "grub", "ipxe")


def write(site: Site, names: tuple[str, ...] = (), *, published: bool = False) -> Written:
    """Return the files for `site`: those of `names`, or all that it has a use for.

    With `published` nothing is written for loaders. ServerError if one that was named has nothing to write;
    UsageError if a name is unknown.
    """
    files: Files = {}
    left_out = []
    for writer in choose(names) if names else WRITERS:
        lacking = writer.lacking(site)
        if published and writer.name in LOADERS:
            lacking = f"mkpxeinit publish has filled {site.tftp_root}, and writes that itself"
        if lacking is None:
            files.update(writer.files(site))
        elif names:
            raise ServerError(f"{writer.name}: nothing to write: {lacking}")
        else:
            left_out.append((writer.name, lacking))
    return Written(files, tuple(left_out))
