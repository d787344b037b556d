"""Which modules an image needs, each with the reason why it is there.

A class of PCI devices does not say which drivers serve it: nearly all network drivers' aliases
leave the class open. So class 02 takes

1. the modules under drivers/net that have a PCI alias, where their folder is of the class asked for;
2. all modules that have an alias whose class field names the class;
3. the PHY drivers (`mdio:` aliases), if a module taken uses the kernel's PHY library;
4. the network devices of virtual machines: virtio, Hyper-V's vmbus, Xen.

An inventory of hardware says more: see hardware/drivers.py for what is taken then.

To these come the NFS client, overlayfs, what --module names, and the closure over dependencies, soft
and weak ones too. What is built into the kernel counts as present.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mkpxeinit.errors import KernelError, printable
from mkpxeinit.hardware import drivers
from mkpxeinit.hardware.inventory import Inventory
from mkpxeinit.hardware.pci import NETWORK, PciClass, network_subclass
from mkpxeinit.kernel.index import Module, ModuleIndex, normal_name

# Loaded by the client by name; `nfsv3` and `nfsv4` are requested by `nfs` when it mounts.
FILE_SYSTEMS = ("nfs", "nfsv3", "nfsv4", "overlay")
# udhcpc's packet socket, and local sockets (resolvers, udev); modules in small kernels only.
SOCKETS = ("af_packet", "unix")
# What the client makes of network cards when the command line says so: vlan=, bond=, netconsole=. Whoever
# builds for known machines knows whether they need it: --module.
ON_REQUEST = ("8021q", "bonding", "netconsole")
VIRTUAL_NETWORK = (
    "virtio_pci",
    "virtio_mmio",
    "virtio_net",
    "hv_vmbus",
    "hv_netvsc",
    "xen_netfront",
)
_PHY_LIBRARY = frozenset({"libphy", "phylink"})


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is in the image: `text`, because of `of` (a module), which has its own `why`."""

    text: str
    of: str | None = None
    why: "Reason | None" = None

    def chain(self) -> tuple[str, ...]:
        """Return the steps from the nearest to the first cause: `("softdep of r8169", "PCI class 02")`."""
        step = f"{self.text} {self.of}" if self.of else self.text
        return (step, *(self.why.chain() if self.why else ()))

    def __str__(self) -> str:
        return " \N{LEFTWARDS ARROW} ".join(self.chain())


@dataclass(frozen=True, slots=True)
class Selected:
    """A module of the image and its reason."""

    module: Module
    reason: Reason


@dataclass(frozen=True, slots=True)
class Selection:
    """The modules of an image in the order of modules.dep, and remarks for the user."""

    modules: tuple[Selected, ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names of the modules."""
        return frozenset(each.module.name for each in self.modules)


def select(
    index: ModuleIndex,
    classes: Iterable[PciClass],
    extra: Iterable[str] = (),
    inventories: Sequence[Inventory] = (),
) -> Selection:
    """Return what clients with devices of `classes` or of `inventories` need, and the modules `extra` names.

    KernelError if the kernel has no NFS client, or no module that `extra` names; HardwareError if an
    inventory has no network device.
    """
    wanted: dict[str, Reason] = {}
    notes: list[str] = []

    def want(names: Iterable[str], reason: Reason) -> None:
        for name in names:
            wanted.setdefault(name, reason)

    for name in extra:
        want(_named(index, name), Reason("--module"))
    want(_nfs_client(index, notes), Reason("NFS root"))
    want((name for name in SOCKETS if name in index.modules), Reason("sockets of the client"))
    if inventories:
        exact = drivers.find(index, inventories)
        notes.extend(exact.notes)
        for name, where in exact.modules:
            want((name,), Reason(f"hardware {where}"))
    else:
        want((name for name in ON_REQUEST if name in index.modules), Reason("vlan=, bond= and netconsole="))
    for pci_class in classes:
        want(_of_class(index, pci_class), Reason(f"PCI class {pci_class}"))
        if pci_class.base == NETWORK and pci_class.wants("00"):
            want((name for name in VIRTUAL_NETWORK if name in index.modules), Reason("virtual network"))
    reasons = closure(index, wanted, notes)
    if _uses_phys(index, reasons):
        phys = {name: Reason("PHY driver") for name in _phys(index) if name not in reasons}
        reasons |= {k: v for k, v in closure(index, phys, notes).items() if k not in reasons}
    modules = tuple(
        Selected(each, reasons[each.name]) for each in index.modules.values() if each.name in reasons
    )
    return Selection(modules, tuple(dict.fromkeys(notes)))


def _named(index: ModuleIndex, name: str) -> tuple[str, ...]:
    """Return the modules that the user's `name` means; KernelError with close matches if there is none."""
    found = index.lookup(name)
    if found:
        return found
    close = difflib.get_close_matches(normal_name(name), (*index.modules, *index.builtin), n=3)
    hint = f"; close to it: {', '.join(close)}" if close else ""
    raise KernelError(f"--module {printable(name)}: kernel {index.release} has no such module{hint}")


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


def _of_class(index: ModuleIndex, pci_class: PciClass) -> tuple[str, ...]:
    """Return the modules that can drive devices of `pci_class`."""
    found = []
    for name, module in index.modules.items():
        patterns = [p for p in index.aliases_of.get(name, ()) if p.startswith("pci:")]
        if not patterns:
            continue
        by_place = network_subclass(module.path) if pci_class.base == NETWORK else None
        if by_place is not None:
            if pci_class.wants(by_place):
                found.append(name)
        elif any(pci_class.names(pattern) for pattern in patterns):
            found.append(name)
    return tuple(found)


def _uses_phys(index: ModuleIndex, names: Iterable[str]) -> bool:
    """Say whether one of the modules uses the PHY library; if that is built in, modules.dep cannot tell."""
    if "libphy" in index.builtin:
        return True
    return any(not _PHY_LIBRARY.isdisjoint(index.modules[name].needs) for name in names)


def _phys(index: ModuleIndex) -> tuple[str, ...]:
    """Return the PHY drivers: which one a network card has is known only when its driver looks."""
    return tuple(
        name
        for name in index.modules
        if any(pattern.startswith("mdio:") for pattern in index.aliases_of.get(name, ()))
    )


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
