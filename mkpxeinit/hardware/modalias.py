"""Modaliases: what a device says of itself, and which modules say that they drive it.

The kernel makes them (scripts/mod/file2alias.c for the patterns, each bus's `uevent` for the devices);
modprobe(8) compares the two by fnmatch(3), after it has made underscores of all dashes outside
brackets (kmod's `alias_normalize`).
"""

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

LONGEST = 4096  # characters of a modalias or pattern; a uevent has room for 2048 (UEVENT_BUFFER_SIZE)
UNKNOWN = "?"  # a digit of a device's modalias that is not known: it fits whatever digit a pattern wants
_DIGITS = "0123456789ABCDEF"  # the names of fields are lower-case letters, which must be there
_PREFIX = len("pci:v00008086d0000100E")  # what is always known
_PHY_ID = re.compile(r"0x[0-9a-f]{1,8}")
_GLOB = re.compile(r"[*?\[\\]")
_TOKEN = re.compile(r"(?P<set>\[[!^]?\]?[^]]*\])|\\(?P<quoted>.)|(?P<one>.)", re.DOTALL)
_DASH = re.compile(r"\[[^]]*\]|-")


def pci(
    vendor: str,
    device: str,
    pci_class: str,
    subsystem: tuple[str, str] | None = None,
    interface: str | None = None,
) -> str:
    """Return the modalias of a PCI device (drivers/pci/pci-driver.c, `pci_uevent`).

    All are hexadecimal digits: four for ids and the class with its subclass, two for the programming
    interface. What is None is unknown.
    """
    sub_vendor, sub_device = (f"0000{each}" for each in subsystem) if subsystem else (UNKNOWN * 8,) * 2
    base, sub = pci_class[:2], pci_class[2:]
    return (
        f"pci:v0000{vendor.upper()}d0000{device.upper()}sv{sub_vendor.upper()}sd{sub_device.upper()}"
        f"bc{base.upper()}sc{sub.upper()}i{(interface or UNKNOWN * 2).upper()}"
    )


def mdio(identifier: str) -> str | None:
    """Return the modalias of a PHY with an identifier as sysfs shows it (`0x001cc916`), None if it has none.

    The kernel makes it in drivers/net/phy/phy_device.c: the 32 bits, MDIO_ID_FMT of mod_devicetable.h.
    """
    if not _PHY_ID.fullmatch(identifier) or int(identifier, 16) in (0, 0xFFFFFFFF):
        return None
    return f"mdio:{int(identifier, 16):032b}"


def normal(text: str) -> str:
    """Return a modalias or pattern as kmod compares it: dashes outside brackets are underscores."""
    return _DASH.sub(lambda found: found[0] if len(found[0]) > 1 else "_", text) if "-" in text else text


class Matcher:
    """Finds the modules for a modalias among many patterns, by the beginnings that the patterns share."""

    __slots__ = ("_first", "_lengths", "_patterns")

    def __init__(self, aliases: Iterable[tuple[str, str]], first: Collection[tuple[str, str]] = ()) -> None:
        """Take the patterns of modules.alias, each with its module.

        Those that are `first`, modprobe.d's, decide alone where one of them matches.
        """
        self._first = Matcher(first) if first else None
        self._patterns: dict[str, list[tuple[str, str]]] = {}
        for text, module in aliases:
            if len(text) > LONGEST:
                continue
            pattern = normal(text)
            wild = _GLOB.search(pattern)
            prefix = pattern[: min(_PREFIX, wild.start() if wild else _PREFIX)]
            self._patterns.setdefault(prefix, []).append((pattern, module))
        self._lengths = sorted({len(prefix) for prefix in self._patterns})

    def modules(self, modalias: str) -> tuple[str, ...]:
        """Return the modules whose patterns match `modalias`, in the order of their names.

        A modalias or a pattern longer than LONGEST characters matches nothing.
        """
        if len(modalias) > LONGEST:
            return ()
        if self._first and (decided := self._first.modules(modalias)):
            return decided
        device = normal(modalias)
        found = set()
        for length in self._lengths:
            if length > len(device):
                break
            for pattern, module in self._patterns.get(device[:length], ()):
                if module not in found and _fits(device, pattern):
                    found.add(module)
        return tuple(sorted(found))


def _fits(device: str, pattern: str) -> bool:
    """Say whether `pattern` matches; what it wants literally must be there, which is quick to see."""
    if UNKNOWN not in device and any(part not in device for part in _literals(pattern)):
        return False
    return _compiled(pattern).fullmatch(device) is not None


@lru_cache(maxsize=1 << 15)
def _literals(pattern: str) -> tuple[str, ...]:
    """Return the stretches of `pattern` without wildcards; none if it has brackets or backslashes."""
    if "[" in pattern or "\\" in pattern:
        return ()
    return tuple(part for part in re.split(r"[*?]", pattern) if part)


@lru_cache(maxsize=1 << 12)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return `pattern`, of fnmatch(3), as a regular expression that an unknown digit fits as well.

    What stands between two stars is taken where it first fits and never elsewhere (all of it has a
    fixed length, so that is right): a hostile pattern costs no more than its length times the device's.
    """
    parts: list[list[str]] = [[]]
    for token in _TOKEN.finditer(re.sub(r"\*+", "*", pattern)):
        if token["set"]:
            parts[-1].append(_one_of(token["set"][1:-1]))
        elif token["one"] == "*":
            parts.append([])
        elif token["one"] == "?":
            parts[-1].append(".")
        else:
            char = token["quoted"] or token["one"]
            parts[-1].append(f"[{char}{UNKNOWN}]" if char in _DIGITS else re.escape(char))
    first, *middle = ("".join(part) for part in parts)
    last = f".*{middle.pop()}" if middle else ""
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + last, re.DOTALL)


def _one_of(inside: str) -> str:
    """Return the bracket expression that has `inside`; a range the wrong way round matches nothing."""
    negated = inside[:1] in ("!", "^") and len(inside) > 1
    inside = inside[1:] if negated else inside
    out, at = [], 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            low, high = inside[at], inside[at + 2]
            if low <= high:
                out.append(f"{re.escape(low)}-{re.escape(high)}")
            at += 3
        else:
            out.append(re.escape(inside[at]))
            at += 1
    if negated:
        return f"(?:[^{''.join(out)}]|[{UNKNOWN}])" if out else "."
    return f"[{''.join(out)}{UNKNOWN}]"
