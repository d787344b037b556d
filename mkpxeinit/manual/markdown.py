"""The Markdown of docs/ as man(7): headings, paragraphs, lists, tables, examples, words in backticks."""

import re
from collections.abc import Callable, Iterator

from mkpxeinit.manual import roff
from mkpxeinit.manual.places import place_of

_INLINE = re.compile(r"(`+)(.+?)\1|\[((?:`[^`]*`|[^\]`])+)\]\(([^)]*)\)|\*\*(.+?)\*\*|\*(.+?)\*")
_BREAKS = re.compile(r"(?:#+ |[|>]|```|- |\d+\. )")  # what begins a line that goes on no paragraph
_CELLS = re.compile(r"(?<!\\)\|")
_LINK = r"\[[^\]]*\]\(((?!https?:|#)[^)]*)\)"
# A link alone in brackets, and a sentence with one: where it leads to a page that is in no manual, they go.
_ASIDE = re.compile(rf"\s*\({_LINK}\)")
_SENTENCE = re.compile(rf"(?:^|(?<=[.!?|])\s+)[^.!?|]*?{_LINK}[^.|]*(?:\.(?=\s|$)|$)")
_PLAIN = ("meaning", "what it does", "what it takes")  # heads that say nothing
_ITEM = re.compile(r"(-|\d+\.) +")


def inline(text: str, own: str = "") -> str:
    """Return a paragraph's text with its markup; `own` is the manual page that it is on."""
    text = _SENTENCE.sub(_kept, _ASIDE.sub(_kept, text)).strip()
    parts, at = [], 0
    for match in _INLINE.finditer(text):
        parts.append(roff.prose(text[at : match.start()]))
        _, typed, shown, target, strong, slanted = match.groups()
        if typed is not None:
            parts.append(roff.bold(typed))
        elif shown is not None:
            parts.append(_link(shown, target, own))
        else:
            parts.append(rf"\fI{inline(strong or slanted, own)}\fR")
        at = match.end()
    return "".join((*parts, roff.prose(text[at:])))


def _kept(match: re.Match[str]) -> str:
    return match[0] if place_of(match[1]) else ""


def _link(shown: str, target: str, own: str) -> str:
    """Return a link's text, and the manual page or the address that it leads to, unless it is this one."""
    if target.startswith(("http:", "https:")):
        return f"{inline(shown)} ({roff.escape(target)})"
    place = place_of(target)
    if shown == target.partition("#")[0]:  # a page by its name
        return roff.prose(place)
    return inline(shown) if place in ("", own) else f"{inline(shown)} ({roff.prose(place)})"


def convert(text: str, own: str = "", *, lower: bool = False) -> list[str]:
    """Return the lines of man(7) for a page, without its title; with `lower` the title is a section."""
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
            out += _table(lines[at : at + size], own)
        elif match := _ITEM.match(line):
            size = 1 + _count(lines[at + 1 :], lambda each: each.startswith("  "))
            words = _joined(lines[at : at + size])[match.end() :]
            mark = r"\(bu 2" if match[1] == "-" else f"{match[1]} 4"
            out += [f".IP {mark}", *roff.filled(inline(words, own))]
        elif line.startswith("#"):
            out += _heading(line, lower)
        elif line.strip():
            size = 1 + _count(lines[at + 1 :], lambda each: bool(each.strip()) and not _BREAKS.match(each))
            filled = roff.filled(inline(_joined(lines[at : at + size]), own))
            out += [".PP", *filled] if filled else []
        at += size
    return out


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield the headings of the second level and what stands below each; first, without one, the beginning.

    The page's title is left out. Headings in examples are none.
    """
    heading, fenced = "", False
    body: list[str] = []
    for line in text.partition("\n")[2].splitlines():
        fenced ^= line.startswith("```")
        if line.startswith("## ") and not fenced:
            yield heading, "\n".join(body)
            heading, body = line.removeprefix("## "), []
        else:
            body.append(line)
    yield heading, "\n".join(body)


def _joined(lines: list[str]) -> str:
    return " ".join(each.strip() for each in lines)


def _count(lines: list[str], goes_on: Callable[[str], bool]) -> int:
    """Return how many of the first lines go on."""
    for number, each in enumerate(lines):
        if not goes_on(each):
            return number
    return len(lines)


def _heading(line: str, lower: bool) -> list[str]:
    """Return a heading; the page's title is that of the manual page already, unless all are lower."""
    marks, _, title = re.sub(r"\*([^*`]+)\*", r"\1", line).partition(" ")
    level = len(marks) + lower
    if level == 1:
        return []
    return [roff.section(title) if level == 2 else roff.subsection(title)]


def _table(lines: list[str], own: str) -> list[str]:
    """Return a table as entries: the first cell the tag, the others beside it, under their heads.

    A first cell that is empty is that of the row above.
    """
    head, _, *rows = ([cell.strip() for cell in _CELLS.split(line.strip().strip("|"))] for line in lines)
    out = [".PP", f"For {inline(head[0])}:"] if head[0].startswith("`-") else []
    tag = ""
    for row in rows:
        first, *cells = (cell.replace(r"\|", "|") for cell in row)
        tag = first or tag
        named = zip(head[1:], cells, strict=False)
        texts = (
            [inline(cells[0], own)]
            if len(cells) == 1
            else [_named(name, cell, own) for name, cell in named if cell]
        )
        out += roff.tagged(inline(tag, own) or r"\&", texts)
    return out


def _named(head: str, cell: str, own: str) -> str:
    head = "" if head in _PLAIN else head
    return rf"\fI{inline(head)}:\fR {inline(cell, own)}" if head else inline(cell, own)
