"""`mkpxeinit serve`."""

import json
import sys
import time
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, NetmaskValueError
from pathlib import Path, PurePosixPath

import click

from mkpxeinit.cli import complete
from mkpxeinit.cli.build import cache_folder, cache_option, no_cache_option
from mkpxeinit.cli.forms import DIR, FILE, Checked, OneOf, Whole, shown
from mkpxeinit.cli.say import log
from mkpxeinit.errors import ServerError, UsageError, printable
from mkpxeinit.netboot import description, serve, serve_nfs, serve_nginx, values
from mkpxeinit.netboot.parts import Tree
from mkpxeinit.netboot.publish import tree_name
from mkpxeinit.netboot.serve_reports import Clients, Event
from mkpxeinit.netboot.serve_site import Request
from mkpxeinit.sysroot import Sysroot


def _address(text: str) -> IPv4Interface:
    try:
        found = IPv4Interface(text)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise UsageError(f"{shown(text)} is not ADDRESS/LENGTH") from None
    if "/" not in text or found.network.prefixlen > 30 or found.ip in (found.network[0], found.network[-1]):
        raise UsageError(f"{shown(text)} is not the address of a host with its network's length")
    return found


@click.command(
    name="serve",
    short_help="Serve a tree to the clients of one network, until Ctrl-C.",
    epilog="""\b
Examples:
  mkpxeinit serve --sysroot /netboot/pxeclient --interface eth1 --address 192.0.2.1/24
  mkpxeinit serve --sysroot DIR --interface eth0 --proxy             (beside the DHCP server there)
  mkpxeinit serve --config mkpxeinit.toml --interface eth1
  mkpxeinit serve --sysroot DIR --published /srv/tftp --interface eth1
""",
)
@click.option(
    "--interface",
    type=Checked(values.interface),
    required=True,
    metavar="NAME",
    shell_complete=complete.INTERFACES,
    help="The network of the clients.",
)
@click.option("--sysroot", type=DIR, metavar="DIR", help="The tree that they boot.")
@click.option(
    "--config",
    type=FILE,
    metavar="FILE",
    help="Description of the site, mkpxeinit.toml(5): several trees, clients by their address.",
)
@click.option(
    "--address",
    type=Checked(_address),
    metavar="ADDRESS/LENGTH",
    help="Give the interface this address for as long as it takes. [default: the one that it has]",
)
@click.option(
    "--range",
    "addresses",
    type=Checked(values.span),
    metavar="FIRST-LAST",
    help="Addresses for clients. [default: the half of the network without ours]",
)
@click.option("--image", type=FILE, metavar="FILE", help="Serve this image; none is built.")
@cache_option
@no_cache_option
@click.option(
    "--published",
    type=DIR,
    metavar="DIR",
    help="Serve this TFTP root, which `mkpxeinit publish` has filled, as it is. [default: a private one]",
)
@click.option(
    "--mode",
    type=OneOf(*values.MODES),
    metavar="MODE",
    help="How the root becomes writable: farm (default), overlay, ro, rw.",
)
@click.option(
    "--append",
    type=Checked(values.cmdline),
    metavar="PARAMETERS",
    shell_complete=complete.PARAMETERS,
    help="Further kernel parameters.",
)
@click.option(
    "--console",
    type=Checked(values.console),
    metavar="ttySN[,SPEED]",
    help="Serial line for the loaders and the kernel.",
    shell_complete=complete.CONSOLES,
)
@click.option("--proxy", is_flag=True, help="Leave addresses to the DHCP server that is there.")
@click.option("--anyway", is_flag=True, help="Serve although another DHCP server answers.")
@click.option(
    "--nfs",
    type=OneOf(*serve_nfs.KINDS),
    default="auto",
    show_default=True,
    help="Which NFS server; auto: the kernel's if it is there.",
)
@click.option(
    "--http",
    type=OneOf(*serve_nginx.KINDS),
    default="auto",
    show_default=True,
    help="Which HTTP server; auto: nginx if it is installed, else one of mkpxeinit's own in Python.",
)
@click.option(
    "--http-port",
    type=Whole(0, 65535),
    default=80,
    show_default=True,
    metavar="PORT",
    help="For UEFI HTTP boot and iPXE; 0: none.",
)
@click.option("--json", "as_json", is_flag=True, help="What clients do as JSON, one object a line.")
@click.option(
    "--report-port",
    type=Whole(1, 65535),
    default=5140,
    show_default=True,
    metavar="PORT",
    help="Where clients report their phases (pxeinit.report=).",
)
def command(
    interface: str,
    sysroot: Path | None,
    config: Path | None,
    address: IPv4Interface | None,
    addresses: tuple[IPv4Address, IPv4Address] | None,
    image: Path | None,
    cache: Path | None,
    no_cache: bool,
    published: Path | None,
    mode: str | None,
    append: str | None,
    console: str | None,
    proxy: bool,
    anyway: bool,
    nfs: str,
    http: str,
    http_port: int,
    as_json: bool,
    report_port: int,
) -> int:
    """Run DHCP, TFTP, HTTP and NFS on one interface, in the foreground, and show what clients do.

    Everything is configured and, without --published, published in a private folder that goes with it, so
    that Ctrl-C leaves neither a process nor an address nor a file. Needs root, dnsmasq, and the kernel's NFS
    server or NFS-Ganesha. Refuses a network on which a DHCP server answers already.
    """
    if (sysroot is None) == (config is None):
        raise UsageError("give either --sysroot DIR or --config FILE")
    if config is not None and (mode or append or console or addresses or proxy):
        raise UsageError("--config says mode, parameters, console, ranges and proxy itself")
    if published is not None and (image or mode or append or console):
        raise UsageError("--published is served as it is: image, mode, parameters and console are publish's")
    try:
        site = description.read(config) if config is not None else None
        tree = _tree(sysroot, mode, append) if sysroot is not None else None
        request = Request(
            interface=interface,
            tree=tree,
            site=site,
            image=image,
            published=published,
            address=address,
            addresses=addresses,
            proxy=site.proxy if site is not None else proxy,
            anyway=anyway,
            nfs=nfs,
            http=http,
            http_port=http_port,
            report_port=report_port,
            console=console,
            cache=cache_folder(cache, no_cache),
        )
    except ServerError as error:
        raise UsageError(str(error)) from error
    return _run(request, as_json)


