"""The network drivers of a kernel that an image does not have: a list in the image, for `mkpxeinit check`.

Without it an image says which devices it serves, and not what the others are: a network card on USB
looks like any other device, a wireless card on PCI perhaps like one with a cable.

Form: a line for each module, with the subclass of class 02 that it serves, its name, and its aliases, all
separated by tabs; lines that begin with `#` are comments.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from mkpxeinit.errors import KernelError, printable
from mkpxeinit.hardware.modalias import Matcher
from mkpxeinit.hardware.network import NetworkDriver
from mkpxeinit.kernel.index import ModuleIndex

PLACE = PurePosixPath("lib/pxeinit/left-out")
_HEAD = (
    "# mkpxeinit left-out 2: network drivers of this kernel that are not in the image, and their devices\n"
)
_LINE = re.compile(r"(?P<sub>[0-9A-F]{2})\t(?P<name>[A-Za-z0-9_]+)(?P<patterns>(?:\t[^\t]+)+)")


def write(index: ModuleIndex, absent: Iterable[NetworkDriver]) -> str:
    """Return the list of the drivers `absent` that devices ask for, with their aliases of `index`."""
    lines = [_HEAD]
    for driver in absent:
        patterns = [each for each in index.aliases_of.get(driver.name, ()) if ":" in each]
        line = "\t".join((driver.sub, driver.name, *filter(str.isprintable, patterns)))
        if _LINE.fullmatch(line):
            lines.append(f"{line}\n")
    return "".join(lines)


class AbsentDrivers:
    """The network drivers that an image could have had."""

    def __init__(self, text: str, shown: str) -> None:
        """Read the list `text` of the file `shown`; KernelError names the line that is wrong."""
        pairs = []
        self._subs: dict[str, str] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            if match is None or not line.replace("\t", "").isprintable():
                raise KernelError(
                    f"{shown}:{number}: no subclass, name and aliases: {printable(line[:60])!r}; "
                    "make the image again"
                )
            self._subs[match["name"]] = match["sub"]
            pairs += [(pattern, match["name"]) for pattern in match["patterns"].split("\t")[1:]]
        self._matcher = Matcher(pairs)

    def drivers(self, modalias: str) -> dict[str, str]:
        """Return the drivers for `modalias`, each with the subclass of networks that it serves."""
        return {name: self._subs[name] for name in self._matcher.modules(modalias)}
