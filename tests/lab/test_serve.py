"""`serve` in a network of its own: what it serves, what it refuses, and that nothing is left of it."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pxelab import Lab
from pxelab.namespace import Process
from pxelab.udhcpd import Udhcpd, UdhcpdSettings
from tests.lab.verifying import Client, wired
from tests.unit.small import served_tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")

SECONDS = 60.0
READY = "ready; Ctrl-C ends it"
COMMAND = str(Path(sys.executable).with_name("mkpxeinit"))


@pytest.fixture
def client() -> Iterator[Client]:
    with Lab.open() as lab, wired(lab) as made:
        yield made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return served_tree(tmp_path / "pc")


@dataclass(frozen=True)
class Serving:
    lab: Lab
    process: Process
    out: Path

    @property
    def said(self) -> str:
        return self.out.read_text(errors="replace")

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + SECONDS
        while text not in self.said:
            assert self.process.running and time.monotonic() < end, self.said
            time.sleep(0.05)


def start(lab: Lab, *words: str | Path) -> Serving:
    out = lab.folder / "serve.out"
    with out.open("ab") as file:
        temporary = lab.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        argv = ["env", f"TMPDIR={temporary}", COMMAND, "serve", "--interface", "br0", *map(str, words)]
        return Serving(lab, lab.space.start("serve", argv, stdout=file, stderr=file), out)


def state(lab: Lab) -> tuple[str, ...]:
    """Return what must be the same afterwards: processes, addresses, exports, sockets, files."""
    processes = lab.space.run(["ps", "-eo", "args"]).stdout.decode().splitlines()
    known = sorted(line for line in processes if not line.startswith("ps "))
    addresses = lab.space.run(["ip", "-4", "-o", "address"]).stdout.decode()
    sockets = lab.space.run(["cat", "/proc/net/udp", "/proc/net/tcp"]).stdout.decode()
    listening = [line.split()[1] for line in sockets.splitlines() if " 0A " in line or " 07 " in line]
    files = lab.space.run(
        ["find", "/run", "/var/lib/nfs", str(lab.folder / "tmp")], check=False
    ).stdout.decode()
    return (*known, addresses, *listening, *sorted(files.splitlines()))


def get(client: Client, path: str) -> str:
    """Return the first line that the HTTP server answers to a request."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    talk = "import socket; s = socket.create_connection(('10.77.0.1', 80)); s.sendall(%r); print(s.recv(99))"
    code, said, _ = client.run("python3", "-c", talk % request)
    assert code == 0
    return said.partition("\\r")[0]


@pytest.mark.parametrize("http", ["nginx", "python"])
def test_clients_find_everything_and_nothing_is_left(client: Client, tree: Path, http: str) -> None:
    (client.lab.folder / "tmp").mkdir()
    before = state(client.lab)
    # Where nginx is installed, it is taken without a word.
    serving = start(client.lab, "--sysroot", tree, *(["--http", http] if http == "python" else []))
    serving.wait_for(READY)
    assert {"nginx": "HTTP: nginx on ", "python": "HTTP: Python's own server on "}[http] in serving.said
    assert (b"nginx" in client.lab.space.run(["ps", "-eo", "args"]).stdout) == (http == "nginx")
    seen = client.verify("--interface", "c0", "--arch", "bios", "--arch", "uefi-x64", "--arch", "http-x64")
    assert seen.has("ok", "tftp://10.77.0.1/pxelinux.cfg/default, pc: kernel "), seen
    assert seen.has("ok", f"10.77.0.1:{tree}: exported, and a tree to boot from, by NFS 4.1, 4.0, 3"), seen
    assert seen.has("ok", "http://10.77.0.1/boot.ipxe: kernel") and seen.bad == []
    serving.wait_for("10.77.0.50  loaded /generations/pc.1/pxeinit.img (TFTP)")
    serving.wait_for("10.77.0.50  loads /generations/pc.1/pxeinit.img (HTTP)")
    for each in (
        "/generations/pc.1/",
        "/.hidden",
        "/../private/dnsmasq.conf",
        "/%2e%2e/private/dnsmasq.conf",
    ):
        assert get(client, each).split()[1] in ("400", "403", "404"), each
    message = (
        '<30>Nov 21 21:00:00 pxeinit: {"mac":"52:54:00:00:00:01","host":"pc1","uptime":3,"event":"phase",'
    )
    send = "import socket; s = socket.socket(2, 2); s.sendto(%r, ('10.77.0.1', 5140))"
    for data in (b"\xff\x1b[2J" * 500, (message + '"event":"phase","name":"root"}').encode()):
        client.run("python3", "-c", send % data)
    serving.wait_for("52:54:00:00:00:01  phase root at 3.0 s (pc1)")
    assert "\x1b" not in serving.said
    assert state(client.lab) != before
    serving.process.signal("INT")
    assert serving.process.wait(20) == 0
    assert state(client.lab) == before
    assert serving.said.splitlines()[-1].startswith("52:54:00:00:00:01  phase root")


