"""The herd: what the model does in its corners, and that its client is the one in init/."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench import frame, herd
from bench.herd_client import INIT, Policy, no_delay, pxeinit, three_tries
from bench.herd_model import Herd, Outcome, Server, World

FAST = Server(1000, 256)
# Three requests a round, 2 s apart, two rounds at once, then delays that leave nothing to chance.
PLAIN = Policy("plain", 3, 2.0, 2, 10.0, ((5, 5), (7, 7)))


def outcome(clients: int, policy: Policy = PLAIN, seed: int = 1, **world: object) -> Outcome:
    options: dict[str, object] = {"dhcp": FAST, "nfs": FAST, "spread": 0.0} | world
    return Herd(clients, policy, World(**options), seed).run()  # type: ignore[arg-type]


def test_one_client_asks_three_times() -> None:
    found = outcome(1)
    assert (found.up, found.never, found.requests, found.peak) == (1, 0, 3, 3)
    # Each is served in a millisecond, and each answer takes 0.2 ms.
    assert found.last == found.half == pytest.approx(0.0036, abs=0.0002)


def test_requests_before_the_servers_are_lost() -> None:
    # Rounds at 0 and 6 s, 5 s of delay, a round at 17, 7 s, one at 30, of which the third request counts.
    found = outcome(1, up=33.0)
    assert found.last == pytest.approx(34.0036, abs=0.001)
    assert found.requests == 3 + 3 + 3 + 2 + 3
    assert found.peak == 3  # before there is a server, there is no load


def test_three_tries_stay_down_and_no_delay_does_not() -> None:
    assert outcome(10, three_tries(PLAIN), up=33.0).never == 10
    found = outcome(10, three_tries(PLAIN), up=3.9)
    assert (found.never, found.up) == (0, 10)  # the third comes at 4 s
    found = outcome(1, no_delay(PLAIN), up=33.0)
    assert found.last == pytest.approx(34.0036, abs=0.001)  # one request every 2 s
    assert found.requests == 17 + 3


def test_what_does_not_fit_into_the_queue_is_lost() -> None:
    found = outcome(3, dhcp=Server(1000, 1))
    assert found.up == 3
    # One is worked on, one waits; the third asks again 2 s later.
    assert found.requests == 10 and found.last == pytest.approx(2.0036, abs=0.001)
    assert outcome(3, three_tries(replace(PLAIN, tries=1)), dhcp=Server(1000, 1)).never == 1


def test_no_more_come_up_than_the_servers_can_do() -> None:
    found = outcome(2000, dhcp=Server(1000, 10_000), nfs=Server(100, 10_000), spread=1.0)
    assert found.never == 0 and found.last >= 2000 / 100
    found = outcome(2000, dhcp=Server(100, 256))
    assert found.never == 0 and found.last >= 2 * 2000 / 100


def test_an_answer_that_comes_too_late_is_none() -> None:
    assert outcome(1, dhcp=Server(0.1, 5), limit=500.0).up == 0
    assert outcome(1, nfs=Server(0.05, 5), limit=500.0).up == 0
    assert outcome(1, replace(PLAIN, mounts=3), nfs=Server(0.05, 5)).requests == 2 + 3  # it stays down
    assert outcome(1, replace(PLAIN, mount_timeout=25.0), nfs=Server(0.05, 5)).up == 1


def test_a_lease_that_was_not_confirmed_begins_anew() -> None:
    # 5 s each: A is offered one, but its REQUEST waits behind B's DISCOVER until A, after 8 s, has gone on; C
    # is lost. At 13 s A asks anew, has its offer at 20 s and its lease at 25 s.
    policy = replace(PLAIN, tries=1, pause=8.0)
    found = outcome(3, policy, dhcp=Server(0.2, 1), limit=26.0)
    assert found.up == 1 and found.last == pytest.approx(25.0, abs=0.01)


def test_rounds_of_dhcp_are_no_mounts() -> None:
    found = outcome(1, replace(PLAIN, mounts=3), up=33.0, nfs=Server(0.05, 5))
    assert found.never == 1 and found.requests == 3 + 3 + 3 + 3 + 1 + 3


def test_mounts_that_nobody_waits_for_cost_nothing() -> None:
    # Of eight at once, two can be mounted in 10 s; if the others' requests were worked on, none ever could.
    found = outcome(8, nfs=Server(0.25, 100), limit=300.0)
    assert found.never == 0


def test_tcp_begins_a_connection_again() -> None:
    found = outcome(3, nfs=Server(1.5, 1))
    # Worked on, waiting, and lost: again after a second, long before the mount's 10 s are over.
    assert found.never == 0 and found.last == pytest.approx(2.0, abs=0.01)
    assert found.requests == 2 * 3 + 4


def test_the_same_seed_the_same_herd() -> None:
    ours = pxeinit()
    worlds = [outcome(300, ours, seed, up=60.0, dhcp=Server(50, 16)) for seed in (1, 1, 2)]
    assert worlds[0] == worlds[1] != worlds[2]
    assert all(found.never == 0 for found in worlds)


def changed(folder: Path, name: str, old: str, new: str) -> Policy:
    """Return the policy of a copy of init/ in which `old` is `new` in one file."""
    shutil.copytree(INIT, folder)
    path = folder / "lib" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return pxeinit(folder)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("backoff.sh", "backoff_ceiling=20", "backoff_ceiling=240"),
        ("backoff.sh", "backoff_first=2", "backoff_first=32"),
        ("backoff.sh", "backoff_quick_rounds=3", "backoff_quick_rounds=9"),
        ("backoff.sh", "local half=$((backoff_limit / 2))", "local half=$backoff_limit"),  # no jitter
        ("backoff.sh", "backoff_limit * 2", "backoff_limit * 3"),
        ("dhcp.sh", "dhcp_tries=3", "dhcp_tries=5"),
        ("dhcp.sh", "dhcp_pause=2", "dhcp_pause=3"),
    ],
)
def test_what_changes_in_init_changes_the_herd(tmp_path: Path, name: str, old: str, new: str) -> None:
    policy = changed(tmp_path / "init", name, old, new)
    assert outcome(20, policy, up=120.0) != outcome(20, pxeinit(), up=120.0)


def test_the_time_for_a_mount_is_the_clients(tmp_path: Path) -> None:
    policy = changed(tmp_path / "init", "root.sh", "mount_timeout=10", "mount_timeout=25")
    slow = Server(0.05, 5)
    assert outcome(1, policy, nfs=slow, limit=60.0).up == 1
    assert outcome(1, pxeinit(), nfs=slow, limit=60.0).up == 0


def test_an_init_that_cannot_be_asked_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(frame.BenchError, match="does not say how it tries again"):
        pxeinit(tmp_path)
    with pytest.raises(frame.BenchError, match="still grow"):
        changed(tmp_path / "init", "backoff.sh", "backoff_ceiling=20", "backoff_ceiling=60000000")


def test_the_committed_figures_are_those_of_this_client() -> None:
    result = frame.load("herd")
    assert result is not None
    ours = pxeinit()
    rows = [row for row in result["rows"] if row["clients"] <= 1000]
    assert len(rows) == 3 * 3 * len(herd.OUTAGES)
    policies = {each.name: each for each in (ours, three_tries(ours), no_delay(ours))}
    for row in rows:
        policy = policies[row["policy"]]
        found = herd.outcome(row["clients"], policy, row["outage"])
        assert herd.row(row["outage"], policy, found) == row, (
            "init/ or the model has changed: make bench PARTS=herd"
        )
