"""Work side by side: order, errors, nothing begun after one."""

import threading
import time

import pytest

from mkpxeinit.workers import ahead, meanwhile, side_by_side


@pytest.mark.parametrize("count", [0, 1, 2, 23, 24, 25, 1000])
def test_order_is_kept(count: int) -> None:
    assert side_by_side(lambda number: number * 2, range(count)) == [2 * number for number in range(count)]


def test_several_threads_work() -> None:
    meeting = threading.Barrier(2, timeout=30)  # which one thread alone never passes

    assert sorted(side_by_side(lambda _: meeting.wait(), range(2))) == [0, 1]


def test_the_first_error_comes_out_and_the_rest_is_not_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number >= 300:
            raise ValueError(str(number))
        return number

    with pytest.raises(ValueError, match=r"^300$"):
        side_by_side(work, range(100_000))
    assert len(begun) < 50_000


def test_of_several_errors_the_first_item_s_counts() -> None:
    meeting = threading.Barrier(2, timeout=30)

    def fail(number: int) -> int:
        meeting.wait()
        raise ValueError(str(number))

    for _ in range(20):
        with pytest.raises(ValueError, match=r"^0$"):
            side_by_side(fail, range(2))


def test_a_signal_comes_through() -> None:
    def stop(number: int) -> int:
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        side_by_side(stop, range(100))
    assert threading.active_count() < 50


def test_the_heaviest_are_begun_first() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return -number

    weights = [n * 7 % 50 for n in range(50)]
    assert side_by_side(work, range(50), weights.__getitem__) == [-n for n in range(50)]
    assert {weights[n] for n in begun[:10]} >= set(range(46, 50))


@pytest.mark.parametrize("count", [0, 1, 5, 500])
def test_ahead_keeps_the_order(count: int) -> None:
    assert list(ahead(lambda number: number * 2, range(count), 7)) == [2 * number for number in range(count)]


def test_ahead_is_ahead_but_not_too_far() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return number

    results = ahead(work, range(100), 5)
    assert next(results) == 0
    deadline = time.monotonic() + 30
    while len(begun) < 6 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert sorted(begun) == list(range(6))
    results.close()
    assert len(begun) == 6 and threading.active_count() < 50


def test_ahead_gives_an_error_in_its_place_and_begins_no_more() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number >= 3:
            raise ValueError(str(number))
        return number

    results = ahead(work, range(1000), 4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match=r"^3$"):
        next(results)
    assert len(begun) < 10


def test_meanwhile() -> None:
    meeting = threading.Barrier(2, timeout=30)  # which one thread alone never passes

    with meanwhile(lambda: meeting.wait() * 0 + 7) as result:
        meeting.wait()
        assert result() == 7


def test_meanwhile_ends_before_the_block_does() -> None:
    ended: list[bool] = []
    with pytest.raises(ValueError, match="main"), meanwhile(lambda: ended.append(True)):
        raise ValueError("main")
    assert ended == [True]


def test_the_error_of_meanwhile_comes_where_its_result_is_wanted() -> None:
    def fail() -> None:
        raise ValueError("there")

    with meanwhile(fail) as result, pytest.raises(ValueError, match="there"):
        result()


def test_a_signal_while_threads_are_started_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    begun: list[threading.Thread] = []

    def interrupted(self: threading.Thread) -> None:
        start(self)
        begun.append(self)
        if len(begun) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    with pytest.raises(KeyboardInterrupt):
        list(ahead(lambda number: number, range(100), most=4))
    for each in begun:
        each.join(10)
    assert len(begun) == 2 and not any(each.is_alive() for each in begun)
