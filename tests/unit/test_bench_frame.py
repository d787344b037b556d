"""The frame of the benchmarks: what is measured, and in which order."""

import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bench import frame


def test_a_program_and_its_children_are_measured() -> None:
    child = "import time; x = bytearray(64 << 20)\nwhile time.process_time() < 0.05: pass"
    words = ["sh", "-c", f"{sys.executable} -c '{child}' && sleep 0.1"]
    found = frame.measure(words)
    assert found.wall > 0.1
    assert found.cpu >= 0.05
    assert found.peak >= 64 << 20


def test_a_failure_shows_the_last_words() -> None:
    with pytest.raises(frame.BenchError, match=r"exit code 3:\nno such tree"):
        frame.measure(["sh", "-c", "echo no such tree >&2; exit 3"])


def test_what_never_ends_is_killed_with_its_children() -> None:
    start = time.monotonic()
    with pytest.raises(frame.BenchError, match="exit code -9"):
        frame.measure(["sh", "-c", "sleep 60 & wait"], seconds=0.1)
    assert time.monotonic() - start < 30


def test_cases_take_turns_and_every_second_round_runs_backwards() -> None:
    order: list[str] = []

    def case(name: str) -> frame.Case:
        def run() -> frame.Measured:
            order.append(name)
            return frame.Measured(len(order), 1, 1)

        return frame.Case(name, run, lambda: order.append(f"before {name}"))

    found = frame.alternate([case("a"), case("b")], 3)
    assert [name for name in order if len(name) == 1] == list("abbaab")
    assert order[:2] == ["before a", "a"]
    assert [len(runs) for runs in found.values()] == [3, 3]
    with pytest.raises(frame.BenchError, match="same name"):
        frame.alternate([case("a"), case("a")], 1)


def test_the_median_is_of_each_figure() -> None:
    runs = [frame.Measured(1, 9, 5), frame.Measured(2, 8, 5), frame.Measured(30, 7, 6)]
    assert frame.median(runs) == frame.Measured(2, 8, 5)


def test_a_result_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "RESULTS", tmp_path / "results")
    assert frame.load("build") is None
    frame.save("build", {"rows": [{"wall": 0.5}]})
    assert frame.load("build") == {"rows": [{"wall": 0.5}]}


def test_the_machine_is_said_without_its_name() -> None:
    import platform

    assert "cores" in frame.machine()
    assert platform.node() not in frame.machine().split()


def test_a_package_that_is_not_there() -> None:
    with pytest.raises(frame.BenchError, match="no-such-package: not installed"):
        frame.package_version("no-such-package")


def test_an_interrupted_bench_leaves_nothing_running(tmp_path: Path) -> None:
    said = tmp_path / "number"

    def interrupt(number: int, stack: object) -> None:
        if said.exists() and said.read_text().strip():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        with pytest.raises(KeyboardInterrupt):
            frame.measure(["sh", "-c", f"sleep 600 & echo $! > {said}; wait"])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    status = Path(f"/proc/{said.read_text().strip()}/stat")
    deadline = time.monotonic() + 10
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        while status.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, "still running"
            time.sleep(0.01)
