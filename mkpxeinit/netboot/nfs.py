"""What the NFS servers export to whom: the trees of this server, writable for those who boot in mode rw."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from mkpxeinit.netboot.bootfile import need_subnets
from mkpxeinit.netboot.parts import Tree
from mkpxeinit.netboot.site import Site


@dataclass(frozen=True, slots=True)
class Export:
    """A folder, who may read it, and who may write to it: networks and addresses."""

    path: PurePosixPath
    trees: tuple[str, ...]
    readers: tuple[str, ...]
    writers: tuple[str, ...]


def exports(site: Site) -> tuple[Export, ...]:
    """Return what this server exports; ServerError if `site` has no subnets.

    If all who boot a tree in mode rw have addresses of their own, these alone may write to it.
    """
    networks = tuple(str(subnet.network) for subnet in need_subnets(site))
    paths: dict[PurePosixPath, list[Tree]] = {}
    for tree in site.trees:
        if tree.nfs_server in (None, str(site.server)):
            paths.setdefault(tree.export, []).append(tree)
    found = []
    for path, trees in paths.items():
        names = tuple(tree.name for tree in trees)
        writers = _writers(site, names)
        found.append(
            Export(path, names, () if writers is None else networks, networks if writers is None else writers)
        )
    return tuple(found)


def _writers(site: Site, trees: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the addresses of those who write to one of `trees`, None if others may as well."""
    everybody = (site.choice(), *map(site.group_choice, site.groups))
    offered = site.timeout > 0  # in a menu everybody may pick any tree
    for choice in everybody:
        if choice.tree.name in trees and choice.mode == "rw" and (offered or choice.group is None):
            return None
    if offered and any(tree.name in trees and tree.mode == "rw" for tree in site.trees):
        return None
    addresses = []
    for client in site.clients:
        choice = site.choice(client)
        if choice.tree.name in trees and choice.mode == "rw":
            if client.address is None:
                return None
            addresses.append(str(client.address))
    return tuple(addresses)
