"""Whether the drivers and the firmware of one image serve the network devices of a machine.

The image's own lists say which of its modules drive a device, as modprobe(8) would find them. A driver
serves a device if its file is there, and those of all that it needs, soft and weak dependencies too,
and all firmware that these name. If it uses the kernel's PHY library, PHY drivers must be there.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mkpxeinit.errors import ImageError, ProgramError
from mkpxeinit.hardware import devices, leftout
from mkpxeinit.hardware.inventory import Device, Inventory
from mkpxeinit.hardware.modalias import Matcher
from mkpxeinit.hardware.network import PHY_LIBRARY, Network
from mkpxeinit.hardware.pci import WIRED
from mkpxeinit.image.assemble import load_module
from mkpxeinit.kernel import firmware, symbols
from mkpxeinit.kernel.builtin import has_devices
from mkpxeinit.kernel.index import ModuleIndex, normal_name, read_index
from mkpxeinit.sysroot import Sysroot

COVERED, UNCOVERED, IGNORED = "covered", "uncovered", "ignored"


@dataclass(frozen=True, slots=True)
class Lack:
    """What the image lacks for a device.

    `kind` is driver, module, softdep, weakdep, PHY or firmware; `name` is its name or a hint, `of` the
    module that asks for it, if one does.
    """

    kind: str
    name: str
    of: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" of {self.of}" if self.of else "")


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on a device: `where` it stands in the inventory, the drivers for it, what is lacking.

    `reason` says why a device is ignored.
    """

    where: str
    modalias: str | None
    drivers: tuple[str, ...]
    verdict: str
    lacking: tuple[Lack, ...] = ()
    reason: str | None = None


