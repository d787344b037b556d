"""DHCP messages of a client that boots: written and read (RFC 2131, 2132, 3396, 4578, PXE 2.1)."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from mkpxeinit.netboot.probe.wire import Cursor, ProbeError

DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
_COOKIE = b"\x63\x82\x53\x63"
_HEADER = struct.Struct("!4BIHH4s4s4s4s16s64s128s")
_BROADCAST = 0x8000
_PAD, _END, _OVERLOAD = 0, 255, 52
_WANTED = (1, 3, 6, 12, 13, 15, 17, 26, 28, 43, 51, 54, 60, 66, 67, 119, 128, 175, 209, 210)
_HTTP_ARCHITECTURES = (0x0F, 0x10, 0x12, 0x13)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A kind of client as option 93 numbers it (RFC 4578, IANA's list); number None: no PXE at all."""

    name: str
    number: int | None
    loader: str  # what its boot file must be: bios, x64, ia32, arm64, script, or empty
    undi: str = "003016"
    user_class: str = ""

    @property
    def http(self) -> bool:
        """True for UEFI HTTP boot: its vendor class is HTTPClient (UEFI 2.10, 24.7)."""
        return self.number in _HTTP_ARCHITECTURES


ARCHITECTURES = (
    Architecture("bios", 0x00, "bios", undi="002001"),
    Architecture("uefi-x64", 0x07, "x64"),
    Architecture("uefi-ia32", 0x06, "ia32"),
    Architecture("uefi-arm64", 0x0B, "arm64"),
    Architecture("http-x64", 0x10, "x64"),
    Architecture("http-arm64", 0x13, "arm64"),
    Architecture("ipxe", 0x00, "", undi="002001", user_class="iPXE"),
    Architecture("pxeinit", None, ""),
)


def _option(code: int, value: bytes) -> bytes:
    return bytes((code, len(value))) + value


def question(
    architecture: Architecture,
    mac: bytes,
    xid: int,
    *,
    uuid: bytes | None = None,
    seconds: int = 0,
    own: str | None = None,
    server: str | None = None,
    menu: bytes | None = None,
) -> bytes:
    """Return a DISCOVER of such a client; with `own` (its address) the REQUEST to a boot server.

    The latter goes to port 4011, where nobody gives addresses (PXE 2.1, 2.2.6). `menu` is the value of
    option 43, suboption 71, for it.
    """
    kind = DISCOVER if own is None else REQUEST
    options = _option(53, bytes((kind,))) + _option(57, struct.pack("!H", 1472))
    if architecture.number is None:
        options += _option(60, b"pxeinit")
    else:
        vendor = "HTTPClient" if architecture.http else "PXEClient"
        text = f"{vendor}:Arch:{architecture.number:05d}:UNDI:{architecture.undi}"
        undi = int(architecture.undi[:3]), int(architecture.undi[3:])
        options += _option(60, text.encode()) + _option(93, struct.pack("!H", architecture.number))
        # Else a UUID out of the address, so that a server that counts clients by it counts one.
        options += _option(94, bytes((1, *undi))) + _option(97, b"\0" + (uuid or bytes(10) + mac))
    if architecture.user_class:
        options += _option(77, architecture.user_class.encode()) + _option(175, b"\xb1\x01\x01\x13\x01\x01")
    if server is not None:
        options += _option(54, IPv4Address(server).packed)
    if menu is not None:
        options += _option(43, _option(71, menu) + b"\xff")
    options += _option(55, bytes(_WANTED)) + bytes((_END,))
    address = IPv4Address(own or 0).packed
    flags = _BROADCAST if own is None else 0
    none = bytes(4)
    head = _HEADER.pack(1, 1, 6, 0, xid, seconds, flags, address, none, none, none, mac, b"", b"")
    return (head + _COOKIE + options).ljust(300, b"\0")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers, as it stands in its answer; texts are not checked."""

    sender: str
    address: str | None
    next_server: str | None
    sname: str
    file: str
    options: dict[int, bytes]

    @property
    def proxy(self) -> bool:
        """True if it gives no address: a proxyDHCP server's part of the answer."""
        return self.address is None

    @property
    def server(self) -> str:
        """The server's own address: option 54, else where the answer came from."""
        return (self.addresses(54) or (self.sender,))[0]

    def addresses(self, code: int) -> tuple[str, ...]:
        """Return the addresses of an option, none if it is no list of addresses."""
        value = self.options.get(code, b"")
        if not value or len(value) % 4:
            return ()
        return tuple(str(IPv4Address(value[at : at + 4])) for at in range(0, min(len(value), 64), 4))

    def text(self, code: int) -> str:
        """Return an option as text, without the zero bytes that some servers end it with."""
        return self.options.get(code, b"").rstrip(b"\0").decode("utf-8", "replace")

    @property
    def boot_file(self) -> str:
        """The file's name: option 67, else the header's field."""
        return self.text(67) or self.file

    @property
    def root_path(self) -> str:
        """Option 17."""
        return self.text(17)

    @property
    def lease(self) -> int | None:
        """Seconds of the lease, if it says."""
        value = self.options.get(51, b"")
        return int.from_bytes(value, "big") if len(value) == 4 else None

    def suboption(self, code: int) -> bytes | None:
        """Return a part of option 43, encapsulated as PXE does."""
        return read_options(self.options.get(43, b""), strict=False).get(code)


def read_options(data: bytes, *, strict: bool = True) -> dict[int, bytes]:
    """Return options by their numbers; pieces of one are joined (RFC 3396). Raises ProbeError if cut off."""
    found: dict[int, bytes] = {}
    cursor = Cursor(data)
    while cursor.rest:
        code = cursor.number(1)
        if code == _END:
            break
        if code == _PAD:
            continue
        try:
            piece = cursor.take(cursor.number(1))
        except ProbeError:
            if strict:
                raise ProbeError(f"DHCP option {code} is cut off") from None
            break
        found[code] = found.get(code, b"") + piece
    return found


def read_answer(packet: bytes, xid: int, mac: bytes, sender: str, kind: int = OFFER) -> Offer | None:
    """Return the offer in a message, None if it answers somebody else. Raises ProbeError if it is damaged."""
    if len(packet) < _HEADER.size:
        if packet[4:8] == struct.pack("!I", xid):
            raise ProbeError(f"{sender} answers with {len(packet)} bytes, fewer than a header has")
        return None
    fields = _HEADER.unpack(packet[: _HEADER.size])
    operation, told, yours, following = fields[0], fields[4], fields[8], fields[9]
    if operation != 2 or told != xid or fields[11][:6] != mac:
        return None
    if packet[_HEADER.size : _HEADER.size + 4] != _COOKIE:
        raise ProbeError(f"{sender} answers by BOOTP, without DHCP options")
    options = read_options(packet[_HEADER.size + 4 :])
    sname, file = fields[12], fields[13]
    overload = options.pop(_OVERLOAD, b"\0")[:1] or b"\0"
    for bit, field in ((1, file), (2, sname)):
        if overload[0] & bit:
            for code, value in read_options(field).items():
                options[code] = options.get(code, b"") + value
    if options.get(53, b"") != bytes((kind,)):
        return None
    return Offer(
        sender,
        str(IPv4Address(yours)) if any(yours) else None,
        str(IPv4Address(following)) if any(following) else None,
        "" if overload[0] & 2 else _field(sname),
        "" if overload[0] & 1 else _field(file),
        options,
    )


def _field(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "replace")
