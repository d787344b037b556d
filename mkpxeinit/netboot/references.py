"""The files that loaders' configurations name, ours and hand-written ones.

Read are what PXELINUX (wiki.syslinux.org, Config), GRUB (its manual, Commands) and iPXE (ipxe.org/cmd) do
with names of files on the server that they came from. What is only known at boot (variables, other
servers) is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

PXELINUX, GRUB, IPXE = "PXELINUX", "GRUB", "iPXE"
_PXE_FILES = frozenset({"kernel", "linux", "com32", "fdt", "include", "pxe", "config"})
_GRUB_FILES = frozenset(
    {"linux", "linux16", "linuxefi", "configfile", "source", "chainloader", "loadfont", "devicetree", "."}
)
_GRUB_LISTS = frozenset({"initrd", "initrd16", "initrdefi"})
_IPXE_FILES = frozenset(
    {"kernel", "initrd", "chain", "module", "imgfetch", "imgload", "imgexec", "imgselect"}
)
_IPXE_VALUES = frozenset({"-n", "--name", "-t", "--timeout"})
_WORD = re.compile(r"'([^']*)'|\"([^\"]*)\"|([^\s'\";]+)")
_DEVICE = re.compile(r"\((?:tftp|http|pxe|\$root|\$net_default_server|tftp,[^)]*|http,[^)]*)\)")


@dataclass(frozen=True, slots=True)
class Reference:
    """A file that line `line` of a configuration names: its path below the TFTP root."""

    line: int
    name: PurePosixPath


def kind_of(path: PurePosixPath) -> str | None:
    """Return the loader that reads the file `path` of a TFTP root; None if it is none's configuration."""
    if path.parent == PurePosixPath("pxelinux.cfg"):
        taken = re.fullmatch(
            r"default|01(-[0-9a-f]{2}){6}|[0-9A-F]{1,8}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", path.name
        )  # noqa: E501
        return PXELINUX if taken else None
    if path.parts[:1] in (("grub",), ("boot",)) and re.fullmatch(r"grub\.cfg(-[0-9A-Za-z-]+)?", path.name):
        return GRUB
    return IPXE if path.suffix == ".ipxe" else None


def find(path: PurePosixPath, text: str) -> Iterator[Reference]:
    """Yield what the configuration `path` with this text names, in its order."""
    kind = kind_of(path)
    for number, line in enumerate(text.splitlines(), 1):
        if kind == PXELINUX:
            names = _pxelinux(line)
        elif kind == GRUB:
            names = _grub(line)
        else:
            names = _ipxe(line, path.parent)
        for name in names:
            found = _below(name)
            if found is not None:
                yield Reference(number, found)


def _below(name: str) -> PurePosixPath | None:
    """Return `name` as a path below the root, None if that cannot be said."""
    if "$" in name or "://" in name or "::" in name or not name.strip("/"):
        return None
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return PurePosixPath(*parts) if parts else None


def _pxelinux(line: str) -> list[str]:
    words = line.split()
    if len(words) < 2:
        return []
    first = words[0].lower()
    if first in _PXE_FILES:
        return [words[1]]
    if first == "menu" and words[1].lower() in ("include", "background") and len(words) > 2:
        return [words[2]]
    if first in ("ui", "default", "ontimeout", "onerror"):
        return [words[1]] if words[1].endswith(".c32") else []
    if first == "initrd":
        return words[1].split(",")
    if first == "append":
        return [name for word in words[1:] if word.startswith("initrd=") for name in word[7:].split(",")]
    return []


def _grub(line: str) -> list[str]:
    words = [single or double or plain for single, double, plain in _WORD.findall(line)]
    if not words or words[0].startswith("#"):
        return []
    command, *arguments = words
    arguments = [word for word in arguments if not word.startswith("--")]
    if command in _GRUB_FILES:
        arguments = arguments[:1]
    elif command not in _GRUB_LISTS:
        return []
    return [_DEVICE.sub("", word, count=1).replace("$prefix", "/grub") for word in arguments]


def _ipxe(line: str, folder: PurePosixPath) -> list[str]:
    words = line.split()
    if len(words) < 2 or words[0] not in _IPXE_FILES:
        return []
    rest = iter(words[1:])
    for word in rest:
        if word in _IPXE_VALUES:
            next(rest, None)
        elif not word.startswith("-"):
            return [word if word.startswith("/") else f"{folder}/{word}"]
    return []
