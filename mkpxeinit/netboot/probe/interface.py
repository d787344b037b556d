"""A network interface of this machine: what it is, DHCP questions by it (netdevice(7), packet(7))."""

import contextlib
import fcntl
import os
import select
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import TracebackType
from typing import Self

from mkpxeinit.errors import os_cause, printable
from mkpxeinit.netboot.probe import dhcp_codec
from mkpxeinit.netboot.probe.dhcp_codec import Architecture, Offer
from mkpxeinit.netboot.probe.wire import Deadline, ProbeError

_FLAGS, _ADDRESS, _MASK, _HARDWARE = 0x8913, 0x8915, 0x891B, 0x8927  # SIOCGIF..., linux/sockios.h
_UP, _RUNNING = 0x1, 0x40
_ETHERNET = 1  # ARPHRD_ETHER
_IPV4 = 0x0800
_ALL = 0x0003  # ETH_P_ALL: the one that shows also what this machine itself sends by such a socket
_SERVER_PORT, _CLIENT_PORT, _BOOT_PORT = 67, 68, 4011
_MOST_PACKETS = 2000  # looked at in one round
_MOST_OFFERS = 32
_GRACE = 0.4  # seconds that are waited for one more when all known servers have answered
_AGAIN = 1.5  # seconds after which an unanswered question is asked again


@dataclass(frozen=True, slots=True)
class Interface:
    """An Ethernet interface: its hardware address, and its IPv4 address and network length if it has one."""

    name: str
    mac: bytes
    address: str | None
    prefix: int | None


def look(name: str) -> Interface:
    """Return what an interface is. Raises ProbeError if it is not there, not Ethernet, or has no link."""
    if not name or len(name.encode()) > 15 or "/" in name or any(c.isspace() for c in name):
        raise ProbeError(f"{printable(name)!r} is no name of an interface", "see `ip link`")
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as any_socket:

        def ask(what: int) -> bytes:
            return fcntl.ioctl(any_socket, what, struct.pack("16s24x", name.encode()))

        try:
            hardware = ask(_HARDWARE)
            flags = struct.unpack("=H", ask(_FLAGS)[16:18])[0]
        except OSError as error:
            raise ProbeError(f"interface {name}: {os_cause(error)}", "see `ip link`") from None
        try:
            address = str(IPv4Address(ask(_ADDRESS)[20:24]))
            prefix = int(IPv4Address(ask(_MASK)[20:24])).bit_count()
        except OSError:
            address, prefix = None, None
    if struct.unpack("=H", hardware[16:18])[0] != _ETHERNET:
        raise ProbeError(f"interface {name} is not Ethernet", "name the one that the clients are on")
    if not flags & _UP:
        raise ProbeError(f"interface {name} is down", f"ip link set {name} up")
    if not flags & _RUNNING:
        raise ProbeError(f"interface {name} has no link", "cable, switch port")
    return Interface(name, hardware[18:24], address, prefix)


@dataclass(frozen=True, slots=True)
class Answers:
    """What came to one question: the offers in their order, and what was wrong with others."""

    offers: tuple[Offer, ...]
    damaged: tuple[str, ...] = ()


