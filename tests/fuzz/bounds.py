"""What input may cost: a bound on memory and on processor time, far above what good input takes.

Both are there to end what would never end, not to measure: an input of some kilobytes takes milliseconds.
"""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from mkpxeinit.errors import MkpxeinitError

MEMORY = 1 << 30  # bytes beyond what the process has
SECONDS = 120.0  # of processor time, which a busy machine lengthens; the dearest input takes some two


class Endless(BaseException):
    """Raised in the code under test, which must not catch it as one of the errors that it expects."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise Endless(f"not done after {SECONDS} s of processor time")


@contextmanager
def bounded(memory: int = MEMORY) -> Iterator[None]:
    """Run a block that raises MemoryError beyond `memory`, and Endless beyond SECONDS."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, _stop)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)


@contextmanager
def ours_or_a_result(*others: type[Exception], memory: int = MEMORY) -> Iterator[None]:
    """Run a block, within the bounds, that may raise an error of ours (on one line) or one of `others`."""
    with suppress(*others), bounded(memory):
        try:
            yield
        except MkpxeinitError as error:
            assert str(error).isprintable(), error
