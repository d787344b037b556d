"""`mkpxeinit verify-server`."""

import json
from dataclasses import asdict
from uuid import UUID

import click

from mkpxeinit.cli import complete
from mkpxeinit.cli.forms import WORD, Checked, OneOf, Seconds
from mkpxeinit.cli.say import aside, coloured, warn, working
from mkpxeinit.errors import UsageError
from mkpxeinit.netboot.probe.dhcp_codec import ARCHITECTURES
from mkpxeinit.netboot.probe.finding import Finding, Findings, Verdict
from mkpxeinit.netboot.probe.verify import Request, Verification, read_address, read_mac, read_uuid

# How a line begins on a terminal.
_COLOURS = {Verdict.OK: "green", Verdict.NOTE: "blue", Verdict.WARN: "yellow", Verdict.BAD: "red"}
_KINDS = [each.name for each in ARCHITECTURES if each.name != "pxeinit"]


@click.command(
    name="verify-server",
    short_help="Ask DHCP, TFTP, HTTP, NFS and DNS as a client would, and say what is wrong.",
    epilog="""\b
Examples:
  mkpxeinit verify-server --interface eth0
  mkpxeinit verify-server --interface eth0 --arch uefi-x64 --mac 52:54:00:12:34:56
  mkpxeinit verify-server --server 192.0.2.1 --file pxelinux.0 --root-path /netboot/pxeclient
""",
)
@click.option(
    "--interface",
    type=WORD,
    metavar="NAME",
    shell_complete=complete.INTERFACES,
    help="Ask DHCP on this interface, and go on with what it says.",
)
@click.option(
    "--mac",
    type=Checked(read_mac),
    metavar="ADDRESS",
    help="Ask as this client. [default: the interface's own address]",
)
@click.option(
    "--uuid",
    type=Checked(read_uuid),
    metavar="UUID",
    help="And by this UUID (option 97): the name of the file that pxelinux looks for first.",
)
@click.option(
    "--arch",
    "architectures",
    multiple=True,
    type=OneOf(*_KINDS),
    help="A kind of client that must be able to boot; repeatable. [default: at least one of them all]",
)
@click.option(
    "--server", type=Checked(read_address), metavar="ADDRESS", help="Leave DHCP out: the TFTP and NFS server."
)
@click.option(
    "--file",
    "files",
    type=WORD,
    multiple=True,
    metavar="NAME",
    help="Its boot file, or a URL of http; repeatable.",
)
@click.option(
    "--root-path",
    type=WORD,
    metavar="[SERVER:]/PATH[,OPTIONS]",
    help="The root, instead of what DHCP's option 17 says.",
)
@click.option(
    "--dns",
    type=Checked(read_address),
    multiple=True,
    metavar="ADDRESS",
    help="A DNS server, instead of those of DHCP; repeatable.",
)
@click.option(
    "--init", type=WORD, metavar="PATH", help="The tree's init. [default: init= of the loader, or /sbin/init]"
)
@click.option(
    "--timeout",
    type=Seconds(0.5, 120),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for an answer.",
)
@click.option(
    "--file-timeout",
    type=Seconds(1, 3600),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for a whole file.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
def command(
    interface: str | None,
    mac: bytes | None,
    uuid: UUID | None,
    architectures: tuple[str, ...],
    server: str | None,
    files: tuple[str, ...],
    root_path: str | None,
    dns: tuple[str, ...],
    init: str | None,
    timeout: float,
    file_timeout: float,
    as_json: bool,
) -> int:
    """Ask the servers of a network boot from outside, and print a line for each thing that was seen.

    Takes no lease and mounts nothing. DHCP (--interface) needs root; so do NFS servers that want root's
    source ports. Exit code 1 if something would keep a client from booting.
    """
    _check_usage(interface, server, architectures, files, root_path)
    request = Request(
        interface=interface,
        mac=mac,
        uuid=uuid,
        architectures=architectures,
        server=server,
        files=files,
        root_path=root_path,
        dns=dns,
        init=init,
        wait=timeout,
        whole=file_timeout,
    )
    findings = Findings(None if as_json else _print)
    with working("asking") as line:
        Verification(request, findings, lambda name, size: line.on(f"{name}, {size >> 20} MB")).run()
    if as_json:
        found = [asdict(each) for each in findings.all]
        click.echo(json.dumps({"good": findings.good, "findings": found}, indent=2))
    wrong = sum(each.verdict is Verdict.BAD for each in findings.all)
    if wrong:
        lines = "line says" if wrong == 1 else "lines say"
        warn(f"a client would not boot; {wrong} {lines} why")
    return 0 if findings.good else 1


def _check_usage(
    interface: str | None,
    server: str | None,
    architectures: tuple[str, ...],
    files: tuple[str, ...],
    root_path: str | None,
) -> None:
    """Raise UsageError for options that exclude each other, or say nothing."""
    if (interface is None) == (server is None):
        raise UsageError("give either --interface NAME, to ask DHCP, or --server ADDRESS, to leave it out")
    if interface is not None and files:
        raise UsageError("--file is for --server: with --interface DHCP names the boot file")
    if server is not None and architectures:
        raise UsageError("--arch is for --interface: with --server name the boot file with --file")
    if server is not None and not files and root_path is None:
        raise UsageError("--server alone says nothing to look at: add --file NAME, --root-path PATH or both")


def _print(found: Finding) -> None:
    """Print a finding, and how to mend it on a line of its own."""
    verdict = coloured(f"{found.verdict:<4}", _COLOURS[found.verdict])
    with aside():
        click.echo(f"{verdict}  {found.part:<6}  {found.subject}: {found.text}")
        if found.remedy:
            click.echo(f"              -> {found.remedy}")
