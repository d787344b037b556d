"""Which modules an image needs, each with the reason why it is there.

A class of PCI devices does not say which drivers serve it: nearly all network drivers' aliases
leave the class open. So a class takes

1. for class 02 the network drivers with a PCI alias that serve such networks (hardware/network.py
   says what counts: place and imported symbols);
2. all other modules that have an alias whose class field names the class.

A bus takes the wired network drivers with an alias of that bus, and what carries the bus. With class 02
come the buses of virtual machines: virtio, Hyper-V's vmbus, Xen. An inventory of hardware says more: see
hardware/drivers.py for what is taken then. If a module taken uses the kernel's PHY library, all PHY
drivers (`mdio:` aliases) come along.

To these come the NFS client, overlayfs, what --module and --driver name, and the closure over
dependencies, soft and weak ones too. What is built into the kernel counts as present. What modprobe.d
of the tree blacklists comes only by name or as a dependency.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mkpxeinit.errors import KernelError, printable
from mkpxeinit.hardware.network import BUSES, PHY_LIBRARY, LeftOut, Network, NetworkDriver, why_not
from mkpxeinit.hardware.pci import NETWORK, WIRED, PciClass
from mkpxeinit.kernel.index import Module, ModuleIndex, normal_name
from mkpxeinit.kernel.modprobed import refuse
from mkpxeinit.kernel.symbols import ReadImports
from mkpxeinit.meant import close
from mkpxeinit.reason import Reason

if TYPE_CHECKING:
    from mkpxeinit.hardware.inventory import Inventory

# Loaded by the client by name; `nfsv3` and `nfsv4` are requested by `nfs` when it mounts.
FILE_SYSTEMS = ("nfs", "nfsv3", "nfsv4", "overlay")
# For a tree that is a file on the export; the client loads them when it is told of one.
SQUASHFS = ("squashfs", "loop")
# udhcpc's packet socket, and local sockets (resolvers, udev); modules in small kernels only.
SOCKETS = ("af_packet", "unix")
# What the client makes of network cards when the command line says so: vlan=, bond=, netconsole=. Whoever
# builds for known machines knows whether they need it: --module.
ON_REQUEST = ("8021q", "bonding", "netconsole")
VIRTUAL_BUSES = ("virtio", "vmbus", "xen")
# A blacklist of modprobe.d does not hide what is asked for by name.
_BY_NAME = (
    "--module",
    "drop-in",
    "--driver",
    "requested by",
    "carries the bus of",
    "NFS root",
    "sockets of the client",
    "squashfs root",
    "vlan=, bond= and netconsole=",
)


@dataclass(frozen=True, slots=True)
class Selected:
    """A module of the image and its reason."""

    module: Module
    reason: Reason


@dataclass(frozen=True, slots=True)
class Selection:
    """The modules of an image in the order of modules.dep, and remarks for the user.

    `left_out` are the network drivers that the classes and buses did not take, each with the reason;
    `absent` all the kernel's network drivers that are not among the modules and not built in.
    """

    modules: tuple[Selected, ...]
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    absent: tuple[NetworkDriver, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names of the modules."""
        return frozenset(each.module.name for each in self.modules)


