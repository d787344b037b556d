"""A cable that loses frames: a relay between QEMU's `-netdev dgram` and a tap.

A program of its own (`python3 -I -S relay.py TAP PORT PEER UP DOWN PROBABILITY DHCP SEED SECONDS VLAN`),
because it has to run within the laboratory's network namespace. See `odd.Loss`. About once a second it
prints how many frames came and how many it lost.
"""

import fcntl
import os
import random
import select
import socket
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
_DHCP_PORTS = (67, 68)
_TAGGED = b"\x81\x00"


def is_dhcp(frame: bytes) -> bool:
    """Return True for a UDP datagram over IPv4 to or from a DHCP port."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return False
    start = 14 + (frame[14] & 15) * 4
    ports = struct.unpack("!HH", frame[start : start + 4]) if len(frame) >= start + 4 else ()
    return any(port in _DHCP_PORTS for port in ports)


class Cable:
    """Decides about each frame, and counts."""

    def __init__(self, up: int, down: int, probability: float, dhcp: bool, seed: int, seconds: float) -> None:
        """Take the rules of odd.Loss; `seconds` 0 is for ever."""
        self._every = {True: up, False: down}
        self._probability = probability
        self._dhcp_alone = dhcp
        self._random = random.Random(seed)
        self._seconds = seconds
        self._began: float | None = None
        self._dhcp = {True: 0, False: 0}
        self.came = 0
        self.lost = 0

    def loses(self, frame: bytes, now: float, *, upward: bool) -> bool:
        """Return True if this frame is to get lost; `upward` is that from the machine."""
        self.came += 1
        self._began = now if self._began is None else self._began
        if self._seconds and now - self._began >= self._seconds:
            return False
        dhcp = is_dhcp(frame)
        lost = (dhcp or not self._dhcp_alone) and self._random.random() < self._probability
        every = self._every[upward]
        if dhcp and every:
            self._dhcp[upward] += 1
            # The first is lost, as unlucky as it can be.
            lost = lost or self._dhcp[upward] % every == 1 % every
        self.lost += lost
        return lost


def tag(frame: bytes, vlan: int) -> bytes:
    """Return the frame with the tag of a VLAN behind its two addresses (IEEE 802.1Q)."""
    return frame[:12] + _TAGGED + struct.pack("!H", vlan) + frame[12:]


def untag(frame: bytes, vlan: int) -> bytes | None:
    """Return the frame without the tag of the VLAN, None if it has not that one."""
    if len(frame) < 18 or frame[12:14] != _TAGGED:
        return None
    number: int = struct.unpack("!H", frame[14:16])[0] & 0xFFF
    return frame[:12] + frame[16:] if number == vlan else None


def open_tap(name: str) -> int:
    """Return a descriptor of a tap that exists (tuntap.rst)."""
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def main(arguments: list[str]) -> None:
    """Carry frames for ever."""
    name, port, peer, up, down, probability, dhcp, seed, seconds, vlan = arguments
    cable = Cable(int(up), int(down), float(probability), dhcp == "1", int(seed), float(seconds))
    tap = open_tap(name)
    machine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    machine.bind(("127.0.0.1", int(port)))
    told = 0.0
    while True:
        ready, _, _ = select.select([tap, machine.fileno()], [], [], 1.0)
        now = time.monotonic()
        if machine.fileno() in ready:
            frame = machine.recv(65536)
            sent = untag(frame, int(vlan)) if int(vlan) else frame
            if sent is not None and not cable.loses(sent, now, upward=True):
                os.write(tap, sent)
        if tap in ready:
            frame = os.read(tap, 65536)
            if not cable.loses(frame, now, upward=False):
                machine.sendto(tag(frame, int(vlan)) if int(vlan) else frame, ("127.0.0.1", int(peer)))
        if now - told >= 1.0:
            told = now
            print(cable.came, cable.lost, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
