"""Hostile values of a DHCPv6 server, busybox' real udhcpc6 and the client's scripts, without a machine."""

import json
import shutil
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pxelab import Lab, busyboxes, responder6
from tests.init.fakeroot import sourcing
from tests.lab import test_hostile_dhcp as four
from tests.lab.hostile import VALUES

pytestmark = [four.pytestmark, pytest.mark.long]

DNS, SEARCH, FQDN, POSIX_ZONE, ZONE, BOOT_URL, BOOT_PARAM = 23, 24, 39, 41, 42, 59, 60
# (Not 13, a status: it is a refusal, after which udhcpc6 begins anew for ever, and the clock that would end
# the round stands still here.)
OPTIONS = (DNS, SEARCH, FQDN, POSIX_ZONE, ZONE, BOOT_URL, BOOT_PARAM, 7, 17, 25, 31, 56, 82)
# As udhcpc6 writes it.
ADDRESS = "fd00:0077:0000:0000:0000:0000:0000:0150"
# The kernel is not asked: whether the address is anybody else's is not the question here.
ASK = "ip() { :; }; settle_address6() { :; }; linked=c0; ask_dhcp6; echo done >&2"
NAMES = {"address6", "dns", "search"}


class Server:
    """The responder in a laboratory."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._answers = folder / "answers.json"
        self._log = folder / "responder6.log"
        self.say(ADDRESS, [])
        words = [sys.executable, "-I", "-S", responder6.__file__, "br0", str(self._answers)]
        with self._log.open("wb") as log:
            lab.space.start("responder6", words, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while "started" not in self.said():
            assert time.monotonic() < end, self.said()
            time.sleep(0.02)

    def said(self) -> str:
        return self._log.read_text()

    def say(self, address: str, options: list[tuple[int, bytes]]) -> None:
        told = [(code, value.hex()) for code, value in options]
        packed = socket.inet_pton(socket.AF_INET6, address).hex()
        self._answers.write_text(json.dumps({"address": packed, "options": told}))


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[tuple[Lab, Server, Path]]:
    """A laboratory with a cable, c0, to its bridge, the server, and a root with the client."""
    root = four.small_root(tmp_path / "root")
    shutil.copy(busyboxes.ours(), root / "bin/busybox")
    (root / "bin/udhcpc6").symlink_to("busybox")
    with Lab.open() as lab:
        lab.ip("link add c0 type veth peer name c1", "link set c1 master br0 up")
        # No wait for addresses of its own to be found free.
        script = "for name in c0 br0; do echo 0 > /proc/sys/net/ipv6/conf/$name/accept_dad; done"
        lab.space.run(["sh", "-c", script])
        lab.ip("link set c0 up")
        yield lab, Server(lab, tmp_path), root


def ask(
    wired: tuple[Lab, Server, Path], options: list[tuple[int, bytes]], address: str = ADDRESS
) -> dict[str, str]:
    """Return what the client kept of an answer, which must be harmless."""
    lab, server, root = wired
    server.say(address, options)
    before = four.snapshot(root)
    shutil.rmtree(root / "run/pxeinit")
    (root / "run/pxeinit/lease").mkdir(parents=True)
    words = ["chroot", str(root), "/bin/sh", "-c", f"set -u\n{sourcing()}\n{ASK}\n"]
    done = lab.space.run(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *words], timeout=40, check=False)
    assert done.stderr.endswith(b"done\n"), done.stderr
    four.check(root, before, (done.stdout + done.stderr).decode("utf-8", "surrogateescape"), NAMES)
    kept = root / "run/pxeinit/lease/c0"
    found = {path.name: path.read_text().strip() for path in kept.iterdir()} if kept.exists() else {}
    assert found.keys() <= NAMES
    return found


def test_every_value_in_every_option(wired: tuple[Lab, Server, Path]) -> None:
    for number, value in enumerate(VALUES):
        # All options at once, as many as fit, with other values each.
        options = [(code, VALUES[(number + place) % len(VALUES)]) for place, code in enumerate(OPTIONS)]
        room = 400  # udhcpc6 takes no longer answer
        fitting = []
        for code, each in options:
            if len(each) + 4 <= room:
                fitting.append((code, each))
                room -= len(each) + 4
        kept = ask(wired, fitting)
        assert kept["address6"] == f"{ADDRESS}/128", value
    assert wired[1].said().split().count("3") >= len(VALUES)


@pytest.mark.parametrize("address", ["ff02::1", "::", "::1", "fe80::1"])
def test_addresses_that_no_host_has(wired: tuple[Lab, Server, Path], address: str) -> None:
    assert ask(wired, [], address) == {}


def test_the_oracle_sees_what_is_kept(wired: tuple[Lab, Server, Path]) -> None:
    names = b"".join(struct.pack("B", len(word)) + word for word in (b"lab", b"example")) + b"\0"
    servers = socket.inet_pton(socket.AF_INET6, "fd00:77::1") + socket.inet_pton(
        socket.AF_INET6, "fd00:77::2"
    )
    kept = ask(wired, [(DNS, servers), (SEARCH, names)])
    assert kept == {
        "address6": f"{ADDRESS}/128",
        "dns": "fd00:0077:0000:0000:0000:0000:0000:0001 fd00:0077:0000:0000:0000:0000:0000:0002",
        "search": "lab.example",
    }


def test_the_responder_answers_what_it_knows() -> None:
    question = b"\1abc" + responder6.option(1, b"me") + responder6.option(3, b"iaid" + bytes(8))
    reply = responder6.answer(question, bytes(16), [(23, b"x")])
    assert reply is not None and reply[:4] == b"\2abc"
    assert responder6.read_options(reply[4:])[1] == b"me"
    assert responder6.read_options(reply[4:])[23] == b"x"
    for bad in (b"", b"\1abc", b"\5" + question[1:], question[:12]):
        assert responder6.answer(bad, bytes(16), []) is None
