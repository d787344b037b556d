r"""The reasons that travel in an image: a text file for each segment, so that each can be cached alone.

Form: `PATH[ PATH...]<TAB>STEP[<TAB>STEP...]`, a line for all paths that share a reason, the nearest step
first; lines that begin with `#` are comments. Bytes up to 0x20, 0x7F, `#` and the backslash are written
as a backslash and three octal digits, as in proc_pid_mounts(5); in steps blanks stay. Folders that are there
for what they hold have no line. An image may be hostile: what is read is checked.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from mkpxeinit.errors import ImageError, printable
from mkpxeinit.image.entry import File
from mkpxeinit.image.plan import HOLDS, Planned, Segment, make_segment
from mkpxeinit.reason import Reason

FOLDER = PurePosixPath("lib/pxeinit/reasons")
_HEAD = "# mkpxeinit reasons 1: paths, then the steps from the nearest on"
_KNOWN = re.compile(r"# mkpxeinit reasons ([0-9]{1,9})\b")
_SPECIAL = re.compile(r"[\x00-\x20\x7f\\#]")
_ESCAPE = re.compile(r"\\([0-3][0-7]{2})|\\")
_LONGEST = 4 * 4096  # characters of a path, each of PATH_MAX bytes may be written as four
_AGAIN = "the image is damaged, or another program wrote that"

Chain = tuple[str, ...]


def recorded(segment: Segment) -> Segment:
    """Return `segment` with the file of its reasons; its own content alone decides that file's bytes."""
    path = FOLDER / segment.name
    itself = Planned(File(path, b""), Reason("read by mkpxeinit why"))
    text = write((*segment.items, itself))
    return make_segment(segment.name, (*segment.items, Planned(File(path, text), itself.reason)))


def write(items: Iterable[Planned]) -> bytes:
    """Return the text of the reasons of `items`, in the order of their paths."""
    groups: dict[Chain, list[str]] = {}
    for item in sorted(items, key=lambda item: item.entry.path.parts):
        if item.reason.text != HOLDS:
            groups.setdefault(item.reason.chain(), []).append(str(item.entry.path))
    lines = [_HEAD]
    for chain, paths in groups.items():
        steps = (_escaped(step).replace(r"\040", " ") for step in chain)
        lines.append("\t".join((" ".join(map(_escaped, paths)), *steps)))
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def parse(data: bytes, shown: str) -> dict[PurePosixPath, Chain]:
    """Return the chain of steps of each path in the file `shown`; ImageError names the line that is wrong."""
    found: dict[PurePosixPath, Chain] = {}
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        where = f"{shown}:{number}"
        form = _KNOWN.match(line)
        if form and form[1] != "1":
            raise ImageError(f"{where}: reasons of form {form[1]}; read them with a newer mkpxeinit")
        if not line or line.startswith("#"):
            continue
        names, *steps = line.split("\t")
        if not all(steps) or not steps:
            raise ImageError(f"{where}: no reason in {printable(line[:60])!r}; {_AGAIN}")
        chain = tuple(_plain(step, where) for step in steps)
        for name in names.split(" "):
            path = PurePosixPath(_plain(name, where)) if len(name) <= _LONGEST else PurePosixPath()
            if path.is_absolute() or ".." in path.parts or not path.parts:
                raise ImageError(f"{where}: {printable(name[:60])!r} is no path in an image; {_AGAIN}")
            found[path] = chain
    return found


class Reasons:
    """The reasons that `parse` found, and those of folders that are there for what they hold."""

    def __init__(self, found: Mapping[PurePosixPath, Chain]) -> None:
        """Take the chains by path."""
        self._found = found
        self._paths = sorted(found)

    def of(self, path: PurePosixPath) -> Chain | None:
        """Return the steps of `path`, of a folder why the first of what it holds is there; None: unknown.

        Folders are looked up when they are asked for: hostile paths have thousands of them.
        """
        if path in self._found:
            return self._found[path]
        at = bisect_left(self._paths, path)  # what is below a folder comes right behind it
        if at == len(self._paths) or self._paths[at].parts[: len(path.parts)] != path.parts:
            return None
        first = self._paths[at]
        return (f"{HOLDS} {first.name}", *self._found[first])


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{ord(found[0]):03o}", text)


def _plain(text: str, where: str) -> str:
    def char(found: re.Match[str]) -> str:
        if found[1] is None or int(found[1], 8) > 0x7F:
            raise ImageError(f"{where}: a backslash without an octal number up to 177; {_AGAIN}")
        return chr(int(found[1], 8))

    return _ESCAPE.sub(char, text)
