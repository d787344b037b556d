"""`mkpxeinit server-config`."""

import json
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import click

from mkpxeinit.cli import complete
from mkpxeinit.cli.forms import DIR, FILE, WORD, Checked, OneOf
from mkpxeinit.cli.say import log as _log
from mkpxeinit.errors import ServerError, UsageError, printable
from mkpxeinit.netboot import description, place, published, values, writers
from mkpxeinit.netboot.parts import Subnet, Tree
from mkpxeinit.netboot.site import Site

CONFIG = Path("/etc/mkpxeinit.toml")
_NFS_OPTIONS = (
    "vers=3",
    "vers=4.0",
    "vers=4.1",
    "vers=4.2",
    "nconnect=4",
    "rsize=1048576",
    "nolock",
    "proto=tcp",
)

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _simple(
    name: str,
    check: Callable[[str], object],
    metavar: str,
    text: str,
    completer: complete.Completer | None = None,
) -> Callable[[_Command], _Command]:
    """Return an option of the simple case."""
    return click.option(
        f"--{name}", type=Checked(check), metavar=metavar, help=text, shell_complete=completer
    )


@click.command(
    name="server-config",
    short_help="Write the configuration of DHCP, TFTP, NFS and HTTP servers and loaders.",
    epilog="""\b
Examples:
  mkpxeinit server-config --config mkpxeinit.toml --only dnsmasq
  mkpxeinit server-config --config mkpxeinit.toml --output / --only kea,exports,tftpd-hpa,grub --dry-run
  mkpxeinit server-config --server 192.0.2.1 --tree /srv/trees/office \\
      --subnet 192.0.2.0/24 --range 192.0.2.100-192.0.2.199 --only dnsmasq,exports
""",
)
@click.option(
    "--config",
    type=FILE,
    metavar="FILE",
    help=f"The description, mkpxeinit.toml(5). [default: {CONFIG}]",
)
@_simple("server", values.address, "ADDRESS", "Without a description: this server's address.")
@_simple("tree", values.path, "PATH", "The tree that all clients boot, as NFS exports it.", complete.folders)
@_simple("subnet", values.network, "NETWORK/LENGTH", "The network of the clients.")
@_simple("range", values.span, "FIRST-LAST", "Addresses for any client.")
@_simple("router", values.address, "ADDRESS", "The router of the clients.")
@_simple("interface", values.interface, "NAME", "The interface that DHCP is served on.", complete.INTERFACES)
@_simple(
    "tftp-root",
    values.path,
    "PATH",
    "The TFTP server's folder. [default: /srv/tftp]",
    complete.folders,
)
@_simple("http-url", values.url, "URL", "Where that folder is served by HTTP; without it, no HTTP boot.")
@_simple("domain", values.host_name, "NAME", "The clients' domain.")
@click.option(
    "--dns",
    type=Checked(values.address),
    multiple=True,
    metavar="ADDRESS",
    help="A DNS server of the clients; repeatable.",
)
@click.option(
    "--mode",
    type=OneOf(*values.MODES),
    metavar="MODE",
    help="How the root becomes writable: farm (default), overlay, ro, rw.",
)
@_simple(
    "nfs-options",
    values.mount_options,
    "OPTIONS",
    "Mount options, as in nfs(5).",
    complete.commas(_NFS_OPTIONS),
)
@_simple("cmdline", values.cmdline, "PARAMETERS", "Further kernel parameters.", complete.PARAMETERS)
@click.option("--proxy", is_flag=True, help="Beside another DHCP server, which gives the addresses.")
@click.option(
    "--only",
    type=WORD,
    multiple=True,
    metavar="NAME,...",
    help="Write these and nothing else; repeatable.",
    shell_complete=complete.commas({each.name: each.about for each in writers.WRITERS}),
)
@click.option("--list", "as_list", is_flag=True, help="List what can be written.")
@click.option("--json", "as_json", is_flag=True, help="With --list: as one JSON list.")
@click.option(
    "--output",
    type=DIR,
    metavar="DIR",
    help="Write files with their usual places below DIR (`/`: in place). [default: print them]",
)
@click.option("--dry-run", is_flag=True, help="With --output: print the difference, and write nothing.")
@click.option("--force", is_flag=True, help="With --output: replace also what mkpxeinit has not written.")
def command(
    config: Path | None,
    only: tuple[str, ...],
    as_list: bool,
    as_json: bool,
    output: Path | None,
    dry_run: bool,
    force: bool,
    **simple: object,
) -> None:
    """Write what the servers and loaders need, from one description of the site or from options alone.

    Every value is checked first, and all files are written or none is. The servers are not restarted.
    """
    if as_json and not as_list:
        raise UsageError("--json is for --list")
    if as_json:
        rows = [{"name": writer.name, "about": writer.about} for writer in writers.WRITERS]
        click.echo(json.dumps(rows, indent=2))
        return
    if as_list:
        for writer in writers.WRITERS:
            click.echo(f"{writer.name:10} {writer.about}")
        return
    if output is None and (dry_run or force):
        raise UsageError("--dry-run and --force are of use with --output only")
    names = tuple(name for each in only for name in each.split(",") if name)
    if only and not names:
        raise UsageError("--only has no name; --list shows them")
    site = _site(config, simple)
    written = writers.write(site, names, published=_is_published(output, site))
    for name, reason in written.left_out:
        _log(f"{name}: left out: {reason}")
    if output is None:
        _print(written.files)
    else:
        _put(output, written.files, dry_run, force or dry_run)


