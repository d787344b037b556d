"""Which machines of a fleet an image serves: inventories of many machines against one image."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mkpxeinit.coverage import IGNORED, UNCOVERED, Coverage, Finding
from mkpxeinit.errors import HardwareError, ImageError, printable
from mkpxeinit.hardware import leftout
from mkpxeinit.hardware.inventory import read_inventory
from mkpxeinit.image.extract import extract_those
from mkpxeinit.image.read import Record, without_usr
from mkpxeinit.kernel.firmware import CARRIED
from mkpxeinit.kernel.release import MODULES, find_releases
from mkpxeinit.sysroot import Sysroot

_FOLDERS = (("lib", "modules"), ("lib", "firmware"), ("lib", "modprobe.d"), ("etc", "modprobe.d"))
_MAX_UNPACKED = 2 << 30  # bytes; what lies in the temporary folder while an image is judged
_TEXT_LISTS = ("modules.dep", "modules.alias")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine and what was found about its network devices; `error`: why its inventory is of no use."""

    name: str
    findings: tuple[Finding, ...]
    error: str | None = None

    @property
    def covered(self) -> bool:
        """Whether the image serves all network devices of the machine, of which there is one at least."""
        return self.error is None and all(each.verdict != UNCOVERED for each in self.findings)


@dataclass(frozen=True, slots=True)
class Report:
    """The machines in the order given, and the kernel release of the image."""

    release: str
    machines: tuple[Machine, ...]

    @property
    def covered(self) -> bool:
        """Whether the image serves all machines."""
        return all(machine.covered for machine in self.machines)


def check(
    image: Path, inventories: Iterable[Path], release: str | None = None, with_firmware: bool = True
) -> Report:
    """Return which machines `image` serves. `inventories` are files and folders, as `expand` takes them.

    ImageError or KernelError if the image cannot be judged by. An inventory that cannot be read is a
    machine with an error, and the others are judged all the same.
    """
    with _unpacked(image) as tree:
        chosen = _release(tree, image, release)
        coverage = Coverage(tree, chosen, with_firmware)
        machines = tuple(_machine(path, coverage) for given in inventories for path in expand(given))
    return Report(chosen, machines)


def expand(path: Path) -> tuple[Path, ...]:
    """Return the inventories that `path` means: itself, or all that a folder of inventories holds, sorted.

    A folder with `bus` or `sys/bus` in it is itself one inventory, a copy of /sys. Names that begin with a
    dot are left out. A folder that cannot be listed, or holds nothing, comes back as itself.
    """
    try:
        if not path.is_dir() or (path / "bus").is_dir() or (path / "sys/bus").is_dir():
            return (path,)
        return tuple(sorted(each for each in path.iterdir() if not each.name.startswith("."))) or (path,)
    except OSError:
        return (path,)


def _machine(path: Path, coverage: Coverage) -> Machine:
    """Return the verdict on the machine whose inventory is `path`."""
    name = printable(path)
    try:
        inventory = read_inventory(path)
    except HardwareError as error:
        return Machine(name, (), str(error))
    findings = coverage.judge(inventory)
    if any(each.verdict != IGNORED for each in findings):
        return Machine(name, findings)
    count = len(inventory.devices)
    return Machine(
        name, findings, f"{name}: no wired network device among {count} devices; list the whole machine"
    )


@contextmanager
def _unpacked(image: Path) -> Iterator[Sysroot]:
    """Yield a tree with the image's modules, firmware and lists, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mkpxeinit-") as folder:
        left = _MAX_UNPACKED

        def wanted(record: Record) -> bool:
            nonlocal left
            if not _wanted(record):
                return False
            left -= record.size
            if left < 0:
                raise ImageError(
                    f"{printable(image)}: more than {_MAX_UNPACKED} bytes of modules and firmware, "
                    "which no initrd has"
                )
            return True

        for _ in extract_those(image, Path(folder), wanted):
            pass
        yield Sysroot.open(Path(folder), f"{printable(image)}:")


def _wanted(record: Record) -> bool:
    """Say whether an entry matters: modules, firmware, modprobe.d, and links, which may lead there."""
    inside = without_usr(record.path)[:2] in _FOLDERS or record.path in (leftout.PLACE, CARRIED)
    return record.letter == "l" or (record.letter in "d-" and inside)


def _release(tree: Sysroot, image: Path, wanted: str | None) -> str:
    """Return the kernel release to judge by; ImageError if the image has none such, or only binary lists."""
    shown = printable(image)
    found = find_releases(tree)
    if wanted is None and len(found) > 1:
        raise ImageError(f"{shown}: has modules of {', '.join(found)}; choose with --kernel-release")
    release = wanted or (found[0] if found else None)
    if release not in found or release is None:
        known = f"it has those of {', '.join(found)}" if found else "it has none at all"
        raise ImageError(f"{shown}: no kernel modules of {wanted or 'any release'}; {known}")
    for name in _TEXT_LISTS:
        if not tree.is_file(f"{MODULES}/{release}/{name}"):
            packed = tree.is_file(f"{MODULES}/{release}/{name}.bin")
            only = f", only {name}.bin, which mkpxeinit does not read" if packed else ""
            raise ImageError(f"{shown}: has no {name} for kernel {release}{only}; it cannot be judged")
    return release
