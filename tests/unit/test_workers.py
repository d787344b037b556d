"""Work side by side: order, errors, nothing begun after one."""

import threading

import pytest

from mkpxeinit.workers import side_by_side


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


def test_a_signal_comes_through() -> None:
    def stop(number: int) -> int:
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        side_by_side(stop, range(100))
    assert threading.active_count() < 50