class Coverage:
    """What an image, unpacked in `tree`, has for a kernel release."""

    def __init__(self, tree: Sysroot, release: str, with_firmware: bool = True) -> None:
        """Read the image's lists of modules; KernelError if one is damaged."""
        self._tree = tree
        plain = read_index(tree, release)
        self._files = frozenset(plain.modules)
        self._index: ModuleIndex = plain.with_builtins()
        self._matcher = Matcher(self._index.aliases, self._index.settings.aliases)
        self._network = Network(self._index, symbols.reader(tree, release))
        self._left_out = self._read_left_out()
        self._carried = firmware.read_carried(tree)
        self._with_firmware = with_firmware
        self._lacks: dict[str, tuple[Lack, ...]] = {}
        self._closures: dict[str, tuple[tuple[str, ...], tuple[Lack, ...]]] = {}
        # By module, for many drivers share them: is it there, its needs, what it lacks; its firmware.
        self._direct: dict[str, tuple[bool, tuple[str, ...], tuple[Lack, ...]]] = {}
        self._named_firmware: dict[str, tuple[str, ...]] = {}

    def judge(self, inventory: Inventory) -> tuple[Finding, ...]:
        """Return a finding for each network device, for each PHY, and for what network devices hang on."""
        found = [(device, self._judged(device)) for device in inventory.devices]
        usb = any(devices.is_on_usb(device) for device, finding in found if finding)
        phys = any(devices.kind_of(device) == devices.PHY for device, _ in found)
        kept = []
        for device, finding in found:
            if finding is None or (devices.is_usb_host(device) and not usb):
                continue
            kept.append(finding if phys else self._with_phys(finding))
        return tuple(kept)

    def _judged(self, device: Device) -> Finding | None:
        """Return the finding for one device, None if it is none that a network boot needs."""
        kind = devices.kind_of(device)
        if device.modalias is None:
            return self._named(device) if kind else None
        names = self._drivers(device.modalias)
        others = self._left_out.drivers(device.modalias) if self._left_out else {}
        places = {name: self._subclass(name) for name in names} | others
        if kind is None and not any(places.values()):
            return None
        wired = any(place in WIRED for place in places.values())
        radio = bool(places) and None not in places.values()
        if not wired and (kind in (None, devices.OTHER_MEDIA) or radio):
            which = f"no wired network: {', '.join(places)}" if places else "no wired network"
            return Finding(device.where, device.modalias, names, IGNORED, reason=which)
        if kind == devices.PHY and self._left_out and not places:
            return Finding(device.where, device.modalias, (), COVERED, reason="the kernel's generic driver")
        return self._needs(device, device.modalias)

    def _read_left_out(self) -> leftout.AbsentDrivers | None:
        """Return the image's list of the network drivers that it lacks; None if it has no such list."""
        if not self._tree.is_file(leftout.PLACE):
            return None
        return leftout.AbsentDrivers(self._tree.read_text(leftout.PLACE), self._tree.show(leftout.PLACE))

    def _drivers(self, modalias: str) -> tuple[str, ...]:
        return tuple(name for name in self._matcher.modules(modalias) if name in self._index.modules)

    def _named(self, device: Device) -> Finding:
        """Return the finding for a device of which only the driver's name is known."""
        name = device.driver or ""
        modules = self._index.lookup(name)
        lacking = self._best(modules)[1] if modules else (Lack("driver", normal_name(name)),)
        return Finding(device.where, None, modules, UNCOVERED if lacking else COVERED, lacking)

    def _needs(self, device: Device, modalias: str) -> Finding:
        """Return the finding for a device that counts: each driver that it needs must be complete."""
        drivers: list[str] = []
        lacking: list[Lack] = []
        for need in devices.needs_of(modalias):
            names = tuple(
                name for name in self._drivers(need.modalias) if self._subclass(name) in (None, *WIRED)
            )
            if names:
                best, lacks = self._best(names)
                drivers.append(best)
                lacking += lacks
            elif need.usual in self._index.builtin:
                drivers.append(need.usual or "")
            else:
                lacking.append(Lack("driver", self._nearest(need)))
        verdict = UNCOVERED if lacking else COVERED
        return Finding(device.where, modalias, tuple(drivers), verdict, tuple(dict.fromkeys(lacking)))

    def _best(self, names: tuple[str, ...]) -> tuple[str, tuple[Lack, ...]]:
        """Return that of several drivers for a device which lacks least, and what it lacks."""
        best = min(names, key=lambda name: len(self._lacking(name)))
        return best, self._lacking(best)

    def _nearest(self, need: devices.Need) -> str:
        """Return the driver that the image should have had, or what comes next to it."""
        if self._left_out:
            others = self._left_out.drivers(need.modalias)
            wired = [name for name, place in others.items() if place in WIRED]
            if wired:
                return " or ".join(wired)
        if need.usual:
            return f"{need.usual} or another for {need.modalias}"
        known = f"; built in, for unknown devices: {', '.join(self._built_in)}" if self._built_in else ""
        if self._left_out:
            return f"for {need.modalias}, of which kernel {self._index.release} has none{known}"
        return f"for {need.modalias}{self._of_vendor(need.modalias)}{known}"

    def _of_vendor(self, modalias: str) -> str:
        """Return what network drivers the image has for other devices of a PCI device's vendor."""
        parts = devices.pci(modalias)
        if parts is None:
            return ""
        start = f"pci:v0000{parts.vendor}"
        those = {each.module for each in self._index.aliases if each.pattern.startswith(start)}
        near = sorted(name for name in those if name in self._index.modules and self._subclass(name))
        return f"; for vendor {parts.vendor} it has {', '.join(near) or 'none'}"

    def _subclass(self, name: str) -> str | None:
        """Return the subclass of class 02 that a module of the image serves, None if no networks."""
        driver = self._network.driver(name)
        return driver.sub if driver else None

    @cached_property
    def _built_in(self) -> tuple[str, ...]:
        """The Ethernet drivers in the kernel itself of which nothing says for which devices they are."""
        return tuple(
            name
            for name, driver in self._index.builtin_modules.items()
            if "/drivers/net/ethernet/" in f"/{driver.path}" and not has_devices(driver)
        )

    def _lacking(self, name: str) -> tuple[Lack, ...]:
        """Return what the image lacks for the driver `name` to work, PHYs apart."""
        if name not in self._lacks:
            modules, lacks = self._closure(name)
            if self._with_firmware:
                lacks = (*lacks, *self._firmware(modules))
            self._lacks[name] = lacks
        return self._lacks[name]

    def _closure(self, driver: str) -> tuple[tuple[str, ...], tuple[Lack, ...]]:
        """Return the modules that `driver` needs, itself first, and those that are not in the image."""
        if driver in self._closures:
            return self._closures[driver]
        seen: dict[str, None] = {}
        lacks: list[Lack] = []
        todo = deque([(driver, "")])
        while todo:
            name, of = todo.popleft()
            if name in seen or name not in self._index.modules:
                continue
            seen[name] = None
            if name not in self._files:
                continue
            if name not in self._direct:
                self._direct[name] = self._read_needs(name)
            there, needs, missing = self._direct[name]
            if not there:
                lacks.append(Lack("module", name, of or None))
            lacks += missing
            todo.extend((need, name) for need in needs)
        self._closures[driver] = tuple(seen), tuple(lacks)
        return self._closures[driver]

    def _read_needs(self, name: str) -> tuple[bool, tuple[str, ...], tuple[Lack, ...]]:
        """Return whether the image has the module, what it needs directly, and which needs nothing serves."""
        module = self._index.modules[name]
        needs = list(module.needs)
        missing = []
        for soft in self._index.soft.get(name, ()):
            for each in soft.names:
                found = self._index.lookup(each)
                needs += found
                if not found:
                    missing.append(Lack(soft.kind, each, name))
        there = self._tree.is_file(module.place(self._index.release))
        return there, tuple(needs), tuple(missing)

    def _firmware(self, modules: tuple[str, ...]) -> Iterator[Lack]:
        """Yield the firmware that `modules` name and the image does not have, packed or not."""
        owners: dict[str, str] = {}
        for name in modules:
            if name not in self._files:
                for each in self._index.builtin_modules[name].firmware:
                    owners.setdefault(each, name)
                continue
            if name not in self._named_firmware:
                self._named_firmware[name] = self._read_firmware(name)
            for each in self._named_firmware[name]:
                owners.setdefault(each, name)
        for each in firmware.find(self._tree, self._index.release, owners, self._carried).missing:
            yield Lack("firmware", each, owners[each])

    def _read_firmware(self, name: str) -> tuple[str, ...]:
        """Return the firmware that a module of the image names; ImageError if it is damaged."""
        inside = self._index.modules[name].place(self._index.release)
        if not self._tree.is_file(inside):
            return ()
        shown = self._tree.show(inside)
        try:
            data, _ = load_module(self._tree.resolve(inside), shown)
            return firmware.names_in(data, shown)
        except ProgramError as error:
            raise ImageError(f"{error}; make the image again") from error

    def _with_phys(self, finding: Finding) -> Finding:
        """Return `finding`, uncovered if one of its drivers uses the PHY library and no PHY driver is there.

        For machines of whose PHYs nothing is known.
        """
        users = [
            name
            for name in finding.drivers
            if name in self._files and not PHY_LIBRARY.isdisjoint(self._closure(name)[0])
        ]
        if finding.verdict == IGNORED or not users or self._has_phys:
            return finding
        lacking = (*finding.lacking, Lack("PHY", "drivers, any", users[0]))
        return Finding(finding.where, finding.modalias, finding.drivers, UNCOVERED, lacking)

    @cached_property
    def _has_phys(self) -> bool:
        return any(
            alias.pattern.startswith("mdio:")
            and alias.module in self._index.modules
            and not self._closure(alias.module)[1]
            for alias in self._index.aliases
        )
