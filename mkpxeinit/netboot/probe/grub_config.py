"""The configuration of GRUB: where its network image looks for it, what it says (its manual, 5 and 6).

What is understood: set, if with test or [ ... ] (strings, and whether a file is there), source, configfile,
menuentry, submenu, linux, initrd. Nothing is executed; other commands are passed over.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from mkpxeinit.netboot.probe.entry import (
    MOST_ENTRIES,
    MOST_INCLUDES,
    MOST_LINES,
    Configuration,
    Entry,
    Get,
)
from mkpxeinit.netboot.probe.wire import shown

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_LONGEST = 4096  # of a word when its variables are put in
_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r]|\\\n)+)|(?P<comment>\#[^\n]*)|(?P<end>[\n;{}])"""
    r"""|(?P<word>(?:\$\{\w+\}|[^\s;{}'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+)|(?P<odd>.)""",
    re.DOTALL,
)
_PART = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^'"\\]+)""", re.DOTALL)
_LOADS = ("linux", "linuxefi", "linux16", "initrd", "initrdefi", "initrd16")
_DEVICE = re.compile(r"\((?:tftp|pxe|net\d*|http)[^)]*\)")


def names(loader: str, mac: str, address: str | None) -> list[str]:
    """Return the files that GRUB's network images look for, the first first.

    Their prefix is built in: /grub in Debian's, /boot/grub by grub-mknetdir, the loader's folder in others.
    """
    here = posixpath.dirname(loader)
    folders = ["/grub", "/boot/grub", *(f"{here}{part}" for part in ("/grub", "") if here.strip("/"))]
    ends = [f"-01-{mac.replace(':', '-')}"]
    if address is not None:
        digits = f"{int(IPv4Address(address)):08X}"
        ends += [f"-{digits[:length]}" for length in range(8, 0, -1)]
    return [f"{folder}/grub.cfg{end}" for folder in dict.fromkeys(folders) for end in (*ends, "")]


@dataclass(slots=True)
class _Menu:
    title: str
    label: str
    body: list[list[str]]


@dataclass(slots=True)
class _Reader:
    get: Get
    values: dict[str, str]
    menus: list[_Menu] = field(default_factory=list)
    steps: int = 0
    includes: int = 0
    notes: list[str] = field(default_factory=list)
    direct: list[list[str]] = field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes and len(self.notes) < 10:
            self.notes.append(text)

    def word(self, raw: str) -> str:
        """Return a word without its quotes, variables put in."""
        found = ""
        for single, double, escaped, plain in _PART.findall(raw):
            if double or plain:
                found += self._expanded(double or plain, unescape=bool(double))
            else:
                found += single or escaped
            if len(found) > _LONGEST:
                return found[:_LONGEST]
        return found

    def _expanded(self, text: str, *, unescape: bool) -> str:
        if unescape:
            text = re.sub(r'\\(["\\])', r"\1", text)
        return _VARIABLE.sub(lambda seen: self.values.get(seen[1] or seen[2], ""), text)

    def name(self, word: str) -> str:
        """Return a file's name without the device that it is on."""
        return _DEVICE.sub("", word, count=1)

    def run(self, commands: Iterator[list[str]]) -> None:
        """Take in commands, of which those in a branch that is not taken are left out."""
        branches: list[list[bool]] = []  # of each `if`: is it taken now, was one taken, is it outside
        for raw in commands:
            self.steps += 1
            if self.steps > MOST_LINES:
                self.note(f"only the first {MOST_LINES} commands were read")
                return
            head = raw[0]
            if head in ("if", "elif", "else", "then", "fi"):
                rest = self._branch(head, raw[1:], branches)
                if not rest:
                    continue
                raw = rest
            if all(taken for taken, _, _ in branches):
                self._command(raw, commands)
            elif raw[-1] == "{":
                _body(commands)

    def _branch(self, head: str, rest: list[str], branches: list[list[bool]]) -> list[str]:
        """Keep track of an `if`; return a command that stands behind `then` or `else`."""
        if head == "if":
            outside = all(taken for taken, _, _ in branches)
            true = outside and self._true(rest)
            branches.append([true, true, outside])
            return []
        if not branches:
            return []
        last = branches[-1]
        if head == "fi":
            branches.pop()
            return []
        if head == "elif":
            last[0] = last[2] and not last[1] and self._true(rest)
            last[1] = last[1] or last[0]
            return []
        if head == "else":
            last[0] = last[2] and not last[1]
            last[1] = True
        return rest

    def _true(self, raw: list[str]) -> bool:
        words = [self.word(each) for each in raw]
        if words and words[0] in ("[", "test"):
            words = words[1:-1] if words[-1] == "]" else words[1:]
        match words:
            case [left, "=" | "==", right]:
                return left == right
            case [left, "!=", right]:
                return left != right
            case ["-n", text]:
                return bool(text)
            case ["-z", text]:
                return not text
            case ["!", *others]:
                return not self._true(others)
            case ["-e" | "-f" | "-s", name]:
                return self.get(self.name(name)) is not None
            case [text] if text:
                return True
        self.note(f"a condition was taken as false: {shown(' '.join(words), 60)}")
        return False

    def _command(self, raw: list[str], commands: Iterator[list[str]]) -> None:
        head = raw[0]
        if head in ("menuentry", "submenu", "function") and raw[-1] == "{":
            body = _body(commands)
            if head == "submenu":
                self.run(iter(body))
            elif head == "menuentry" and len(self.menus) < MOST_ENTRIES:
                words = [self.word(each) for each in raw[1:-1]]
                label = next((b for a, b in zip(words, words[1:], strict=False) if a == "--id"), "")
                self.menus.append(_Menu(words[0] if words else "", label, body))
        elif head == "set" and len(raw) > 1:
            key, _, value = raw[1].partition("=")
            self.values[key[:64]] = self.word(value)
        elif head in ("source", "configfile", ".") and len(raw) > 1:
            self._include(self.name(self.word(raw[1])))
        elif head in _LOADS:
            self.direct.append([self.word(each) for each in raw])

    def _include(self, name: str) -> None:
        self.includes += 1
        text = self.get(name) if self.includes <= MOST_INCLUDES else None
        if text is None:
            self.note(f"the file {shown(name)!r} that it names is not there")
        else:
            self.run(commands_of(text))


