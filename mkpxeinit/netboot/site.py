"""A site as its servers see it: whatever there is in it has been checked against the rest."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import PurePosixPath

from mkpxeinit.errors import ServerError
from mkpxeinit.netboot import consistency
from mkpxeinit.netboot.parts import Client, Group, Loaders, Subnet, Tree


@dataclass(frozen=True, slots=True)
class Choice:
    """What a client, a group or everybody boots: the tree and what is changed about it.

    `cmdline` is the tree's, then the group's, then the client's, without what `Site.cmdline` adds.
    """

    tree: Tree
    mode: str
    cmdline: str
    group: str | None = None
    generation: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A server, its networks, and what is booted there by whom. ServerError if it contradicts itself.

    `http_url` is where the TFTP root is served by HTTP, with a `/` at its end. `proxy`: addresses
    come from another DHCP server. `other_tftp`: dnsmasq is not the TFTP server. `report` is the UDP
    port that clients send their phases to.
    """

    server: IPv4Address
    trees: tuple[Tree, ...]
    interface: str | None = None
    tftp_root: PurePosixPath = PurePosixPath("/srv/tftp")
    http_url: str | None = None
    domain: str | None = None
    dns: tuple[IPv4Address, ...] = ()
    ntp: tuple[IPv4Address, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    groups: tuple[Group, ...] = ()
    clients: tuple[Client, ...] = ()
    loaders: Loaders = field(default_factory=Loaders)
    default: str | None = None  # the tree of clients that are not named; None: the first
    proxy: bool = False
    other_tftp: bool = False
    report: int | None = None
    timeout: int = 0
    console: str | None = None

    def __post_init__(self) -> None:
        consistency.check_networks(self.server, self.subnets, self.clients, self.proxy)
        consistency.check_choices(self.trees, self.groups, self.clients, self.default)

    @classmethod
    def simple(cls, server: IPv4Address, tree: Tree, subnet: Subnet, **more: object) -> "Site":
        """Return the site of one tree and one network, all clients alike; `more` are fields of Site."""
        return cls(server=server, trees=(tree,), subnets=(subnet,), **more)  # type: ignore[arg-type]

    def tree(self, name: str | None = None) -> Tree:
        """Return the tree of that name, or the one for clients that are not named."""
        wanted = name or self.default
        for each in self.trees:
            if wanted in (None, each.name):
                return each
        raise ServerError(f"no tree is named {wanted!r}")

    def group(self, name: str) -> Group:
        """Return the group of that name."""
        for each in self.groups:
            if each.name == name:
                return each
        raise ServerError(f"no group is named {name!r}")

    def choice(self, client: Client | None = None) -> Choice:
        """Return what `client` boots, or a client that is not named."""
        if client is None:
            tree = self.tree()
            return Choice(tree, tree.mode, tree.cmdline)
        group = self.group(client.group) if client.group else None
        tree = self.tree(client.tree or (group.tree if group else None))
        return Choice(
            tree=tree,
            mode=client.mode or (group.mode if group else None) or tree.mode,
            cmdline=_joined(tree.cmdline, group.cmdline if group else "", client.cmdline),
            group=client.group,
            generation=client.generation or (group.generation if group else None),
        )

    def group_choice(self, group: Group) -> Choice:
        """Return what the clients of `group` boot that say nothing else."""
        tree = self.tree(group.tree)
        cmdline = _joined(tree.cmdline, group.cmdline)
        return Choice(tree, group.mode or tree.mode, cmdline, group.name, group.generation)

    def root_path(self, tree: Tree) -> str:
        """Return DHCP option 17 for `tree`: SERVER:/PATH[,OPTIONS], as docs/client.md has it."""
        options = f",{tree.nfs_options}" if tree.nfs_options else ""
        return f"{tree.nfs_server or self.server}:{tree.root}{options}"

    def cmdline(self, choice: Choice) -> str:
        """Return the kernel's whole command line for `choice`: root, mode, group, report, then the given."""
        parts = [f"root=/dev/nfs nfsroot={self.root_path(choice.tree)}"]
        if choice.mode != "farm":
            parts.append(f"pxeinit.mode={choice.mode}")
        if choice.group:
            parts.append(f"pxeinit.group={choice.group}")
        if self.report:
            parts.append(f"pxeinit.report=udp://{self.server}:{self.report}")
        given = choice.cmdline.split()
        if self.console and not any(word.startswith("console=") for word in given):
            parts.append(f"console=tty0 console={self.console}")
        return _joined(*parts, choice.cmdline)


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
