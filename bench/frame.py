"""What all benchmarks share: one program measured, rounds that alternate, medians, result files.

Machines differ, and one machine differs from hour to hour. So the cases of a benchmark take turns, the
other way round every second time, and what counts are the ratios of medians within one run.
"""

import json
import os
import platform
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mkpxeinit.image.output import replacing

RESULTS = Path(__file__).parent / "results"
# The command, in this checkout, by the Python that runs the bench.
MKPXEINIT = (sys.executable, "-c", "from mkpxeinit.__main__ import main; main()")


class BenchError(Exception):
    """A benchmark cannot go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a program and all that it started.

    `wall` and `cpu` are seconds, `peak` the bytes of memory of its largest process (ru_maxrss of wait4(2)).
    """

    wall: float
    cpu: float
    peak: int


@dataclass(frozen=True, slots=True)
class Case:
    """A thing to measure: `run` does it once; `prepare` comes before each, not measured."""

    name: str
    run: Callable[[], Measured]
    prepare: Callable[[], object] = lambda: None


def measure(
    words: Sequence[str],
    environment: Mapping[str, str] | None = None,
    seconds: float = 900,
    codes: Sequence[int] = (0,),
) -> Measured:
    """Run a program to its end; BenchError with its last words if it fails or takes longer than `seconds`.

    It fails if its exit code is not one of `codes`. Its output goes to a file, so that nothing has to be
    read while it runs.
    """
    with tempfile.TemporaryFile() as output:
        start = time.monotonic()
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=None if environment is None else dict(environment),
            start_new_session=True,
        )
        try:
            usage, code = _reap(process, start + seconds)
        except BaseException:  # Ctrl-C: the program has a session of its own, and would go on
            os.killpg(process.pid, signal.SIGKILL)
            raise
        wall = time.monotonic() - start
        if code not in codes:
            output.seek(0)
            last = output.read()[-2000:].decode("utf-8", "replace").strip()
            raise BenchError(f"{' '.join(words)}: exit code {code}:\n{last}")
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def _reap(process: subprocess.Popen[bytes], deadline: float) -> tuple[Any, int]:
    """Wait for a process; return its resources (getrusage(2)) and exit code; it is killed at the deadline."""
    descriptor = os.pidfd_open(process.pid)
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            os.killpg(process.pid, signal.SIGKILL)
    finally:
        os.close(descriptor)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage, process.returncode


def alternate(
    cases: Sequence[Case], rounds: int, say: Callable[[str], object] = lambda _: None
) -> dict[str, list[Measured]]:
    """Return what each case measured in `rounds` rounds, by its name.

    All cases run once a round, in turn, and backwards in every second round: whatever slows the machine for
    a while slows them alike.
    """
    found: dict[str, list[Measured]] = {case.name: [] for case in cases}
    if len(found) != len(cases):
        raise BenchError("two cases have the same name")
    for number in range(rounds):
        for case in cases if number % 2 == 0 else reversed(cases):
            case.prepare()
            each = case.run()
            found[case.name].append(each)
            say(f"round {number + 1}/{rounds}: {case.name}: {each.wall:.2f} s, {each.cpu:.2f} s of CPU")
    return found


def median(runs: Sequence[Measured]) -> Measured:
    """Return the medians of each figure of `runs`."""
    return Measured(
        statistics.median(each.wall for each in runs),
        statistics.median(each.cpu for each in runs),
        int(statistics.median(each.peak for each in runs)),
    )


def machine() -> str:
    """Return a line that says on what was measured: processor, cores, memory, system; no host name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {system}, kernel {platform.release()}"


def python_version() -> str:
    """Return the version of this Python."""
    return platform.python_version()


def package_version(name: str, root: Path | None = None) -> str:
    """Return the version of a Debian package, of the tree `root` or this system; BenchError without it."""
    words = [
        "dpkg-query",
        *([f"--admindir={root}/var/lib/dpkg"] if root else []),
        "-W",
        "-f",
        "${Version}",
        name,
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    if done.returncode or not done.stdout:
        raise BenchError(f"Debian package {name}: not installed in {root or 'this system'}")
    return done.stdout.strip()


def save(name: str, result: Mapping[str, Any]) -> Path:
    """Write a result as `bench/results/NAME.json`, whole or not at all; return its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    with replacing(path) as file:
        file.write((json.dumps(result, indent=1, sort_keys=True) + "\n").encode())
    path.chmod(0o644)
    return path


def load(name: str) -> dict[str, Any] | None:
    """Return the result NAME, None if there is none."""
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else None


def say(text: str) -> None:
    """Print a line of progress on stderr."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
