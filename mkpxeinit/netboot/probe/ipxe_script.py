"""An iPXE script: what it loads (ipxe.org/scripting, ipxe.org/cmd), followed, not executed.

What is understood: set, iseq, isset, goto, menu's choose with a default, kernel, initrd, imgargs, chain,
and `&&`, `||` between commands. Others are taken as done.
"""

import re
from dataclasses import dataclass, field

from mkpxeinit.netboot.probe.entry import Configuration, Entry
from mkpxeinit.netboot.probe.wire import shown

_MOST_STEPS = 2000
_LONGEST = 4096
_VARIABLE = re.compile(r"\$\{([^${}]*)\}")
_JOIN = re.compile(r"\s(\|\||&&)(?:\s|$)")
_END = ("exit", "shell", "sanboot", "poweroff", "reboot")


@dataclass(slots=True)
class _Script:
    lines: list[str]
    values: dict[str, str]
    kernel: str = ""
    initrds: list[str] = field(default_factory=list)
    args: str = ""
    chain: str = ""
    done: bool = False
    at: int = 0
    notes: list[str] = field(default_factory=list)

    def fill(self, text: str) -> str:
        """Return a text with its settings put in, those within others too."""
        for _ in range(8):
            filled = _VARIABLE.sub(self._value, text)[:_LONGEST]
            if filled == text:
                break
            text = filled
        return text

    def _value(self, seen: re.Match[str]) -> str:
        name, _, kind = seen[1].partition(":")
        value = self.values.get(name, self.values.get(name.rpartition("/")[2], ""))
        if kind in ("hexhyp", "hexraw"):
            value = value.replace(":", "-" if kind == "hexhyp" else "")
        return value

    def run(self) -> None:
        """Follow the script to what it boots."""
        for _ in range(_MOST_STEPS):
            if self.done or self.at >= len(self.lines):
                return
            line = self.lines[self.at].strip()
            self.at += 1
            if line and not line.startswith(("#", ":")):
                self._line(line)
        self.notes.append("it goes round in a circle")

    def _line(self, line: str) -> None:
        parts = _JOIN.split(f" {line}")
        good = self._command(self.fill(parts[0]).split())
        for join, command in zip(parts[1::2], parts[2::2], strict=True):
            if self.done:
                return
            if (join == "&&") == good:
                good = self._command(self.fill(command).split()) if command.strip() else True

    def _command(self, words: list[str]) -> bool:
        """Take one command in; return whether it succeeds."""
        if not words:
            return True
        head, rest = words[0], [word for word in words[1:] if not word.startswith("--")]
        match head:
            case "set" if rest:
                self.values[rest[0][:64]] = " ".join(rest[1:])
            case "clear" if rest:
                self.values.pop(rest[0], None)
            case "iseq":
                return len(rest) == 2 and rest[0] == rest[1]
            case "isset":
                return bool(rest)
            case "choose":
                return self._choose(words[1:])
            case "goto" if rest:
                return self._goto(rest[0])
            case _ if head in _END:
                self.done = True
            case _:
                self._load(head, words[1:])
        return True

    def _choose(self, words: list[str]) -> bool:
        name = words[-1] if words else ""
        flags = list(zip(words, words[1:], strict=False))
        value = next((b for a, b in flags if a in ("--default", "-d")), "")
        self.values[name[:64]] = value
        return bool(value)

    def _goto(self, label: str) -> bool:
        for number, line in enumerate(self.lines):
            if line.strip() == f":{label}":
                self.at = number + 1
                return True
        self.notes.append(f"there is no label {shown(label, 40)!r}")
        self.done = True
        return False

    def _load(self, head: str, words: list[str]) -> None:
        """Take in what loads and starts."""
        skip = 0
        for at, word in enumerate(words):
            if not word.startswith("-"):
                break
            skip = at + (2 if word in ("--name", "-n", "--timeout", "-t") else 1)
        words = words[skip:]
        if head in ("kernel", "linux", "imgselect") and words:
            self.kernel, self.args = words[0], " ".join(words[1:])
        elif head in ("initrd", "module", "imgfetch") and words:
            self.initrds.append(words[0])
        elif head == "imgargs" and words:
            self.args = " ".join(words[1:])
        elif head in ("chain", "imgexec") and words:
            self.chain, self.done = words[0], True
        elif head == "boot":
            self.done = True
            if words and not self.kernel:
                self.chain = words[0]


def read(text: str, settings: dict[str, str]) -> Configuration:
    """Return what a script boots with these settings (`mac`, `next-server`, ...). Nothing is an error."""
    script = _Script(text.splitlines()[:_MOST_STEPS], dict(settings))
    script.run()
    line = " ".join(word for word in script.args.split() if not word.startswith("initrd="))
    if not script.kernel:
        return Configuration((), None, tuple(script.notes), script.chain)
    entry = Entry("", script.kernel, tuple(script.initrds), line)
    return Configuration((entry,), entry, tuple(script.notes))
