"""The real servers with generated configurations, inside a laboratory; their state goes to its folder."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mkpxeinit.netboot import dhcpd, dnsmasq, kea
from mkpxeinit.netboot.site import Site
from pxelab import Lab
from pxelab.namespace import Process

READY_SECONDS = 15.0
DHCP_SERVERS = ("dnsmasq", "dhcpd", "kea")
CLIENT = Path(__file__).with_name("dhcp_client.py")


def start(lab: Lab, name: str, words: Sequence[str | Path], port: int = 67) -> Process:
    """Start a server and return it as soon as it has its UDP port."""
    log = lab.results / f"{name}.log"
    with log.open("ab") as file:
        process = lab.space.start(name, list(map(str, words)), stdout=file, stderr=file)
    end = time.monotonic() + READY_SECONDS
    while not has_udp(lab, port):
        if not process.running or time.monotonic() > end:
            raise AssertionError(f"{name} does not run:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)
    return process


def has_udp(lab: Lab, port: int) -> bool:
    """Say whether a socket is bound to the port; Kea's are raw ones beside it (proc_net_udp)."""
    table = Path(f"/proc/{lab.space.pid}/net/udp").read_text()
    return any(f":{port:04X} " in line for line in table.splitlines())


def folder_of(lab: Lab, name: str) -> Path:
    folder = lab.folder / lab.name(name)
    folder.mkdir()
    return folder


def serve_dhcp(lab: Lab, name: str, site: Site) -> Process:
    """Start a DHCP server with what is generated for `site`, and nothing else but places for its state."""
    folder = folder_of(lab, name)
    if name == "dnsmasq":
        config = folder / "dnsmasq.conf"
        config.write_text(dnsmasq.configuration(site))
        places = [f"--dhcp-leasefile={folder}/leases", "--pid-file", "--user=root", "--no-ping"]
        return start(lab, name, ["dnsmasq", "-d", "--log-dhcp", f"--conf-file={config}", *places])
    if name == "dhcpd":
        config = folder / "dhcpd.conf"
        # Each new address would cost a second.
        config.write_text(dhcpd.configuration(site) + "ping-check false;\n")
        (folder / "leases").touch()
        places = ["-lf", str(folder / "leases"), "-pf", str(folder / "pid")]
        return start(lab, name, ["dhcpd", "-4", "-f", "-d", "-user", "root", "-cf", config, *places, "br0"])
    config = folder / "kea.conf"
    given = json.loads(kea.configuration(site))
    given["Dhcp4"]["lease-database"]["name"] = f"{folder}/leases.csv"
    config.write_text(json.dumps(given))
    places = [f"KEA_PIDFILE_DIR={folder}", f"KEA_LOCKFILE_DIR={folder}"]
    return start(lab, name, ["env", *places, "kea-dhcp4", "-c", config])


def add_port(lab: Lab, name: str = "client0") -> str:
    """Add a socket of the laboratory's switch, whose other end has the name, for `ask`."""
    lab.ip(
        f"link add {name} type veth peer name {name}p",
        f"link set {name}p master br0 up",
        f"link set {name} up",
    )
    return name


def ask(lab: Lab, port: str, requests: Sequence[dict[str, Any]]) -> list[Any]:
    """Return what the DHCP servers answer to each request: see dhcp_client.py."""
    done = lab.space.run(
        [sys.executable, "-I", "-S", str(CLIENT), port],
        timeout=15.0 * len(requests),
        stdin=json.dumps(requests).encode(),
    )
    answers: list[Any] = json.loads(done.stdout)
    return answers


def ask_boot_server(lab: Lab, requests: Sequence[dict[str, Any]]) -> list[Any]:
    """Return what port 4011 of the server answers to a machine, 10.77.0.50, of its own on the switch."""
    lab.space.run(["ip", "netns", "add", "rom"])
    inside = ["ip", "netns", "exec", "rom"]
    lab.ip("link add rom0 type veth peer name rom1", "link set rom0 master br0 up", "link set rom1 netns rom")
    lab.space.run([*inside, "ip", "addr", "add", "10.77.0.50/24", "dev", "rom1"])
    lab.space.run([*inside, "ip", "link", "set", "rom1", "up"])
    done = lab.space.run(
        [*inside, sys.executable, "-I", "-S", str(CLIENT), "rom1", "10.77.0.50", "10.77.0.1"],
        timeout=15.0 * len(requests),
        stdin=json.dumps(requests).encode(),
    )
    answers: list[Any] = json.loads(done.stdout)
    return answers
