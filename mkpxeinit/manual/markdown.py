"""The Markdown of docs/ as man(7): headings, paragraphs, lists, tables, examples, words in backticks."""

import re
from collections.abc import Callable

from mkpxeinit.manual import roff

_INLINE = re.compile(r"(`+)(.+?)\1|\[((?:`[^`]*`|[^\]`])+)\]\(([^)]*)\)|\*\*(.+?)\*\*|\*(.+?)\*")
_BREAKS = re.compile(r"(?:[#|>`-]|\d+\.)")  # what begins a line that goes on no paragraph
_CELLS = re.compile(r"(?<!\\)\|")


def inline(text: str) -> str:
    """Return a paragraph's text with its markup; of a link what is shown."""
    parts, at = [], 0
    for match in _INLINE.finditer(text):
        parts.append(roff.escape(text[at : match.start()]))
        _, typed, shown, target, strong, slanted = match.groups()
        if typed is not None:
            parts.append(roff.bold(typed))
        elif shown is not None:
            page = "docs/" if shown == target.partition("#")[0] and shown.endswith(".md") else ""
            parts.append(page + inline(shown) + _where(target))
        else:
            parts.append(rf"\fI{inline(strong or slanted)}\fR")
        at = match.end()
    return "".join((*parts, roff.escape(text[at:])))


def _where(target: str) -> str:
    """Return what to add to a link's text: an address of the web; other pages are named by their text."""
    return f" ({roff.escape(target)})" if target.startswith(("http:", "https:")) else ""


def convert(text: str) -> list[str]:
    """Return the lines of man(7) for a page, without its title."""
    lines = text.splitlines()
    out: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        size = 1
        if line.startswith("```"):
            size = lines[at + 1 :].index("```") + 2
            out += roff.code(lines[at + 1 : at + size - 1])
        elif line.startswith("|"):
            size = _count(lines[at:], lambda each: each.startswith("|"))
            out += _table(lines[at : at + size])
        elif line.startswith("- "):
            size = 1 + _count(lines[at + 1 :], lambda each: each.startswith("  "))
            out += [r".IP \(bu 2", *roff.filled(inline(_joined(lines[at : at + size])[2:]))]
        elif line.startswith("#"):
            out += _heading(line)
        elif line.strip():
            size = 1 + _count(lines[at + 1 :], lambda each: bool(each.strip()) and not _BREAKS.match(each))
            out += [".PP", *roff.filled(inline(_joined(lines[at : at + size])))]
        at += size
    return out


def _joined(lines: list[str]) -> str:
    return " ".join(each.strip() for each in lines)


def _count(lines: list[str], goes_on: Callable[[str], bool]) -> int:
    """Return how many of the first lines go on."""
    for number, each in enumerate(lines):
        if not goes_on(each):
            return number
    return len(lines)


def _heading(line: str) -> list[str]:
    """Return a heading; the page's title is that of the manual page already."""
    marks, _, title = line.partition(" ")
    if marks == "#":
        return []
    plain = re.sub(r"[`*]", "", title)
    return [roff.section(plain) if marks == "##" else f'.SS "{roff.escape(plain, code=True)}"']


def _table(lines: list[str]) -> list[str]:
    """Return a table as entries: the first cell the tag, the others beside it, under their heads."""
    head, _, *rows = ([cell.strip() for cell in _CELLS.split(line.strip().strip("|"))] for line in lines)
    out: list[str] = []
    for row in rows:
        tag, *cells = (cell.replace(r"\|", "|") for cell in row)
        named = zip(head[1:], cells, strict=False)
        texts = (
            [inline(cells[0])] if len(cells) == 1 else [_named(name, cell) for name, cell in named if cell]
        )
        out += roff.tagged(inline(tag) or r"\&", texts)
    return out


def _named(head: str, cell: str) -> str:
    return rf"\fI{inline(head)}:\fR {inline(cell)}" if head else inline(cell)