def _is_published(output: Path | None, site: Site) -> bool:
    """Say whether the TFTP root is one that publish has filled: then its loaders' files are not ours."""
    return output is not None and (output / site.tftp_root.relative_to("/") / published.STATE).exists()


def _site(config: Path | None, simple: dict[str, object]) -> Site:
    """Return the site of the description, or that of the options."""
    given = {key: value for key, value in simple.items() if value not in (None, (), False)}
    if not given:
        return description.read(config or CONFIG)
    if config is not None:
        first = next(iter(given)).replace("_", "-")
        raise UsageError(f"--config and --{first}: a description says it all, or options do")
    for key in ("server", "tree", "subnet"):
        if key not in given:
            raise UsageError(f"--{key} is missing; without --config it takes --server, --tree and --subnet")
    try:
        return _simple_site(**simple)  # type: ignore[arg-type]
    except ServerError as error:
        raise UsageError(str(error)) from error


def _simple_site(
    *,
    server: IPv4Address,
    tree: PurePosixPath,
    subnet: IPv4Network,
    range: tuple[IPv4Address, IPv4Address] | None,
    router: IPv4Address | None,
    interface: str | None,
    tftp_root: PurePosixPath | None,
    http_url: str | None,
    domain: str | None,
    dns: tuple[IPv4Address, ...],
    mode: str | None,
    nfs_options: str | None,
    cmdline: str | None,
    proxy: bool,
) -> Site:
    first, last = range or (None, None)
    return Site.simple(
        server,
        Tree(_name(tree), tree, nfs_options=nfs_options or "", mode=mode or "farm", cmdline=cmdline or ""),
        Subnet(subnet, first, last, router),
        interface=interface,
        tftp_root=tftp_root or PurePosixPath("/srv/tftp"),
        http_url=http_url,
        domain=domain,
        dns=dns,
        proxy=proxy,
    )


def _name(path: PurePosixPath) -> str:
    """Return the name of the tree at `path`: its folder's, if that can be one."""
    try:
        return values.name(path.name)
    except ServerError:
        return "tree"


def _print(files: writers.Files) -> None:
    """Print the files, each under its place if there are several."""
    for number, (path, text) in enumerate(files.items()):
        if len(files) > 1:
            click.echo(f"{chr(10) if number else ''}==> /{path} <==")
        click.echo(text, nl=False)


def _put(folder: Path, files: writers.Files, dry_run: bool, force: bool) -> None:
    changes = place.plan(folder, files, force=force)
    if dry_run:
        for change in changes:
            click.echo(change.diff(), nl=False)
        return
    place.apply(changes)
    for change in changes:
        _log(f"{printable(change.path)}: {'written' if change.old is None else 'replaced'}")
    same = len(files) - len(changes)
    if same:
        _log(f"{same} of {len(files)} files are as they should be already")
