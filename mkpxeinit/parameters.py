"""The client's kernel parameters, as the table of docs/client.md has them: the page is the one source.

The page comes with the package; completion and the manual page pxeinit(7) are made from it, and a test
of the client holds that it has every parameter.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mkpxeinit import resources
from mkpxeinit.dropins import PHASES
from mkpxeinit.errors import printable
from mkpxeinit.meant import close

PAGE = "client.md"
_OWN = "pxeinit."
_SPLIT = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: its name, all values if they are few (in their order), whether it stands without one."""

    name: str
    values: tuple[str, ...] = ()
    is_flag: bool = False


def page(name: str) -> str:
    """Return the text of docs/`name`; MkpxeinitError if this installation lacks it."""
    return (resources.folder("docs") / name).read_text(encoding="utf-8")


def read() -> tuple[Parameter, ...]:
    """Return the parameters in the order of the page."""
    found: dict[str, Parameter] = {}
    section = page(PAGE).partition("\n## Parameters\n")[2].partition("\n## ")[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            for form in re.findall(r"`([^`]+)`", _SPLIT.split(line)[1].replace(r"\|", "|")):
                for word in form.split():
                    each = _parameter(word)
                    if each is not None:
                        found.setdefault(each.name, each)
    return tuple(found.values())


def _parameter(form: str) -> Parameter | None:
    """Return the parameter of a form such as `pxeinit.mode=farm|ro`, None for what is none."""
    match = re.fullmatch(r"([a-z][a-z0-9_.]*|BOOTIF)(?:(=)(.*))?", form)
    if match is None:
        return None
    name, equals, value = match.groups()
    if value == "PHASE":
        return Parameter(name, PHASES)
    few = re.fullmatch(r"[a-z0-9_]+(\|[a-z0-9_]+)+", value or "")
    return Parameter(name, tuple(value.split("|")) if few else (), not equals)


def doubts(text: str) -> tuple[str, ...]:
    """Return a line for each `pxeinit.` parameter in `text` that the client does not know, or not so.

    The client warns of them too, but on a screen that nobody looks at.
    """
    words = [word for word in text.split() if word.startswith(_OWN)]
    if not words:
        return ()
    known = {each.name: each for each in read()}
    lines = []
    for word in words:
        name, _, value = word.partition("=")
        if name not in known:
            lines.append(f"the client knows no parameter {printable(name)}{_likely(name, known)}")
        elif known[name].values and value not in known[name].values:
            said = "|".join(known[name].values)
            lines.append(f"the client knows {name}={said}, not {printable(value) or 'nothing'}")
    return tuple(lines)


def _likely(name: str, known: Iterable[str]) -> str:
    own = [each.removeprefix(_OWN) for each in known if each.startswith(_OWN)]
    found = close(name.removeprefix(_OWN), own, 1)
    return f"; did you mean {_OWN}{found[0]}?" if found else "; pxeinit(7) lists them"
