"""Answers IPv6 router solicitations on a link: there is no router here. Run inside the laboratory.

iPXE, which QEMU's cards have for their ROM, asks for an IPv6 router beside DHCP and goes on only when it has
an answer, or after 16 seconds. The answer has a router lifetime of 0 and no prefix (RFC 4861, section 4.2):
whoever reads it knows no more than before. Uses the standard library alone: see holder.py.
"""

import socket
import struct
import sys

_SOLICITATION, _ADVERTISEMENT = 133, 134
_ICMP6_FILTER = 1  # of linux/icmpv6.h: a bit for each type that is not wanted
_ALL_NODES, _ALL_ROUTERS = "ff02::1", "ff02::2"
_HOPS = 255  # else nobody listens (RFC 4861, section 6.1)


def main(interface: str) -> None:
    """Answer until killed."""
    index = socket.if_nametoindex(interface)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as wire:
        unwanted = bytearray(b"\xff" * 32)
        word, bit = divmod(_SOLICITATION, 32)
        struct.pack_into("=I", unwanted, 4 * word, 0xFFFFFFFF & ~(1 << bit))
        wire.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, bytes(unwanted))
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        group = socket.inet_pton(socket.AF_INET6, _ALL_ROUTERS) + struct.pack("@I", index)
        wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
        # Hop limit, flags, lifetime, reachable and retransmission time: nothing is said of any.
        answer = struct.pack("!BBHBBHII", _ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0)
        while True:
            wire.recv(1500)
            try:
                wire.sendto(answer, (_ALL_NODES, 0, 0, index))
            except OSError:
                continue  # the bridge has no address yet; the machine asks again


if __name__ == "__main__":
    main(sys.argv[1])
