"""Drivers that are built into a kernel, by modules.builtin.modinfo: `MODULE.KEY=VALUE`, each ended by a NUL.

Format: Documentation/kbuild/kbuild.rst of the kernel, which has the file since 5.2. Aliases by which devices
are matched are in it since 6.18 (scripts/mod/modpost.c); before that, hardly any.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mkpxeinit.errors import KernelError
from mkpxeinit.kernel.modprobed import normal_name

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_FILE = re.compile(r"(?:[A-Za-z0-9_.+,-]+/)*[A-Za-z0-9_+,-]+")
# What modpost makes of device tables; aliases of other buses are often written by hand (MODULE_ALIAS).
_DEVICE = re.compile(r"pci:v|of:N|acpi\*?:|usb:v|pnp:d|virtio:d")
_NETWORK = re.compile(r"(?:kernel/)?drivers/(?:net|virtio|hv|usb/host)/")


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A driver in the kernel: `path` is as in modules.builtin, or that of its source; it may be empty."""

    name: str
    path: str
    aliases: tuple[str, ...]
    firmware: tuple[str, ...]


def parse_modinfo(text: str, shown: str, paths: dict[str, str]) -> dict[str, BuiltIn]:
    """Return the drivers that `text` describes and those of `paths` (modules.builtin), by name.

    KernelError, with the number of the entry, if one is not of the form: the file has no lines.
    """
    files = dict(paths)
    aliases: dict[str, list[str]] = {}
    firmware: dict[str, list[str]] = {}
    kinds = {"alias": aliases, "firmware": firmware}
    entries = text.split("\0")
    if entries.pop():
        raise KernelError(
            f"{shown}: entry {len(entries) + 1} is cut short; install the kernel's package again"
        )
    for number, entry in enumerate(entries, 1):
        field, equals, value = entry.partition("=")
        name, dot, key = field.partition(".")
        if not (equals and dot and key and _NAME.fullmatch(name)):
            raise KernelError(
                f"{shown}: entry {number}: not MODULE.KEY=VALUE: {entry[:80]!r}; "
                "install the kernel's package again"
            )
        name = normal_name(name)
        if key in kinds:
            kinds[key].setdefault(name, []).append(value)
        elif key == "file" and _FILE.fullmatch(value) and ".." not in value.split("/"):
            files.setdefault(name, f"kernel/{value}.ko")
    return {
        name: BuiltIn(name, files.get(name, ""), tuple(aliases.get(name, ())), tuple(firmware.get(name, ())))
        for name in dict.fromkeys((*files, *aliases, *firmware))
    }


def image_text(drivers: Iterable[BuiltIn]) -> str:
    """Return a modules.builtin.modinfo of those `drivers` that serve networks, or what networks hang on."""
    return "".join(
        f"{each.name}.{entry}\0"
        for each in drivers
        if _NETWORK.match(each.path) and (each.aliases or each.firmware)
        for entry in (
            f"file={each.path.removeprefix('kernel/').removesuffix('.ko')}",
            *(f"alias={alias}" for alias in each.aliases),
            *(f"firmware={name}" for name in each.firmware),
        )
    )


def has_devices(driver: BuiltIn) -> bool:
    """Say whether it is known by which devices `driver` is asked for."""
    return any(_DEVICE.match(alias) for alias in driver.aliases)