def _run(request: Request, as_json: bool) -> int:
    """Serve; at the end, however it comes, print what was seen of each client."""
    clients = Clients()
    show = _show_json if as_json else _show
    try:
        serve.serve(request, serve.Ears(_say, show), clients, lambda: _say("ready; Ctrl-C ends it"))
    except KeyboardInterrupt:
        return 0
    finally:
        for line in () if as_json else clients.table():
            click.echo(line)
    return 0


def _tree(sysroot: Path, mode: str | None, append: str | None) -> Tree:
    """Return the tree as it is exported: its real path, for a link cannot be exported."""
    path: PurePosixPath = values.path(str(Sysroot.open(sysroot).root.resolve()))
    return Tree(
        tree_name(sysroot),
        path,
        mode=mode or "farm",
        cmdline=append or "",
    )


def _say(text: str) -> None:
    log(printable(text))


def _show(event: Event) -> None:
    """Print what a client did, at once."""
    mark = "!" if event.failed else " "
    click.echo(f"{time.strftime('%H:%M:%S')} {mark} {event.client}  {event.what}")


def _show_json(event: Event) -> None:
    """Print what a client did, at once, for programs: the time in seconds since 1970."""
    row = {"time": round(time.time(), 3), "client": event.client, "what": event.what, "failed": event.failed}
    click.echo(json.dumps(row))
    sys.stdout.flush()
