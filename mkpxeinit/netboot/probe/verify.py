"""The servers of a network boot as a client sees them: DHCP, loader, kernel and image, root, names."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from uuid import UUID

from mkpxeinit.errors import ServerError
from mkpxeinit.netboot import values
from mkpxeinit.netboot.probe import dns, rootspec
from mkpxeinit.netboot.probe.boot_check import BootCheck, Client, Start
from mkpxeinit.netboot.probe.dhcp_check import Boot, DhcpCheck, Told
from mkpxeinit.netboot.probe.fileset import Files, Place, is_address, place
from mkpxeinit.netboot.probe.finding import Findings, Verdict
from mkpxeinit.netboot.probe.interface import Asker, look
from mkpxeinit.netboot.probe.nfs_check import NfsCheck, Wanted
from mkpxeinit.netboot.probe.wire import ProbeError, shown

_MODES = ("farm", "overlay", "ro", "rw")
_SOME_NAME = "localhost"  # which every DNS server has an answer to (RFC 6761), if only that it has none


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be looked at. Either `interface`, by which DHCP is asked, or `server` and what is known.

    `architectures` are the kinds of clients (dhcp_codec.ARCHITECTURES) that must be able to boot;
    none: one kind at least. `uuid` is as SMBIOS 2.6 writes it. `wait` and `whole` are the seconds for an
    answer and for a whole file.
    """

    interface: str | None = None
    mac: bytes | None = None
    uuid: UUID | None = None
    architectures: tuple[str, ...] = ()
    server: str | None = None
    files: tuple[str, ...] = ()
    root_path: str | None = None
    dns: tuple[str, ...] = ()
    init: str | None = None
    wait: float = 5.0
    whole: float = 300.0


class Resolver:
    """Names to addresses, by the DNS servers that the clients are told; without any, by this machine's."""

    def __init__(self, findings: Findings, seconds: float) -> None:
        """Start without servers."""
        self.servers: tuple[str, ...] = ()
        self._findings = findings
        self._seconds = seconds
        self._known: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """Return a host's address. Raises ProbeError."""
        if is_address(name):
            return name
        if name not in self._known:
            self._known[name] = self._ask(name) if self.servers else self._own(name)
        return self._known[name]

    def _own(self, name: str) -> str:
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise ProbeError(
                f"{shown(name)}: this machine knows no address of it", "the address itself"
            ) from None
        return str(found[0][4][0])

    def _ask(self, name: str) -> str:
        """Ask each server: a client asks another one after seconds only."""
        answer: str | None = None
        for server in self.servers:
            try:
                reply = dns.ask(server, name, self._seconds)
            except ProbeError as error:
                self._findings.warn("dns", server, error.cause, "mend it, or leave it out of option 6")
                continue
            if reply.addresses:
                self._findings.ok("dns", server, f"{shown(name)} is {', '.join(reply.addresses)}")
                answer = answer or reply.addresses[0]
            else:
                way = f"a record for {shown(name)}, or the address itself in its place"
                self._findings.warn("dns", server, f"{shown(name)}: {reply.refusal}", way)
        if answer is None:
            raise ProbeError(
                f"{shown(name)}: none of the DNS servers {', '.join(self.servers)} has an address",
                "the address itself in its place, or a DNS server that answers",
            )
        return answer

    def check_all(self) -> None:
        """Ask servers that nothing was asked of, to see whether they are there."""
        for server in self.servers if not self._known else ():
            try:
                dns.ask(server, _SOME_NAME, self._seconds)
                self._findings.ok("dns", server, "answers")
            except ProbeError as error:
                way = "mend it, or leave it out of option 6: clients wait for it"
                self._findings.warn("dns", server, error.cause, way)


