"""PXELINUX: pxelinux.cfg/default, and a file for each client that boots another entry.

The syntax is that of https://wiki.syslinux.org/wiki/index.php?title=Config; a value is the rest of its line.
"""

from pathlib import PurePosixPath

from mkpxeinit.netboot import values
from mkpxeinit.netboot.bootfile import head
from mkpxeinit.netboot.menu import BootEntry, Menu

FOLDER = PurePosixPath("pxelinux.cfg")


def configuration(menu: Menu) -> dict[PurePosixPath, str]:
    """Return the files: path below the TFTP root, text. Paths in them are relative to pxelinux.0's folder."""
    files = {FOLDER / "default": _file(menu, menu.default)}
    for mac, label in menu.clients:
        # 01 is the hardware type of Ethernet; lower case, the letters that PXELINUX asks for.
        files[FOLDER / f"01-{mac.replace(':', '-')}"] = _file(menu, label)
    return files


def _file(menu: Menu, default: str) -> str:
    lines = []
    if menu.console:
        unit, speed = values.console_parts(menu.console)
        lines.append(f"serial {unit} {speed}")  # has to be the first directive
    lines.append(f"default {default}")
    lines.append("prompt 0")
    if menu.timeout:
        lines.append("ui menu.c32")
        lines.append("menu title Network boot")
        lines.append(f"timeout {menu.timeout * 10}")  # tenths of a second
    for entry in menu.shown(default):
        lines.extend(_entry(entry))
    return head("PXELINUX") + "\n".join(lines) + "\n"


def _entry(entry: BootEntry) -> list[str]:
    return [
        f"label {entry.label}",
        # In titles ^ marks a key.
        f"  menu label {entry.title.replace('^', ' ')}",
        f"  kernel {entry.kernel}",
        *([f"  initrd {','.join(map(str, entry.initrds))}"] if entry.initrds else []),
        # A lone `-` would mean no parameters.
        f"  append {entry.cmdline}" if entry.cmdline not in ("", "-") else "  append -",
        "  ipappend 2",  # adds BOOTIF=
    ]