def select(
    index: ModuleIndex,
    classes: Iterable[PciClass],
    extra: Iterable[str] = (),
    inventories: "Sequence[Inventory]" = (),
    *,
    buses: Collection[str] | None = None,
    named: Iterable[str] = (),
    added: Iterable[tuple[str, Reason]] = (),
    read: ReadImports | None = None,
) -> Selection:
    """Return what clients with devices of `classes`, on `buses` or of `inventories` need.

    Buses that are None: those of virtual machines, if the classes ask for Ethernet. To it come the modules
    that `extra` names, the drivers that `named` names, and the modules `added`, each with its reason.
    `read` reads modules' imports; without it only their place tells what is a network driver. KernelError
    if the kernel has no NFS client, or no module of a name; HardwareError if an inventory has no network
    device.
    """
    network = Network(index, read)
    classes = tuple(classes) or ((PciClass(NETWORK),) if buses and "pci" in buses else ())
    subs = _subclasses(classes)
    default = buses is None and any(each.base == NETWORK and each.wants("00") for each in classes)
    asked = VIRTUAL_BUSES if default else tuple(bus for bus in buses or () if bus != "pci")
    wishes = _Wishes(index, network)
    wishes.add_named(extra, named, added)
    wishes.add(_nfs_client(index, wishes.notes), Reason("NFS root"))
    wishes.add((name for name in SOCKETS if name in index.modules), Reason("sockets of the client"))
    wishes.add((name for name in SQUASHFS if name in index.modules), Reason("squashfs root"))
    if inventories:
        from mkpxeinit.hardware import drivers

        exact = drivers.find(index, inventories, network)
        wishes.notes.extend(exact.notes)
        for name, where in exact.modules:
            wishes.add((name,), Reason(f"hardware {where}"))
    else:
        asked_for = Reason("vlan=, bond= and netconsole=")
        wishes.add((name for name in ON_REQUEST if name in index.modules), asked_for)
    for pci_class in classes:
        wishes.add(_of_class(index, network, pci_class), Reason(f"PCI class {pci_class}"))
    for bus in asked:
        reason = Reason("virtual network") if default else Reason(f"bus {bus}")
        wishes.add(_on_bus(index, network, bus, subs), reason)
    for name, leader in network.followers(wishes.reasons):
        wishes.add((name,), Reason("requested by", leader, wishes.reasons[leader]))
    reasons = wishes.fulfilled()
    modules = tuple(
        Selected(each, reasons[each.name]) for each in index.modules.values() if each.name in reasons
    )
    absent = tuple(driver for driver in network.known() if driver.name not in reasons)
    pci = ("pci",) if any(each.base == NETWORK for each in classes) else ()
    told = absent if pci or asked else ()
    left_out = tuple(why_not(driver, subs, (*pci, *asked)) for driver in told)
    return Selection(modules, tuple(dict.fromkeys((*wishes.notes, *network.notes))), left_out, absent)


class _Wishes:
    """Modules that are wanted, each with the first reason, and remarks for the user."""

    __slots__ = ("_index", "_network", "notes", "reasons")

    def __init__(self, index: ModuleIndex, network: Network) -> None:
        self._index = index
        self._network = network
        self.notes: list[str] = []
        self.reasons: dict[str, Reason] = {}

    def add(self, names: Iterable[str], reason: Reason) -> None:
        """Want the modules `names`."""
        for name in names:
            self.reasons.setdefault(name, reason)

    def add_named(
        self, modules: Iterable[str], drivers: Iterable[str], more: Iterable[tuple[str, Reason]]
    ) -> None:
        """Want what somebody named; KernelError if the kernel has no such module."""
        for name in modules:
            self.add(_named(self._index, name, "--module"), Reason("--module"))
        for name in drivers:
            for found in _named(self._index, name, "--driver"):
                self.add((found,), Reason("--driver"))
                carriers = _carriers(self._index, self._network, found, self.notes)
                self.add(carriers, Reason("carries the bus of", found, self.reasons[found]))
        for name, why in more:
            self.add(_named(self._index, name, f"{why}: module"), why)

    def fulfilled(self) -> dict[str, Reason]:
        """Return all that comes: the closure over dependencies, with PHYs, without what is blacklisted.

        A blacklist reaches neither what is asked for by name nor drivers that are in the kernel.
        """
        index, notes = self._index, self.notes
        keep = {name for name, reason in self.reasons.items() if reason.text in _BY_NAME} | index.builtin
        notes += refuse(index.settings, self.reasons, keep)
        reasons = closure(index, self.reasons, notes)
        if _uses_phys(index, reasons):
            phys = {name: Reason("PHY driver") for name in _phys(index) if name not in reasons}
            notes += refuse(index.settings, phys, index.builtin)
            reasons |= {k: v for k, v in closure(index, phys, notes).items() if k not in reasons}
        return reasons


def _named(index: ModuleIndex, name: str, option: str) -> tuple[str, ...]:
    """Return the modules that the user's `name` means; KernelError with close matches if there is none."""
    found = index.lookup(name)
    if found:
        return found
    like = close(normal_name(name), (*index.modules, *index.builtin))
    hint = f"; close to it: {', '.join(like)}" if like else ""
    raise KernelError(f"{option} {printable(name)}: kernel {index.release} has no such module{hint}")


