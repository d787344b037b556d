"""How clients try again: pxeinit as its own shell code says, and two others to set beside it."""

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from bench.frame import BenchError

INIT = Path(__file__).resolve().parent.parent / "init"
_DRAWN = 16  # delays that are asked for; the last one is that of all further rounds
# init's files print what they would do: the delays are those of next_delay, at both ends of its chance.
_ASK = """set -eu
. "$1/lib/backoff.sh"; . "$1/lib/dhcp.sh"; . "$1/lib/root.sh"
echo "$dhcp_tries $dhcp_pause $backoff_quick_rounds $mount_timeout"
lowest() { random_number=0; }
highest() { random_number=$(($1 - 1)); }
reset_backoff
n=0
while [ $n -lt "$2" ]; do
    limit=$backoff_limit
    random_below() { lowest "$1"; }
    next_delay
    low=$backoff_delay
    backoff_limit=$limit
    random_below() { highest "$1"; }
    next_delay
    echo "$low $backoff_delay"
    n=$((n + 1))
done
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a client does when nobody answers. All times are in seconds.

    A round of DHCP is `tries` requests, `pause` after each. After the round `quick_rounds` and each later
    one it waits for a delay drawn from the next pair of `delays`, in whole seconds; the last pair counts for
    all that follow. The same delays come after each mount that failed within `mount_timeout`. After
    `dhcp_rounds` or `mounts` in vain it stays down; None: never.
    """

    name: str
    tries: int
    pause: float
    quick_rounds: int
    mount_timeout: float
    delays: tuple[tuple[int, int], ...]
    dhcp_rounds: int | None = None
    mounts: int | None = None


def pxeinit(init: Path = INIT) -> Policy:
    """Return what the client in the folder `init` does, asked of its own files; BenchError if they fail."""
    done = subprocess.run(
        ["sh", "-c", _ASK, "sh", str(init), str(_DRAWN)], capture_output=True, text=True, timeout=60
    )
    try:
        first, *rows = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
        tries, pause, quick, timeout = first
        delays = tuple((low, high) for low, high in rows)
    except ValueError:
        delays = ()
    if done.returncode or len(delays) != _DRAWN:
        raise BenchError(f"{init}: does not say how it tries again: {done.stderr.strip() or done.stdout}")
    if delays[-1] != delays[-2]:
        raise BenchError(f"{init}: its delays still grow after {_DRAWN} rounds: {delays}")
    return Policy("mkpxeinit", tries, pause, quick, timeout, delays)


def three_tries(like: Policy) -> Policy:
    """Return a client that asks as often as one round of `like`, mounts three times, and then stays down."""
    return replace(like, name="three tries", delays=((0, 0),), dhcp_rounds=1, mounts=3)


def no_delay(like: Policy) -> Policy:
    """Return a client that begins anew at once, for ever."""
    return replace(like, name="no delay", delays=((0, 0),))
