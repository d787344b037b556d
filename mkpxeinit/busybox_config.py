"""The .config of our busybox (Kconfig's format), from the fragments in busybox-configs/."""

import re
from collections.abc import Mapping
from pathlib import Path

from mkpxeinit.errors import MkpxeinitError, os_cause

FRAGMENTS = ("base.config", "client.config", "extra.config")
# What Debian's busybox-static has not, and therefore no build remarks on: applets.txt leaves them away.
EXTRA_APPLETS = ("nbd-client", "udhcpc6")

_LINE = re.compile(r'(CONFIG_[A-Z0-9_]+)=(y|n|[0-9]+|"[^"\\]*")')
_SET = re.compile(r"(CONFIG_\w+)=(.*)")


def read_fragments(folder: Path) -> dict[str, str]:
    """Return what the fragments in `folder` set: names with CONFIG_, and values as a .config has them.

    MkpxeinitError if one is missing, or has a line that is no option, or one that another has.
    """
    options: dict[str, str] = {}
    for name in FRAGMENTS:
        path = folder / name
        try:
            lines = path.read_text("ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            cause = os_cause(error) if isinstance(error, OSError) else "not ASCII"
            raise MkpxeinitError(f"{path}: {cause}; mkpxeinit is not installed completely") from error
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            found = _LINE.fullmatch(line)
            if found is None or found[1] in options:
                wrong = "not CONFIG_NAME=VALUE" if found is None else f"{found[1]} is set twice"
                raise MkpxeinitError(f"{path}:{number}: {wrong}; correct the line")
            options[found[1]] = found[2]
    return options


def first_config(options: Mapping[str, str]) -> str:
    """Return a .config with just these options; the source's own defaults come for all others."""
    return "".join(_line(name, value) for name, value in options.items())


def strict_config(completed: str, options: Mapping[str, str]) -> str:
    """Return a .config in which everything is off that `options` does not set.

    `completed` is what `make oldconfig` made of the first one: it names all that can be switched off. Numbers
    and texts keep their defaults.
    """
    lines = [first_config(options)]
    for line in completed.splitlines():
        found = _SET.fullmatch(line)
        if found is not None and found[1] not in options:
            lines.append(_line(found[1], "n" if found[2] == "y" else found[2]))
    return "".join(lines)


def unknown(final: str, options: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of `options` that are not as they were to be in the `final` .config, sorted."""
    have = {found[1]: found[2] for line in final.splitlines() if (found := _SET.fullmatch(line))}
    return tuple(sorted(name for name, value in options.items() if have.get(name, "n") != value))


def _line(name: str, value: str) -> str:
    return f"# {name} is not set\n" if value == "n" else f"{name}={value}\n"
