"""The network drivers of a kernel that an image does not have: a list in the image, for `mkpxeinit check`.

Without it an image says which devices it serves, and not what the others are: a network card on USB
looks like any other device, a wireless card on PCI perhaps like one with a cable.

Form: a line for each module, its path as in modules.dep without `kernel/` and `.ko`, then its aliases,
all separated by tabs; lines that begin with `#` are comments.
"""

from collections.abc import Container
from pathlib import PurePosixPath

from mkpxeinit.errors import KernelError, printable
from mkpxeinit.hardware.modalias import Matcher
from mkpxeinit.hardware.pci import NETWORK, PciClass, network_subclass
from mkpxeinit.kernel.index import ModuleIndex, normal_name

PLACE = PurePosixPath("lib/pxeinit/left-out")
_HEAD = (
    "# mkpxeinit left-out 1: network drivers of this kernel that are not in the image, and their devices\n"
)
_BUSES = ("pci:", "usb:", "virtio:", "vmbus:", "xen:", "of:", "acpi", "mdio:")
# Drivers that stand elsewhere say so by their aliases: of wired networks, and of the others.
_CLASSES = (PciClass(NETWORK), PciClass(NETWORK, "80"))


def write(index: ModuleIndex, taken: Container[str]) -> str:
    """Return the list of the network drivers of `index` that are not `taken`."""
    lines = [_HEAD]
    for name, module in index.modules.items():
        if name in taken or name in index.builtin:
            continue
        patterns = [each for each in index.aliases_of.get(name, ()) if each.startswith(_BUSES)]
        if network_subclass(module.path) is None:
            patterns = [each for each in patterns if any(c.names(each) for c in _CLASSES)]
        if patterns:
            path = module.plain_path.removeprefix("kernel/").removesuffix(".ko")
            lines.append("\t".join((path, *patterns)) + "\n")
    return "".join(lines)


class LeftOut:
    """The network drivers that an image could have had."""

    def __init__(self, text: str, shown: str) -> None:
        """Read the list `text` of the file `shown`; KernelError names the line that is wrong."""
        pairs = []
        self._paths: dict[str, str] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if line.startswith("#"):
                continue
            path, *patterns = line.split("\t")
            name = normal_name(path.rpartition("/")[2])
            if not name or not patterns or not line.replace("\t", "").isprintable():
                raise KernelError(
                    f"{shown}:{number}: no path and aliases: {printable(line[:60])!r}; make the image again"
                )
            self._paths[name] = path
            pairs += [(pattern, name) for pattern in patterns]
        self._matcher = Matcher(pairs)

    def drivers(self, modalias: str) -> dict[str, str | None]:
        """Return the drivers for `modalias`, each with the subclass of networks that it serves."""
        return {name: network_subclass(self._paths[name]) for name in self._matcher.modules(modalias)}