def _nfs_client(index: ModuleIndex, notes: list[str]) -> tuple[str, ...]:
    """Return the modules of the NFS client and overlayfs that are not built in.

    modules.builtin lists them even if they are never modules, so absence means a kernel without.
    """
    missing = [name for name in FILE_SYSTEMS if not index.lookup(name)]
    if "nfs" in missing or {"nfsv3", "nfsv4"} <= set(missing):
        raise KernelError(
            f"kernel {index.release} has no NFS client (nfs with nfsv3 or nfsv4), neither as modules nor "
            "built in; its modules may be in a package of their own (Ubuntu: linux-modules-extra)"
        )
    notes.extend(f"kernel {index.release} has no {name}" for name in missing)
    return tuple(name for name in FILE_SYSTEMS if name in index.modules)


def _subclasses(classes: Iterable[PciClass]) -> frozenset[str]:
    """Return the subclasses of class 02 that are wanted, on any bus: wired ones unless a class says else."""
    network = [each for each in classes if each.base == NETWORK]
    if not network:
        return WIRED
    return frozenset().union(*((each.sub,) if each.sub else WIRED for each in network))


def _of_class(index: ModuleIndex, network: Network, pci_class: PciClass) -> tuple[str, ...]:
    """Return the modules that can drive devices of `pci_class`."""
    subs = {each.name: each.sub for each in network.on("pci")} if pci_class.base == NETWORK else {}
    word = f"bc{pci_class.base}sc"
    found = []
    for name in index.modules:
        sub = subs.get(name)
        if sub:
            wanted = pci_class.wants(sub)
        else:  # nearly none of their aliases names a class
            named = word in index.alias_text.get(name, "")
            wanted = named and any(map(pci_class.names, index.aliases_of[name]))
        if wanted:
            found.append(name)
    return tuple(found)


def _on_bus(index: ModuleIndex, network: Network, bus: str, subs: Collection[str]) -> tuple[str, ...]:
    """Return the drivers of networks of the subclasses `subs` on `bus`, and what carries it."""
    if bus == "mdio":
        return _phys(index)
    found = tuple(each.name for each in network.on(bus) if each.sub in subs)
    return (*network.carriers(bus), *found)


def _carriers(index: ModuleIndex, network: Network, name: str, notes: list[str]) -> tuple[str, ...]:
    """Return what the buses of the driver `name` hang on; a module that has none is noted."""
    buses = network.buses(name)
    if name in index.modules and not buses:
        notes.append(f"--driver {name}: it names no devices that load it; --module loads it at boot")
    return tuple(carrier for bus in sorted(buses.intersection(BUSES)) for carrier in network.carriers(bus))


def _uses_phys(index: ModuleIndex, names: Iterable[str]) -> bool:
    """Say whether one of the modules uses the PHY library; if that is built in, modules.dep cannot tell."""
    if "libphy" in index.builtin:
        return True
    return any(not PHY_LIBRARY.isdisjoint(index.modules[name].needs) for name in names)


def _phys(index: ModuleIndex) -> tuple[str, ...]:
    """Return the PHY drivers: which one a network card has is known only when its driver looks."""
    return tuple(name for name in index.modules if "\nmdio:" in index.alias_text.get(name, ""))


def closure(index: ModuleIndex, wanted: dict[str, Reason], notes: list[str]) -> dict[str, Reason]:
    """Return `wanted` and all it depends on, with the nearest reason of each.

    Soft dependencies that the kernel does not have are added to `notes`. Cycles end: each module is
    taken once.
    """
    reasons: dict[str, Reason] = {}
    todo = list(wanted.items())
    while todo:
        later: list[tuple[str, Reason]] = []
        for name, reason in todo:
            if name in reasons or name not in index.modules:
                continue  # there already, or built in
            reasons[name] = reason
            later += [(need, Reason("needed by", name, reason)) for need in index.modules[name].needs]
            for soft in index.soft.get(name, ()):
                for each in soft.names:
                    found = index.lookup(each)
                    if not found:
                        notes.append(
                            f"{soft.kind} of {name}: kernel {index.release} has no {printable(each)}"
                        )
                    later += [(need, Reason(f"{soft.kind} of", name, reason)) for need in found]
        todo = later
    return reasons
