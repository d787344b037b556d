"""What the DHCP servers of a network offer to clients that boot: asked as each kind of client, and judged."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from mkpxeinit.netboot.probe.dhcp_codec import ARCHITECTURES, Architecture, Offer
from mkpxeinit.netboot.probe.fileset import Place, is_address, place
from mkpxeinit.netboot.probe.finding import Findings
from mkpxeinit.netboot.probe.interface import Asker
from mkpxeinit.netboot.probe.wire import ProbeError, shown

USUAL = ("bios", "uefi-x64", "uefi-arm64", "http-x64", "ipxe")
_SHORT = 120  # seconds


@dataclass(frozen=True, slots=True)
class Boot:
    """A kind of client, and the boot file that it is told to load."""

    architecture: Architecture | None  # None: any, where DHCP was not asked
    loader: Place


@dataclass(slots=True)
class Told:
    """What DHCP says: boot files, and what the client's own init gets of it."""

    boots: list[Boot]
    address: str | None = None
    root_path: str = ""
    next_server: str = ""
    dns: tuple[str, ...] = ()


class DhcpCheck:
    """Asks as several kinds of clients, one after another."""

    def __init__(self, asker: Asker, findings: Findings, seconds: float, needed: tuple[str, ...]) -> None:
        """Take who asks, where findings go, the time for an answer, and which kinds must be able to boot."""
        self._asker = asker
        self._findings = findings
        self._seconds = seconds
        self._needed = needed
        self._known: frozenset[str] = frozenset()
        self._where = asker.interface.name

    def run(self) -> Told:
        """Return what was told; what is wrong with it is in the findings."""
        asked = [each for each in ARCHITECTURES if each.name in {*USUAL, *self._needed, "pxeinit"}]
        asked.sort(key=lambda each: each.name != "pxeinit")
        told = Told([])
        offers: dict[str, tuple[Offer, ...]] = {}
        for architecture in asked:
            got = self._ask(architecture)
            offers[architecture.name] = got
            if architecture.name == "pxeinit":
                continue
            boot = self._boot(architecture, got) if got else None
            if boot is not None:
                told.boots.append(boot)
            elif not got and architecture.name in self._needed:
                self._silent(architecture)
        if not offers["pxeinit"] and any(offers.values()):
            # The first answer may be late: servers look first whether the address is in use.
            offers["pxeinit"] = self._ask(next(each for each in asked if each.name == "pxeinit"))
        everything = [offer for got in offers.values() for offer in got]
        if not any(not offer.proxy for offer in everything):
            self._nobody(bool(everything))
        elif not told.boots:
            self._findings.bad(
                "dhcp",
                self._where,
                "no server names a boot file to any kind of client",
                "filename (option 67) and next-server: `mkpxeinit server-config` writes them",
            )
        self._lease(told, offers)
        return told

    def _ask(self, architecture: Architecture) -> tuple[Offer, ...]:
        answers = self._asker.discover(architecture, self._seconds, self._known)
        for text in answers.damaged:
            self._findings.warn("dhcp", self._where, text, "update or end that server")
        self._known |= {offer.server for offer in answers.offers}
        return answers.offers

    def _nobody(self, proxy: bool) -> None:
        what = (
            "only a proxyDHCP server answers: nobody gives addresses" if proxy else "no DHCP server answers"
        )
        self._findings.bad(
            "dhcp",
            self._where,
            f"{what} ({self._seconds:.0f} s)",
            "is it running, on this network, with a free address for this client, UDP port 67 let through?",
        )

    def _silent(self, architecture: Architecture) -> None:
        self._findings.bad(
            "dhcp",
            architecture.name,
            f"no answer to a client of this kind ({self._seconds:.0f} s)",
            "the server's classes by option 60 and 93",
        )

    def _lease(self, told: Told, offers: dict[str, tuple[Offer, ...]]) -> None:
        """Judge the addresses, and take what the client's init will get."""
        plain = [offer for offer in offers["pxeinit"] if not offer.proxy]
        by_server = {offer.server: offer for offer in plain}
        for offer in by_server.values():
            self._offer(offer)
        self._rivals(list(by_server.values()))
        usable = [offer for offer in plain if offer.root_path] or plain
        others = [offer for got in offers.values() for offer in got if not offer.proxy and offer.root_path]
        if not usable:
            usable = others
        if not usable:
            return
        first = usable[0]
        if not first.root_path and others:
            first = others[0]
            self._findings.note(
                "dhcp",
                first.server,
                "option 17 (root-path) only for PXEClient; pxeinit then asks a second time",
            )
        told.address = first.address
        told.root_path = first.root_path
        told.next_server = first.next_server or first.server
        told.dns = first.addresses(6)

    def _offer(self, offer: Offer) -> None:
        mask = offer.addresses(1)
        length = None
        try:
            length = IPv4Network(f"0.0.0.0/{mask[0]}").prefixlen if mask else None
        except ValueError:
            self._findings.warn("dhcp", offer.server, f"{mask[0]} is no mask", "option 1, subnet-mask")
        words = [
            f"offers {offer.address}" + (f"/{length}" if length is not None else ""),
            f"lease {offer.lease} s" if offer.lease is not None else "",
            f"router {', '.join(offer.addresses(3))}" if offer.addresses(3) else "no router",
            f"DNS {', '.join(offer.addresses(6))}" if offer.addresses(6) else "no DNS",
            f"root-path {shown(offer.root_path)}" if offer.root_path else "no root-path",
            f"host name {shown(offer.text(12))}" if offer.text(12) else "",
        ]
        self._findings.ok("dhcp", offer.server, ", ".join(word for word in words if word))
        if not mask:
            self._findings.warn(
                "dhcp",
                offer.server,
                "no subnet mask: the client takes that of the address's class",
                "option 1",
            )
        if offer.lease is not None and offer.lease < _SHORT:
            self._findings.warn(
                "dhcp",
                offer.server,
                f"a lease of {offer.lease} s: a restart of the server loses clients",
                "an hour",
            )

    def _rivals(self, offers: list[Offer]) -> None:
        """Say it when several servers give addresses: the quicker one wins, each time another."""
        if len(offers) < 2:
            return
        names = ", ".join(offer.server for offer in offers)
        told = {(offer.root_path, offer.next_server, offer.boot_file) for offer in offers}
        if len(told) == 1:
            self._findings.warn(
                "dhcp",
                self._where,
                f"{len(offers)} servers give addresses: {names}",
                "are their ranges apart?",
            )
        else:
            self._findings.bad(
                "dhcp",
                self._where,
                f"{len(offers)} servers give addresses and say different things: {names}",
                "end all but one, or make one a proxyDHCP server; the quickest wins",
            )

    def _boot(self, architecture: Architecture, offers: tuple[Offer, ...]) -> Boot | None:
        """Return the boot file of a kind of client, None if nobody names one."""
        named = [offer for offer in offers if offer.boot_file]
        named.sort(key=lambda offer: not offer.proxy)
        if architecture.http:
            named = [offer for offer in named if offer.text(60) == "HTTPClient"]
        found = named[0] if named else self._from_menu(architecture, offers)
        if found is None:
            self._none(architecture, offers)
            return None
        try:
            where = self._place(architecture, found)
        except ProbeError as error:
            self._complain(architecture, error.cause, error.remedy)
            return None
        # The boot server's answer has the client's own address in it.
        proxy = ", by proxyDHCP" if found.proxy or not named else ""
        self._findings.ok("dhcp", architecture.name, f"{found.server} names {where}{proxy}")
        return Boot(architecture, where)

    def _from_menu(self, architecture: Architecture, offers: tuple[Offer, ...]) -> Offer | None:
        """Return the boot server's answer where an offer has a menu of boot servers instead of a file."""
        for offer in offers:
            menu = offer.suboption(9)
            if offer.text(60) != "PXEClient" or not offer.proxy:
                continue
            chosen = None if menu is None or len(menu) < 2 else menu[:2] + b"\0\0"
            try:
                answer = self._asker.boot_server(architecture, offer.server, chosen, self._seconds)
            except ProbeError as error:
                self._complain(architecture, error.cause, error.remedy)
                return None
            return answer if answer.boot_file else None
        return None

    def _none(self, architecture: Architecture, offers: tuple[Offer, ...]) -> None:
        servers = ", ".join(dict.fromkeys(offer.server for offer in offers))
        wrong = [offer for offer in offers if offer.boot_file]
        if architecture.http and wrong:
            text, way = "a boot file without option 60 HTTPClient", "firmware then ignores it: send option 60"
        else:
            text, way = f"no boot file from {servers}", "filename (option 67) by option 93"
        self._complain(architecture, text, way)

    def _complain(self, architecture: Architecture, text: str, remedy: str) -> None:
        if architecture.name in self._needed:
            self._findings.bad("dhcp", architecture.name, text, remedy)
        else:
            self._findings.note("dhcp", architecture.name, text)

    def _place(self, architecture: Architecture, offer: Offer) -> Place:
        """Return where an offer's boot file is. Raises ProbeError."""
        name = offer.boot_file
        if "://" in name[:9]:
            return place(name)
        if architecture.http:
            raise ProbeError(f"the boot file {shown(name)!r} is no URL", "http://SERVER/FILE")
        server = offer.next_server
        if server is None:
            for text in (offer.text(66), offer.sname):
                server = server or (text if is_address(text) else None)
        if server is None:
            server = offer.server
            self._findings.warn(
                "dhcp",
                offer.server,
                "a boot file without next-server: some ROMs then ask nobody for it",
                f"next-server {offer.server}, if the TFTP server is there",
            )
        return Place("tftp", server, name)
