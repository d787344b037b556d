"""PCI device classes, and which drivers serve them.

Class codes are those of `include/linux/pci_ids.h`: two hexadecimal digits of base class, two of
subclass. modules.alias says little about classes (nearly every network driver's entry leaves it
open, since ids suffice), so for class 02 the driver's place in the kernel's source counts as well.
"""

import re
from dataclasses import dataclass

from mkpxeinit.errors import UsageError

NETWORK = "02"
_CLASS = re.compile(r"(?:0x)?([0-9a-fA-F]{2})([0-9a-fA-F]{2})?")
_ALIAS = re.compile(r"pci:v[^ ]*bc(?P<base>[0-9A-F]{2}|\*)sc(?P<sub>[0-9A-F]{2}|\*)i[^ ]*")

# Folders under drivers/net that are not wired Ethernet: the subclass that asks for them, and what they
# are. Modules in any other folder, and beside the folders, are Ethernet (0200).
_PLACES = {
    "arcnet": ("80", "ARCnet"),
    "can": ("80", "CAN"),
    "fddi": ("02", "FDDI"),
    "hamradio": ("80", "amateur radio"),
    "hippi": ("80", "HIPPI"),
    "ieee802154": ("80", "IEEE 802.15.4"),
    "wan": ("80", "WAN"),
    "wimax": ("80", "wireless"),
    "wireless": ("80", "wireless"),
    "wwan": ("80", "mobile network"),
}
ETHERNET = ("00", "Ethernet")
# A plain `02` asks for what machines boot from: cables.
WIRED = frozenset({"00", "02"})


@dataclass(frozen=True, slots=True)
class PciClass:
    """A base class and perhaps a subclass, as upper-case hexadecimal digits."""

    base: str
    sub: str | None = None

    @classmethod
    def parse(cls, text: str) -> "PciClass":
        """Return the class that `CC` or `CCSS` names; UsageError if it is neither."""
        match = _CLASS.fullmatch(text)
        if match is None:
            raise UsageError(f"PCI class {text!r} is not two or four hexadecimal digits, as in 02 or 0280")
        return cls(match[1].upper(), match[2].upper() if match[2] else None)

    def __str__(self) -> str:
        return self.base + (self.sub or "")

    def wants(self, sub: str) -> bool:
        """Say whether devices of subclass `sub` are asked for; a plain 02 means wired networks."""
        if self.sub is not None:
            return sub == self.sub
        return self.base != NETWORK or sub in WIRED

    def names(self, pattern: str) -> bool:
        """Say whether the alias `pattern` names this class; one that leaves the class open does not."""
        if f"bc{self.base}sc" not in pattern:
            return False  # nearly all
        match = _ALIAS.fullmatch(pattern)
        if match is None or match["base"] != self.base:
            return False
        return self.wants(match["sub"]) if match["sub"] != "*" else True


def named_subclass(pattern: str) -> str | None:
    """Return the subclass if the alias `pattern` names base class and subclass of network devices."""
    if f"bc{NETWORK}sc" not in pattern:
        return None  # nearly all
    match = _ALIAS.fullmatch(pattern)
    return match["sub"] if match and match["base"] == NETWORK and match["sub"] != "*" else None


def network_place(path: str) -> tuple[str, str] | None:
    """Return the subclass of class 02 that the module at `path` serves, and the name of such networks.

    None if the module does not stand under drivers/net.
    """
    _, found, rest = f"/{path}".partition("/drivers/net/")
    if not found:
        return None
    folder, slash, _ = rest.partition("/")
    return _PLACES.get(folder, ETHERNET) if slash else ETHERNET


def network_subclass(path: str) -> str | None:
    """Return the subclass of class 02 that the module at `path` serves, None if it is no network driver."""
    place = network_place(path)
    return place[0] if place else None
