"""GRUB: one grub/grub.cfg for all machines, which picks the entry by hardware address.

The syntax is that of GRUB's manual, "Shell-like scripting": in single quotes nothing is special but the
quote itself.
"""

from pathlib import PurePosixPath

from mkpxeinit.netboot import values
from mkpxeinit.netboot.bootfile import head
from mkpxeinit.netboot.menu import BootEntry, Menu

FILE = PurePosixPath("grub/grub.cfg")


def configuration(menu: Menu) -> dict[PurePosixPath, str]:
    """Return the file: path below the TFTP root, text. Paths in it begin at the root of the boot server."""
    lines = [f"set default={quoted(menu.default)}", f"set timeout={menu.timeout}"]
    if not menu.timeout:
        lines.append("set timeout_style=hidden")
    if menu.console:
        unit, speed = values.console_parts(menu.console)
        lines.append(f"serial --unit={unit} --speed={speed}")
        lines.append("terminal_input console serial")
        lines.append("terminal_output console serial")
    lines.extend(_choosing(menu))
    lines.append('if [ -n "$net_default_mac" ]; then set bootif="BOOTIF=01-$net_default_mac"; fi')
    for entry in menu.entries:
        lines.extend(_entry(entry))
    return {FILE: head("GRUB") + "\n".join(lines) + "\n"}


def _choosing(menu: Menu) -> list[str]:
    """Return the lines that set the default of each client that has its own."""
    lines = []
    for number, (mac, label) in enumerate(menu.clients):
        word = "elif" if number else "if"
        lines.append(f'{word} [ "$net_default_mac" = {quoted(mac)} ]; then set default={quoted(label)}')
    return [*lines, "fi"] if lines else []


def _entry(entry: BootEntry) -> list[str]:
    words = (f"/{entry.kernel}", *split_parameters(entry.cmdline))
    initrds = " ".join(quoted(f"/{path}") for path in entry.initrds)
    return [
        f"menuentry {quoted(entry.title)} --id {quoted(entry.label)} {{",
        # $bootif is not in quotes: where it is empty, no empty word is to come of it.
        f"  linux {' '.join(map(quoted, words))} $bootif",
        *([f"  initrd {initrds}"] if initrds else []),
        "}",
    ]


def split_parameters(cmdline: str) -> list[str]:
    """Return the kernel's parameters without their quotes: GRUB puts those with blanks into quotes itself."""
    words, word, within, begun = [], "", False, False
    for char in cmdline:
        if char == '"':
            within, begun = not within, True
        elif char == " " and not within:
            if word or begun:
                words.append(word)
            word, begun = "", False
        else:
            word += char
    if word or begun:
        words.append(word)
    return words


def quoted(text: str) -> str:
    """Return `text` as one word of GRUB's."""
    return "'" + text.replace("'", "'\\''") + "'"
