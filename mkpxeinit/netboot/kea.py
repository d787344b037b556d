"""Kea's DHCPv4 server: https://kea.readthedocs.io/en/latest/arm/dhcp4-srv.html, as JSON.

Client classes choose the boot file; a client that is named has a reservation.
"""

import json
from ipaddress import IPv4Address
from typing import Any

from mkpxeinit.errors import ServerError
from mkpxeinit.netboot.bootfile import (
    HTTP_CLASS,
    IPXE_CLASS,
    IPXE_OPTION,
    MARK,
    PXE_CLASS,
    VENDOR_OPTIONS,
    Firmware,
    ipxe_file,
    kinds,
    need_subnets,
)
from mkpxeinit.netboot.parts import Client, Subnet
from mkpxeinit.netboot.site import Site


def configuration(site: Site) -> str:
    """Return kea-dhcp4.conf; ServerError if `site` has no subnets, or is a proxy's."""
    need_subnets(site)
    if site.proxy:
        raise ServerError("Kea cannot be a proxyDHCP server; dnsmasq can")
    server = {
        "user-context": {"comment": MARK},
        "interfaces-config": {"interfaces": [site.interface or "*"]},
        "lease-database": {"type": "memfile", "persist": True},
        "authoritative": True,
        "next-server": str(site.server),
        # A client without a fixed address is known in all subnets, and counts from its own subnet first.
        "reservations-global": True,
        "reservations-in-subnet": True,
        "reservations-out-of-pool": True,
        "option-data": _options(site),
        "client-classes": _classes(site),
        "subnet4": [_subnet(site, number, subnet) for number, subnet in enumerate(site.subnets, 1)],
        "reservations": [_client(site, client) for client in site.clients if client.address is None],
    }
    return json.dumps({"Dhcp4": server}, indent=2, ensure_ascii=False) + "\n"


def _option(name: str, value: str) -> dict[str, Any]:
    # A comma would end the value, also in options that have only one.
    return {"name": name, "data": value.replace(",", "\\,")}


def _addresses(name: str, addresses: tuple[IPv4Address, ...]) -> list[dict[str, Any]]:
    return [{"name": name, "data": ", ".join(map(str, addresses))}] if addresses else []


def _options(site: Site) -> list[dict[str, Any]]:
    return [
        _option("root-path", site.root_path(site.tree())),
        *([_option("domain-name", site.domain)] if site.domain else []),
        *_addresses("domain-name-servers", site.dns),
        *_addresses("ntp-servers", site.ntp),
    ]


def _classes(site: Site) -> list[dict[str, Any]]:
    """Return who loads what, and options 43 and 60 for the firmware that ignores an answer without them."""
    script = ipxe_file(site)
    found: list[dict[str, Any]] = []
    if script:
        test = f"option[{IPXE_OPTION}].exists or option[77].hex == '{IPXE_CLASS}'"
        found.append({"name": "ipxe", "test": test, "boot-file-name": script})
    found.extend(_kind(kind, bool(script)) for kind in kinds(site))
    found.append(
        {
            "name": "pxe",
            "test": f"substring(option[60].hex, 0, {len(PXE_CLASS)}) == '{PXE_CLASS}'",
            "option-def": [{"name": "vendor-encapsulated-options", "code": 43, "type": "binary"}],
            "option-data": [
                {"name": "vendor-class-identifier", "data": PXE_CLASS, "always-send": True},
                {
                    "name": "vendor-encapsulated-options",
                    "csv-format": False,
                    "data": VENDOR_OPTIONS.hex(),
                    "always-send": True,
                },
            ],
        }
    )
    return found


def _kind(kind: Firmware, has_script: bool) -> dict[str, Any]:
    test = " or ".join(f"option[93].hex == 0x{arch:04x}" for arch in kind.arches)
    if kind.arches == (0,):
        # Firmware from before RFC 4578 says no architecture, and is a BIOS.
        test += " or not option[93].exists"
    found: dict[str, Any] = {
        "name": kind.name,
        "test": f"({test}) and not member('ipxe')" if has_script else test,
        "boot-file-name": kind.file,
    }
    if kind.http:
        found["option-data"] = [{"name": "vendor-class-identifier", "data": HTTP_CLASS, "always-send": True}]
    return found


def _subnet(site: Site, number: int, subnet: Subnet) -> dict[str, Any]:
    clients = (each for each in site.clients if each.address and each.address in subnet.network)
    return {
        "id": number,
        "subnet": str(subnet.network),
        **({"user-context": {"comment": subnet.comment}} if subnet.comment else {}),
        "valid-lifetime": subnet.lease_time,
        "max-valid-lifetime": subnet.lease_time,
        **({"interface": site.interface} if site.interface and site.server in subnet.network else {}),
        "pools": [{"pool": f"{subnet.first} - {subnet.last}"}] if subnet.first else [],
        "option-data": _addresses("routers", (subnet.router,) if subnet.router else ()),
        "reservations": [_client(site, client) for client in clients],
    }


def _client(site: Site, client: Client) -> dict[str, Any]:
    tree = site.choice(client).tree
    return {
        "hw-address": client.mac,
        **({"user-context": {"comment": client.comment}} if client.comment else {}),
        **({"ip-address": str(client.address)} if client.address else {}),
        **({"hostname": client.name} if client.name else {}),
        **({"option-data": [_option("root-path", site.root_path(tree))]} if tree != site.tree() else {}),
    }