class Verification:
    """One look at everything."""

    def __init__(
        self, request: Request, findings: Findings, alive: Callable[[str, int], None] | None = None
    ) -> None:
        """Prepare it; `alive` is told of a file that comes: its name, and the bytes so far."""
        self._request = request
        self._findings = findings
        self._resolver = Resolver(findings, request.wait)
        self._files = Files(self._resolver, request.wait, request.whole, alive)

    def run(self) -> None:
        """Look. What is found is in the findings; raises ProbeError where it cannot even begin."""
        told, mac = self._told()
        self._resolver.servers = self._request.dns or told.dns
        starts = self._boots(told, mac)
        self._roots(told, starts)
        self._resolver.check_all()

    def _told(self) -> tuple[Told, bytes]:
        """Return what DHCP says, or the options in its place, and the client's hardware address."""
        request = self._request
        if request.interface is None:
            server = request.server or ""
            boots = [
                Boot(None, place(name) if "://" in name[:9] else Place("tftp", server, name))
                for name in request.files
            ]
            return Told(boots, root_path=request.root_path or "", next_server=server), request.mac or bytes(6)
        interface = look(request.interface)
        if interface.address is None:
            self._findings.warn(
                "dhcp",
                interface.name,
                "this interface has no address: what is not DHCP is asked by other ways, if there are any",
                f"ip addr add ADDRESS/LENGTH dev {interface.name}",
            )
        with Asker(interface, request.mac, request.uuid.bytes_le if request.uuid else None) as asker:
            told = DhcpCheck(asker, self._findings, request.wait, request.architectures).run()
            if request.root_path is not None:
                told.root_path = request.root_path
            return told, asker.mac

    def _boots(self, told: Told, mac: bytes) -> list[Start]:
        client = Client(mac.hex(":"), told.address, self._request.uuid)
        check = BootCheck(self._files, self._findings, client)
        needed = self._request.architectures
        starts: list[Start] = []
        good = False
        for boot in told.boots:
            must = boot.architecture is None or boot.architecture.name in needed
            fits, found = check.run(boot.architecture, boot.loader, Verdict.BAD if must else Verdict.WARN)
            good = good or fits
            starts += [each for each in found if each not in starts]
        if told.boots and not good and not needed and self._request.interface is not None:
            way = "one that can be loaded, and is for these clients"
            self._findings.bad(
                "loader", "boot file", "no kind of client gets a boot file that it can start", way
            )
        return starts

    def _roots(self, told: Told, starts: list[Start]) -> None:
        """Look at each root that a client may end up with."""
        seen: list[tuple[str, str, Wanted, str]] = []
        for start in starts or [Start("", "")]:
            try:
                named = rootspec.from_cmdline(start.cmdline)
            except ProbeError as error:
                self._findings.failed("nfs", "command line", error)
                continue
            text, source = named or (told.root_path, "root-path")
            if not text:
                if self._request.interface is None:
                    self._findings.note(
                        "nfs", "root", "not looked at: no --root-path, and no loader names one"
                    )
                elif told.address is not None:
                    way = 'option 17, root-path "[SERVER:]/PATH", or nfsroot= on the kernel\'s command line'
                    self._findings.bad("nfs", "root", "nobody says where the root is", way)
                continue
            words = dict(word.partition("=")[::2] for word in start.cmdline.split())
            key = (text, source, self._wanted(words, start.release), words.get("pxeinit.squashfs", ""))
            if key not in seen:
                seen.append(key)
                self._root(told, *key)

    def _wanted(self, words: dict[str, str], release: str) -> Wanted:
        mode = words.get("pxeinit.mode", "farm")
        init = self._request.init or words.get("init", "/sbin/init")
        return Wanted(init, release, mode if mode in _MODES else "farm")

    def _root(self, told: Told, text: str, source: str, wanted: Wanted, squashfs: str) -> None:
        try:
            spec = rootspec.parse(text, source, told.address or "", squashfs)
        except ProbeError as error:
            self._findings.failed("nfs", "root", error)
            return
        servers = spec.servers or ((told.next_server,) if told.next_server else ())
        if not servers:
            way = "SERVER:/PATH, or next-server"
            self._findings.bad("nfs", shown(text), "it names no server, and DHCP none", way)
        check = NfsCheck(self._findings, self._request.wait, self._resolver)
        for server in servers:
            check.run(spec, server, wanted)


def read_mac(text: str) -> bytes:
    """Return a hardware address. Raises ProbeError for what is none."""
    try:
        return bytes.fromhex(values.mac(text).replace(":", ""))
    except ServerError:
        raise ProbeError(
            f"{shown(text)!r} is no hardware address of a card", "one is like 52:54:00:12:34:56"
        ) from None


def read_uuid(text: str) -> UUID:
    """Return a UUID. Raises ProbeError for what is none."""
    try:
        return UUID(text)
    except ValueError:
        raise ProbeError(
            f"{shown(text)!r} is no UUID", "as dmidecode -s system-uuid says it: 32 hexadecimal digits"
        ) from None


def read_address(text: str) -> str:
    """Return an address as text. Raises ProbeError for what is none."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise ProbeError(f"{shown(text)!r} is no address", "one is like 192.0.2.1") from None
