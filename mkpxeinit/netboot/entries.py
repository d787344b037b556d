"""The menu of a site: an entry for each tree and group, and for each client that boots something else."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from mkpxeinit.netboot.menu import OWN, BootEntry, Menu
from mkpxeinit.netboot.parts import Tree
from mkpxeinit.netboot.site import Choice, Site


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tree's kernel and initrds are, below the TFTP root."""

    kernel: PurePosixPath
    initrds: tuple[PurePosixPath, ...]


def unversioned(tree: Tree, generation: str | None) -> Place:
    """Return TREE/vmlinuz and TREE/pxeinit.img, or with a generation, generations/GENERATION/ and these."""
    folder = PurePosixPath(f"generations/{generation}" if generation else tree.name)
    return Place(folder / "vmlinuz", (folder / "pxeinit.img",))


def make_menu(site: Site, place: Callable[[Tree, str | None], Place]) -> Menu:
    """Return the menu of `site`; `place` says where a tree's files of a generation are; None: current.

    Labels: TREE; TREE.GROUP; for a client with something of its own, mac.AA-BB-CC-DD-EE-FF. The
    first entry is the default, and the rest in the description's order.
    """
    default = site.choice().tree
    trees = (default, *(tree for tree in site.trees if tree is not default))
    chosen: dict[Choice, str] = {}
    titles: dict[str, str] = {}
    for tree in trees:
        chosen.setdefault(Choice(tree, tree.mode, tree.cmdline), tree.name)
        titles[tree.name] = tree.title or tree.name
    for group in site.groups:
        label = f"{group.tree}.{group.name}"
        chosen.setdefault(site.group_choice(group), label)
        titles[label] = f"{titles[group.tree][:150]} ({group.name})"
    clients: list[tuple[str, str]] = []
    for client in site.clients:
        choice = site.choice(client)
        own = f"{OWN}{client.mac.replace(':', '-')}"
        label = chosen.setdefault(choice, own)
        titles.setdefault(own, f"{titles[choice.tree.name][:100]} ({client.name or client.mac})")
        if label != default.name:
            clients.append((client.mac, label))
    return Menu(
        entries=tuple(_entry(site, place, choice, label, titles[label]) for choice, label in chosen.items()),
        default=default.name,
        clients=tuple(clients),
        timeout=site.timeout,
        console=site.console,
    )


def _entry(
    site: Site, place: Callable[[Tree, str | None], Place], choice: Choice, label: str, title: str
) -> BootEntry:
    files = place(choice.tree, choice.generation)
    return BootEntry(label, title, files.kernel, files.initrds, site.cmdline(choice))