def test_a_second_interruption_does_not_stop_the_end(client: Client, tree: Path) -> None:
    (client.lab.folder / "tmp").mkdir()
    before = state(client.lab)
    serving = start(client.lab, "--sysroot", tree)
    serving.wait_for(READY)
    for _ in range(5):
        serving.process.signal("TERM")
    # A late one may come when all is done, and the interpreter no longer minds.
    assert serving.process.wait(20) in (128 + signal.SIGTERM, -signal.SIGTERM)
    assert state(client.lab) == before


def test_an_address_is_given_and_taken(client: Client, tree: Path) -> None:
    client.lab.ip("addr del 10.77.0.1/24 dev br0")
    serving = start(client.lab, "--sysroot", tree)
    assert serving.process.wait(30) == 1
    assert "br0 has no address; give one with --address" in serving.said
    assert list((client.lab.folder / "tmp").iterdir()) == []
    before = state(client.lab)
    serving = start(client.lab, "--sysroot", tree, "--address", "10.77.0.9/24", "--http-port", "0")
    serving.wait_for(READY)
    seen = client.verify("--interface", "c0", "--arch", "bios")
    assert (seen.code, seen.has("ok", "offers 10.77.0.")) == (0, True)
    serving.process.signal("INT")
    assert serving.process.wait(20) == 0
    assert state(client.lab) == before


def test_another_dhcp_server(client: Client, tree: Path) -> None:
    """On another machine of the network; beside it by proxyDHCP."""
    client.lab.ip("addr del 10.77.0.1/24 dev br0", "addr add 10.77.0.2/24 dev br0")
    (client.lab.folder / "udhcpd.conf").write_text(
        "start 10.77.0.100\nend 10.77.0.120\ninterface c0\noption subnet 255.255.255.0\n"
        f"lease_file {client.lab.folder}/leases\npidfile {client.lab.folder}/udhcpd.pid\n"
    )
    (client.lab.folder / "leases").touch()
    enter = ["nsenter", f"--target={client.pid}", "--net", "--"]
    other = client.lab.space.start(
        "udhcpd", [*enter, "busybox", "udhcpd", "-f", str(client.lab.folder / "udhcpd.conf")]
    )
    serving = start(client.lab, "--sysroot", tree)
    assert serving.process.wait(30) == 1
    assert "10.77.0.50 answers DHCP on br0; serve beside it with --proxy" in serving.said
    beside = start(client.lab, "--sysroot", tree, "--proxy")
    beside.wait_for(READY)
    assert "DHCP (proxy) and TFTP" in beside.said
    beside.process.signal("INT")
    assert beside.process.wait(20) == 0
    other.stop()
    alone = start(client.lab, "--sysroot", tree, "--proxy")
    assert alone.process.wait(30) == 1
    assert "nobody gives addresses on br0" in alone.said


def test_another_dhcp_server_on_this_machine(client: Client, tree: Path) -> None:
    Udhcpd(client.lab, UdhcpdSettings("/x")).start()
    serving = start(client.lab, "--sysroot", tree)
    assert serving.process.wait(30) == 1
    assert "10.77.0.1 answers DHCP on br0" in serving.said


@pytest.mark.parametrize("server", ["dnsmasq", "nginx"])
def test_a_server_that_ends_by_itself(client: Client, tree: Path, server: str) -> None:
    """Also when it is a master whose workers go on."""
    (client.lab.folder / "tmp").mkdir()
    before = state(client.lab)
    serving = start(client.lab, "--sysroot", tree)
    serving.wait_for(READY)
    client.lab.space.run(["sh", "-c", f"kill -9 $(pgrep -o {server})"])
    assert serving.process.wait(20) == 1
    assert f"{server} has ended by itself" in serving.said
    assert state(client.lab) == before


