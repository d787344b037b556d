"""Which file is whose: the kinds of firmware, known by DHCP option 93, and what each is told to load."""

from dataclasses import dataclass

from mkpxeinit.errors import ServerError
from mkpxeinit.netboot.parts import Subnet
from mkpxeinit.netboot.site import Site

# Option 43 for PXEClient, as bytes: sub-option 6 (PXE_DISCOVERY_CONTROL), one byte, bit 3: load the boot file
# of this answer and ask nobody else (PXE specification 2.1, table 2-1).
DISCOVERY_CONTROL = 8
VENDOR_OPTIONS = bytes((6, 1, DISCOVERY_CONTROL, 255))
IPXE_OPTION = 175  # iPXE's own encapsulated options; it sends them in each request
IPXE_CLASS = "iPXE"  # option 77, without the length that RFC 3004 wants
PXE_CLASS = "PXEClient"  # how option 60 begins (PXE specification, section 2.2.1)
HTTP_CLASS = "HTTPClient"  # the same for UEFI HTTP boot (UEFI specification, section 24.7.3)


@dataclass(frozen=True, slots=True)
class Firmware:
    """A kind of firmware: the numbers by which option 93 knows it (RFC 4578, IANA), and its boot file.

    `file` is a path below the TFTP root, or a URL if `http`.
    """

    name: str
    arches: tuple[int, ...]
    file: str
    http: bool = False


def kinds(site: Site) -> tuple[Firmware, ...]:
    """Return the kinds of firmware that `site` boots; UEFI HTTP boot only if it has URL and loader."""
    loaders = site.loaders
    found = [
        Firmware("bios", (0,), str(loaders.bios)),
        # 7 is what IANA's list calls EBC and all x64 firmware sends; 9 is the list's own number.
        Firmware("efi-x64", (7, 9), str(loaders.x64)),
        Firmware("efi-arm64", (11,), str(loaders.arm64)),
    ]
    if site.http_url:
        for name, arch, file in (("http-x64", 16, loaders.http_x64), ("http-arm64", 19, loaders.http_arm64)):
            if file is not None:
                found.append(Firmware(name, (arch,), f"{site.http_url}{file}", http=True))
    return tuple(found)


def ipxe_file(site: Site) -> str | None:
    """Return what iPXE is told to load: its script, by HTTP where there is a URL; None: no script."""
    if site.loaders.ipxe is None:
        return None
    return f"{site.http_url or ''}{site.loaders.ipxe}"


def need_subnets(site: Site) -> tuple[Subnet, ...]:
    """Return the subnets of `site`; ServerError if there are none."""
    if not site.subnets:
        raise ServerError("no [[subnet]]: whom the servers serve is not known")
    return site.subnets


def head(what: str, sign: str = "#") -> str:
    """Return the comment with which each generated file begins; `MARK` is in it."""
    return f"{sign} {what}. {MARK}: changes here are lost, change the description.\n"


MARK = "Written by mkpxeinit server-config"
