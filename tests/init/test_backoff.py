"""backoff.sh: the bounds of each delay, whatever the random numbers are."""

import os

import pytest

from tests.init.fakeroot import FakeRoot

LIMITS = [2, 4, 8, 16, 20, 20, 20, 20]


def delays(root: FakeRoot) -> list[int]:
    said = root.run("for n in 1 2 3 4 5 6 7 8; do next_delay; echo $backoff_delay; done")
    return [int(word) for word in said.console.split()]


@pytest.mark.parametrize("random", ["  0", "65535", "  7", "  12345"])
def test_each_delay_lies_in_the_upper_half_of_its_limit(root: FakeRoot, random: str) -> None:
    root.fake("od", prints=random)
    for delay, limit in zip(delays(root), LIMITS, strict=True):
        assert limit // 2 <= delay <= limit
        assert delay == limit // 2 + int(random) % (limit - limit // 2 + 1)


@pytest.mark.parametrize("broken", ["", "nonsense", "-5", "1 x"])
def test_without_random_numbers_it_still_waits(root: FakeRoot, broken: str) -> None:
    root.fake("od", prints=broken, fails=1)
    assert delays(root) == [limit // 2 for limit in LIMITS]


def test_random_numbers_come_from_urandom(root: FakeRoot) -> None:
    root.fake("od", prints="  7")
    root.run("random_below 10; echo $random_number")
    assert root.calls("od") == [["-An", "-N2", "-tu2", "/dev/urandom"]]


def test_jitter_differs_between_machines(root: FakeRoot) -> None:
    root.write("dev/urandom", b"\x07\x11")
    first = delays(root)
    root.write("dev/urandom", b"\xe1\x2f")
    assert delays(root) != first


def test_back_off_says_for_what_and_reset_begins_anew(root: FakeRoot) -> None:
    root.fake("od", prints="0")
    said = root.run("param_quiet=yes; back_off 'an answer'; back_off x; reset_backoff; back_off y")
    assert "waiting 1 s, then trying again: an answer" in said.console
    assert root.calls("sleep") == [["1"], ["2"], ["1"]]


def test_a_nap_without_a_process(root: FakeRoot) -> None:
    """By a shell whose `read` has a timeout in fractions of a second; dash's has none, and calls usleep."""
    root.folder("tmp")
    os.mkfifo(root.place("tmp/nap"))
    assert root.run("nap 1000; nap 50000; echo $?").console == "0\n"
    assert root.calls("usleep") == ([] if root.shell == "ash" else [["1000"], ["50000"]])
    assert root.calls("mknod") == []


def test_a_nap_without_a_fifo(root: FakeRoot) -> None:
    root.fake("mknod", fails=1)
    assert root.run("nap 1000; nap 2000; echo $?").console == "0\n"
    assert root.calls("usleep") == [["1000"], ["2000"]]
    assert root.calls("mknod") == [["-m", "600", "/tmp/nap", "p"]]
