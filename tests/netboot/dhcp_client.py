"""Asks DHCP servers as firmware does, one request after another (RFC 2131), and prints what they said.

A program of its own (`python3 -I -S dhcp_client.py INTERFACE`), because it has to run within the laboratory's
network namespace. Requests come as JSON on stdin: a list of {"mac", "options": {code: hex}, "asks": [codes]}.
The answers go to stdout in the same order: null, or {"address", "next_server", "file", "options"} of the ACK;
of servers that offer no address (proxyDHCP), of the offer. With `OWN SERVER` behind INTERFACE, two
addresses, of which the first is this machine's: the answers of the boot server, port 4011 of SERVER (PXE
specification, section 2.2.4).
"""

import json
import random
import socket
import struct
import sys
import time
from typing import Any

DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
COOKIE = b"\x63\x82\x53\x63"
HEAD = struct.Struct("!4BIHH4s4s4s4s16s64s128s")
SECONDS = 4.0


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def frame(mac: bytes, message: bytes) -> bytes:
    """Return `message` as a broadcast from 0.0.0.0:68 to port 67; UDP without a checksum."""
    udp = struct.pack("!4H", 68, 67, 8 + len(message), 0) + message
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return b"\xff" * 6 + mac + b"\x08\x00" + head + udp


def message(kind: int, xid: int, mac: bytes, options: dict[int, bytes]) -> bytes:
    packed = b"".join(
        bytes((code, len(value))) + value for code, value in {53: bytes((kind,)), **options}.items()
    )
    # The flag asks for answers by broadcast.
    head = HEAD.pack(
        1, 1, 6, 0, xid, 0, 0x8000, bytes(4), bytes(4), bytes(4), bytes(4), mac.ljust(16, b"\0"), b"", b""
    )
    return head + COOKIE + packed + b"\xff"


def read(packet: bytes, xid: int) -> dict[str, Any] | None:
    """Return the answer in a frame if it is one to `xid`."""
    if len(packet) < 42 + HEAD.size or packet[12:14] != b"\x08\x00" or packet[23] != 17:
        return None
    body = packet[14 + (packet[14] & 15) * 4 + 8 :]
    op, _, _, _, theirs, _, _, _, address, server, _, _, sname, file = HEAD.unpack(body[: HEAD.size])
    if op != 2 or theirs != xid or body[HEAD.size : HEAD.size + 4] != COOKIE:
        return None
    options = read_options(body[HEAD.size + 4 :])
    if options.get(52, b"\0")[0] & 1:
        options |= read_options(file)
        file = b""
    if options.get(52, b"\0")[0] & 2:
        options |= read_options(sname)
    return {
        "address": socket.inet_ntoa(address),
        "next_server": socket.inet_ntoa(server),
        "file": file.rstrip(b"\0").decode() or options.get(67, b"").rstrip(b"\0").decode(),
        "options": {str(code): value.hex() for code, value in options.items()},
    }


def read_options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    place = 0
    while place + 1 < len(data) and data[place] != 255:
        if data[place]:
            length = data[place + 1]
            found[data[place]] = found.get(data[place], b"") + data[place + 2 : place + 2 + length]
            place += 1 + length
        place += 1
    return found


def ask(
    link: socket.socket, mac: bytes, kind: int, options: dict[int, bytes], expected: int
) -> dict[str, Any] | None:
    """Return the first answer of the expected kind; the question is asked again each second."""
    xid = random.getrandbits(32)
    end = time.monotonic() + SECONDS
    again = 0.0
    while (now := time.monotonic()) < end:
        if now >= again:
            link.send(frame(mac, message(kind, xid, mac, options)))
            again = now + 1
        try:
            found = read(link.recv(4096), xid)
        except TimeoutError:
            continue
        if found is not None and found["options"].get("53") == f"{expected:02x}":
            return found
    return None


def exchange(link: socket.socket, request: dict[str, Any]) -> dict[str, Any] | None:
    mac = bytes.fromhex(request["mac"].replace(":", ""))
    options = {int(code): bytes.fromhex(value) for code, value in request["options"].items()}
    options[55] = bytes(request["asks"])
    offer = ask(link, mac, DISCOVER, options, OFFER)
    if offer is None or offer["address"] == "0.0.0.0":
        return offer
    options |= {50: socket.inet_aton(offer["address"]), 54: bytes.fromhex(offer["options"]["54"])}
    return ask(link, mac, REQUEST, options, ACK)


def ask_boot_server(
    link: socket.socket, request: dict[str, Any], own: str, server: str
) -> dict[str, Any] | None:
    """Ask as a ROM does that has its address from elsewhere."""
    mac = bytes.fromhex(request["mac"].replace(":", ""))
    options = {int(code): bytes.fromhex(value) for code, value in request["options"].items()}
    options[55] = bytes(request["asks"])
    xid = random.getrandbits(32)
    body = message(REQUEST, xid, mac, options)
    body = body[:12] + socket.inet_aton(own) + body[16:]  # ciaddr
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        link.sendto(body, (server, 4011))
        try:
            found = read(bytes(12) + b"\x08\x00\x45" + bytes(8) + b"\x11" + bytes(18) + link.recv(4096), xid)
        except TimeoutError:
            continue
        if found is not None:
            return found
    return None


def main() -> None:
    if len(sys.argv) > 2:
        own, server = sys.argv[2:]
        plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        plain.bind((own, 68))
        plain.settimeout(1)
        json.dump([ask_boot_server(plain, each, own, server) for each in json.load(sys.stdin)], sys.stdout)
        return
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    link.bind((sys.argv[1], 0))
    link.settimeout(0.2)
    json.dump([exchange(link, request) for request in json.load(sys.stdin)], sys.stdout)


main()
