"""A DHCP server with short leases: busybox udhcpd in a laboratory (dnsmasq's shortest is two minutes)."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import run
from .errors import LabError
from .server import Server

if TYPE_CHECKING:
    from .lab import Lab

READY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class UdhcpdSettings:
    """What udhcpd says: `root_path` is DHCP option 17, `lease` in seconds.

    Without a `root_path` it is the box that a provider hands out: addresses, a router, DNS and no more.
    """

    root_path: str | None
    lease: int = 60
    bridge: str = "br0"


class Udhcpd(Server):
    """A DHCP server that can be stopped and started again; its addresses end in .100 to .199."""

    def __init__(self, lab: "Lab", settings: UdhcpdSettings) -> None:
        """Prepare it; nothing runs yet."""
        super().__init__(lab, lab.name("udhcpd"))
        self.settings = settings

    def start(self) -> None:
        """Start the server; return when it says so. Raises LabError with its words."""
        run.program("busybox")
        config = self.folder / "udhcpd.conf"
        config.write_text(self._configuration(), encoding="utf-8")
        (self.folder / "leases").touch()
        began = len(self.said())
        with self.log.open("ab") as log:
            self._process = self._lab.space.start(
                self.folder.name, ["busybox", "udhcpd", "-f", str(config)], stdout=log, stderr=log
            )
        end = time.monotonic() + READY_SECONDS
        while "started" not in self.said()[began:]:
            if not self.running or time.monotonic() > end:
                raise LabError(f"udhcpd does not run:\n{self.said()}")
            time.sleep(0.02)

    def _configuration(self) -> str:
        network = self._lab.network(self.settings.bridge)
        boot = (f"siaddr {network}.1", f"option rootpath {self.settings.root_path}")
        return "\n".join(
            (
                *(boot if self.settings.root_path is not None else ()),
                f"start {network}.100",
                f"end {network}.199",
                f"interface {self.settings.bridge}",
                f"lease_file {self.folder / 'leases'}",
                f"pidfile {self.folder / 'udhcpd.pid'}",
                "min_lease 10",
                "option subnet 255.255.255.0",
                f"option router {network}.1",
                f"option dns {network}.1",
                f"option lease {self.settings.lease}",
                "",
            )
        )

    def count(self, what: str) -> int:
        """Return how often the log has a text, such as `sending ACK`."""
        return self.said().count(what)
