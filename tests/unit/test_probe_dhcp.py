"""DHCP messages: what is asked, and answers of every kind."""

import struct

import pytest

from mkpxeinit.netboot.probe import dhcp_codec
from mkpxeinit.netboot.probe.dhcp_codec import ARCHITECTURES, Architecture
from mkpxeinit.netboot.probe.interface import unpack_datagram
from mkpxeinit.netboot.probe.wire import ProbeError
from pxelab import responder

MAC = bytes.fromhex("525400123456")
XID = 0x01020304
BY_NAME = {each.name: each for each in ARCHITECTURES}


def answer(
    options: bytes,
    *,
    xid: int = XID,
    mac: bytes = MAC,
    address: bytes = b"\x0a\x4d\0\x64",
    sname: bytes = b"",
    file: bytes = b"",
) -> bytes:
    head = struct.pack(
        "!4BIHH4s4s4s4s16s64s128s", 2, 1, 6, 0, xid, 0, 0x8000, bytes(4), address, b"\x0a\x4d\0\x01",
        bytes(4), mac, sname, file,
    )  # fmt: skip
    return head + b"\x63\x82\x53\x63" + options


def option(code: int, value: bytes) -> bytes:
    return bytes((code, len(value))) + value


OFFER = option(53, b"\x02") + option(54, b"\x0a\x4d\0\x01")


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda each: each.name)
def test_a_question_is_read_by_another_reader(architecture: Architecture) -> None:
    """The laboratory's own server reads it, and takes it for a DISCOVER that asks for a broadcast."""
    packet = dhcp_codec.question(architecture, MAC, XID, seconds=3)
    assert packet[:4] == b"\x01\x01\x06\0" and packet[8:12] == b"\0\x03\x80\0"
    assert packet[28:34] == MAC and len(packet) >= 300
    options = responder.read_options(packet[240:])
    assert options[53] == b"\x01"
    assert 50 not in options and 54 not in options
    assert {17, 66, 67} <= set(options[55])
    if architecture.number is None:
        assert options[60] == b"pxeinit" and 93 not in options
    else:
        kind = b"HTTPClient" if architecture.name.startswith("http") else b"PXEClient"
        assert options[60].startswith(kind + b":Arch:%05d:UNDI:" % architecture.number)
        assert options[93] == struct.pack("!H", architecture.number)
        assert len(options[94]) == 3 and len(options[97]) == 17
        given = dhcp_codec.question(architecture, MAC, XID, uuid=bytes(range(16)))
        assert responder.read_options(given[240:])[97] == bytes((0, *range(16)))
    assert (options.get(77) == b"iPXE") == (architecture.name == "ipxe")


def test_a_boot_server_is_asked_with_the_own_address() -> None:
    packet = dhcp_codec.question(
        BY_NAME["bios"], MAC, XID, own="10.77.0.50", server="10.77.0.2", menu=b"\x80\0\0\0"
    )
    options = responder.read_options(packet[240:])
    assert packet[12:16] == bytes((10, 77, 0, 50))
    assert options[53] == b"\x03" and 50 not in options
    assert options[43] == b"\x47\x04\x80\0\0\0\xff"


def test_what_is_offered() -> None:
    data = OFFER + option(17, b"nfs.lab:/x\0") + option(6, b"\x0a\x4d\0\x01\x0a\x4d\0\x02")
    data += option(51, b"\0\0\x0e\x10") + option(60, b"PXEClient") + b"\0\xff"
    offer = dhcp_codec.read_answer(answer(data, file=b"pxelinux.0\0junk"), XID, MAC, "10.77.0.1")
    assert offer is not None
    assert (offer.address, offer.next_server, offer.server) == ("10.77.0.100", "10.77.0.1", "10.77.0.1")
    assert (offer.boot_file, offer.root_path, offer.lease) == ("pxelinux.0", "nfs.lab:/x", 3600)
    assert offer.addresses(6) == ("10.77.0.1", "10.77.0.2")
    assert not offer.proxy


