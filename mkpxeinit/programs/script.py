"""What the first line of a script asks for: execve(2), Interpreter scripts; env(1) for `-S`."""

import re
from dataclasses import dataclass

from mkpxeinit.errors import ProgramError

_MAX_LINE = 255  # bytes that the kernel reads behind `#!` (BINPRM_BUF_SIZE of 256), without the newline


@dataclass(frozen=True, slots=True)
class Shebang:
    """The interpreter of a script, and the program that it looks up if it is `env`."""

    interpreter: str
    looked_up: str | None = None


def read_shebang(data: bytes, shown: str) -> Shebang:
    """Return what the first line of the script `data` says; ProgramError if the kernel would refuse it."""
    line = data[2 : _MAX_LINE + 1].partition(b"\n")[0]
    if len(line) == _MAX_LINE - 1 and data[_MAX_LINE + 1 : _MAX_LINE + 2] not in (b"", b"\n"):
        raise ProgramError(f"{shown}: the line with its interpreter is longer than {_MAX_LINE} bytes")
    words = line.decode("utf-8", "surrogateescape").strip(" \t\r").split(None, 1)
    if not words or "\0" in words[0]:
        raise ProgramError(f"{shown}: `#!` without an interpreter")
    interpreter = words[0]
    if not interpreter.startswith("/"):
        raise ProgramError(f"{shown}: its interpreter {interpreter!r} is no absolute path")
    if interpreter.rpartition("/")[2] != "env":
        return Shebang(interpreter)
    return Shebang(interpreter, _of_env(words[1] if len(words) > 1 else ""))


def _of_env(text: str) -> str | None:
    """Return the program that env looks up: what is left behind `-S` and assignments, if anything."""
    for word in re.sub(r"^-\w*S\s*|^--split-string[= ]", "", text.strip()).split():
        if not word.startswith("-") and "=" not in word:
            return word
    return None
