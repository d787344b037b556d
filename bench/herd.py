"""The herd: up to 100,000 clients after a power cut, pxeinit's own delays beside two other clients'.

The servers' figures are assumptions, not measurements: what counts is how the three clients compare.
"""

from dataclasses import asdict
from typing import Any

from bench import frame
from bench.herd_client import Policy, no_delay, pxeinit, three_tries
from bench.herd_model import Herd, Outcome, Server, World

CLIENTS = (10, 100, 1000, 10_000, 100_000)
OUTAGES = (0, 120)  # seconds that the servers take longer than the clients
SEED = 1
# 256 frames are what Linux' default socket buffer (212,992 bytes) holds, 4,096 is its default SOMAXCONN.
DHCP = Server(rate=1000, queue=256)
NFS = Server(rate=500, queue=4096)


def run(rounds: int) -> dict[str, Any]:
    """Return the result: a row for each outage, number and kind of clients. It is the same in all rounds."""
    ours = pxeinit()
    rows = []
    for outage in OUTAGES:
        for clients in CLIENTS:
            for policy in (ours, three_tries(ours), no_delay(ours)):
                rows.append(row(outage, policy, outcome(clients, policy, outage)))
                frame.say(f"{rows[-1]}")
    return {
        "title": "The herd",
        "machine": "simulated, the same figures anywhere",
        "versions": {"seed": str(SEED)},
        "policy": asdict(ours),
        "dhcp": asdict(DHCP),
        "nfs": asdict(NFS),
        "rows": rows,
    }


def outcome(clients: int, policy: Policy, outage: int) -> Outcome:
    """Return what comes of a herd if the servers come `outage` seconds after it."""
    return Herd(clients, policy, World(DHCP, NFS, up=outage), SEED).run()


def row(outage: int, policy: Policy, found: Outcome) -> dict[str, Any]:
    """Return a row of the result; seconds count from when there are servers."""
    return {
        "outage": outage,
        "clients": found.clients,
        "policy": policy.name,
        "never": found.never,
        "half": max(0.0, found.half - outage),
        "last": max(0.0, found.last - outage),
        "peak": found.peak,
        "requests": found.requests,
    }
