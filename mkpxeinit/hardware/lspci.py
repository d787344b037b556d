"""What lspci(8) of pciutils prints with numbers: `-n`, `-nn`, `-mm` and `-vmm`, with or without -k and -v.

Names (of pci.ids, in any encoding) are skipped. The subsystem is known from `-mm` and from the lines
that -k and -v add, the programming interface from `-mm` and -v; what is not known stays open.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mkpxeinit.errors import HardwareError
from mkpxeinit.hardware import modalias

_SLOT = re.compile(r"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7](?=\s)", re.IGNORECASE)
_TAIL = (
    r"(?P<vendor>[0-9a-f]{4}):(?P<device>[0-9a-f]{4})"
    r"(?P<bracket>\])?(?: \(rev [0-9a-f]{2}\))?(?: \(prog-if (?P<interface>[0-9a-f]{2}).*\))?\s*"
)
_PLAIN = re.compile(rf"\s(?:Class )?(?P<class>[0-9a-f]{{4}}): {_TAIL}", re.IGNORECASE)
# The first number of a class, the last of a device: neither is looked for again (a line may be hostile).
_NAMED = re.compile(
    rf"\s(?>.*?\[(?P<class>[0-9a-f]{{4}})\]: )(?>.*\[(?=[0-9a-f]{{4}}:[0-9a-f]{{4}}\])){_TAIL}", re.IGNORECASE
)
_SUBSYSTEM = re.compile(r"\s+Subsystem:.*?\[?([0-9a-f]{4}):([0-9a-f]{4})\]?\s*", re.IGNORECASE)
# An end that is missing is taken as well, so that no part of a line is read twice.
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)("|\\?\Z)')
_NUMBER = re.compile(r"(?:.*\[)?([0-9a-f]{4})\]?", re.IGNORECASE | re.DOTALL)
_INTERFACE = re.compile(r"\s-p([0-9a-f]{2})(?=\s)", re.IGNORECASE)
_RECORD = re.compile(r"(Slot|Class|Vendor|Device|SVendor|SDevice|ProgIf):\s+(.*)")
# Lines of -vmm that say nothing of ids, and those of -x.
_OTHER = re.compile(
    r"(?:Rev|PhySlot|Driver|Module|NUMANode|IOMMUGroup|DTNode):\s|[0-9a-f]{2,3}: [0-9a-f]{2} ", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A device of the list: hexadecimal digits, and the line where it stands; None is unknown."""

    line: int
    vendor: str
    device: str
    pci_class: str
    subsystem: tuple[str, str] | None = None
    interface: str | None = None

    @property
    def modalias(self) -> str:
        """Its modalias, as far as it is known."""
        return modalias.pci(self.vendor, self.device, self.pci_class, self.subsystem, self.interface)


def looks_so(line: str) -> bool:
    """Say whether `line` begins what lspci prints."""
    return _SLOT.match(line) is not None or line.startswith("Slot:")


def read(lines: Iterable[str], shown: str) -> Iterator[PciDevice]:
    """Yield the devices of the list; HardwareError names `shown` and the line that is none."""
    current: PciDevice | None = None
    record: dict[str, str] = {}
    started = 0
    for number, line in enumerate(lines, 1):
        field = _RECORD.match(line)
        if field is None or field[1] == "Slot":
            if record and (field is not None or not line.strip()):
                yield _of_record(record, started, shown)
                record = {}
            if field is not None:
                record, started = {"Slot": field[2]}, number
                continue
        elif record:
            record[field[1]] = field[2]
            continue
        if _SLOT.match(line):
            if current is not None:
                yield current
            current = _of_line(line, number, shown)
        elif line[:1].isspace():
            found = _SUBSYSTEM.fullmatch(line)
            if found is not None and current is not None:
                current = replace(current, subsystem=(found[1], found[2]))
        elif line.strip() and not line.startswith("#") and not _OTHER.match(line):
            raise HardwareError(f"{shown}:{number}: not a line of lspci: {line[:60]!r}")
    if current is not None:
        yield current
    if record:
        yield _of_record(record, started, shown)


def _of_line(line: str, number: int, shown: str) -> PciDevice:
    """Return the device of a line that begins with a slot."""
    slot = _SLOT.match(line)
    rest = line[slot.end() :] if slot else line
    if rest.lstrip().startswith('"'):
        return _of_quoted(rest, number, shown)
    found = _PLAIN.fullmatch(rest) or _NAMED.fullmatch(rest)
    if found is None:
        raise _no_numbers(number, shown)
    return PciDevice(number, found["vendor"], found["device"], found["class"], interface=found["interface"])


def _of_quoted(rest: str, number: int, shown: str) -> PciDevice:
    """Return the device of a line of -mm: class, vendor, device, vendor and device of the subsystem."""
    values = [_number(text) for text, end in _QUOTED.findall(rest) if end == '"']
    pci_class, vendor, device, *subsystem = values if len(values) >= 3 else [None] * 3
    if pci_class is None or vendor is None or device is None:
        raise _no_numbers(number, shown)
    interface = _INTERFACE.search(_QUOTED.sub('""', rest) + " ")
    return PciDevice(
        number,
        vendor,
        device,
        pci_class,
        _pair(*subsystem[:2]) if len(subsystem) >= 2 else None,
        interface[1] if interface else None,
    )


def _of_record(record: dict[str, str], number: int, shown: str) -> PciDevice:
    """Return the device of a record of -vmm."""
    pci_class, vendor, device, sub_vendor, sub_device = (
        _number(record.get(key, "")) for key in ("Class", "Vendor", "Device", "SVendor", "SDevice")
    )
    if pci_class is None or vendor is None or device is None:
        raise _no_numbers(number, shown)
    interface = re.match(r"[0-9a-fA-F]{2}\b", record.get("ProgIf", ""))
    return PciDevice(
        number, vendor, device, pci_class, _pair(sub_vendor, sub_device), interface[0] if interface else None
    )


def _pair(vendor: str | None, device: str | None) -> tuple[str, str] | None:
    return (vendor, device) if vendor is not None and device is not None else None


def _number(text: str) -> str | None:
    """Return the four digits that `text` is, or has in brackets at its end."""
    found = _NUMBER.fullmatch(text.strip())
    return found[1] if found else None


def _no_numbers(number: int, shown: str) -> HardwareError:
    return HardwareError(f"{shown}:{number}: no numbers of class, vendor and device; use lspci -nn")