class Asker:
    """Asks DHCP servers by an interface, with the hardware address of a client; it takes no lease.

    It listens twice: a packet socket sees answers also while the interface has no address, and those that
    a server on this very machine sends by such a socket; a UDP socket the other ones of this machine.
    """

    def __init__(self, interface: Interface, mac: bytes | None = None, uuid: bytes | None = None) -> None:
        """Open the sockets. Raises ProbeError, without the right to as well."""
        self.interface = interface
        self.mac = mac or interface.mac
        self._uuid = uuid
        self._udp: socket.socket | None = None
        try:
            self._raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
        except PermissionError:
            raise ProbeError(
                "DHCP is asked by a packet socket, which root alone may open",
                "run it as root, or leave DHCP out with --server",
            ) from None
        try:
            self._raw.bind((interface.name, _ALL))
            if interface.address is not None:
                self._udp = self._open_udp()
        except OSError as error:
            self.close()
            raise ProbeError(f"interface {interface.name}: {os_cause(error)}") from None

    def _open_udp(self) -> socket.socket | None:
        """Return a socket on the client's port, None if another client has it alone."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.name.encode())
        try:
            opened.bind(("", _CLIENT_PORT))
        except OSError:
            opened.close()
            return None
        return opened

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the sockets."""
        self.close()

    def close(self) -> None:
        """Close the sockets."""
        self._raw.close()
        if self._udp is not None:
            self._udp.close()

    def discover(
        self, architecture: Architecture, seconds: float, known: frozenset[str] = frozenset()
    ) -> Answers:
        """Return what is offered to such a client within `seconds`, sooner when all of `known` have answered.

        Without known servers it listens all the time, for there may be a second one. Nothing is requested.
        """
        xid = int.from_bytes(os.urandom(4), "big")
        offers: list[Offer] = []
        damaged: list[str] = []
        deadline, again = Deadline(seconds), Deadline(0)
        rest = _MOST_PACKETS
        complete = False
        while not deadline.over and rest > 0:
            if again.over and not offers:
                asked = int(deadline.seconds - deadline.left())
                self._send(dhcp_codec.question(architecture, self.mac, xid, uuid=self._uuid, seconds=asked))
                again = Deadline(_AGAIN)
            for sender, packet in self._wait(min(deadline.left(), again.left() if not offers else 1.0)):
                rest -= 1
                _sort(sender, packet, xid, self.mac, offers, damaged)
            if known and not complete and known <= {each.server for each in offers}:
                complete = True
                deadline = Deadline(min(deadline.left(), _GRACE))
        return Answers(tuple(offers), tuple(damaged))

    def boot_server(
        self, architecture: Architecture, server: str, menu: bytes | None, seconds: float
    ) -> Offer:
        """Return the boot server's answer on port 4011, as a client asks that was offered no file.

        It gives no address, so nothing is taken. Raises ProbeError.
        """
        own = self.interface.address
        if self._udp is None or own is None:
            raise ProbeError(
                f"the boot server {server} (port 4011) can be asked with an address only",
                f"give {self.interface.name} an address of its own, or end the DHCP client on it",
            )
        xid = int.from_bytes(os.urandom(4), "big")
        asked = dhcp_codec.question(
            architecture, self.mac, xid, uuid=self._uuid, own=own, server=server, menu=menu
        )
        deadline = Deadline(seconds)
        rest = _MOST_PACKETS
        while not deadline.over and rest > 0:
            try:
                self._udp.sendto(asked, (server, _BOOT_PORT))
            except OSError as error:
                raise ProbeError(f"{server} UDP port 4011: {os_cause(error)}") from None
            turn = Deadline(min(_AGAIN, deadline.left()))
            while not turn.over and rest > 0:
                for sender, packet in self._wait(turn.left()):
                    rest -= 1
                    found = dhcp_codec.read_answer(packet, xid, self.mac, sender, dhcp_codec.ACK)
                    if found is not None:
                        return found
        raise ProbeError(
            f"the boot server {server} does not answer on UDP port 4011",
            "let it through the firewall, or name the boot file in the offer itself",
        )

    def _send(self, message: bytes) -> None:
        try:
            if self._udp is not None:
                self._udp.sendto(message, ("255.255.255.255", _SERVER_PORT))
            else:
                self._raw.sendto(_datagram(message), (self.interface.name, _IPV4, 0, 0, b"\xff" * 6))
        except OSError as error:
            raise ProbeError(f"interface {self.interface.name}: {os_cause(error)}") from None

    def _wait(self, seconds: float) -> list[tuple[str, bytes]]:
        """Return the next message to a client from each socket, and who sent it; none after `seconds`."""
        sockets = [each for each in (self._raw, self._udp) if each is not None]
        found: list[tuple[str, bytes]] = []
        for ready in select.select(sockets, [], [], max(0.0, seconds))[0]:
            try:
                data, sender = ready.recvfrom(65535)
            except OSError:
                continue
            if ready is self._udp:
                found.append((str(sender[0]), data))
            elif sender[1] == _IPV4:
                unpacked = unpack_datagram(data)
                if unpacked is not None:
                    found.append(unpacked)
        return found


def _sort(sender: str, packet: bytes, xid: int, mac: bytes, offers: list[Offer], damaged: list[str]) -> None:
    """Put a message where it belongs, once: both sockets see what comes to both."""
    try:
        offer = dhcp_codec.read_answer(packet, xid, mac, sender)
    except ProbeError as error:
        text = error.cause if sender in error.cause else f"{sender}: {error.cause}"
        if text not in damaged and len(damaged) < _MOST_OFFERS:
            damaged.append(text)
        return
    if offer is not None and offer not in offers and len(offers) < _MOST_OFFERS:
        offers.append(offer)


def unpack_datagram(packet: bytes) -> tuple[str, bytes] | None:
    """Return sender and content of an IPv4 packet that is a whole UDP datagram to a DHCP client, else None.

    Checksums are not looked at: network cards compute them after us.
    """
    if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_UDP:
        return None
    length, fragment = struct.unpack("!2x H 2x H", packet[:8])
    start = (packet[0] & 15) * 4
    if start < 20 or length > len(packet) or length < start + 8 or fragment & 0x3FFF:
        return None
    _, to, size, _ = struct.unpack("!4H", packet[start : start + 8])
    if to != _CLIENT_PORT or size < 8 or size > length - start:
        return None
    return str(IPv4Address(packet[12:16])), packet[start + 8 : start + size]


def _datagram(message: bytes) -> bytes:
    """Return an IPv4 packet from 0.0.0.0 to everybody (RFC 791, 768); UDP's checksum is left out."""
    udp = struct.pack("!4H", _CLIENT_PORT, _SERVER_PORT, 8 + len(message), 0) + message
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return head[:10] + struct.pack("!H", checksum) + head[12:] + udp
