"""What the parts of a site must not say of each other. ServerError names the table, and the other one."""

from collections.abc import Iterable
from ipaddress import IPv4Address

from mkpxeinit.errors import ServerError
from mkpxeinit.meant import meant
from mkpxeinit.netboot.parts import Client, Group, Subnet, Tree


def client_table(number: int, client: Client) -> str:
    """Return how messages name the `number`th client, counted from 0."""
    return f"[[client]] {number + 1} ({client.name or client.mac})"


def check_networks(
    server: IPv4Address, subnets: tuple[Subnet, ...], clients: tuple[Client, ...], proxy: bool
) -> None:
    """Check the addresses: each in its network, none twice, none that a range gives to somebody else."""
    taken = {server: "the server"}
    for number, subnet in enumerate(subnets):
        table = f"[[subnet]] {number + 1} ({subnet.network})"
        for other in subnets[:number]:
            if subnet.network.overlaps(other.network):
                raise ServerError(f"{table}: network: overlaps with {other.network}; a subnet is given once")
        _check_subnet(table, subnet, proxy)
        if subnet.router:
            taken.setdefault(subnet.router, f"the router of {subnet.network}")
    for subnet in subnets:
        for address, what in taken.items():
            if _in_range(subnet, address):
                raise ServerError(f"[[subnet]] {subnet.network}: range: holds {address}, which is {what}")
    _check_clients(taken, subnets, clients, proxy)


def _check_subnet(table: str, subnet: Subnet, proxy: bool) -> None:
    for key, address in (("range", subnet.first), ("range", subnet.last), ("router", subnet.router)):
        if address is None:
            continue
        if address not in subnet.network:
            raise ServerError(f"{table}: {key}: {address} is not in that network")
        if address in (subnet.network.network_address, subnet.network.broadcast_address):
            raise ServerError(f"{table}: {key}: {address} is the network's own, no host's")
    if (subnet.first is None) != (subnet.last is None):
        raise ServerError(f"{table}: range: has one end only; give first and last address")
    if subnet.first and subnet.last:
        if proxy:
            raise ServerError(
                f"{table}: range: as proxy the other DHCP server gives the addresses; leave it away"
            )
        if subnet.first > subnet.last:
            raise ServerError(f"{table}: range: {subnet.first} is after {subnet.last}")
    if not 120 <= subnet.lease_time <= 0x7FFFFFFF:
        raise ServerError(f"{table}: lease-time: {subnet.lease_time} is not from 120 to {0x7FFFFFFF} seconds")


def _in_range(subnet: Subnet, address: IPv4Address) -> bool:
    return bool(subnet.first and subnet.last and subnet.first <= address <= subnet.last)


def _check_clients(
    taken: dict[IPv4Address, str], subnets: tuple[Subnet, ...], clients: tuple[Client, ...], proxy: bool
) -> None:
    macs: dict[str, str] = {}
    names: dict[str, str] = {}
    for number, client in enumerate(clients):
        table = client_table(number, client)
        if client.mac in macs:
            raise ServerError(f"{table}: mac: {client.mac} is that of {macs[client.mac]} already")
        macs[client.mac] = table
        if client.name:
            if client.name in names:
                raise ServerError(f"{table}: name: {client.name} is that of {names[client.name]} already")
            names[client.name] = table
        if client.address is None:
            continue
        if proxy:
            raise ServerError(
                f"{table}: address: as proxy the other DHCP server gives the addresses; leave it away"
            )
        if client.address in taken:
            raise ServerError(
                f"{table}: address: {client.address} is that of {taken[client.address]} already"
            )
        taken[client.address] = table
        _check_place(table, client.address, subnets)


def _check_place(table: str, address: IPv4Address, subnets: tuple[Subnet, ...]) -> None:
    """Check that a client's address is a host's of one subnet, and nobody's by chance."""
    for subnet in subnets:
        if address not in subnet.network:
            continue
        if address in (subnet.network.network_address, subnet.network.broadcast_address):
            raise ServerError(f"{table}: address: {address} is the network's own, no host's")
        if _in_range(subnet, address):
            raise ServerError(
                f"{table}: address: {address} is in the range of {subnet.network}, which any client may get; "
                "take one outside of it"
            )
        return
    raise ServerError(f"{table}: address: {address} is in none of the subnets")


def check_choices(
    trees: tuple[Tree, ...], groups: tuple[Group, ...], clients: tuple[Client, ...], default: str | None
) -> None:
    """Check that there is a tree, no name twice, and that whatever is named is there."""
    if not trees:
        raise ServerError("no [tree.NAME]: there is nothing to boot")
    tree_names = _unique("tree", (tree.name for tree in trees))
    group_names = _unique("group", (group.name for group in groups))
    sealed = {tree.name: tree for tree in trees if tree.squashfs}
    for tree in trees:
        _writable(f"[tree.{tree.name}]", tree.mode, sealed.get(tree.name))
        if tree.path.suffix == ".squashfs":
            raise ServerError(
                f"[tree.{tree.name}]: path: clients take what ends in .squashfs for a file; that is the key "
                "squashfs, and path the folder that it was made of"
            )
    if default is not None:
        _known(tree_names, "tree", default, "[server]: default-tree")
    for group in groups:
        _known(tree_names, "tree", group.tree, f"[group.{group.name}]: tree")
        _writable(f"[group.{group.name}]", group.mode, sealed.get(group.tree))
    trees_of = {group.name: group.tree for group in groups}
    first = default or trees[0].name
    for number, client in enumerate(clients):
        table = client_table(number, client)
        if client.group is not None:
            _known(group_names, "group", client.group, f"{table}: group")
        if client.tree is not None:
            _known(tree_names, "tree", client.tree, f"{table}: tree")
        booted = client.tree or trees_of.get(client.group or "", first)
        _writable(table, _mode(client, groups), sealed.get(booted))


def _mode(client: Client, groups: tuple[Group, ...]) -> str | None:
    """Return the mode that a client or its group asks for; None: the tree's own."""
    return client.mode or next((group.mode for group in groups if group.name == client.group), None)


def _writable(table: str, mode: str | None, tree: Tree | None) -> None:
    """Check that nobody is to write to `tree`, which is a squashfs if it is given."""
    if tree is not None and mode == "rw":
        raise ServerError(
            f"{table}: mode: rw cannot be: clients have the squashfs {tree.squashfs} as their root, to which "
            "nobody can write; farm, overlay or ro, or leave squashfs away"
        )


def _unique(what: str, names: Iterable[str]) -> tuple[str, ...]:
    found: list[str] = []
    for each in names:
        if each in found:
            raise ServerError(f"[{what}.{each}]: there are two {what}s of this name")
        found.append(each)
    return tuple(found)


def _known(names: tuple[str, ...], what: str, name: str, where: str) -> None:
    if name not in names:
        raise ServerError(f"{where}: no {what} is named {name!r}{meant(name, names)}")
