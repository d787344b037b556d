"""The fault matrix as it was seen: for each boot test how each of its machines ended, and when.

A line of JSON for each test that ran goes to results/boot/matrix.jsonl; at the end of a run the newest one
of each test makes a row of results/boot/matrix.md. So tests of several runs (those of `make test` and the
long ones) come together. Seconds are the guest's, from the kernel's `Run /init` to the end state; with
`quiet`, which hides that line, from the client's first phase, a tenth of a second later.
"""

import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_RUN = re.compile(r"\[ *(\d+\.\d+)\] Run /init as init process")
_EARLY = re.compile(r"^phase\.early=(\d+\.\d+)$")
_CODE = re.compile(r"pxeinit: \[(\d+\.\d+)\] (PXE-INIT-[a-z0-9-]+): ")
_OVER = re.compile(r"pxeinit: \[(\d+\.\d+)\] handing over to |^handover=(\d+\.\d+)$")
_PANIC = re.compile(r"\[ *(\d+\.\d+)\] Kernel panic - not syncing")
_HEAD = "| test | ends in | seconds | on the way | test's result |\n|---|---|---|---|---|\n"


@dataclass(frozen=True, slots=True)
class End:
    """How a machine ended: `runs`, a code, `panic` or `silence`; the seconds until then; codes before it."""

    state: str
    seconds: float | None
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A test, how its machines ended, and whether it passed."""

    file: str
    test: str
    ends: tuple[End, ...]
    passed: bool
    date: str


def read_end(lines: Iterable[str]) -> End:
    """Return how the machine with this console ended."""
    began = 0.0
    state, at = "silence", None
    codes: list[str] = []
    for line in lines:
        if found := _RUN.search(line) or (None if began else _EARLY.search(line)):
            began = float(found[1])
        elif (found := _OVER.search(line)) and state != "panic":
            state, at = "runs", float(found[1] or found[2])
        elif found := _PANIC.search(line):
            state, at = "panic", float(found[1])
        elif (found := _CODE.search(line)) and state != "runs":
            # The same failure again is not news.
            if found[2] != state:
                state, at = found[2], float(found[1])
            if found[2] not in codes:
                codes.append(found[2])
    on_the_way = tuple(code for code in codes if code != state)
    return End(state, None if at is None else round(at - began, 1), on_the_way)


def note(folder: Path, file: str, test: str, consoles: Sequence[Iterable[str]], passed: bool) -> None:
    """Add a test's row, as one write: tests of several workers may end at once."""
    ends = tuple(read_end(lines) for lines in consoles)
    row = Row(file, test, ends, passed, time.strftime("%Y-%m-%d %H:%M", time.gmtime()))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "matrix.jsonl").open("a", encoding="utf-8") as table:
        table.write(json.dumps(asdict(row)) + "\n")


def read_rows(folder: Path) -> list[Row]:
    """Return the newest row of each test, in the order of their names."""
    table = folder / "matrix.jsonl"
    rows: dict[tuple[str, str], Row] = {}
    for line in table.read_text(encoding="utf-8").splitlines() if table.exists() else ():
        told = json.loads(line)
        ends = tuple(End(end["state"], end["seconds"], tuple(end["codes"])) for end in told.pop("ends"))
        row = Row(ends=ends, **told)
        rows[row.file, row.test] = row
    return [rows[key] for key in sorted(rows)]


def write(folder: Path) -> None:
    """Make matrix.md of all rows (nothing where there are none)."""
    rows = read_rows(folder)
    if not rows:
        return
    text = "# How each boot test's machines ended\n"
    for file in sorted({row.file for row in rows}):
        mine = [row for row in rows if row.file == file]
        text += f"\n## {file}\n\n{_HEAD}" + "".join(_as_line(row) for row in mine)
    new = folder / "matrix.md.new"
    new.write_text(text, encoding="utf-8")
    new.replace(folder / "matrix.md")


def _as_line(row: Row) -> str:
    name = row.test.removeprefix("test_").partition("[")
    shown = name[0].replace("_", " ") + (f" [{name[2]}" if name[2] else "")
    states = "; ".join(end.state for end in row.ends)
    seconds = "; ".join("" if end.seconds is None else f"{end.seconds:.1f}" for end in row.ends)
    codes = "; ".join(code for end in row.ends for code in end.codes)
    result = f"{'passed' if row.passed else 'FAILED'} {row.date}"
    return (
        "| "
        + " | ".join(word.replace("|", "\\|") for word in (shown, states, seconds, codes, result))
        + " |\n"
    )
