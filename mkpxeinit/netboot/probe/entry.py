"""What a loader's configuration comes to: entries, and the one that boots by itself."""

from collections.abc import Callable
from dataclasses import dataclass

MOST_LINES = 5000
MOST_ENTRIES = 64
MOST_INCLUDES = 16

Get = Callable[[str], str | None]  # a configuration by its name, None if it is not there


@dataclass(frozen=True, slots=True)
class Entry:
    """A kernel with its initrds, by the names that the configuration gives them, and its command line."""

    label: str
    kernel: str
    initrds: tuple[str, ...]
    cmdline: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """All entries, the default among them (None if none boots by itself), and what was not understood."""

    entries: tuple[Entry, ...]
    default: Entry | None
    notes: tuple[str, ...] = ()
    chain: str = ""  # another script that an iPXE script goes on with
    modules: tuple[str, ...] = ()  # what pxelinux loads to show a menu
