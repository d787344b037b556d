"""The configuration of pxelinux: where it is looked for, and what it says (the manual of Syslinux)."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from uuid import UUID

from mkpxeinit.netboot.probe.entry import (
    MOST_ENTRIES,
    MOST_INCLUDES,
    MOST_LINES,
    Configuration,
    Entry,
    Get,
)
from mkpxeinit.netboot.probe.wire import shown


def names(mac: str, address: str | None, uuid: UUID | None = None) -> list[str]:
    """Return the files that pxelinux looks for, the first first; the one by UUID if that is known.

    It takes the bytes as they lie in SMBIOS and come in option 97, the first three numbers low byte first.
    """
    found = [f"pxelinux.cfg/{UUID(bytes=uuid.bytes_le)}"] if uuid is not None else []
    found.append(f"pxelinux.cfg/01-{mac.replace(':', '-')}")
    if address is not None:
        digits = f"{int(IPv4Address(address)):08X}"
        found += [f"pxelinux.cfg/{digits[:length]}" for length in range(8, 0, -1)]
    return [*found, "pxelinux.cfg/default"]


@dataclass(slots=True)
class _Label:
    name: str
    kernel: str = ""
    initrds: tuple[str, ...] = ()
    append: str | None = None
    default: bool = False
    local: bool = False


@dataclass(slots=True)
class _Reader:
    get: Get
    labels: list[_Label] = field(default_factory=list)
    default: str = ""
    ontimeout: str = ""
    menu: str = ""
    append: str = ""
    lines: int = 0
    includes: int = 0
    notes: list[str] = field(default_factory=list)

    def read(self, text: str) -> None:
        for raw in text.splitlines():
            self.lines += 1
            if self.lines > MOST_LINES:
                self.notes.append(f"only the first {MOST_LINES} lines were read")
                return
            word, _, value = raw.strip().partition(" ")
            self._line(word.lower(), value.strip(), raw)

    def _line(self, word: str, value: str, raw: str) -> None:
        label = self.labels[-1] if self.labels else None
        if word == "label" and len(self.labels) < MOST_ENTRIES:
            self.labels.append(_Label(value))
        elif word == "include" or raw.strip().lower().startswith("menu include "):
            words = value.split()[1:] if word == "menu" else value.split()
            self._include(words[0] if words else "")
        elif word == "default":
            self.default = value
        elif word == "ui":
            self.menu = value.partition(" ")[0]
        elif word == "ontimeout":
            self.ontimeout = value
        elif word == "append" and label is None:
            self.append = value
        elif label is not None:
            self._of_label(label, word, value)

    def _of_label(self, label: _Label, word: str, value: str) -> None:
        if word in ("kernel", "linux"):
            label.kernel = value
        elif word == "initrd":
            label.initrds += tuple(value.split(","))
        elif word == "append":
            label.append = "" if value == "-" else value
        elif word == "menu" and value.lower() == "default":
            label.default = True
        elif word == "localboot":
            label.local = True

    def _include(self, name: str) -> None:
        self.includes += 1
        if self.includes > MOST_INCLUDES:
            self.notes.append("too many files are included")
            return
        text = self.get(name)
        if text is None:
            self.notes.append(f"the included file {shown(name)!r} is not there")
        else:
            self.read(text)


def _entry(label: _Label, append: str) -> Entry:
    words = (append if label.append is None else label.append).split()
    given = [word.removeprefix("initrd=") for word in words if word.startswith("initrd=")]
    initrds = label.initrds or tuple(name for each in given[-1:] for name in each.split(","))
    line = " ".join(word for word in words if not word.startswith("initrd="))
    return Entry(label.name, label.kernel, tuple(name for name in initrds if name), line)


def read(text: str, get: Get) -> Configuration:
    """Return what a configuration says; `get` reads what it includes. Nothing in it is an error."""
    reader = _Reader(get)
    reader.read(text)
    entries = {label.name: _entry(label, reader.append) for label in reader.labels if label.kernel}
    chosen = next((label.name for label in reader.labels if label.default), "")
    wanted = [reader.ontimeout.split(" ")[0], chosen, reader.default.split(" ")[0]]
    first = reader.menu or reader.default.partition(" ")[0]
    modules = (first,) if first.lower().endswith(".c32") else ()
    locals_ = {label.name for label in reader.labels if label.local}
    default = next((entries[name] for name in wanted if name in entries), None)
    if default is None and entries and not locals_.intersection(wanted):
        # `default vesamenu.c32`: a menu, which begins with the first label.
        default = next(iter(entries.values())) if modules or not reader.default else None
    return Configuration(tuple(entries.values()), default, tuple(reader.notes), modules=modules)
