"""What a tree's modprobe.d says: blacklists, options, soft dependencies, aliases, commands.

Format and search: modprobe.d(5); details as kmod's `libkmod/libkmod-config.c` has them. All of it is
data: commands (`install`, `remove`) are never run, and never go into an image.
"""

import fnmatch
import os
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import TypeVar

from mkpxeinit.errors import printable
from mkpxeinit.sysroot import Sysroot

# The first that has a file of some name hides those of the same name in the others.
FOLDERS = (
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
)
_COMMANDS = ("install", "remove")
OFF = "off"  # `alias NAME off`: nothing is loaded for NAME
_MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# A backslash at the end of a line joins it to the next; before anything else it just goes away.
_TOKEN = re.compile(r"\\(?P<quoted>.?)|(?P<end>\n)|(?P<plain>[^\\\n]+)", re.DOTALL)
_BLANK = re.compile(r"[ \t]+")
_T = TypeVar("_T")


def normal_name(name: str) -> str:
    """Return a module's name as the kernel has it: dashes are underscores."""
    return name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: `kind` is its first word, `module` normalised, `text` the rest, `where` FILE:LINE.

    Of an alias, `text` is the pattern.
    """

    kind: str
    module: str
    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All statements in the order in which modprobe reads them, and remarks on what is none."""

    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()
    blacklist: Mapping[str, str] = field(default_factory=dict)  # module: where

    @property
    def aliases(self) -> tuple[tuple[str, str], ...]:
        """The patterns of `alias` statements, each with its module, perhaps OFF or one that is not there."""
        return tuple((each.text, each.module) for each in self.of_kind("alias"))

    def covers(self, pattern: str) -> bool:
        """Say whether an `alias` statement matches all that `pattern`, of modules.alias, matches.

        It decides alone then, as for kmod (`kmod_module_new_from_lookup`). A statement with other wildcards
        than stars is not compared.
        """
        return any(
            fnmatch.fnmatchcase(pattern, each.text)
            for each in self.of_kind("alias")
            if not any(sign in each.text for sign in "?[\\")
        )

    def of_kind(self, *kinds: str) -> Iterator[Statement]:
        """Yield the statements of these kinds."""
        return (each for each in self.statements if each.kind in kinds)


def read_settings(sysroot: Sysroot) -> Settings:
    """Return what modprobe.d of the tree says; SysrootError if a file cannot be read.

    As kmod does, a line that is no statement is passed over; a remark names it.
    """
    statements: list[Statement] = []
    notes: list[str] = []
    for path in _files(sysroot):
        shown = sysroot.show(path)
        for number, line in _lines(sysroot.read_text(path)):
            where = f"{shown}:{number}"
            found = _parse(line, where)
            if found is None:
                notes.append(f"{where}: not understood, so ignored: {printable(line)}")
            else:
                statements.append(found)
    blacklist: dict[str, str] = {}
    for each in statements:
        if each.kind == "blacklist":
            blacklist.setdefault(each.module, each.where)
    return Settings(tuple(statements), tuple(notes), blacklist)


def _files(sysroot: Sysroot) -> Iterator[str]:
    """Yield the paths of the files that count, by name; what is no file (/dev/null) hides others."""
    found: dict[str, str] = {}
    for folder in FOLDERS:
        for name in sysroot.list(folder) if sysroot.is_dir(folder) else ():
            if name.endswith(".conf") and not name.startswith("."):
                found.setdefault(name, f"{folder}/{name}")
    for name in sorted(found, key=os.fsencode):
        if sysroot.is_file(found[name]):
            yield found[name]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, joined where they are continued, with the number of the first."""
    number = first = 1
    parts: list[str] = []
    for token in _TOKEN.finditer(f"{text}\n\n"):  # two: the last line may end in a backslash
        number += token[0].count("\n")
        if token["end"] is None:
            parts.append((token["quoted"] or "").strip("\n") + (token["plain"] or ""))
            continue
        line = "".join(parts)
        if line.strip(" \t") and not line.startswith("#"):
            yield first, line
        parts, first = [], number


def _parse(line: str, where: str) -> Statement | None:
    """Return the statement of a line, None if it is none."""
    kind, module, *rest = (*_BLANK.split(line.strip(" \t"), maxsplit=2), "", "")
    text = rest[0]
    if kind == "alias":
        module, text = _BLANK.split(text)[0], module
    elif kind == "blacklist":
        text = ""
    elif kind not in ("options", "softdep", *_COMMANDS):
        return None
    if not text.isprintable() or (not text and kind != "blacklist"):
        return None
    name = module.isprintable() if kind in _COMMANDS else _MODULE.fullmatch(module)  # or a pattern of names
    if not name:
        return None
    return Statement(kind, normal_name(module), text, where)


def image_text(settings: Settings, modules: frozenset[str]) -> str:
    """Return what the image's modprobe is to know of `modules`, those of the image.

    busybox reads `alias`, `blacklist` and `options`; it takes `#` for a comment anywhere and a backslash
    at a line's end for a continuation, so options with these are left out (`remarks` names them).
    """
    lines = []
    for each in settings.statements:
        if each.kind == "alias" and (each.module in modules or each.module == OFF):
            if not _unreadable(each):
                lines.append(f"alias {each.text} {each.module}\n")
        elif each.module not in modules:
            continue
        elif each.kind == "blacklist":
            lines.append(f"blacklist {each.module}\n")
        elif each.kind == "options" and not _unreadable(each):
            lines.append(f"options {each.module} {each.text}\n")
    return "".join(dict.fromkeys(lines))


def _unreadable(each: Statement) -> bool:
    return "#" in each.text or each.text.endswith("\\")


def remarks(settings: Settings, modules: frozenset[str]) -> tuple[str, ...]:
    """Return a line for each statement about `modules`, those of the image, that has no effect there."""
    notes = []
    for each in settings.statements:
        if each.kind in _COMMANDS:
            named = sorted(fnmatch.filter(modules, each.module))
            notes += [
                f"{each.where}: {each.kind} command of {name} left out: images run none" for name in named
            ]
        elif each.kind == "options" and each.module not in modules:
            named = sorted(
                m for text, m in settings.aliases if normal_name(text) == each.module and m in modules
            )
            notes += [
                f"{each.where}: left out, busybox knows no options of an alias: write options {name} ..."
                for name in named
            ]
        elif each.module in modules and each.kind in ("options", "alias") and _unreadable(each):
            notes.append(f"{each.where}: left out, busybox cannot read it: {each.kind} with # or a last \\")
    return tuple(notes)


def refuse(settings: Settings, wanted: dict[str, _T], keep: Set[str]) -> list[str]:
    """Take blacklisted modules out of `wanted`, but for `keep`; return a remark for each.

    As for modprobe, a blacklist hides a module from what devices ask for, not from whoever names it, and
    not from modules that need it.
    """
    notes = []
    for name in [name for name in wanted if name in settings.blacklist and name not in keep]:
        notes.append(
            f"{name} left out ({wanted.pop(name)}): {settings.blacklist[name]} blacklists it; "
            f"--module {name} takes it"
        )
    return notes
