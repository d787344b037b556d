"""The router that says that there is none: network ROMs wait for an answer to their solicitation."""

import os
import sys

import pytest

from pxelab import Lab, router
from tests.netboot.servers import add_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")

# Asks until there is an answer: a fresh interface has no address of its own for a second or two.
ASK = """
import socket, struct, sys, time
wire = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
wire.settimeout(0.2)
for _ in range(100):
    try:
        wire.sendto(bytes((133,)) + bytes(7), ("ff02::2", 0, 0, socket.if_nametoindex(sys.argv[1])))
        while True:
            data, more, _, sender = wire.recvmsg(2000, 100)
            if data[0] == 134:
                print(data.hex(), struct.unpack("@i", more[0][2])[0], sender[0])
                sys.exit()
    except OSError:
        time.sleep(0.1)
"""


def test_a_solicitation_is_answered_by_nothing() -> None:
    with Lab.open() as lab:
        port = add_port(lab)
        lab.space.start("router", [sys.executable, "-I", "-S", router.__file__, "br0"])
        said = lab.space.run([sys.executable, "-I", "-S", "-c", ASK, port]).stdout.decode().split()
        answer = bytes.fromhex(said[0])
        # Type and code; behind the checksum no hop limit, no flag, no lifetime, no time, no option.
        assert answer[:2] == b"\x86\0" and answer[4:] == bytes(12)
        assert said[1] == "255" and said[2].startswith("fe80:")
