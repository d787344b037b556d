"""Bars as SVG, written by hand: text that can be read, compared and diffed."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_ROW, _LEFT, _WIDTH, _RIGHT = 22, 230, 460, 90  # pixels
COLOURS = ("#2a6f97", "#c9a227", "#7a9e7e", "#b5533c")


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
    longest = max(sum(row.parts) for row in rows) or 1.0
    width = _LEFT + _WIDTH + _RIGHT
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
        lines += _bar(row, top + number * _ROW, _WIDTH / longest, unit, digits)
    return "\n".join((*lines, "</svg>", ""))


def _bar(row: Bar, y: int, scale: float, unit: str, digits: int) -> list[str]:
    """Return the elements of one bar at `y`, `scale` pixels for each unit."""
    weight = ' font-weight="bold"' if row.ours else ""
    lines = [f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end"{weight}>{escape(row.name)}</text>']
    x = float(_LEFT)
    for number, part in enumerate(row.parts):
        colour = COLOURS[number] if len(row.parts) > 1 or row.ours else "#9aa5ad"
        lines.append(
            f'<rect x="{x:.1f}" y="{y + 3}" width="{part * scale:.1f}" height="{_ROW - 6}" fill="{colour}"/>'
        )
        x += part * scale
    total = sum(row.parts)
    lines.append(f'<text x="{x + 6:.1f}" y="{y + 14}">{total:.{digits}f} {escape(unit)}</text>')
    return lines
