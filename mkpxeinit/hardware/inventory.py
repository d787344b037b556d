"""Inventories: what `--hardware` names, read into devices.

A file is told by how it begins: JSON is lshw's, a slot is lspci's, `BUS:` a list of modaliases (one a
line, `#` begins a comment): what `cat /sys/bus/*/devices/*/modalias` prints and what a client leaves in
/run/pxeinit/hardware. A folder is a copy of /sys, or holds one as `sys`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mkpxeinit.errors import HardwareError, SysrootError, os_cause, printable
from mkpxeinit.hardware import lshw, lspci, modalias
from mkpxeinit.hardware.given import is_pipe, read_given
from mkpxeinit.sysroot import Sysroot

MAX_FILE = 16 << 20  # bytes; the largest known, lshw's of a server, has two
_MODALIAS = re.compile(r"[a-z][a-z0-9_-]*:.*")
_FORMS = "lspci -nn, -n, -nmm or -nnk, lshw -json -numeric, a list of modaliases, or a copy of /sys"


@dataclass(frozen=True, slots=True)
class Device:
    """A device and where it stands: its modalias (`?` for what is unknown), else its driver's name."""

    where: str
    modalias: str | None
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """The devices of a machine; `shown` names the file in messages."""

    shown: str
    devices: tuple[Device, ...]


def read_inventory(path: Path) -> Inventory:
    """Return the devices that `path` lists; HardwareError names file and line if it is no inventory."""
    shown = printable(path)
    try:
        if path.is_dir():
            return Inventory(shown, tuple(_of_sysfs(path.resolve(), shown)))
        text = read_given(path, MAX_FILE).decode("utf-8", "replace")
    except (OSError, RuntimeError) as error:
        cause = os_cause(error) if isinstance(error, OSError) else "too many symbolic links"
        raise HardwareError(f"{shown}: {cause}") from error
    # The number of a pipe says nothing, and is another one next time.
    name = "pipe" if is_pipe(path) else printable(path.name)
    return Inventory(shown, tuple(parse(text.removeprefix("\N{BYTE ORDER MARK}"), shown, name)))


def parse(text: str, shown: str, name: str) -> Iterator[Device]:
    """Yield the devices of a file's `text`; `shown` names it in errors, `name` in a device's place."""
    if lshw.looks_so(text):
        for node in lshw.read(text, shown):
            yield Device(f"{name} {printable(node.place)}", node.modalias, node.driver)
        return
    lines = text.replace("\r\n", "\n").split("\n")
    start = next((n for n, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")), None)
    if start is None:
        raise HardwareError(f"{shown}:1: an empty inventory; wanted is {_FORMS}")
    first = lines[start - 1]
    if lspci.looks_so(first):
        for found in lspci.read(lines, shown):
            yield Device(f"{name}:{found.line}", found.modalias)
    elif _MODALIAS.fullmatch(first):
        yield from _of_list(lines, shown, name)
    else:
        raise HardwareError(f"{shown}:{start}: no inventory: {first[:60]!r}; wanted is {_FORMS}")


def _valid(text: str) -> bool:
    """Say whether `text` can be the modalias of a device."""
    if len(text) > modalias.LONGEST or modalias.UNKNOWN in text:
        return False
    return text.isprintable() and _MODALIAS.fullmatch(text) is not None


def _of_list(lines: list[str], shown: str, name: str) -> Iterator[Device]:
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        text = line.strip()
        if not _valid(text):
            raise HardwareError(f"{shown}:{number}: not a modalias: {text[:60]!r}")
        yield Device(f"{name}:{number}", text)


def _of_sysfs(folder: Path, shown: str) -> Iterator[Device]:
    """Yield the devices of a copy of sysfs, whose links stay in it; those without a modalias are skipped."""
    tree = Sysroot.open(folder)
    top = "/sys/bus" if tree.is_dir("/sys/bus") else "/bus"
    if not tree.is_dir(top):
        raise HardwareError(f"{shown}/bus: no such folder; a copy of /sys has bus/*/devices/*/modalias")
    seen = 0
    for bus in tree.list(top):
        devices = f"{top}/{bus}/devices"
        for each in tree.list(devices) if tree.is_dir(devices) else ():
            for text in _modaliases(tree, f"{devices}/{each}"):
                seen += 1
                yield Device(f"{printable(bus)} {printable(each)}", text)
    if not seen:
        raise HardwareError(f"{shown}{top}: no */devices/*/modalias in it; copy /sys with: cp -a")


def _modaliases(tree: Sysroot, device: str) -> Iterator[str]:
    """Yield the modalias of a device of sysfs; PHYs have none there, but identifiers."""
    text = _line(tree, f"{device}/modalias")
    if _valid(text):
        yield text
    if "/mdio_bus/" not in device:
        return
    parts = f"{device}/c45_phy_ids"
    names = tree.list(parts) if tree.is_dir(parts) else ()
    for path in (f"{device}/phy_id", *(f"{parts}/{name}" for name in names if name.startswith("mmd"))):
        if found := modalias.mdio(_line(tree, path)):
            yield found


def _line(tree: Sysroot, path: str) -> str:
    try:
        return tree.read_text(path).strip()
    except SysrootError:
        return ""
