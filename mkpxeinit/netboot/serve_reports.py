"""What clients do, as far as it is heard: DHCP and TFTP in dnsmasq's log, phases in pxeinit's reports.

Anybody on the network can send such a report: it is shown, without control characters, and nothing else.
"""

import json
import re
from dataclasses import dataclass, field

from mkpxeinit.errors import printable

LONGEST = 8192  # bytes of a datagram that are looked at
_MOST_CLIENTS = 1000
_SHOWN = 300
_NAME = 64
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_HEAD = re.compile(r"<\d{1,3}>[^{]{0,200}?pxeinit: ?")  # RFC 3164: priority, time, perhaps a host, tag
_DHCP = re.compile(
    r"DHCP(DISCOVER|OFFER|ACK|NAK|DECLINE|RELEASE)\([^)]*\) (?:(\d+(?:\.\d+){3}) )?([0-9a-f:]{17})(?: (\S+))?"
)
_TFTP = re.compile(r"sent (.+) to (\d+(?:\.\d+){3})$")
# What loaders look for before their default: not there as a rule.
_SEARCHED = re.compile(r"/pxelinux\.cfg/[^/]*$|/grub\.cfg-[^/]*$")
# nginx's, as serve_nginx.py has it write them.
_HTTP = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}) (\d{3}) GET (\S+)$", re.ASCII)
_TFTP_FAILED = re.compile(r"file (.+) not found for (\d+(?:\.\d+){3})$")


@dataclass(frozen=True, slots=True)
class Event:
    """Something a client did: its hardware address (or address, as far as known), and what."""

    client: str
    what: str
    failed: bool = False


@dataclass(slots=True)
class Seen:
    """What is known of a client: its name, its address, the last that it did."""

    name: str = ""
    address: str = ""
    last: str = ""
    failed: bool = False


def _text(value: object, limit: int = _NAME) -> str:
    return printable(value[:limit]) if isinstance(value, str) else ""


def read_report(data: bytes) -> Event | None:
    """Return what a datagram reports, None if it is no report of pxeinit's (docs/client.md)."""
    text = data[:LONGEST].decode("utf-8", "replace")
    head = _HEAD.match(text)
    if head is None:
        return None
    try:
        told = json.loads(text[head.end() :].strip("\0\r\n "))
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("event") not in ("phase", "failure"):
        return None
    mac, name = _text(told.get("mac")).lower(), _text(told.get("name"))
    if not _MAC.fullmatch(mac) or not name:
        return None
    host = _text(told.get("host"))
    uptime = told.get("uptime")
    number = isinstance(uptime, int | float) and not isinstance(uptime, bool) and 0 <= uptime < 1e9
    at = f" at {uptime:.1f} s" if number else ""
    failed = told["event"] == "failure"
    words = f"failed: {name} {_text(told.get('text'), _SHOWN)}".rstrip() if failed else f"phase {name}"
    return Event(mac, f"{words}{at}" + (f" ({host})" if host else ""), failed)


@dataclass(slots=True)
class Clients:
    """The clients that were seen, by their hardware addresses."""

    root: str = ""  # the TFTP root, which its own log names before each file
    seen: dict[str, Seen] = field(default_factory=dict)
    _by_address: dict[str, str] = field(default_factory=dict)

    def heard(self, event: Event) -> Event | None:
        """Remember an event; None if it is one too many: addresses can be made up."""
        if event.client not in self.seen and len(self.seen) >= _MOST_CLIENTS:
            return None
        known = self.seen.setdefault(event.client, Seen())
        known.last, known.failed = event.what, event.failed
        return event

    def log_line(self, line: str) -> Event | None:
        """Return what a line of dnsmasq's log says of a client, None if nothing that is of use."""
        if found := _DHCP.search(line):
            kind, address, mac, name = found.groups()
            if kind in ("DISCOVER", "OFFER"):
                return None
            event = self.heard(Event(mac, _dhcp_words(kind, address, name), kind in ("NAK", "DECLINE")))
            if kind == "ACK" and event is not None:
                self.seen[mac].address, self.seen[mac].name = address or "", name or ""
                if len(self._by_address) < _MOST_CLIENTS:
                    self._by_address[address or ""] = mac
            return event
        for pattern, word in ((_TFTP, "loaded"), (_TFTP_FAILED, "asked in vain for")):
            if found := pattern.search(line):
                path, address = found.groups()
                path = path.removeprefix(self.root)
                if word != "loaded" and _SEARCHED.search(path):
                    return None
                return self.loaded(address, f"{word} {path[-_SHOWN:]}", "TFTP")
        return None

    def http_line(self, line: str) -> Event | None:
        """Return what a line of nginx's log says of a client, None if nothing that is of use."""
        found = _HTTP.match(line)
        if found is None:
            return None
        address, status, path = found.groups()
        word = "loads" if status in ("200", "206") else "asked in vain for"
        return self.loaded(address, f"{word} {path[:_SHOWN]}", "HTTP")

    def loaded(self, address: str, what: str, how: str) -> Event | None:
        """Return the event that the client of this address got a file."""
        return self.heard(Event(self._by_address.get(address, address), f"{what} ({how})"))

    def table(self) -> list[str]:
        """Return a line for each client: address, name, and what it did last."""
        return [
            "  ".join(word for word in (mac, known.address, known.name, known.last) if word)
            for mac, known in sorted(self.seen.items())
        ]


def _dhcp_words(kind: str, address: str | None, name: str | None) -> str:
    words = {"ACK": "has", "NAK": "was refused", "DECLINE": "declines", "RELEASE": "gives back"}
    told = f" ({name})" if name and kind == "ACK" else ""
    return f"DHCP: {words[kind]} {address or 'an address'}{told}"
