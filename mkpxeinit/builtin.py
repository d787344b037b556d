"""Built-in drivers among those selected: they are present already, and need no more than their firmware."""

import dataclasses
from dataclasses import dataclass

from mkpxeinit.hardware.pci import WIRED, network_subclass
from mkpxeinit.kernel.builtin import BuiltIn, has_devices
from mkpxeinit.kernel.index import ModuleIndex
from mkpxeinit.reason import Reason
from mkpxeinit.selection import Selection


@dataclass(frozen=True, slots=True)
class Present:
    """A built-in driver that the image's clients use, and the reason."""

    driver: BuiltIn
    reason: Reason


def split(index: ModuleIndex, selection: Selection) -> tuple[Selection, tuple[Present, ...]]:
    """Return the modules of `selection` that are files, and apart from them the built-in drivers.

    `selection` was made from `index.with_builtins()`. Kernels before 6.18 do not say which devices a
    built-in driver is for; then those for wired networks by their place in the source are present too.
    """
    present = {
        each.module.name: Present(
            index.builtin_modules[each.module.name], Reason("built into the kernel", None, each.reason)
        )
        for each in selection.modules
        if each.module.name not in index.modules
    }
    if not any(map(has_devices, index.builtin_modules.values())):
        for name, driver in index.builtin_modules.items():
            if name not in index.modules and network_subclass(driver.path) in WIRED:
                present.setdefault(name, Present(driver, Reason("network driver built into the kernel")))
    files = tuple(each for each in selection.modules if each.module.name in index.modules)
    return dataclasses.replace(selection, modules=files), tuple(present.values())
