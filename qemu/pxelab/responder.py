"""A DHCP server that says exactly what a test wants, well-formed or not (RFC 2131, 2132).

A program of its own (`python3 -I -S responder.py CONFIGURATION LOG`), because it has to run within
the laboratory's network namespace. dnsmasq refuses to send much of what a hostile or a broken server
sends; this one takes options as they come. CONFIGURATION is JSON, see `odd.Voice`. Each message that
comes in is a line of JSON in LOG.
"""

import json
import socket
import struct
import sys
import time
from typing import Any

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = range(1, 8)
_COOKIE = b"\x63\x82\x53\x63"
_BOOTP = struct.Struct("!4BIHH4s4s4s4s16s64s128s")
_MESSAGE_TYPE, _SERVER_ID, _REQUESTED = 53, 54, 50


def read_options(data: bytes) -> dict[int, bytes]:
    """Return the options behind the cookie; several pieces of one are joined (RFC 3396)."""
    found: dict[int, bytes] = {}
    position = 0
    while position + 1 < len(data) and data[position] != 255:
        if data[position] == 0:
            position += 1
            continue
        length = data[position + 1]
        piece = data[position + 2 : position + 2 + length]
        found[data[position]] = found.get(data[position], b"") + piece
        position += 2 + length
    return found


def write_options(options: list[tuple[int, bytes]]) -> bytes:
    """Return the options in their order; a value of more than 255 bytes is split (RFC 3396)."""
    packed = b""
    for code, value in options:
        pieces = [value[start : start + 255] for start in range(0, len(value), 255)] or [b""]
        packed += b"".join(bytes((code, len(piece))) + piece for piece in pieces)
    return packed + b"\xff"


def answer(voice: dict[str, Any], request: bytes, kind: int, address: str, turn: int) -> bytes:
    """Return a reply of the given kind to the request; `address` is what it offers or confirms."""
    _, kind_of_net, length, _, xid, seconds, _flags, _, _, _, relay, mac, _, _ = _BOOTP.unpack(
        request[: _BOOTP.size]
    )
    del seconds
    own = socket.inet_aton(voice["server"])
    options = [(_MESSAGE_TYPE, bytes((kind,))), (_SERVER_ID, own)]
    if kind != NAK:
        options += [(int(code), bytes.fromhex(value)) for code, value in voice["turns"][turn]]
    header = _BOOTP.pack(
        2, kind_of_net, length, 0, xid, 0, 0x8000, bytes(4),
        bytes(4) if kind == NAK else socket.inet_aton(address),
        bytes(4) if kind == NAK else socket.inet_aton(voice["next_server"]),
        relay, mac, bytes.fromhex(voice["sname"]), bytes.fromhex(voice["file"]),
    )  # fmt: skip
    return (header + _COOKIE + write_options(options)).ljust(300, b"\0")


class Responder:
    """The voices of one network, all on one socket."""

    def __init__(self, voices: list[dict[str, Any]]) -> None:
        """Count for each voice what it has still to ignore and to refuse."""
        self.ignore = [voice["ignore"] for voice in voices]
        self.naks = [voice["naks"] for voice in voices]
        self.declined = [0 for _ in voices]
        self.asked = 0
        self.voices = voices

    def replies(self, request: bytes) -> list[tuple[float, bytes]]:
        """Return the replies to one message, each with its delay in seconds."""
        options = read_options(request[_BOOTP.size + len(_COOKIE) :])
        kind = options.get(_MESSAGE_TYPE, b"\0")[0]
        found = []
        self.asked += kind == DISCOVER
        for number, voice in enumerate(self.voices):
            mine = options.get(_SERVER_ID) in (None, socket.inet_aton(voice["server"]))
            if not mine:
                continue
            delays = voice["delays"]
            delay = delays[min(max(self.asked, 1), len(delays)) - 1]
            turn = min(max(self.asked, 1), len(voice["turns"])) - 1
            address = voice["addresses"][min(self.declined[number], len(voice["addresses"]) - 1)]
            if kind == DISCOVER and self.ignore[number] > 0:
                self.ignore[number] -= 1
            elif kind == DISCOVER:
                found.append((delay, answer(voice, request, OFFER, address, turn)))
            elif kind == REQUEST and self.naks[number] > 0:
                self.naks[number] -= 1
                found.append((delay, answer(voice, request, NAK, address, turn)))
            elif kind == REQUEST:
                found.append((delay, answer(voice, request, ACK, address, turn)))
            elif kind == DECLINE:
                self.declined[number] += 1
        return sorted(found, key=lambda reply: reply[0])


def describe(request: bytes) -> str:
    """Return a line about a message: its kind, and its options in hexadecimal."""
    options = read_options(request[_BOOTP.size + len(_COOKIE) :])
    return json.dumps(
        {
            "time": time.monotonic(),
            "kind": options.get(_MESSAGE_TYPE, b"\0")[0],
            "mac": request[28:34].hex(":"),
            "options": {str(code): value.hex() for code, value in options.items()},
        }
    )


def main(arguments: list[str]) -> None:
    """Answer for ever."""
    configuration, log = arguments
    with open(configuration, encoding="utf-8") as file:  # noqa: PTH123
        told = json.load(file)
    responder = Responder(told["voices"])
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, told["interface"].encode())
    port.bind(("", 67))
    with open(log, "a", encoding="utf-8", buffering=1) as lines:  # noqa: PTH123
        while True:
            request, _ = port.recvfrom(4096)
            if len(request) < _BOOTP.size + len(_COOKIE) or request[0] != 1:
                continue
            lines.write(describe(request) + "\n")
            waited = 0.0
            for delay, reply in responder.replies(request):
                time.sleep(max(0.0, delay - waited))
                waited = max(waited, delay)
                port.sendto(reply, ("255.255.255.255", 68))


if __name__ == "__main__":
    main(sys.argv[1:])
