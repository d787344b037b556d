"""What the loaders' configurations are made of: entries, which of them is whose. No I/O.

Each loader's module has `configuration(menu)`, which returns its files: path below the TFTP root, text.
A Menu holds only what every loader can say; what it cannot is refused here, with ServerError.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from mkpxeinit.errors import ServerError
from mkpxeinit.netboot import values

MAX_TIMEOUT = 3600  # seconds
OWN = "mac."  # labels of entries that belong to one machine begin so


@dataclass(frozen=True, slots=True)
class BootEntry:
    """What a client may boot. The paths are below the TFTP root; the initrds are loaded one after another."""

    label: str
    title: str
    kernel: PurePosixPath
    initrds: tuple[PurePosixPath, ...]
    cmdline: str

    def __post_init__(self) -> None:
        values.label(self.label)
        values.text(self.title)
        values.cmdline(self.cmdline)
        for path in (self.kernel, *self.initrds):
            values.relative(str(path))


@dataclass(frozen=True, slots=True)
class Menu:
    """The entries, the one that boots by itself, and whose is another: (hardware address, label).

    `timeout` is how long the menu waits, in seconds; 0 boots at once. `console` is a serial line as
    in `console=`, on which the loader speaks too.
    """

    entries: tuple[BootEntry, ...]
    default: str
    clients: tuple[tuple[str, str], ...] = ()
    timeout: int = 0
    console: str | None = None

    def __post_init__(self) -> None:
        labels: set[str] = set()
        for entry in self.entries:
            if entry.label in labels:
                raise ServerError(f"two entries of the menu are named {entry.label!r}")
            labels.add(entry.label)
        seen: set[str] = set()
        for address, chosen in self.clients:
            if address != values.mac(address):
                raise ServerError(f"{address!r} is to be written as {values.mac(address)}")
            if address in seen:
                raise ServerError(f"{address} is in the menu twice")
            seen.add(address)
            if chosen not in labels:
                raise ServerError(f"{address} is to boot {chosen!r}, which is no entry of the menu")
        if self.default not in labels:
            raise ServerError(f"the default {self.default!r} is no entry of the menu")
        if not 0 <= self.timeout <= MAX_TIMEOUT:
            raise ServerError(f"a timeout of {self.timeout} is not from 0 to {MAX_TIMEOUT} seconds")
        if self.console is not None:
            values.console(self.console)

    def shown(self, default: str) -> tuple[BootEntry, ...]:
        """Return the entries that a client with that default is shown, the default first.

        Entries of single machines (`mac.…`) are shown to these alone; without a timeout nobody sees a menu.
        """
        own = tuple(entry for entry in self.entries if entry.label == default)
        if not self.timeout:
            return own
        others = (entry for entry in self.entries if not entry.label.startswith(OWN))
        return (*own, *(entry for entry in others if entry.label != default))
