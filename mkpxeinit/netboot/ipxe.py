"""iPXE: one script for all machines, which picks the entry by hardware address.

The commands are those of https://ipxe.org/cmd. A line is words between blanks; there are no quotes, `${`
begins a setting, and a word that begins with # ends the line.
"""

from pathlib import PurePosixPath

from mkpxeinit.netboot.menu import BootEntry, Menu

FILE = PurePosixPath("boot.ipxe")
_NO_COMMENT = "Written by mkpxeinit server-config: changes here are lost, change the description."


def configuration(menu: Menu, file: PurePosixPath = FILE) -> dict[PurePosixPath, str]:
    """Return the script: path below the TFTP root, text. Paths in it are relative to its own place."""
    up = "../" * (len(file.parts) - 1)
    lines = ["#!ipxe", f"# {_NO_COMMENT}", f"set target {menu.default}"]
    # netX is the interface that was used last: the one that the script came through.
    lines.extend(f"iseq ${{netX/mac}} {mac} && set target {label} ||" for mac, label in menu.clients)
    if menu.timeout:
        lines.extend(_menu(menu))
    lines.append("goto boot.${target}")
    for entry in menu.entries:
        lines.extend(_entry(entry, up))
    return {file: "\n".join(lines) + "\n"}


def _menu(menu: Menu) -> list[str]:
    titles = {entry.label: plain(entry.title) for entry in menu.entries}
    everybody = [entry.label for entry in menu.shown(menu.default)]
    lines = ["menu Network boot", *(f"item {label} {titles[label]}" for label in everybody)]
    lines.extend(
        f"iseq ${{netX/mac}} {mac} && item {label} {titles[label]} ||"
        for mac, label in menu.clients
        if label not in everybody
    )
    # Where no menu can be shown, the target stays.
    lines.append(f"choose --default ${{target}} --timeout {menu.timeout * 1000} target ||")
    return lines


def _entry(entry: BootEntry, up: str) -> list[str]:
    # initrd= is for the kernel's EFI stub, which loads by name; a BIOS kernel ignores it.
    names = "".join(f" initrd={_name(number)}" for number in range(len(entry.initrds)))
    parameters = f"{entry.cmdline} " if entry.cmdline else ""
    kernel = f"{up}{entry.kernel}{names} {parameters}BOOTIF=01-${{netX/mac:hexhyp}}"
    failed = f"failed.{entry.label}"
    return [
        f":boot.{entry.label}",
        "imgfree",
        f"kernel {kernel} || goto {failed}",
        *(
            f"initrd --name {_name(number)} {up}{path} || goto {failed}"
            for number, path in enumerate(entry.initrds)
        ),
        f"boot || goto {failed}",
        f":{failed}",
        # Back to the firmware, which may have another device to boot from, or asks again.
        "echo Cannot boot: see the line above, and the server's log",
        "sleep 10",
        "exit 1",
    ]


def _name(number: int) -> str:
    return f"initrd{number}.img"


def plain(title: str) -> str:
    """Return `title` for a line of iPXE's: nothing that it would expand, join or take for a comment."""
    words = title.replace("${", "$ {").split()
    return " ".join("." if word in ("&&", "||", ";") else word.lstrip("#") or "." for word in words)
