"""Networks that behave badly: a DHCP server that says what a test wants, and a cable that loses frames."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import relay, responder
from .errors import LabError
from .server import DHCP_PORT, Server

if TYPE_CHECKING:
    from .lab import Lab

READY_SECONDS = 10.0
MASK, ROUTER, LEASE, ROOT_PATH = 1, 3, 51, 17


@dataclass(frozen=True, slots=True)
class Voice:
    """One DHCP server of a network, as odd as a test needs it.

    `options` are added raw, in this order, to the mask and the lease time (in seconds; both unless they
    are None). The first `ignore` questions get no answer, the first `naks` requests a refusal. `delays` are
    those of the answers to the first question, the second and so on, in seconds; the last one stays.
    Each DECLINE moves on to the next of the `addresses`. The second question gets the first of the
    `turns` instead of `options`, the third the second one and so on; the last one stays.
    """

    server: str
    addresses: tuple[str, ...]
    options: tuple[tuple[int, bytes], ...] = ()
    turns: tuple[tuple[tuple[int, bytes], ...], ...] = ()
    mask: str | None = "255.255.255.0"
    lease: int | None = 3600
    next_server: str = "0.0.0.0"
    sname: bytes = b""
    file: bytes = b""
    delays: tuple[float, ...] = (0.0,)
    ignore: int = 0
    naks: int = 0

    def _all(self, options: tuple[tuple[int, bytes], ...]) -> list[tuple[int, str]]:
        found = [(code, value.hex()) for code, value in options]
        if self.lease is not None:
            found.insert(0, (LEASE, self.lease.to_bytes(4, "big").hex()))
        if self.mask is not None:
            found.insert(0, (MASK, bytes(int(part) for part in self.mask.split(".")).hex()))
        return found

    def as_json(self) -> dict[str, Any]:
        """Return what the responder reads."""
        return {
            "server": self.server,
            "addresses": list(self.addresses),
            "turns": [self._all(options) for options in (self.options, *self.turns)],
            "next_server": self.next_server,
            "sname": self.sname.hex(),
            "file": self.file.hex(),
            "delays": list(self.delays),
            "ignore": self.ignore,
            "naks": self.naks,
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that a client sent: its kind (53), its hardware address, and its options."""

    kind: int
    mac: str
    options: dict[int, bytes]


class OddDhcp(Server):
    """DHCP servers on one bridge, all of them in one program."""

    def __init__(self, lab: "Lab", voices: Sequence[Voice], name: str, bridge: str) -> None:
        """Prepare them; nothing runs yet."""
        super().__init__(lab, name)
        self._voices = tuple(voices)
        self._bridge = bridge
        self._messages = lab.results / f"{name}.messages"

    def start(self) -> None:
        """Start to answer; return when the port is open."""
        told = self.folder / "voices.json"
        voices = [voice.as_json() for voice in self._voices]
        told.write_text(json.dumps({"interface": self._bridge, "voices": voices}), encoding="utf-8")
        words = [sys.executable, "-I", "-S", responder.__file__, told, self._messages]
        with self.log.open("ab") as log:
            self._process = self._lab.space.start(
                self.folder.name, [str(word) for word in words], stdout=log, stderr=log
            )
        end = time.monotonic() + READY_SECONDS
        while not self.has_udp(DHCP_PORT):
            if not self.running or time.monotonic() > end:
                raise LabError(f"the DHCP responder does not run: {self.said()}")
            time.sleep(0.02)

    @property
    def asked(self) -> list[Asked]:
        """The messages that came so far."""
        if not self._messages.exists():
            return []
        said = (json.loads(line) for line in self._messages.read_text().splitlines())
        return [
            Asked(each["kind"], each["mac"], {int(k): bytes.fromhex(v) for k, v in each["options"].items()})
            for each in said
        ]


@dataclass(frozen=True, slots=True)
class Loss:
    """What a cable loses: every `dhcp_up`th frame of DHCP from the machine, every `dhcp_down`th to it.

    (Both at once, in step, no client gets over: each answer would be one of those that get lost.) And
    each frame, or with `dhcp` each of DHCP, with a `probability`. The random numbers start from `seed`,
    so that a test is the same each time. After `seconds` (of the first frame) the cable is whole again.
    With `vlan` the machine's end is a switch's trunk port: what it sends without that tag (802.1Q) is
    lost too, and all that reaches it is tagged.
    """

    dhcp_up: int = 0
    dhcp_down: int = 0
    probability: float = 0.0
    dhcp: bool = False
    seed: int = 1
    seconds: float | None = None
    vlan: int = 0

    def words(self) -> list[object]:
        """Return what the relay takes."""
        return [
            self.dhcp_up,
            self.dhcp_down,
            self.probability,
            int(self.dhcp),
            self.seed,
            self.seconds or 0,
            self.vlan,
        ]


class LossyCable(Server):
    """A relay between a machine's `-netdev dgram` end and a tap of the laboratory."""

    def __init__(self, lab: "Lab", loss: Loss, tap: str, ports: tuple[int, int], name: str) -> None:
        """Start it: `ports` are the relay's and the machine's UDP ports on the loopback."""
        super().__init__(lab, name)
        self.ports = ports
        words = [sys.executable, "-I", "-S", relay.__file__, tap, *ports, *loss.words()]
        with self.log.open("ab") as log:
            self._process = lab.space.start(name, [str(word) for word in words], stdout=log, stderr=log)

    def counts(self) -> tuple[int, int]:
        """Return how many frames came, and how many of them were lost."""
        words = self.log.read_text().split()
        if len(words) < 2:
            raise LabError(f"the relay has not counted: {self.log.read_text()!r}")
        return int(words[-2]), int(words[-1])
