"""A boot as a plot, like that of `systemd-analyze plot`: a row for each step, along an axis of seconds.

Steps come from a client's own record, /run/pxeinit/state (docs/client.md), or from whoever watched a console.
The SVG (https://www.w3.org/TR/SVG11/) is written by hand: nothing of it but escaped text comes from outside.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from mkpxeinit.errors import MkpxeinitError, os_cause, printable
from mkpxeinit.sysroot import read_regular

MAX_STATE = 64 << 10  # bytes
MAX_STEPS = 64
_MAX_SECONDS = 10_000_000.0
_MAX_NOTE = 100  # characters
_LINE = re.compile(r"([a-z][a-z0-9._-]{0,40})=(.*)")
_TIME = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?")
_PHASE = "phase."
_CODE = re.compile(r"PXE-INIT-[a-z0-9-]{1,40}")
# What the title tells of a client, where its record has it.
_TOLD = ("root", "nfs.vers", "mode", "interface", "client", "switch")

_ROW, _LEFT, _PLOT, _RIGHT, _TOP = 24, 150, 700, 230, 64  # pixels
_COLOURS = {"before": "#9aa5ad", "client": "#2a6f97", "after": "#7a9e7e"}


@dataclass(frozen=True, slots=True)
class Step:
    """A step from `begin` to `end`, seconds; `end` None is a moment.

    `kind` is before, client or after (the client's hand-over); `note` stands behind the row.
    """

    name: str
    begin: float
    end: float | None
    kind: str = "client"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A title, a line below it, and the steps in the order of their beginnings."""

    title: str
    subtitle: str
    steps: tuple[Step, ...]


def read_state(path: Path) -> Timeline:
    """Return what a client's state file tells; its times are seconds since its kernel started.

    MkpxeinitError with file and line if it cannot be read, or is no such file.
    """
    shown = printable(path)
    try:
        data = read_regular(path.resolve(), MAX_STATE)
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _wrong(shown, 0, "not a text") from error
    except (OSError, RuntimeError) as error:
        cause = os_cause(error) if isinstance(error, OSError) else "too many symbolic links"
        raise MkpxeinitError(f"{shown}: {cause}; give a copy of a client's /run/pxeinit/state") from error
    return _parse(text, shown)


def _parse(text: str, shown: str) -> Timeline:
    begun: list[tuple[str, float]] = []
    codes: dict[str, list[str]] = {}
    told: dict[str, str] = {}
    handover = None
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise _wrong(shown, number, "not KEY=VALUE")
        key, value = found.groups()
        if key.startswith(_PHASE) or key == "handover":
            moment = _seconds(value, begun[-1][1] if begun else 0.0, shown, number)
            if handover is not None or key in {_PHASE + name for name, _ in begun} or len(begun) >= MAX_STEPS:
                raise _wrong(shown, number, f"{key} after the hand-over, twice, or of too many")
            if key == "handover":
                handover = moment
            else:
                begun.append((key.removeprefix(_PHASE), moment))
        elif key == "code":
            if _CODE.fullmatch(value) is None:
                raise _wrong(shown, number, "not a code of pxeinit")
            codes.setdefault(begun[-1][0] if begun else "", []).append(value)
        else:
            told[key] = value
    if not begun:
        raise _wrong(shown, 0, "no phase in it")
    return _client(begun, handover, codes, told)


def _seconds(value: str, before: float, shown: str, number: int) -> float:
    if _TIME.fullmatch(value) is None or float(value) > _MAX_SECONDS:
        raise _wrong(shown, number, "not a time in seconds")
    if float(value) < before:
        raise _wrong(shown, number, "earlier than the line before it")
    return float(value)


def _wrong(shown: str, number: int, why: str) -> MkpxeinitError:
    where = f"{shown}:{number}" if number else shown
    return MkpxeinitError(f"{where}: {why}; give a whole copy of a client's /run/pxeinit/state")


def _client(
    begun: Sequence[tuple[str, float]],
    handover: float | None,
    codes: dict[str, list[str]],
    told: dict[str, str],
) -> Timeline:
    """Return the steps of one client: its kernel, its phases, its hand-over."""
    steps = [Step("kernel", 0.0, begun[0][1], "before")]
    ends = [*(moment for _, moment in begun[1:]), handover]
    for (name, begin), end in zip(begun, ends, strict=True):
        seen = codes.get(name, [])
        note = " ".join(dict.fromkeys(seen)) + (f" ({len(seen)} times)" if len(seen) > 1 else "")
        steps.append(Step(name, begin, end, note=note if end is not None else f"{note} not ended".strip()))
    if handover is not None:
        steps.append(Step("hand-over", handover, None, "after"))
    title = f"pxeinit {told.get('version', '')}".strip()
    words = [f"{key} {told[key]}" for key in _TOLD if told.get(key)]
    total = f"{steps[-1].begin - begun[0][1]:.2f} s from the first phase to the "
    total += "hand-over" if handover is not None else "last phase"
    return Timeline(title, "; ".join((total, *words)), tuple(steps))


def svg(timeline: Timeline) -> str:
    """Return the plot as an SVG document: UTF-8, complete, without scripts or references to elsewhere."""
    if not timeline.steps:
        raise MkpxeinitError("a timeline without a step: nothing was seen of the boot")
    last = max(step.begin if step.end is None else step.end for step in timeline.steps)
    scale = _PLOT / (last or 1.0)
    bottom = _TOP + _ROW * len(timeline.steps)
    width, height = _LEFT + _PLOT + _RIGHT, bottom + 36
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f"<title>{_text(timeline.title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="22" font-size="16">{_text(timeline.title)}</text>',
        f'<text x="10" y="42" fill="#555555">{_text(timeline.subtitle, 2 * _MAX_NOTE)}</text>',
    ]
    for tick in _ticks(last):
        x = _LEFT + tick * scale
        lines.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#dddddd"/>')
        lines.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g} s</text>')
    for number, step in enumerate(timeline.steps):
        lines += _row(step, _TOP + number * _ROW, scale)
    return "\n".join((*lines, "</svg>", ""))


def _row(step: Step, y: int, scale: float) -> list[str]:
    """Return the elements of a step's row at `y`, with `scale` pixels a second."""
    x = _LEFT + step.begin * scale
    colour = _COLOURS[step.kind]
    name = f'<text x="{_LEFT - 8}" y="{y + 16}" text-anchor="end">{_text(step.name, 22)}</text>'
    if step.end is None:
        shape = f'<rect x="{x - 1:.1f}" y="{y + 2}" width="3" height="20" fill="{colour}"/>'
        label, right = f"at {step.begin:.2f} s", x
    else:
        length = (step.end - step.begin) * scale
        shape = f'<rect x="{x:.1f}" y="{y + 4}" width="{max(length, 1.0):.1f}" height="16" fill="{colour}"/>'
        label, right = f"{step.end - step.begin:.2f} s", x + length
    words = _text(f"{label} {step.note}".strip())
    return [name, shape, f'<text x="{right + 6:.1f}" y="{y + 16}">{words}</text>']


def _ticks(last: float) -> list[float]:
    """Return at most a dozen round seconds from zero on."""
    step = 0.1
    for factor in (2, 2.5, 2) * 12:
        if last / step <= 12:
            break
        step *= factor
    return [round(number * step, 3) for number in range(int(last / step) + 1)]


def _text(text: str, limit: int = _MAX_NOTE) -> str:
    """Return `text` as XML may have it: printable, escaped, and not longer than a reader's patience."""
    clean = printable(text)
    return escape(clean if len(clean) <= limit else f"{clean[: limit - 1]}…")