def commands_of(text: str) -> Iterator[list[str]]:
    """Yield the commands of a script as lists of raw words; one that opens a block ends in `{`."""
    words: list[str] = []
    for token in _TOKEN.finditer(text[: 1 << 20]):
        if token.lastgroup == "word":
            words.append(token[0])
        elif token.lastgroup == "end":
            if token[0] == "{":
                words.append("{")
            if words:
                yield words
            words = ["}"] if token[0] == "}" else []
            if words:
                yield words
                words = []
        if len(words) > 1000:
            words = words[:1000]
    if words:
        yield words


def _body(commands: Iterator[list[str]]) -> list[list[str]]:
    """Return the commands up to the brace that closes the block."""
    depth = 1
    found: list[list[str]] = []
    for each in commands:
        depth += (each[-1] == "{") - (each == ["}"])
        if depth == 0:
            break
        found.append(each)
    return found


def _entry(label: str, loads: list[list[str]], reader: _Reader) -> Entry | None:
    kernel, line = "", ""
    initrds: tuple[str, ...] = ()
    for words in loads:
        if words[0].startswith("linux") and len(words) > 1:
            kernel, line = reader.name(words[1]), " ".join(words[2:])
        elif words[0].startswith("initrd"):
            initrds = tuple(reader.name(word) for word in words[1:])
    return Entry(label, kernel, initrds, line) if kernel else None


def read(text: str, get: Get, mac: str, address: str | None, prefix: str) -> Configuration:
    """Return what a configuration says to this client; `get` reads what it includes. Nothing is an error."""
    known = {"net_default_mac": mac, "prefix": prefix, "net_default_ip": address or "", "root": "tftp",
             "feature_net_search_cfg": "y", "grub_platform": "efi", "grub_cpu": "x86_64"}  # fmt: skip
    reader = _Reader(get, known)
    reader.run(commands_of(text))
    entries: list[Entry] = []
    default: Entry | None = None
    wanted = reader.values.get("default", "0").rpartition(">")[2]
    if (straight := _entry("", reader.direct, reader)) is not None:
        entries.append(straight)
        default = None if reader.menus else straight
    for number, menu in enumerate(list(reader.menus)):
        reader.direct = []
        reader.run(iter(menu.body))
        found = _entry(menu.label or menu.title, reader.direct, reader)
        if found is not None:
            entries.append(found)
            if default is None and wanted in (str(number), menu.label, menu.title):
                default = found
    return Configuration(tuple(entries), default, tuple(reader.notes))
