"""Real TFTP servers hand out what `publish` makes, also while it switches."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mkpxeinit.netboot import moves, publish, served
from pxelab import SERVER, Lab
from tests.unit.publishing import image, options, quiet
from tests.unit.small import RELEASE, kernel_tree, make_tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")

# Fetches the files that stdin names, a line each (RFC 1350); of one with a `+` in front it stops after some
# blocks until the next line comes. Prints a digest for each, or what the server says against it.
CLIENT = r"""
import hashlib, socket, struct, sys
for line in sys.stdin:
    wait, name = line.startswith("+"), line.strip().lstrip("+")
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port.settimeout(5)
    asked = struct.pack("!H", 1) + name.encode() + b"\0octet\0"
    port.sendto(asked, (sys.argv[1], 69))
    data, expected = b"", 1
    while True:
        packet, server = port.recvfrom(65536)
        kind, block = struct.unpack("!HH", packet[:4])
        if kind == 5:
            print("error", packet[4:-1].decode(), flush=True)
            break
        if block == expected & 0xFFFF:
            data += packet[4:]
            expected += 1
            if wait and expected == 10:
                print("waiting", flush=True)
                sys.stdin.readline()
        port.sendto(struct.pack("!HH", 4, block), server)
        if len(packet) < 516 and block == (expected - 1) & 0xFFFF:
            if "pxelinux.cfg" in name:
                print(data.decode().replace("\n", "|"), flush=True)
            else:
                print(hashlib.sha256(data).hexdigest(), flush=True)
            break
"""


class Client:
    """A client in the laboratory's network."""

    def __init__(self, lab: Lab) -> None:
        words = [sys.executable, "-I", "-S", "-c", CLIENT, SERVER]
        self._process = lab.space.start("client", words, stdin=subprocess.PIPE, stdout=subprocess.PIPE).popen

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().rstrip("\n")

    def fetch(self, name: str) -> str:
        self.say(name)
        return self.answer()

    def configured(self) -> tuple[str, str]:
        """Return kernel and image that pxelinux would load."""
        text = self.fetch("pxelinux.cfg/default")
        kernel, initrd = re.findall(r"\|  (?:kernel|initrd) ([^|]+)", text)
        return kernel, initrd


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab.open() as laboratory:
        yield laboratory


@pytest.fixture
def root(lab: Lab) -> Path:
    folder = lab.folder / "tftp"
    folder.mkdir()
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree whose kernel is as long as many blocks."""
    return make_tree(tmp_path / "tree", {**kernel_tree(), f"boot/vmlinuz-{RELEASE}": os.urandom(100_000)})


def serve(lab: Lab, root: Path, server: str) -> None:
    if server == "dnsmasq":
        lab.dnsmasq(tftp=root)
        return
    words = [
        "in.tftpd",
        "--foreground",
        "--address",
        f"{SERVER}:69",
        "--secure",
        "--user",
        "nobody",
        str(root),
    ]
    lab.space.start("tftpd", words)
    end = time.monotonic() + 10
    while ":0045 " not in Path(f"/proc/{lab.space.pid}/net/udp").read_text():
        assert time.monotonic() < end, "in.tftpd does not listen"
        time.sleep(0.02)


def digests(root: Path, name: str) -> list[str]:
    told = json.loads((root / f"generations/{name}/generation.json").read_text())
    return [told["kernel"]["sha256"], told["image"]["sha256"]]


@pytest.mark.parametrize("server", ["dnsmasq", "in.tftpd"])
def test_a_switch_in_mid_download(lab: Lab, root: Path, tree: Path, tmp_path: Path, server: str) -> None:
    """The kernel half loaded, the image not begun: the client gets the rest of the old, the next all new."""
    first = options(root, tree, image=image(tmp_path, os.urandom(50_000)))
    publish.publish(first, quiet, {})
    serve(lab, root, server)
    client = Client(lab)
    kernel, initrd = client.configured()
    assert kernel == "generations/pc.1/vmlinuz"
    client.say(f"+{kernel}")
    assert client.answer() == "waiting"
    (tree / f"boot/vmlinuz-{RELEASE}").write_bytes(os.urandom(100_000))
    publish.publish(replace(first, image=image(tmp_path, os.urandom(50_000)), keep=1), quiet, {})
    client.say("")
    assert [client.answer(), client.fetch(initrd)] == digests(root, "pc.1")
    kernel, initrd = client.configured()
    assert kernel == "generations/pc.2/vmlinuz"
    assert [client.fetch(kernel), client.fetch(initrd)] == digests(root, "pc.2") != digests(root, "pc.1")
    # What is not for clients is not served, all else is, byte for byte.
    assert client.fetch("generations/.lock").startswith("error")
    for name in ("pxelinux.0", "grubnetx64.efi", "grub/grub.cfg", "generations/pc.1/generation.json"):
        assert client.fetch(name) == hashlib.sha256((root / name).read_bytes()).hexdigest()


def test_one_switch_after_another(lab: Lab, root: Path, tree: Path, tmp_path: Path) -> None:
    """Whenever a client asks, kernel and image are of one generation."""
    for _ in range(2):
        (tree / f"boot/vmlinuz-{RELEASE}").write_bytes(os.urandom(3000))
        made = options(root, tree, image=image(tmp_path, os.urandom(3000)))
        publish.publish(made, quiet, {})
    serve(lab, root, "dnsmasq")
    done = threading.Event()
    switched = 0

    def switch() -> None:
        nonlocal switched
        while not done.is_set():
            publish.change(root, lambda old: moves.back(old, "pc", None)[0], quiet)
            switched += 1

    thread = threading.Thread(target=switch)
    thread.start()
    seen: set[str] = set()
    try:
        client = Client(lab)
        # However slow the disk is: until there has been something to get wrong.
        for number in range(5000):
            if number >= 150 and switched > 10 and len(seen) == 2:
                break
            kernel, initrd = client.configured()
            name = kernel.split("/")[1]
            seen.add(name)
            assert [client.fetch(kernel), client.fetch(initrd)] == digests(root, name)
    finally:
        done.set()
        thread.join()
    assert seen == {"pc.1", "pc.2"} and switched > 10


def test_what_check_calls_unreadable_is_not_served(lab: Lab, root: Path, tree: Path, tmp_path: Path) -> None:
    publish.publish(options(root, tree, image=image(tmp_path)), quiet, {})
    serve(lab, root, "dnsmasq")
    client = Client(lab)
    before = client.fetch("pxelinux.0")
    assert not before.startswith("error")
    (root / "pxelinux.0").chmod(0o640)
    assert client.fetch("pxelinux.0").startswith("error")
    assert [f.where for f in served.check(root).findings if "mode 0640" in f.what] == [f"{root}/pxelinux.0"]
    (root / "pxelinux.0").chmod(0o644)
    assert client.fetch("pxelinux.0") == before
