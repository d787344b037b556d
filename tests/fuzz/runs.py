"""How long fuzzing goes on: the same few examples every time, or others as long as `make fuzz` says."""

import os
import time
from collections.abc import Callable

from hypothesis import HealthCheck, settings

SECONDS = float(os.environ.get("MKPXEINIT_FUZZ_SECONDS") or 0)  # for each test; 0: the ordinary run
SETTINGS = settings(
    settings(max_examples=2000) if SECONDS else settings(derandomize=True, database=None, max_examples=150),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def repeat(run: Callable[[], None]) -> None:
    """Run a test of hypothesis once, and again until the time is over."""
    end = time.monotonic() + SECONDS
    run()
    while time.monotonic() < end:
        run()