def test_killed_outright_no_server_goes_on(client: Client, tree: Path) -> None:
    serving = start(client.lab, "--sysroot", tree)
    serving.wait_for(READY)
    serving.process.signal("KILL")
    end = time.monotonic() + 20
    names = (b"dnsmasq", b"ganesha", b"nginx")
    while any(name in (left := client.lab.space.run(["ps", "-eo", "args"]).stdout) for name in names):
        assert time.monotonic() < end, left
        time.sleep(0.1)


def test_a_taken_port_and_what_is_no_tree(client: Client, tree: Path, tmp_path: Path) -> None:
    (client.lab.folder / "tmp").mkdir()
    before = state(client.lab)
    listen = "import socket, time; s = socket.create_server(('10.77.0.1', 80)); time.sleep(60)"
    taken = client.lab.space.start("taken", ["python3", "-c", listen])
    serving = start(client.lab, "--sysroot", tree)
    assert serving.process.wait(30) == 1
    assert "HTTP on 10.77.0.1 port 80: Address already in use; another port with --http-port" in serving.said
    taken.stop()
    (tmp_path / "empty").mkdir()
    serving = start(client.lab, "--sysroot", tmp_path / "empty")
    assert serving.process.wait(30) == 1
    assert "Traceback" not in serving.said
    assert state(client.lab) == before


def test_a_description(client: Client, tree: Path, tmp_path: Path) -> None:
    """A client by its address, with a name and another mode; and a server that is somebody else."""
    config = tmp_path / "mkpxeinit.toml"
    text = f"""
[server]
address = "10.77.0.1"
[[subnet]]
network = "10.77.0.0/24"
range = ["10.77.0.100", "10.77.0.199"]
[tree.office]
path = "{tree}"
[[client]]
mac = "52:54:00:00:00:07"
name = "pc7"
address = "10.77.0.77"
mode = "rw"
"""
    config.write_text(text)
    serving = start(client.lab, "--config", config)
    serving.wait_for(READY)
    assert client.verify("--interface", "c0", "--arch", "bios").bad == []
    seen = client.verify("--interface", "c0", "--arch", "bios", "--mac", "52:54:00:00:00:07")
    assert seen.has("ok", "offers 10.77.0.77/24") and seen.has("ok", "host name pc7"), seen
    # It alone may write: we ask from another address, and are told so.
    assert seen.bad == [f"10.77.0.1:{tree}: read-only, but the clients have pxeinit.mode=rw"], seen
    serving.process.signal("INT")
    assert serving.process.wait(20) == 0
    config.write_text(text.replace('address = "10.77.0.1"', 'address = "10.77.0.2"'))
    other = start(client.lab, "--config", config)
    assert other.process.wait(30) == 1
    assert "the description's server is 10.77.0.2, but br0 has 10.77.0.1" in other.said


def test_what_is_published_is_served_as_it_is(client: Client, tree: Path) -> None:
    """A rollback meanwhile is what clients get next; nothing in the folder is changed."""
    root = client.lab.folder / "tftp"
    root.mkdir()
    publish = [COMMAND, "publish", "--tftp-root", str(root)]
    for mark in ("one", "two"):
        client.lab.space.run([*publish, "--sysroot", str(tree), "--append", f"mark={mark}"], timeout=60)
    (root / "generations/pc.1/vmlinuz").chmod(0o600)
    before = sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*"))
    serving = start(client.lab, "--sysroot", tree, "--published", root)
    serving.wait_for(READY)
    assert f"chmod o+r {root}/generations/pc.1/vmlinuz" in serving.said
    assert f"{root} is served as it is: pc.2, pc.1" in serving.said
    seen = client.verify("--interface", "c0", "--arch", "bios")
    assert seen.bad == [] and "/generations/pc.2/vmlinuz (TFTP)" in serving.said, seen
    assert sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*")) == before
    (root / "generations/pc.1/vmlinuz").chmod(0o644)
    client.lab.space.run([*publish, "--rollback"])
    assert client.verify("--interface", "c0", "--arch", "bios").bad == []
    serving.wait_for("/generations/pc.1/vmlinuz (TFTP)")
    serving.process.signal("INT")
    assert serving.process.wait(20) == 0


def test_nothing_is_published_there(client: Client, tree: Path, tmp_path: Path) -> None:
    for root, said in ((tmp_path, "nothing is published here"), (tmp_path / "none", "none: ")):
        serving = start(client.lab, "--sysroot", tree, "--published", root)
        assert serving.process.wait(30) == 1
        assert "--published: " in serving.said and said in serving.said
        assert "Traceback" not in serving.said
