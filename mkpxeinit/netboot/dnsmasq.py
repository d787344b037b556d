"""dnsmasq: DHCP, DNS and TFTP; or, beside another DHCP server, proxyDHCP and TFTP. See dnsmasq(8).

Tags choose: one for each kind of firmware, one for each tree that a client has instead of the default.
"""

from ipaddress import IPv4Address

from mkpxeinit.netboot import values
from mkpxeinit.netboot.bootfile import (
    DISCOVERY_CONTROL,
    HTTP_CLASS,
    IPXE_CLASS,
    IPXE_OPTION,
    PXE_CLASS,
    head,
    ipxe_file,
    kinds,
    need_subnets,
)
from mkpxeinit.netboot.parts import Client, Subnet
from mkpxeinit.netboot.site import Site


def configuration(site: Site) -> str:
    """Return dnsmasq's configuration file; ServerError if `site` has no subnets."""
    need_subnets(site)
    lines = [f"interface={site.interface}"] if site.interface else []
    lines.append("bind-dynamic")
    if site.proxy or (site.dns and site.server not in site.dns):
        lines.append("port=0")  # somebody else is the DNS server
    if not site.other_tftp:
        lines.extend(("enable-tftp", f"tftp-root={site.tftp_root}"))
    for number, subnet in enumerate(site.subnets):
        lines.extend(_subnet(site, number, subnet))
    lines.extend(_tags(site))
    lines.extend(_proxy(site) if site.proxy else _boot(site))
    if not site.proxy:
        lines.extend(_options(site))
        for client in site.clients:
            lines.extend(_client(site, client))
    return head("dnsmasq") + "\n".join(lines) + "\n"


def _subnet(site: Site, number: int, subnet: Subnet) -> list[str]:
    lines = [f"# {values.comment(subnet.comment)}"] if subnet.comment else []
    network, mask = subnet.network.network_address, subnet.network.netmask
    if site.proxy:
        return [*lines, f"dhcp-range={network},proxy,{mask}"]
    tag = f"subnet{number}"
    if subnet.first:
        lines.append(f"dhcp-range=set:{tag},{subnet.first},{subnet.last},{mask},{subnet.lease_time}")
    else:
        lines.append(f"dhcp-range=set:{tag},{network},static,{mask},{subnet.lease_time}")
    # Without a value: none; else dnsmasq would name itself.
    router = f",{subnet.router}" if subnet.router else ""
    return [*lines, f"dhcp-option=tag:{tag},option:router{router}"]


def _tags(site: Site) -> list[str]:
    lines = ["dhcp-match=set:arch,option:client-arch"]
    for kind in kinds(site):
        lines.extend(f"dhcp-match=set:{kind.name},option:client-arch,{arch}" for arch in kind.arches)
    lines.append(f"dhcp-match=set:ipxe,{IPXE_OPTION}")
    lines.append(f"dhcp-userclass=set:ipxe,{IPXE_CLASS}")
    return lines


def _boot(site: Site) -> list[str]:
    """Return who loads what, and options 43 and 60 for the firmware that ignores an answer without them."""
    script = ipxe_file(site)
    other = "tag:!ipxe," if script else ""
    lines = ["dhcp-authoritative"]
    if script:
        lines.append(f"dhcp-boot=tag:ipxe,{quoted(script)},,{site.server}")
    for kind in kinds(site):
        lines.append(f"dhcp-boot=tag:{kind.name},{other}{quoted(kind.file)},,{site.server}")
        if kind.http:
            lines.append(f"dhcp-option-force=tag:{kind.name},{other}60,{HTTP_CLASS}")
    # Firmware from before RFC 4578 says no architecture, and is a BIOS.
    lines.append(f"dhcp-boot=tag:!arch,{other}{quoted(str(site.loaders.bios))},,{site.server}")
    lines.append(f"dhcp-vendorclass=set:pxe,{PXE_CLASS}")
    # By itself dnsmasq would answer with the client's own, longer text.
    lines.append(f"dhcp-option-force=tag:pxe,60,{PXE_CLASS}")
    lines.append(f"dhcp-option-force=vendor:{PXE_CLASS},6,{DISCOVERY_CONTROL}b")
    return lines


def _proxy(site: Site) -> list[str]:
    """Return the boot services of a proxyDHCP server: the first that fits is taken, without a prompt."""
    script = ipxe_file(site)
    other = "tag:!ipxe," if script else ""
    lines = []
    for kind in kinds(site):
        if kind.http:
            continue  # dnsmasq as proxy answers PXEClient alone
        for arch in kind.arches:
            name = _ARCHES[arch]
            if script:
                lines.append(f"pxe-service=tag:ipxe,{name},{quoted('iPXE')},{quoted(script)},{site.server}")
            lines.append(
                f"pxe-service={other}{name},{quoted('Network boot')},{quoted(kind.file)},{site.server}"
            )
    return lines


# As dnsmasq's pxe-service names the numbers of option 93.
_ARCHES = {0: "x86PC", 7: "x86-64_EFI", 9: "BC_EFI", 11: "ARM64_EFI"}


def _options(site: Site) -> list[str]:
    lines = [f"dhcp-option=option:root-path,{quoted(site.root_path(site.tree()))}"]
    for tree in site.trees:
        lines.append(f"dhcp-option=tag:tree-{tree.name},option:root-path,{quoted(site.root_path(tree))}")
    if site.domain:
        lines.append(f"domain={site.domain}")
    lines.extend(_addresses("dns-server", site.dns))
    lines.extend(_addresses("ntp-server", site.ntp))
    return lines


def _addresses(option: str, addresses: tuple[IPv4Address, ...]) -> list[str]:
    return [f"dhcp-option=option:{option},{','.join(map(str, addresses))}"] if addresses else []


def _client(site: Site, client: Client) -> list[str]:
    lines = [f"# {values.comment(client.comment)}"] if client.comment else []
    words = [client.mac, f"set:tree-{site.choice(client).tree.name}"]
    words.extend(str(word) for word in (client.address, client.name) if word)
    return [*lines, f"dhcp-host={','.join(words)}"]


def quoted(text: str) -> str:
    """Return `text` as one value of dnsmasq's, commas and all."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
