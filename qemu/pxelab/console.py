"""A machine's serial console: kept with times, and searched while it grows."""

import bisect
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import DeadlineError, LabError, MachineExitedError

# ECMA-48: control sequences, commands to the terminal (systemd 257 begins with some of both), short ones.
_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-Za-z]|[=>78cDEM])|[\x00\x07\r]"
)
_SPINNER = re.compile(r"\[[ *]{6}\] ")
_TAIL_LINES = 40

OnLine = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that the console showed, and when (seconds since power-on)."""

    match: re.Match[str]
    time: float

    def __getitem__(self, group: int | str) -> str:
        """Return a group of the match (an empty text if it took no part)."""
        found: str | None = self.match[group]
        return found or ""


class Console:
    """Reads a serial port in the background and keeps each line with its time.

    The log file has one line for each of the console's, after `[seconds since power-on]`.
    """

    def __init__(self, port: socket.socket, log: Path, on_line: OnLine | None = None) -> None:
        """Start to read; `on_line` is called with the time and text of each full line."""
        self._port = port
        self._log = log
        self._on_line = on_line
        self._grown = threading.Condition()
        self._began = time.monotonic()
        self._text = ""
        self._starts: list[int] = []
        self._times: list[float] = []
        self._pending = b""
        self._pending_time = 0.0
        self._cursor = 0
        self._closed = False
        self.log = log
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    @property
    def now(self) -> float:
        """Seconds since power-on."""
        return time.monotonic() - self._began

    @property
    def text(self) -> str:
        """All that the console showed so far."""
        with self._grown:
            return self._all()

    @property
    def lines(self) -> list[tuple[float, str]]:
        """Every full line so far with its time."""
        with self._grown:
            return list(zip(self._times, self._text.split("\n"), strict=False))

    def _all(self) -> str:
        return self._text + _clean(self._pending)

    def _read(self) -> None:
        with self._log.open("w", encoding="utf-8") as log:
            while True:
                try:
                    data = self._port.recv(65536)
                except OSError:
                    data = b""
                fresh: list[tuple[float, str]] = []
                with self._grown:
                    if data:
                        fresh = self._take(data)
                    else:
                        if self._pending:
                            fresh = self._take(b"\n")
                        self._closed = True
                    self._grown.notify_all()
                for moment, line in fresh:
                    log.write(f"[{moment:8.3f}] {line}\n")
                    if self._on_line is not None:
                        self._on_line(moment, line)
                log.flush()
                if not data:
                    return

    def _take(self, data: bytes) -> list[tuple[float, str]]:
        """Add what came; return the lines that it completed."""
        fresh = []
        if not self._pending:
            self._pending_time = self.now
        *full, rest = (self._pending + data).split(b"\n")
        for raw in full:
            line = _clean(raw)
            self._starts.append(len(self._text))
            self._times.append(self._pending_time)
            self._text += line + "\n"
            fresh.append((self._pending_time, line))
            self._pending_time = self.now
        self._pending = rest
        return fresh

    def _time_at(self, position: int) -> float:
        index = bisect.bisect_right(self._starts, position) - 1
        if position >= len(self._text) or index < 0:
            return self._pending_time
        return self._times[index]

    def expect(self, pattern: str, timeout: float, *, abort_on: str | None = None) -> Seen:
        """Return the first match of a regular expression after the previous expectation's.

        `^` and `$` match at lines. Raises DeadlineError after `timeout` seconds,
        MachineExitedError if the console ended first, LabError when `abort_on` was seen
        instead: each with the last lines of the console.
        """
        wanted = re.compile(pattern, re.MULTILINE)
        unwanted = re.compile(abort_on, re.MULTILINE) if abort_on else None
        end = time.monotonic() + timeout
        with self._grown:
            while True:
                text = self._all()
                found = wanted.search(text, self._cursor)
                if found is not None:
                    self._cursor = max(found.end(), self._cursor)
                    return Seen(found, self._time_at(found.start()))
                bad = unwanted.search(text, self._cursor) if unwanted else None
                if bad is not None:
                    what = bad[0].splitlines()[-1]
                    raise LabError(self._failure(f"{what!r} came instead of {pattern!r}"))
                if self._closed:
                    raise MachineExitedError(self._failure(f"the machine ended without {pattern!r}"))
                left = end - time.monotonic()
                if left <= 0:
                    raise DeadlineError(self._failure(f"no {pattern!r} within {timeout:.0f} s"))
                self._grown.wait(left)

    def seen(self, pattern: str) -> Seen | None:
        """Return the first match anywhere in the console so far, or None."""
        with self._grown:
            found = re.search(pattern, self._all(), re.MULTILINE)
            return Seen(found, self._time_at(found.start())) if found else None

    def forbid(self, pattern: str) -> None:
        """Raise LabError if the console showed this anywhere."""
        found = self.seen(pattern)
        if found is not None:
            with self._grown:
                raise LabError(self._failure(f"unwanted {found[0]!r} at {found.time:.1f} s"))

    def send(self, text: str) -> None:
        """Type into the console; a line ends with a newline."""
        try:
            self._port.sendall(text.encode())
        except OSError as gone:
            raise MachineExitedError(self._failure("the machine has ended")) from gone

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """Return the last lines of the console."""
        return "\n".join(_without_spinner(self.text)[-lines:])

    def _failure(self, what: str) -> str:
        last = "\n".join("  | " + line for line in _without_spinner(self._all())[-_TAIL_LINES:])
        return f"{what} (at {self.now:.1f} s; console: {self.log})\n{last}"

    def close(self) -> None:
        """Stop reading; what came stays."""
        self._thread.join(5.0)
        self._port.close()


def _without_spinner(text: str) -> list[str]:
    """Return the lines, of systemd's moving stars only the last of each run."""
    lines = text.splitlines()
    return [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if not (_SPINNER.match(line) and _SPINNER.match(following))
    ]


def _clean(raw: bytes) -> str:
    return _ESCAPES.sub(b"", raw).decode("utf-8", "replace")
