"""All servers of a network boot in the foreground, for a bench: started in order, watched, ended in order."""

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from queue import Empty, SimpleQueue

from mkpxeinit.errors import ServerError, os_cause
from mkpxeinit.netboot import dnsmasq, serve_nfs, serve_nginx
from mkpxeinit.netboot.probe import interface as probe
from mkpxeinit.netboot.probe.dhcp_codec import ARCHITECTURES
from mkpxeinit.netboot.probe.interface import Asker, Interface
from mkpxeinit.netboot.probe.wire import ProbeError
from mkpxeinit.netboot.serve_http import HttpServer
from mkpxeinit.netboot.serve_process import Guard, Server, run, wait_readable
from mkpxeinit.netboot.serve_reports import LONGEST, Clients, Event, read_report
from mkpxeinit.netboot.serve_site import Request, fill, make_site
from mkpxeinit.netboot.site import Site

_READY_SECONDS = 10.0
_ASK_SECONDS = 4.0  # a DHCP server looks for up to 3 s whether an address is free before it offers it
_TURN = 0.5  # seconds between two looks at whether all servers run
_MOST_REPORTS = 200  # read in one turn: a flood of reports starves nothing
_PLAIN = next(each for each in ARCHITECTURES if each.name == "pxeinit")
_BIOS = next(each for each in ARCHITECTURES if each.name == "bios")


@dataclass(frozen=True, slots=True)
class Ears:
    """Who is told: `say` a remark, `event` what a client does."""

    say: Callable[[str], None]
    event: Callable[[Event], None]


def serve(request: Request, ears: Ears, clients: Clients, ready: Callable[[], None]) -> None:
    """Serve until interrupted (KeyboardInterrupt, SystemExit); nothing is left behind then.

    `ready` is called when everything runs; `clients` is filled with what is seen. Raises MkpxeinitError
    if it cannot be, or if a server ends by itself.
    """
    with ExitStack() as stack:
        stack.enter_context(_undisturbed())
        try:
            _serve(request, ears, clients, ready, stack)
        except BaseException:
            # On the way out nothing interrupts any more.
            _deaf()
            raise


def _serve(
    request: Request, ears: Ears, clients: Clients, ready: Callable[[], None], stack: ExitStack
) -> None:
    place = _look(request.interface)
    if os.geteuid() != 0:
        raise ServerError("serve gives addresses and exports trees: run it as root")
    _ask_first(request, place, ears.say)
    folder = Path(stack.enter_context(_folder()))
    address = stack.enter_context(_address(request, place))
    site = make_site(request, address, folder / "tftp")
    clients.root = str(site.tftp_root)
    fill(request, site, ears.say)
    requested: SimpleQueue[tuple[str, str]] = SimpleQueue()
    running = _start(request, site, folder, stack, requested, ears.say)
    reports = stack.enter_context(_listen(str(site.server), request.report_port))
    ready()
    _watch(running, reports, requested, clients, ears)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let the way out not be interrupted: a second Ctrl-C would leave servers and addresses behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _deaf() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _look(name: str) -> Interface:
    try:
        return probe.look(name)
    except ProbeError as error:
        raise ServerError(str(error)) from error


def _ask_first(request: Request, place: Interface, say: Callable[[str], None]) -> None:
    """Raise ServerError if somebody answers DHCP there already, for two servers are none."""
    say(f"asking on {request.interface} for {_ASK_SECONDS:.0f} s whether somebody serves DHCP there already")
    try:
        with Asker(place) as asker:
            found = asker.discover(_PLAIN, _ASK_SECONDS).offers
            found += asker.discover(_BIOS, 1.0, frozenset(offer.server for offer in found)).offers
    except ProbeError as error:
        raise ServerError(str(error)) from error
    others = ", ".join(dict.fromkeys(offer.server for offer in found))
    if others and not request.anyway and not request.proxy:
        raise ServerError(
            f"{others} answers DHCP on {request.interface}; serve beside it with --proxy (boot files alone), "
            "stop it, or insist with --anyway"
        )
    if others:
        say(f"{others} answers DHCP there, too")
    elif request.proxy:
        raise ServerError(
            f"nobody gives addresses on {request.interface}, and with --proxy serve does not; leave it out"
        )


@contextmanager
def _folder() -> Iterator[str]:
    """Yield a folder of our own; dnsmasq's TFTP must be able to enter it."""
    made = tempfile.mkdtemp(prefix="mkpxeinit-serve-")
    try:
        Path(made).chmod(0o711)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _address(request: Request, place: Interface) -> Iterator[IPv4Interface]:
    """Yield the interface's address; one that we give it goes again."""
    if place.address is not None and place.prefix is not None:
        own = IPv4Interface(f"{place.address}/{place.prefix}")
        if request.address is not None and request.address != own:
            raise ServerError(f"{place.name} has {own} already; leave --address out, or remove that one")
        yield own
        return
    if request.address is None:
        raise ServerError(f"{place.name} has no address; give one with --address ADDRESS/LENGTH")
    words = [str(request.address), "dev", place.name]
    run(["ip", "address", "add", *words])
    try:
        yield request.address
    finally:
        run(["ip", "address", "delete", *words])


