"""What the laboratory's servers have in common: a folder, a log, and a process that may be there."""

from pathlib import Path
from typing import TYPE_CHECKING

from .namespace import Process

if TYPE_CHECKING:
    from .lab import Lab

DHCP_PORT = 67  # the server's, RFC 2131
_LISTEN = "0A"  # TCP_LISTEN, as proc_net_tcp shows it


class Server:
    """A server that can be started late, stopped and started again; nothing runs at first."""

    def __init__(self, lab: "Lab", name: str) -> None:
        """Make its folder in the laboratory; its log goes where the laboratory's results go."""
        self._lab = lab
        self._process: Process | None = None
        self.folder = lab.folder / name
        self.folder.mkdir()
        self.log = lab.results / f"{name}.log"

    @property
    def running(self) -> bool:
        """True while the server runs."""
        return self._process is not None and self._process.running

    def stop(self) -> None:
        """End the server; files that it has written stay for its next start."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def said(self) -> str:
        """Return the server's log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def has_udp(self, port: int) -> bool:
        """Say whether a UDP socket of the laboratory is bound to the port (proc_net_udp)."""
        return self._has_socket("udp", port)

    def has_tcp(self, port: int) -> bool:
        """Say the same of a TCP socket that listens."""
        return self._has_socket("tcp", port, f":{0:04X} {_LISTEN} ")

    def _has_socket(self, kind: str, port: int, *more: str) -> bool:
        table = Path(f"/proc/{self._lab.space.pid}/net/{kind}").read_text()
        wanted = (f":{port:04X} ", *more)
        return any(all(word in line for word in wanted) for line in table.splitlines())
