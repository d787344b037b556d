"""The laboratory's odd DHCP server and its lossy cables, by themselves and with busybox' real udhcpc."""

import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pxelab import Lab, Loss, Voice, machine, relay, responder
from pxelab.odd import LossyCable, OddDhcp

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")


def dhcp_frame(source: int = 68) -> bytes:
    head = bytes(12) + b"\x08\x00" + b"\x45" + bytes(8) + b"\x11" + bytes(10)
    return head + struct.pack("!HH", source, 67 + 68 - source) + bytes(20)


def cable(up: int = 0, down: int = 0, p: float = 0.0, dhcp: bool = False, seconds: float = 0) -> relay.Cable:
    return relay.Cable(up, down, p, dhcp, 1, seconds)


def test_every_second_frame_of_one_direction() -> None:
    wire = cable(up=2)
    assert [wire.loses(dhcp_frame(), 0, upward=True) for _ in range(5)] == [True, False, True, False, True]
    assert not any(wire.loses(dhcp_frame(67), 0, upward=False) for _ in range(5))
    assert not any(wire.loses(bytes(60), 0, upward=True) for _ in range(5))
    assert (wire.came, wire.lost) == (15, 3)


def test_a_share_of_the_frames() -> None:
    wire = cable(p=0.3)
    assert 200 < sum(wire.loses(bytes(60), 0, upward=True) for _ in range(1000)) < 400
    wire = cable(p=1.0, dhcp=True)
    assert not wire.loses(bytes(60), 0, upward=True)
    assert wire.loses(dhcp_frame(), 0, upward=False)


def test_a_cable_that_is_mended() -> None:
    wire = cable(p=1.0, seconds=10)
    assert [wire.loses(b"", now, upward=True) for now in (5.0, 14.9, 15.1)] == [True, True, False]


@pytest.mark.parametrize("frame", [b"", bytes(60), dhcp_frame()[:40], b"\xff" * 60])
def test_what_is_no_dhcp(frame: bytes) -> None:
    assert not relay.is_dhcp(frame)


def test_tags() -> None:
    frame = bytes(range(60))
    tagged = relay.tag(frame, 5)
    assert tagged[12:16] == b"\x81\x00\x00\x05"
    assert relay.untag(tagged, 5) == frame
    assert relay.untag(tagged, 6) is None
    assert relay.untag(frame, 5) is None
    assert relay.untag(b"", 5) is None


@pytest.mark.parametrize(
    ("append", "line"),
    [
        ("", "console=ttyS0"),
        ("quiet console=tty0", "quiet console=tty0"),
        ("netconsole=@/,@10.0.0.9/", "console=ttyS0 netconsole=@/,@10.0.0.9/"),
    ],
)
def test_the_console_stays_unless_another_is_named(append: str, line: str) -> None:
    assert machine.command_line(machine.Machine(append=append)) == line


def test_options_longer_than_a_length_can_say_come_in_pieces() -> None:
    packed = responder.write_options([(17, b"a" * 300), (12, b""), (6, b"1234")])
    assert packed[:2] == b"\x11\xff"
    assert responder.read_options(b"\0" + packed) == {17: b"a" * 300, 12: b"", 6: b"1234"}
    assert responder.read_options(b"\x11\x20abc") == {17: b"abc"}


def question(kind: int, *options: tuple[int, bytes]) -> bytes:
    head = bytes((1, 1, 6, 0)) + b"abcd" + bytes(20) + b"\x52\x54\0\0\0\1" + bytes(10 + 64 + 128)
    return head + b"\x63\x82\x53\x63" + responder.write_options([(53, bytes((kind,))), *options])


def kinds(answers: list[tuple[float, bytes]]) -> list[tuple[float, int, str]]:
    """Delay, kind and address of each reply."""
    return [
        (delay, responder.read_options(reply[240:])[53][0], socket.inet_ntoa(reply[16:20]))
        for delay, reply in answers
    ]


def test_voices() -> None:
    one = Voice("10.0.0.1", ("10.0.0.5", "10.0.0.6"), delays=(0.5, 0.0), naks=1)
    two = Voice("10.0.0.2", ("10.0.0.7",), delays=(0.1,), ignore=1, turns=(((12, b"second"),),))
    both = responder.Responder([one.as_json(), two.as_json()])
    assert kinds(both.replies(question(1))) == [(0.5, 2, "10.0.0.5")]
    assert kinds(both.replies(question(1))) == [(0.0, 2, "10.0.0.5"), (0.1, 2, "10.0.0.7")]
    mine = (54, bytes((10, 0, 0, 1)))
    assert kinds(both.replies(question(3, mine))) == [(0.0, 6, "0.0.0.0")]
    assert kinds(both.replies(question(3, mine))) == [(0.0, 5, "10.0.0.5")]
    assert both.replies(question(4, mine)) == []
    assert kinds(both.replies(question(3, mine))) == [(0.0, 5, "10.0.0.6")]
    ((_, reply),) = both.replies(question(3, (54, bytes((10, 0, 0, 2)))))
    assert responder.read_options(reply[240:])[12] == b"second"


def ask(lab: Lab, *extra: str) -> str:
    words = [
        "env",
        "-i",
        "PATH=/bin",
        "busybox",
        "udhcpc",
        "-f",
        "-n",
        "-q",
        "-t",
        "3",
        "-T",
        "1",
        "-i",
        "c0",
        "-s",
        "/bin/true",
    ]
    done = lab.space.run([*words, *extra], timeout=60, check=False)
    return (done.stdout + done.stderr).decode()


@pytest.fixture
def behind_a_cable() -> Iterator[tuple[Lab, list[LossyCable]]]:
    """A laboratory whose c0 hangs on a cable that loses every second DHCP frame that it sends."""
    with Lab.open() as lab:
        lab.ip("tuntap add dev c0 mode tap", "link set c0 up")
        lossy = lab.lossy_cable(Loss(dhcp_up=2), "br0")
        whole = LossyCable(lab, Loss(), "c0", (lossy.ports[1], lossy.ports[0]), "whole")
        yield lab, [lossy, whole]


@as_root
def test_udhcpc_behind_a_lossy_cable(behind_a_cable: tuple[Lab, list[LossyCable]]) -> None:
    lab, (lossy, _) = behind_a_cable
    dhcp = lab.odd_dhcp(Voice("10.77.0.1", ("10.77.0.150",)))
    said = ask(lab)
    assert "lease of 10.77.0.150 obtained from 10.77.0.1" in said
    # Each was sent twice and came once.
    assert said.count("broadcasting discover") == said.count("broadcasting select") == 2
    assert [asked.kind for asked in dhcp.asked] == [1, 3]
    end = time.monotonic() + 10
    while lossy.counts()[1] < 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert lossy.counts()[1] == 2


@as_root
def test_an_odd_server_ends_and_its_log_stays(tmp_path: Path) -> None:
    with Lab.open(tmp_path) as lab:
        lab.ip("link add c0 type veth peer name c1", "link set c1 master br0 up", "link set c0 up")
        dhcp = lab.odd_dhcp(Voice("10.77.0.1", ("10.77.0.150",), lease=None, mask=None), start=False)
        assert dhcp.asked == []
        dhcp.start()
        assert "obtained" in ask(lab, "-x", "hostname:c1")
        dhcp.stop()
        assert not dhcp.running
        assert "no lease" in ask(lab)
    assert [asked.options[12] for asked in dhcp.asked] == [b"c1", b"c1"]
    assert isinstance(dhcp, OddDhcp)
