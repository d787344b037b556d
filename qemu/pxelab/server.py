"""What the laboratory's servers have in common: a folder, a log, and a process that may be there."""

from typing import TYPE_CHECKING

from .namespace import Process

if TYPE_CHECKING:
    from .lab import Lab


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
