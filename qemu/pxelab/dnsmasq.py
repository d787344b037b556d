"""DHCP, DNS and TFTP: dnsmasq inside a laboratory."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import run
from .errors import LabError
from .server import DHCP_PORT, Server

if TYPE_CHECKING:
    from .lab import Lab

READY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DhcpClient:
    """What one client, known by its MAC address, is told; what is None follows the rest."""

    mac: str
    root_path: str | None = None
    next_server: str | None = None
    boot_file: str | None = None
    address: str | None = None
    host_name: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DhcpSettings:
    """What dnsmasq says to whom.

    `root_path` is DHCP option 17. `names` are DNS names and their addresses. `options` are
    further values of dnsmasq's own `dhcp-option=`, such as `option:mtu,1400`. `lease` is in
    seconds, 120 at least (dnsmasq's own limit). `tftp` is served when given.
    """

    root_path: str | None = None
    next_server: str | None = None
    boot_file: str | None = None
    tftp: Path | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    clients: tuple[DhcpClient, ...] = ()
    options: tuple[str, ...] = ()
    lease: int = 3600
    bridge: str = "br0"
    dhcp: bool = True
    lines: tuple[str, ...] = ()


def quoted(text: str) -> str:
    """Return text as dnsmasq's configuration file wants it, commas and all."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _told(tag: str, who: DhcpSettings | DhcpClient) -> list[str]:
    """Return the lines that give root path, boot file, next-server and options."""
    lines = []
    if who.root_path is not None:
        lines.append(f"dhcp-option={tag}option:root-path,{quoted(who.root_path)}")
    if who.boot_file is not None or who.next_server is not None:
        boot_file = quoted(who.boot_file or "pxelinux.0")
        server = f",,{who.next_server}" if who.next_server else ""
        lines.append(f"dhcp-boot={tag}{boot_file}{server}")
    lines.extend(f"dhcp-option={tag}{option}" for option in who.options)
    return lines


def configuration(settings: DhcpSettings, network: str, folder: Path) -> str:
    """Return dnsmasq.conf; `network` is the first three numbers of the bridge's /24."""
    lines = [
        f"interface={settings.bridge}",
        "bind-dynamic",
        "user=root",
        "log-facility=-",
        "log-dhcp",
        "no-resolv",
        "no-hosts",
        "no-ping",
        "dhcp-authoritative",
        f"dhcp-leasefile={folder / 'leases'}",
    ]
    if settings.dhcp:
        lines.append(f"dhcp-range={network}.100,{network}.199,255.255.255.0,{settings.lease}")
    lines.extend(f"host-record={name},{address}" for name, address in settings.names.items())
    if settings.tftp is not None:
        lines.extend(("enable-tftp", f"tftp-root={settings.tftp}"))
    lines.extend(_told("", settings))
    for number, client in enumerate(settings.clients):
        words = [client.mac, f"set:client{number}", client.address, client.host_name]
        lines.append("dhcp-host=" + ",".join(word for word in words if word))
        lines.extend(_told(f"tag:client{number},", client))
    return "\n".join([*lines, *settings.lines, ""])


class Dnsmasq(Server):
    """A DHCP, DNS and TFTP server that can be started late, stopped and started again."""

    def __init__(self, lab: "Lab", settings: DhcpSettings, name: str) -> None:
        """Prepare it; nothing runs yet."""
        super().__init__(lab, name)
        self.settings = settings

    def start(self) -> None:
        """Start the server; return when its DHCP socket is open."""
        if self.running:
            return
        run.program("dnsmasq")
        network = self._lab.network(self.settings.bridge)
        config = self.folder / "dnsmasq.conf"
        config.write_text(configuration(self.settings, network, self.folder), encoding="utf-8")
        with self.log.open("ab") as log:
            self._process = self._lab.space.start(
                self.folder.name,
                ["dnsmasq", "--keep-in-foreground", f"--conf-file={config}", "--pid-file"],
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + READY_SECONDS
        while not self.has_udp(DHCP_PORT if self.settings.dhcp else 53):
            if not self.running or time.monotonic() > end:
                words = "\n".join(self.said().splitlines()[-20:])
                raise LabError(f"dnsmasq does not run (configuration: {config})\n{words}")
            time.sleep(0.02)
