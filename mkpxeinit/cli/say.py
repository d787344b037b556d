"""What goes to stderr, in one place: -q silences remarks; colour and progress are for terminals alone."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import click

_CLEAR = "\r\033[K"
_WIDTH = 80  # columns
_FIRST, _AGAIN = 0.5, 0.2  # seconds until a line of progress is shown, and until it is drawn again
_state = {"quiet": False}


def set_quiet(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Take -q from the command line, also where it stands before the verb."""
    _state["quiet"] = _state["quiet"] or value


def reset() -> None:
    """Forget -q: each run of the command line begins anew."""
    _state["quiet"] = False


def is_quiet() -> bool:
    """Say whether only errors and warnings are wanted."""
    return _state["quiet"]


def _shows_progress() -> bool:
    """Say whether somebody looks at stderr who wants to see how far it is."""
    return sys.stderr.isatty() and not is_quiet() and os.environ.get("TERM") != "dumb"


class Working:
    """What is being done now: a line that a terminal shows, with the seconds since it began."""

    def __init__(self, text: str) -> None:
        """Begin with what `text` says."""
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._text = text
        self._drawn = False
        self._over = threading.Event()

    def on(self, text: str) -> None:
        """Go on with something else."""
        with self._lock:
            self._text = text

    @contextmanager
    def away(self) -> Iterator[None]:
        """Take the line away, and draw it no more as long as the block takes."""
        with self._lock:
            if self._drawn:
                click.echo(_CLEAR, nl=False, err=True)
            self._drawn = False
            yield

    def _draw(self) -> None:
        with self._lock:
            line = f"{self._text}, {time.monotonic() - self._began:.0f} s"
            width = os.get_terminal_size(sys.stderr.fileno()).columns or _WIDTH  # 0 where nobody knows
            click.echo(f"{_CLEAR}{line[: width - 1]}", nl=False, err=True)
            self._drawn = True

    def _run(self) -> None:
        wait = _FIRST
        with suppress(OSError):  # the terminal has gone
            while not self._over.wait(wait):
                self._draw()
                wait = _AGAIN

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the line as long as the block takes."""
        # A daemon: whatever comes between, the process can end.
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            with self.away():
                pass


_now: list[Working] = []  # what is shown, if anything is


@contextmanager
def working(text: str) -> Iterator[Working]:
    """Show on a terminal what is done, if it takes longer than half a second; elsewhere, and with -q, not."""
    line = Working(text)
    if not _shows_progress():
        yield line
        return
    _now.append(line)
    try:
        with line.shown():
            yield line
    finally:
        _now.remove(line)


@contextmanager
def aside() -> Iterator[None]:
    """Keep the line of progress away while something else is printed."""
    with ExitStack() as stack:
        for line in _now:
            stack.enter_context(line.away())
        yield


def coloured(text: str, colour: str, *, err: bool = False, **style: Any) -> str:
    """Return `text` in `colour` if its stream is a terminal that has colours and nobody minds.

    https://no-color.org: NO_COLOR counts when it is there and not empty.
    """
    stream = sys.stderr if err else sys.stdout
    wanted = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style(text, fg=colour, **style) if wanted else text


def log(text: str) -> None:
    """Print a remark, which -q silences."""
    if not is_quiet():
        warn(text)


def warn(text: str) -> None:
    """Print what has to be known in any case: something was left out, or does not fit."""
    with aside():
        click.echo(f"mkpxeinit: {text}", err=True)


def error(text: str) -> None:
    """Print why it failed, as one line."""
    line = " ".join(part.strip() for part in text.splitlines())
    with aside():
        click.echo(f"{coloured('mkpxeinit:', 'red', err=True, bold=True)} {line}", err=True)