@dataclass(frozen=True, slots=True)
class Running:
    """The servers, and of them those whose lines tell of clients."""

    servers: tuple[Server, ...]
    dnsmasq: Server
    nginx: Server | None


def _start(
    request: Request,
    site: Site,
    folder: Path,
    stack: ExitStack,
    requested: "SimpleQueue[tuple[str, str]]",
    say: Callable[[str], None],
) -> Running:
    """Start all servers, the one that clients ask first as the last."""
    private = folder / "private"
    private.mkdir(mode=0o700)
    kind = serve_nfs.choose(request.nfs)
    guard = stack.enter_context(Guard())
    servers = list(stack.enter_context(serve_nfs.serving(site, kind, private, guard)))
    say(f"NFS: {'the kernel' if kind == 'kernel' else 'NFS-Ganesha'} exports "
        + ", ".join(dict.fromkeys(str(tree.export) for tree in site.trees)))  # fmt: skip
    nginx = None
    if request.http_port and serve_nginx.choose(request.http) == "nginx":
        nginx = serve_nginx.start(site, request.http_port, private, guard)
        stack.callback(nginx.stop)
        servers.append(nginx)
        say(f"HTTP: nginx on {site.http_url}")
    elif request.http_port:
        heard = lambda address, what: requested.put((address, what))  # noqa: E731
        root = Path(site.tftp_root)
        stack.enter_context(HttpServer(str(site.server), request.http_port, root, heard))
        say(f"HTTP: Python's own server on {site.http_url}")
    config = private / "dnsmasq.conf"
    config.write_text(dnsmasq.configuration(site) + _own_lines(private), encoding="utf-8")
    server = guard.start(
        ["dnsmasq", "--keep-in-foreground", f"--conf-file={config}"], private / "dnsmasq.log"
    )
    stack.callback(server.stop)
    _wait_dnsmasq(server)
    say(f"DHCP{' (proxy)' if site.proxy else ''} and TFTP: dnsmasq on {site.interface}, {site.server}")
    return Running((*servers, server), server, nginx)


def _own_lines(folder: Path) -> str:
    """Return what is only for a server in the foreground: its files in our folder, its log to us."""
    lines = ["except-interface=lo", "log-facility=-", "no-ping", "pid-file", "user=nobody",
             f"dhcp-leasefile={folder / 'leases'}"]  # fmt: skip
    return "\n".join(lines) + "\n"


def _wait_dnsmasq(server: Server) -> None:
    """Wait until its TFTP port is open, or it has ended, with a word of its."""
    end = time.monotonic() + _READY_SECONDS
    table = Path(f"/proc/{server.pid}/net/udp")
    while time.monotonic() < end:
        if not server.running:
            break
        with contextlib.suppress(OSError):
            ports = {line.split()[1].rpartition(":")[2] for line in table.read_text().splitlines()[1:]}
            if {"0043", "0045"} <= ports:
                return
        time.sleep(0.05)
    raise ServerError(f"dnsmasq does not run: {server.last_words()}")


@contextmanager
def _listen(address: str, port: int) -> Iterator[socket.socket]:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as opened:
        try:
            opened.bind((address, port))
        except OSError as error:
            raise ServerError(
                f"reports on UDP port {port}: {os_cause(error)}; another port with --report-port"
            ) from None
        opened.setblocking(False)
        yield opened


def _watch(
    running: Running,
    reports: socket.socket,
    requested: "SimpleQueue[tuple[str, str]]",
    clients: Clients,
    ears: Ears,
) -> None:
    """Hand on what clients do, until an interruption; ServerError if a server ends by itself."""
    hear: dict[Server, Callable[[str], Event | None]] = {running.dnsmasq: clients.log_line}
    if running.nginx is not None:
        hear[running.nginx] = clients.http_line
    while True:
        for server in running.servers:
            if not server.running:
                raise ServerError(f"{server.name} has ended by itself: {server.last_words()}")
            if server not in hear:
                server.lines()
        wait_readable([*hear, reports], _TURN)
        events = [told(line) for server, told in hear.items() for line in server.lines()]
        events += [clients.heard(each) for each in _received(reports)]
        with contextlib.suppress(Empty):
            while True:
                address, what = requested.get_nowait()
                events.append(clients.loaded(address, what, "HTTP"))
        for event in events:
            if event is not None:
                ears.event(event)


def _received(reports: socket.socket) -> list[Event]:
    found: list[Event] = []
    for _ in range(_MOST_REPORTS):
        try:
            event = read_report(reports.recv(LONGEST))
        except OSError:
            break
        if event is not None:
            found.append(event)
    return found
