"""Bars and curves as SVG, written by hand: text that can be read, compared and diffed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_ROW, _LEFT, _WIDTH, _RIGHT = 22, 230, 460, 90  # pixels
COLOURS = ("#2a6f97", "#c9a227", "#7a9e7e", "#b5533c", "#6d597a", "#3d405b")
_LETTER = 7.3  # pixels of a bold letter, about, of a wide font
_SIDE, _HIGH = 80, 320  # pixels: what stands left of a plot of curves, and its height


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of a plot: its name, and its parts, which are stacked."""

    name: str
    parts: tuple[float, ...]
    ours: bool = False


def bars(title: str, unit: str, rows: Sequence[Bar], parts: Sequence[str] = (), digits: int = 1) -> str:
    """Return a plot with a bar for each of `rows`, as long as the sum of its parts, all from zero.

    `parts` are the names of what is stacked. With one part, bars of `ours` have another colour.
    """
    if not rows:
        raise ValueError("no rows")
    legend = _ROW if parts else 0
    top = 2 * _ROW + legend
    height = top + len(rows) * _ROW + 10
    longest = max(math.fsum(row.parts) for row in rows) or 1.0
    left = max(_LEFT, 18 + round(_LETTER * max(len(row.name) for row in rows)))
    width = left + _WIDTH + _RIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="22" font-size="15">{escape(title)}</text>',
    ]
    for number, name in enumerate(parts):
        x = 10 + number * 200
        lines.append(f'<rect x="{x}" y="{_ROW + 14}" width="12" height="12" fill="{COLOURS[number]}"/>')
        lines.append(f'<text x="{x + 18}" y="{_ROW + 24}">{escape(name)}</text>')
    for number, row in enumerate(rows):
        lines += _bar(row, (left, top + number * _ROW), _WIDTH / longest, unit, digits)
    return "\n".join((*lines, "</svg>", ""))


def _bar(row: Bar, place: tuple[int, int], scale: float, unit: str, digits: int) -> list[str]:
    """Return the elements of one bar that begins at `place`, `scale` pixels for each unit."""
    left, y = place
    weight = ' font-weight="bold"' if row.ours else ""
    lines = [f'<text x="{left - 8}" y="{y + 14}" text-anchor="end"{weight}>{escape(row.name)}</text>']
    x = float(left)
    for number, part in enumerate(row.parts):
        colour = COLOURS[number] if len(row.parts) > 1 or row.ours else "#9aa5ad"
        lines.append(
            f'<rect x="{x:.1f}" y="{y + 3}" width="{part * scale:.1f}" height="{_ROW - 6}" fill="{colour}"/>'
        )
        x += part * scale
    total = math.fsum(row.parts)  # `sum` rounds otherwise since Python 3.12
    lines.append(f'<text x="{x + 6:.1f}" y="{y + 14}">{total:.{digits}f} {escape(unit)}</text>')
    return lines


Points = Sequence[tuple[float, float]]


def curves(title: str, unit: str, series: Mapping[str, Points]) -> str:
    """Return a plot of curves by their names, both axes logarithmic; points at 0 or below are left out.

    What grows in proportion is a straight line that rises by one power of ten with each.
    """
    shown = {name: [each for each in points if min(each) > 0] for name, points in series.items()}
    every = [point for points in shown.values() for point in points]
    if not every:
        raise ValueError("no points")
    left, right = _powers([x for x, _ in every])
    low, high = _powers([y for _, y in every])
    top = (2 + len(shown)) * _ROW
    width, height = _SIDE + _LEFT + _WIDTH + 30, top + _HIGH + 40
    across, up = (_LEFT + _WIDTH) / (right - left), _HIGH / (high - low)

    def place(x: float, y: float) -> tuple[float, float]:
        return _SIDE + (math.log10(x) - left) * across, top + _HIGH - (math.log10(y) - low) * up

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="22" font-size="15">{escape(title)}</text>',
    ]
    for power in range(left, right + 1):
        x, y = place(10.0**power, 10.0**low)
        lines.append(f'<path d="M{x:.1f} {top}V{y:.1f}" stroke="#dddddd"/>')
        lines.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{10.0**power:g}</text>')
    for power in range(low, high + 1):
        x, y = place(10.0**left, 10.0**power)
        lines.append(f'<path d="M{x:.1f} {y:.1f}H{width - 30}" stroke="#dddddd"/>')
        label = f"{10.0**power:g} {escape(unit)}"
        lines.append(f'<text x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for number, (name, points) in enumerate(shown.items()):
        lines += _curve(name, [place(*point) for point in points], number)
    return "\n".join((*lines, "</svg>", ""))


def _powers(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten between which all `values` lie, two different ones."""
    low = math.floor(math.log10(min(values)))
    return low, max(math.ceil(math.log10(max(values))), low + 1)


def _curve(name: str, points: Points, number: int) -> list[str]:
    """Return the elements of a curve through `points`, in pixels, and of its name above the plot."""
    colour = COLOURS[number % len(COLOURS)]
    y = (number + 1) * _ROW + 14
    lines = [
        f'<rect x="10" y="{y}" width="12" height="12" fill="{colour}"/>',
        f'<text x="28" y="{y + 10}">{escape(name)}</text>',
    ]
    if len(points) > 1:
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        lines.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return lines
