"""Clients and servers after a power cut, event by event: who gets an answer, who asks again, when all are up.

A client asks for a lease (DISCOVER, then REQUEST), then mounts its root. A server works on one request after
another; what does not fit into its queue is lost. Of a mount that nobody waits for any longer, the connection
is closed, and it costs nothing; a DHCP request costs the same whoever still waits. The connection of a mount
that was lost is tried again as TCP does.
"""

import heapq
import random
from collections import deque
from dataclasses import dataclass

from bench.herd_client import Policy

_DISCOVER, _REQUEST, _MOUNT, _UP, _DOWN = range(5)
_SYN_AGAIN = (1.0, 2.0, 4.0, 8.0)  # seconds: tcp_syn_retries, tcp(7)
_ASK, _TIMER, _SYN, _SERVED, _ANSWER = range(5)
_TICKS = 20_000  # a second; what happens within one happens in the order in which it was planned
_TRIP = 0.0002  # seconds: to a server and back


@dataclass(frozen=True, slots=True)
class Server:
    """What a server can do: requests a second, and how many may wait for it."""

    rate: float
    queue: int


@dataclass(frozen=True, slots=True)
class World:
    """Who serves: for DHCP and for mounts, from the second `up` on. Clients start within `spread` seconds.

    After `limit` seconds, who is not up is not waited for.
    """

    dhcp: Server
    nfs: Server
    up: float = 0.0
    spread: float = 10.0
    limit: float = 7200.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: clients that are up, the second of the median and of the last one (0 if none).

    `peak` is the most requests that came in one second while there were servers, `requests` all of them.
    """

    clients: int
    up: int
    half: float
    last: float
    peak: int
    requests: int

    @property
    def never(self) -> int:
        """How many clients did not come up."""
        return self.clients - self.up


class _Queue:
    """A server at work: `busy` with one job, the others waiting. A job is a client and its stage then."""

    __slots__ = ("busy", "service", "size", "waiting")

    def __init__(self, server: Server) -> None:
        self.service = 1 / server.rate
        self.size = server.queue
        self.waiting: deque[tuple[int, int]] = deque()
        self.busy: tuple[int, int] | None = None


class Herd:
    """The simulation: the same numbers for the same `seed`."""

    def __init__(self, clients: int, policy: Policy, world: World, seed: int = 1) -> None:
        """Put `clients` clients that behave as `policy` says into `world`."""
        self._policy = policy
        self._world = world
        self._chance = random.Random(seed)
        self._count = clients
        self._phase = [_DISCOVER] * clients
        self._stage = [0] * clients  # raised when nothing that was asked before matters any longer
        self._tries = [0] * clients
        self._rounds = [0] * clients
        self._delay = [0] * clients  # which of the policy's delays comes next
        self._dhcp, self._nfs = _Queue(world.dhcp), _Queue(world.nfs)
        self._events: dict[int, list[tuple[int, int, int]]] = {}  # by tick: there are millions
        self._ticks: list[int] = []
        self._load = [0]  # requests in each second
        self._ups: list[float] = []
        self._down = 0
        self._now = 0.0

    def run(self) -> Outcome:
        """Run until each client is up or down for good, or the limit is over."""
        for client in range(self._count):
            self._at(self._chance.uniform(0, self._world.spread), _ASK, client, 0)
        handlers = (self._ask, self._timer, self._syn, self._served, self._answered)
        while self._ticks and len(self._ups) + self._down < self._count:
            tick = heapq.heappop(self._ticks)
            self._now = tick / _TICKS
            if self._now > self._world.limit:
                break
            # Nothing is planned for a tick while it is worked on: see _at.
            for kind, client, stage in self._events.pop(tick):
                handlers[kind](client, stage)
        ups, middle = self._ups, (self._count - 1) // 2
        return Outcome(
            clients=self._count,
            up=len(ups),
            half=ups[middle] if len(ups) > middle else 0.0,
            last=ups[-1] if ups else 0.0,
            peak=max(self._load[int(self._world.up) :], default=0),
            requests=sum(self._load),
        )

    def _at(self, time: float, kind: int, client: int, stage: int) -> None:
        tick = max(int(time * _TICKS), int(self._now * _TICKS) + 1)
        there = self._events.get(tick)
        if there is None:
            self._events[tick] = [(kind, client, stage)]
            heapq.heappush(self._ticks, tick)
        else:
            there.append((kind, client, stage))

    def _ask(self, client: int, stage: int) -> None:
        """Send a request for a lease, and plan the next one if it is lost."""
        if stage != self._stage[client]:
            return
        time, up = self._now, self._world.up
        while True:
            self._tries[client] += 1
            if self._sent(self._dhcp, client, time):
                self._at(time + self._policy.pause, _TIMER, client, stage)
                return
            wait = self._next_round(client)
            if wait is None:
                return
            time += self._policy.pause + wait
            if time >= up:  # until then nobody answers: nothing else can happen
                break
        self._at(time, _ASK, client, self._stage[client])

    def _next_round(self, client: int) -> float | None:
        """Return the delay before the next request, after one without an answer; None: it stays down."""
        policy, mounting = self._policy, self._phase[client] == _MOUNT
        if not mounting and self._tries[client] < policy.tries:
            return 0.0
        self._stage[client] += 1  # an answer that comes now is too late
        self._tries[client] = 0
        self._rounds[client] += 1
        if not mounting:
            self._phase[client] = _DISCOVER
        most = policy.mounts if mounting else policy.dhcp_rounds
        if most is not None and self._rounds[client] >= most:
            self._phase[client] = _DOWN
            self._down += 1
            return None
        if not mounting and self._rounds[client] < policy.quick_rounds:
            return 0.0
        number = self._delay[client]
        self._delay[client] = min(number + 1, len(policy.delays) - 1)
        return float(self._chance.randint(*policy.delays[number]))

    def _timer(self, client: int, stage: int) -> None:
        """Go on without an answer to what was sent and arrived."""
        if stage != self._stage[client]:
            return
        wait = self._next_round(client)
        if wait is not None:
            kind = _SYN if self._phase[client] == _MOUNT else _ASK
            self._at(self._now + wait, kind, client, self._stage[client])

    def _syn(self, client: int, stage: int) -> None:
        """Begin a mount, or send once more, as TCP does, what began one."""
        if stage != self._stage[client]:
            return
        again = self._tries[client]
        if again == 0:
            self._at(self._now + self._policy.mount_timeout, _TIMER, client, stage)
        self._tries[client] += 1
        if not self._sent(self._nfs, client, self._now) and again < len(_SYN_AGAIN):
            self._at(self._now + _SYN_AGAIN[again], _SYN, client, stage)

    def _sent(self, queue: _Queue, client: int, time: float) -> bool:
        """Send a request to a server; say whether it has arrived."""
        second = int(time)
        if second >= len(self._load):
            self._load += [0] * (second - len(self._load) + 1)
        self._load[second] += 1
        if time < self._world.up or len(queue.waiting) >= queue.size:
            return False
        job = (client, self._stage[client])
        if queue.busy is None:
            self._work(queue, job)
        else:
            queue.waiting.append(job)
        return True

    def _work(self, queue: _Queue, job: tuple[int, int] | None) -> None:
        queue.busy = job
        if job is not None:
            self._at(self._now + queue.service, _SERVED, int(queue is self._nfs), 0)

    def _served(self, which: int, _: int) -> None:
        """Send the answer to the request that a server has done, and turn to the next one."""
        queue = self._nfs if which else self._dhcp
        done, job = queue.busy, None
        while queue.waiting and job is None:
            client, stage = queue.waiting.popleft()
            if queue is self._dhcp or stage == self._stage[client]:
                job = (client, stage)
        self._work(queue, job)
        if done is not None:
            self._at(self._now + _TRIP, _ANSWER, *done)

    def _answered(self, client: int, stage: int) -> None:
        if stage != self._stage[client]:
            return
        self._stage[client] += 1
        self._tries[client] = 0
        phase = self._phase[client] = self._phase[client] + 1
        if phase == _REQUEST:
            self._ask(client, stage + 1)
        elif phase == _MOUNT:
            self._rounds[client] = self._delay[client] = 0
            self._syn(client, stage + 1)
        else:
            self._ups.append(self._now)
