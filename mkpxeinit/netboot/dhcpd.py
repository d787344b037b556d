"""ISC dhcpd 4.x: dhcpd.conf(5), dhcp-options(5), dhcp-eval(5)."""

from ipaddress import IPv4Address

from mkpxeinit.errors import ServerError
from mkpxeinit.netboot import values
from mkpxeinit.netboot.bootfile import (
    DISCOVERY_CONTROL,
    HTTP_CLASS,
    IPXE_CLASS,
    IPXE_OPTION,
    PXE_CLASS,
    Firmware,
    head,
    ipxe_file,
    kinds,
    need_subnets,
)
from mkpxeinit.netboot.parts import Client, Subnet
from mkpxeinit.netboot.site import Site


def configuration(site: Site) -> str:
    """Return dhcpd.conf; ServerError if `site` has no subnets, or is a proxy's."""
    need_subnets(site)
    if site.proxy:
        raise ServerError("ISC dhcpd cannot be a proxyDHCP server; dnsmasq can")
    lines = [
        "authoritative;",
        "ddns-update-style none;",
        f"option ipxe-options code {IPXE_OPTION} = string;",
        "option space PXE;",
        "option PXE.discovery-control code 6 = unsigned integer 8;",
        f"next-server {site.server};",
        f"option root-path {quoted(site.root_path(site.tree()))};",
        "use-host-decl-names off;",
        *_names(site),
        *_boot(site),
    ]
    for subnet in site.subnets:
        lines.extend(_subnet(subnet))
    for client in site.clients:
        lines.extend(_client(site, client))
    return head("ISC dhcpd") + "\n".join(lines) + "\n"


def _names(site: Site) -> list[str]:
    lines = [f"option domain-name {quoted(site.domain)};"] if site.domain else []
    lines.extend(_addresses("domain-name-servers", site.dns))
    lines.extend(_addresses("ntp-servers", site.ntp))
    return lines


def _addresses(option: str, addresses: tuple[IPv4Address, ...]) -> list[str]:
    return [f"option {option} {', '.join(map(str, addresses))};"] if addresses else []


def _boot(site: Site) -> list[str]:
    """Return who loads what, and options 43 and 60 for the firmware that ignores an answer without them."""
    lines = [
        f'if substring(option vendor-class-identifier, 0, {len(PXE_CLASS)}) = "{PXE_CLASS}" {{',
        f'  option vendor-class-identifier "{PXE_CLASS}";',
        "  vendor-option-space PXE;",
        f"  option PXE.discovery-control {DISCOVERY_CONTROL};",
        "}",
    ]
    word = "if"
    script = ipxe_file(site)
    if script:
        lines.append(f'if exists ipxe-options or option user-class = "{IPXE_CLASS}" {{')
        lines.append(f"  filename {quoted(script)};")
        word = "} elsif"
    # Firmware from before RFC 4578 says no architecture, and is a BIOS.
    for kind in kinds(site):
        test = " or ".join(
            f"option pxe-system-type = {arch // 256:02x}:{arch % 256:02x}" for arch in kind.arches
        )
        if kind.arches == (0,):
            test += " or not exists pxe-system-type"
        lines.extend((f"{word} {test} {{", *_kind(kind)))
        word = "} elsif"
    return [*lines, "}"]


def _kind(kind: Firmware) -> list[str]:
    lines = [f"  filename {quoted(kind.file)};"]
    if kind.http:
        lines.append(f'  option vendor-class-identifier "{HTTP_CLASS}";')
    return lines


def _subnet(subnet: Subnet) -> list[str]:
    return [
        *([f"# {values.comment(subnet.comment)}"] if subnet.comment else []),
        f"subnet {subnet.network.network_address} netmask {subnet.network.netmask} {{",
        f"  default-lease-time {subnet.lease_time};",
        f"  max-lease-time {subnet.lease_time};",
        *([f"  range {subnet.first} {subnet.last};"] if subnet.first else []),
        *([f"  option routers {subnet.router};"] if subnet.router else []),
        "}",
    ]


def _client(site: Site, client: Client) -> list[str]:
    tree = site.choice(client).tree
    return [
        *([f"# {values.comment(client.comment)}"] if client.comment else []),
        f"host mac-{client.mac.replace(':', '-')} {{",
        f"  hardware ethernet {client.mac};",
        *([f"  fixed-address {client.address};"] if client.address else []),
        *([f"  option host-name {quoted(client.name)};"] if client.name else []),
        *([f"  option root-path {quoted(site.root_path(tree))};"] if tree != site.tree() else []),
        "}",
    ]


def quoted(text: str) -> str:
    """Return `text` as a string of dhcpd's."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def defaults(site: Site) -> str:
    """Return /etc/default/isc-dhcp-server (Debian): the interface; ServerError if none is named."""
    if site.interface is None:
        raise ServerError("[server]: interface: is missing; Debian's dhcpd has to be told where to serve")
    return head("ISC dhcpd") + f'INTERFACESv4="{site.interface}"\nINTERFACESv6=""\n'
