"""A DHCPv6 server that says what it is told, however wrong (RFC 8415).

A program of its own (`python3 -I -S responder6.py INTERFACE ANSWERS`), because it has to run within the
laboratory's network namespace. ANSWERS is a file of JSON, read anew for each question: `address`, and
`options`, pairs of a code and a value, which follow the address as they are; bytes in hexadecimal digits.
"""

import contextlib
import json
import socket
import struct
import sys
from pathlib import Path

PORT = 547
ALL_SERVERS = "ff02::1:2"
SOLICIT, ADVERTISE, REQUEST, REPLY = 1, 2, 3, 7
CLIENT_ID, SERVER_ID, IA_NA, IAADDR = 1, 2, 3, 5
LEASE_SECONDS = 600
_OWN_ID = b"\0\3\0\1\x52\x54\0\x77\0\1"  # DUID-LL, Ethernet


def option(code: int, value: bytes) -> bytes:
    """Return an option as it stands in a message."""
    return struct.pack(">HH", code, len(value)) + value


def read_options(data: bytes) -> dict[int, bytes]:
    """Return the options of a message; what is cut off is left away."""
    found: dict[int, bytes] = {}
    while len(data) >= 4:
        code, length = struct.unpack(">HH", data[:4])
        found[code] = data[4 : 4 + length]
        data = data[4 + length :]
    return found


def answer(question: bytes, address: bytes, options: list[tuple[int, bytes]]) -> bytes | None:
    """Return the answer to a message, None if it wants none of ours."""
    kinds = {SOLICIT: ADVERTISE, REQUEST: REPLY}
    told = read_options(question[4:])
    if (
        question[:1] == b""
        or question[0] not in kinds
        or CLIENT_ID not in told
        or len(told.get(IA_NA, b"")) < 4
    ):
        return None
    times = struct.pack(">II", LEASE_SECONDS, LEASE_SECONDS)
    identity = told[IA_NA][:4] + bytes(8) + option(IAADDR, address + times)
    parts = [(CLIENT_ID, told[CLIENT_ID]), (SERVER_ID, _OWN_ID), (IA_NA, identity), *options]
    return bytes([kinds[question[0]]]) + question[1:4] + b"".join(option(*part) for part in parts)


def main(arguments: list[str]) -> None:
    """Answer for ever."""
    interface, answers = arguments
    index = socket.if_nametoindex(interface)
    port = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    port.bind(("::", PORT, 0, 0))
    group = socket.inet_pton(socket.AF_INET6, ALL_SERVERS) + struct.pack("=I", index)
    port.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
    print("started", flush=True)
    while True:
        question, client = port.recvfrom(4096)
        told = json.loads(Path(answers).read_text())
        options = [(code, bytes.fromhex(value)) for code, value in told["options"]]
        reply = answer(question, bytes.fromhex(told["address"]), options)
        if reply is not None:
            print(question[0], flush=True)
            # Before our own link-local address is known to be free, an answer is lost.
            with contextlib.suppress(OSError):
                port.sendto(reply, client)


if __name__ == "__main__":
    main(sys.argv[1:])
