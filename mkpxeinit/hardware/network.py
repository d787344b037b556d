"""Which modules of a kernel are network drivers, of what kind, and on which buses.

What counts as one:

- by place: all modules under drivers/net; the folder tells the kind (wireless, CAN, ...);
- by symbols: modules anywhere else that announce devices on a bus (an alias) and import a function
  that registers network devices, as out-of-tree drivers do (updates/, extra/), and those of
  drivers/staging. Other imports tell the kind. Folders whose drivers are of another sort for certain
  (sound, graphics, disks, ...) are not read, nor are modules that only name other PCI classes.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from mkpxeinit.errors import MkpxeinitError
from mkpxeinit.hardware.devices import CARRIERS
from mkpxeinit.hardware.pci import ETHERNET, NETWORK, named_subclass, network_place
from mkpxeinit.kernel.index import Module, ModuleIndex
from mkpxeinit.kernel.symbols import Imports, ReadImports

# As their devices' modaliases begin, up to the colon (scripts/mod/file2alias.c).
BUSES = ("pci", "virtio", "usb", "vmbus", "xen", "of", "acpi", "platform", "mdio", "spi", "fsl-mc")
PHY_LIBRARY = frozenset(("libphy", "phylink"))  # modules: who needs one of them works with PHYs
# Functions that announce a network device, or do it for the module that calls them: the kernel's
# net/core/dev.c and net/devres.c; mac80211, CAN, usbnet, the glue of stmmac, DSA.
REGISTER = frozenset(
    (
        "register_netdev",
        "register_netdevice",
        "devm_register_netdev",
        "ieee80211_register_hw",
        "register_candev",
        "usbnet_probe",
        "stmmac_dvr_probe",
        "stmmac_pltfr_probe",
        "dsa_register_switch",
    )
)
# Imports that tell the kind of network; all else is Ethernet.
_KINDS = (
    (re.compile(r"(?:cfg80211|wiphy|ieee80211|rtllib)_.+|wireless_send_event"), ("80", "wireless")),
    (re.compile(r"register_candev|alloc_candev.*"), ("80", "CAN")),
    (re.compile(r"alloc_hdlcdev|(?:un)?register_hdlc.*"), ("80", "WAN")),
    (re.compile(r"alloc_arcdev"), ("80", "ARCnet")),
)
# Folders of drivers/ without network drivers; drivers/staging, drivers/misc and folders that nobody knows are
# read (drivers/tty has one for HDLC). IPoIB, in drivers/infiniband, is no driver of a device.
_OTHER = re.compile(
    "accel|acpi|ata|atm|bcma|block|bluetooth|bus|char|clk|comedi|cpufreq|crypto|dma|edac|gpio|gpu|hid|hv|hwmon|"
    "hwtracing|i2c|iio|infiniband|input|iommu|isdn|leds|media|memstick|message|mfd|mmc|mtd|nvdimm|nvme|parport|"
    "pci|pcmcia|phy|pinctrl|platform|power|ptp|pwm|regulator|rtc|scsi|soundwire|spi|ssb|thermal|thunderbolt|ufs|"
    "uio|usb|vfio|video|virt|virtio|watchdog"
)
_USB_HOSTS = re.compile(r".*/drivers/usb/(?:host|dwc2|dwc3|chipidea|musb|cdns3|isp1760|mtu3|fotg210)/[^/]*")
_OTHER_CLASS = re.compile(r"pci:.*bc(?!02|\*).+sc.*")
_ON_BOARD = frozenset(("pci", "of", "acpi", "platform"))


@dataclass(frozen=True, slots=True)
class NetworkDriver:
    """A module, the subclass of class 02 that it serves, the name of such networks, its aliases' buses."""

    name: str
    sub: str
    kind: str
    buses: frozenset[str]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A network driver that was not taken, the reason, and the options that take it."""

    name: str
    reason: str
    options: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}; {self.options} takes it"


class Network:
    """The network drivers of a kernel, found when they are asked for."""

    __slots__ = ("_buses", "_index", "_known", "_read", "notes")

    def __init__(self, index: ModuleIndex, read: ReadImports | None = None) -> None:
        """Take a kernel's lists, and what reads its modules' imports: without it only places count."""
        self._index = index
        self._read = read
        self._buses: dict[str, frozenset[str]] = {}
        self._known: dict[str, NetworkDriver | None] = {}
        self.notes: list[str] = []

    def driver(self, name: str) -> NetworkDriver | None:
        """Return what the module `name` drives, None if it is no network driver."""
        self._look((name,))
        return self._known[name]

    def on(self, bus: str) -> tuple[NetworkDriver, ...]:
        """Return the network drivers with an alias of `bus`, in the order of modules.dep."""
        self.buses("")
        names = [name for name in self._index.modules if bus in self._buses.get(name, ())]
        self._look(names)
        return tuple(found for name in names if (found := self._known[name]))

    def known(self) -> tuple[NetworkDriver, ...]:
        """Return all modules that are network drivers; what is built in is not among them.

        Of those in other folders of the kernel's source but staging, only what has been found before.
        """
        modules = self._index.modules
        self._look(name for name, each in modules.items() if self._likely(each))
        names = (name for name in modules if name not in self._index.builtin)
        return tuple(found for name in names if (found := self._known.get(name)))

    def buses(self, name: str) -> frozenset[str]:
        """Return the buses of a module's aliases, as in BUSES; others by how their modaliases begin."""
        if not self._buses:
            self._buses = _all_buses(self._index)
        return self._buses.get(name, frozenset())

    def carriers(self, bus: str) -> tuple[str, ...]:
        """Return the modules that `bus` itself hangs on, where they are modules."""
        if bus == "usb":
            return tuple(
                each.name
                for each in self._index.modules.values()
                if _USB_HOSTS.fullmatch(each.path) and self.buses(each.name) & _ON_BOARD
            )
        return tuple(name for name in CARRIERS.get(bus, ()) if name in self._index.modules)

    def followers(self, names: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield drivers of the same devices as `names`, which load them by request, each with its leader.

        They have no alias (mlx4_en of mlx4_core, iwlmvm of iwlwifi) or one of the auxiliary bus, need a
        driver that has one, and register network devices of the same kind.
        """
        found: dict[Module, str] = {}
        for module in self._index.modules.values():
            place = network_place(module.path)
            if place is None or module.name in self._index.builtin or module.name in names:
                continue
            if self.buses(module.name) - {"auxiliary"}:
                continue
            for leader in module.needs:
                if leader in names and self.buses(leader) and self._kind(leader) == place:
                    found.setdefault(module, leader)
        imports = self._imports(found)
        for module, leader in found.items():
            if REGISTER & self._checked(imports, module):
                yield module.name, leader

    def _kind(self, name: str) -> tuple[str, str] | None:
        driver = self.driver(name)
        return (driver.sub, driver.kind) if driver else None

    def _look(self, names: Iterable[str]) -> None:
        """Find out about modules that are not known yet."""
        unread = []
        for name in names:
            if name in self._known:
                continue
            module = self._index.modules[name]
            place = network_place(module.path)
            kind = place or self._named_kind(name)
            self._known[name] = NetworkDriver(name, *kind, self.buses(name)) if kind else None
            if place is None and self._may_be(module):
                unread.append(module)
        imports = self._imports(unread)
        for module in unread:
            symbols = self._checked(imports, module)
            if REGISTER & symbols:
                told = next((k for p, k in _KINDS if any(map(p.fullmatch, symbols))), None)
                kind = told or self._named_kind(module.name) or ETHERNET
                self._known[module.name] = NetworkDriver(module.name, *kind, self.buses(module.name))

    def _likely(self, module: Module) -> bool:
        """Say whether a module is looked at also where nobody asks for its devices."""
        if network_place(module.path) or not module.path.startswith("kernel/"):
            return True
        return module.path.startswith("kernel/drivers/staging/") or self._named_kind(module.name) is not None

    def _named_kind(self, name: str) -> tuple[str, str] | None:
        """Return the subclass of class 02 that an alias of the module `name` names, and what to call it."""
        if f"bc{NETWORK}sc" not in self._index.alias_text.get(name, ""):
            return None  # nearly all
        sub = next((sub for each in self._index.aliases_of[name] if (sub := named_subclass(each))), None)
        return (sub, f"class {NETWORK}{sub}") if sub else None

    def _may_be(self, module: Module) -> bool:
        """Say whether a module outside of drivers/net is worth reading; what is built in has no file."""
        if module.name in self._index.builtin:
            return False
        parts = module.path.split("/")
        if parts[0] == "kernel" and (len(parts) < 4 or parts[1] != "drivers" or _OTHER.fullmatch(parts[2])):
            return False
        patterns = self._index.aliases_of.get(module.name, ())
        return any(":" in each and not _OTHER_CLASS.fullmatch(each) for each in patterns)

    def _imports(self, modules: Collection[Module]) -> Imports:
        return self._read(modules, REGISTER) if self._read and modules else {}

    def _checked(self, imports: Imports, module: Module) -> frozenset[str]:
        """Return what a module imports; that it cannot be read is a note."""
        found = imports.get(module.name, frozenset())
        if isinstance(found, MkpxeinitError):
            self.notes.append(f"{found}; taken for no network driver")
            return frozenset()
        return found


def _all_buses(index: ModuleIndex) -> dict[str, frozenset[str]]:
    """Return the buses that each module's aliases name; one with a name only (`fs-nfs`) names none."""
    found = {}
    for name, patterns in index.aliases_of.items():
        first, colon, _ = patterns[0].partition(":")
        if colon and index.alias_text[name].count(f"\n{first}:") == len(patterns):
            buses = {first}  # nearly all: one bus
        else:
            buses = {pattern.partition(":")[0] for pattern in patterns if ":" in pattern}
        buses.discard("devname")  # a file of /dev whose opening loads the module
        if buses:
            found[name] = frozenset(bus.rstrip("*") for bus in buses)
    return found


def why_not(driver: NetworkDriver, subs: Collection[str], buses: Collection[str]) -> LeftOut:
    """Return why `driver` was not taken: wanted were the subclasses `subs` of class 02 on `buses`."""
    by_name = f"--driver {driver.name}" if driver.buses else f"--module {driver.name}"
    # Of several buses, the one that machines with PCI have, else the first.
    bus = min(driver.buses, key=lambda each: (each != "pci", each not in BUSES, each), default=None)
    if "mdio" in driver.buses:
        return LeftOut(driver.name, "PHY, used by no driver taken", "--bus mdio")
    if driver.sub not in subs:
        by_class = f"--pci-class {NETWORK}{driver.sub}"
        if bus is None or bus not in BUSES:
            return LeftOut(driver.name, driver.kind, by_name)
        return LeftOut(driver.name, driver.kind, by_class if bus == "pci" else f"{by_class} --bus {bus}")
    if bus is None:
        return LeftOut(driver.name, "no alias of a device", by_name)
    if not driver.buses.isdisjoint(buses):
        return LeftOut(driver.name, "another class of devices", by_name)
    return LeftOut(driver.name, f"bus {bus}", f"--bus {bus}" if bus in BUSES else by_name)