def test_overload_and_pieces() -> None:
    """RFC 2131 4.1 and RFC 3396: options in the header's fields, one option in several pieces."""
    data = OFFER + option(52, b"\x03") + option(17, b"/a") + b"\xff"
    packet = answer(data, file=option(17, b"/b") + b"\xff", sname=option(67, b"x.efi") + b"\xff")
    offer = dhcp_codec.read_answer(packet, XID, MAC, "s")
    assert offer is not None
    assert (offer.root_path, offer.boot_file, offer.file, offer.sname) == ("/a/b", "x.efi", "", "")


def test_option_67_goes_before_the_field() -> None:
    data = OFFER + option(67, b"a.0") + b"\xff"
    offer = dhcp_codec.read_answer(answer(data, file=b"b.0"), XID, MAC, "s")
    assert offer is not None and offer.boot_file == "a.0"


def test_a_proxy_gives_no_address_and_a_menu() -> None:
    menu = option(6, b"\x03") + option(9, b"\x80\0\x02hi") + b"\xff"
    data = OFFER + option(60, b"PXEClient") + option(43, menu) + b"\xff"
    offer = dhcp_codec.read_answer(answer(data, address=bytes(4)), XID, MAC, "s")
    assert offer is not None and offer.proxy
    assert offer.suboption(9) == b"\x80\0\x02hi" and offer.suboption(10) is None


@pytest.mark.parametrize(
    "packet",
    [
        answer(OFFER + b"\xff", xid=XID + 1),
        answer(OFFER + b"\xff", mac=bytes(6)),
        b"\x01" + answer(OFFER + b"\xff")[1:],
        answer(option(53, b"\x05") + b"\xff"),
        answer(b"\xff"),
        b"",
        b"x" * 40,
    ],
    ids=["xid", "mac", "a question", "an ack", "no kind", "nothing", "noise"],
)
def test_what_is_not_for_us_is_passed_over(packet: bytes) -> None:
    assert dhcp_codec.read_answer(packet, XID, MAC, "s") is None


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (answer(OFFER + b"\x11\x20ab"), "option 17 is cut off"),
        (answer(OFFER + b"\x11"), "option 17 is cut off"),
        (answer(OFFER)[:100], "fewer than a header"),
        (answer(OFFER)[:236] + b"abcd", "BOOTP"),
        (answer(OFFER + option(52, b"\x01") + b"\xff", file=b"\x11\xff"), "option 17 is cut off"),
    ],
)
def test_damage_is_said(packet: bytes, said: str) -> None:
    with pytest.raises(ProbeError, match=said):
        dhcp_codec.read_answer(packet, XID, MAC, "s")


def test_lists_of_addresses_that_are_none() -> None:
    data = OFFER + option(6, b"abc") + option(51, b"\x01") + b"\xff"
    offer = dhcp_codec.read_answer(answer(data), XID, MAC, "s")
    assert offer is not None
    assert offer.addresses(6) == () and offer.lease is None and offer.root_path == ""


def datagram(content: bytes, *, port: int = 68, fragment: int = 0, length: int | None = None) -> bytes:
    size = 28 + len(content) if length is None else length
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, fragment, 64, 17, 0, b"\x0a\0\0\x01", b"\xff" * 4)
    return head + struct.pack("!4H", 67, port, 8 + len(content), 0) + content


def test_packets_of_ipv4() -> None:
    """A frame's padding is not content; what is cut off, a fragment or for another port is nobody's."""
    assert unpack_datagram(datagram(b"abc") + bytes(20)) == ("10.0.0.1", b"abc")
    assert unpack_datagram(datagram(b"abc", port=69)) is None
    assert unpack_datagram(datagram(b"abc", fragment=0x2000)) is None
    assert unpack_datagram(datagram(b"abc", length=2000)) is None
    assert unpack_datagram(datagram(b"abc", length=20)) is None
    assert unpack_datagram(datagram(b"abc")[:27]) is None
    assert unpack_datagram(b"\x4f" + datagram(b"abc")[1:]) is None
