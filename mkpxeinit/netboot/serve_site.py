"""What `mkpxeinit serve` serves: a site of its own making, and the folder with kernel, image and loaders."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from mkpxeinit import build
from mkpxeinit.errors import PublishError, ServerError, printable
from mkpxeinit.netboot import publish, served, values
from mkpxeinit.netboot.parts import Subnet, Tree
from mkpxeinit.netboot.site import Site


@dataclass(frozen=True, slots=True)
class Request:
    """What is served where. `site` is a description's; without one all clients boot `tree`.

    `published` is a TFTP root that is served as it is; without one, a private one is filled. `address` is
    given to the interface for as long as it takes, if it has none. `ports` are those of HTTP (0: none) and
    of reports. `anyway`: although somebody else answers DHCP there. `cache` is the folder of build's cache.
    """

    interface: str
    tree: Tree | None = None
    site: Site | None = None
    image: Path | None = None
    published: Path | None = None
    address: IPv4Interface | None = None
    addresses: tuple[IPv4Address, IPv4Address] | None = None
    proxy: bool = False
    anyway: bool = False
    nfs: str = "auto"
    http: str = "auto"
    http_port: int = 80
    report_port: int = 5140
    console: str | None = None
    domain: str | None = None
    cache: Path | None = None


def make_site(request: Request, address: IPv4Interface, private: Path) -> Site:
    """Return what is served: the description's site, or that of one tree, with our folder and ports.

    `private` is the TFTP root if the request names none.
    """
    own = address.ip
    port = f":{request.http_port}" if request.http_port != 80 else ""
    folder = request.published.resolve() if request.published is not None else private
    ours = {
        "interface": request.interface,
        "tftp_root": values.path(str(folder)),
        "http_url": f"http://{own}{port}/" if request.http_port else None,
        "report": request.report_port,
        "other_tftp": False,
    }
    if request.site is not None:
        if request.site.server != own:
            raise ServerError(
                f"the description's server is {request.site.server}, but {request.interface} has {own}"
            )
        return replace(request.site, **ours)  # type: ignore[arg-type]
    assert request.tree is not None
    first, last = request.addresses or _range(address)
    subnet = Subnet(address.network, first, last, lease_time=3600)
    if request.proxy:
        subnet = Subnet(address.network)
    more = {"proxy": request.proxy, "console": request.console, "domain": request.domain}
    return Site.simple(own, request.tree, subnet, **ours, **more)


def _range(address: IPv4Interface) -> tuple[IPv4Address, IPv4Address]:
    """Return the addresses for clients: the half of the network in which the server is not."""
    network: IPv4Network = address.network
    if network.prefixlen > 29:
        raise ServerError(f"{network} has too few addresses for clients; give --range FIRST-LAST")
    lower, upper = network.subnets(1)
    if address.ip in upper:
        return lower[1], lower[-1]
    return upper[0], upper[-2]


def fill(request: Request, site: Site, say: Callable[[str], None]) -> None:
    """Publish each tree into the private TFTP root, or look through the one that is published already."""
    for tree in site.trees:
        if tree.nfs_server not in (None, str(site.server)):
            say(f"tree {tree.name} is on {tree.nfs_server}; that server is not started here")
    if request.published is not None:
        _look_through(request, request.published, say)
        return
    root = Path(site.tftp_root)
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    if request.image is not None and len(site.trees) > 1:
        raise ServerError("--image is for one tree; the description has several")
    for tree in site.trees:
        options = replace(build.Options(Path(tree.path), cache=request.cache), **publish.described(tree))
        publish.publish(publish.Options(root, options, tree.name, image=request.image, site=site), say)


def _look_through(request: Request, root: Path, say: Callable[[str], None]) -> None:
    """Say what `publish --check` finds; ServerError if there is nothing that could be served."""
    try:
        report = served.check(root)
    except PublishError as error:
        raise ServerError(f"--published: {error}") from error
    for finding in report.findings:
        say(str(finding))
    names = ", ".join(manifest.name for manifest in report.generations)
    say(f"{printable(root)} is served as it is: {names or 'no generation that is whole'}")
