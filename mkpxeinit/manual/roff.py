"""Text in the markup of man(7), as groff and mandoc both read it without a warning."""

import re
import textwrap
from collections.abc import Iterable, Iterator

WIDTH = 78  # columns of a source line
_SPECIAL = {
    "\\": r"\e",
    "-": r"\-",
    "'": r"\(aq",
    "`": r"\(ga",
    "^": r"\(ha",
    "~": r"\(ti",
}


def escape(text: str, *, code: bool = False) -> str:
    """Return `text` for the inside of a line; in `code` each character is what is typed."""
    special = _SPECIAL if code else {"\\": r"\e"}
    return "".join(special.get(c, c if c.isascii() else rf"\[u{ord(c):04X}]") for c in text)


# What is typed, in running text: words in backticks, pages of the manual, options.
_TYPED = re.compile(r"`([^`]+)`|(?<![\w.-])([a-z][\w.-]*)(\([1-9]\))|(?<![\w-])(--?[A-Za-z][\w-]*)")


def prose(text: str) -> str:
    """Return running text in which what is typed is bold, and its hyphens are those of the keyboard."""
    parts: list[str] = []
    at = 0
    for match in _TYPED.finditer(text):
        typed, page, number, option = match.groups()
        parts += (escape(text[at : match.start()]), bold(typed or page or option), number or "")
        at = match.end()
    return "".join((*parts, escape(text[at:])))


def bold(text: str) -> str:
    """Return `text` as something to be typed."""
    return rf"\fB{escape(text, code=True)}\fR"


def italic(text: str) -> str:
    """Return `text` as something to be replaced."""
    return rf"\fI{escape(text, code=True)}\fR"


def guarded(line: str) -> str:
    """Return `line` so that it is text, whatever it begins with."""
    return rf"\&{line}" if line.startswith((".", "'")) else line


def filled(text: str) -> list[str]:
    """Return the lines of a paragraph that has its markup already."""
    lines = textwrap.wrap(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)
    return [guarded(line) for line in lines]


def code(lines: Iterable[str]) -> list[str]:
    """Return the lines of an example, as they stand."""
    body = [guarded(escape(line, code=True)) if line else r"\&" for line in lines]
    return [".PP", ".RS 4", ".nf", *body, ".fi", ".RE"]


def section(title: str) -> str:
    """Return the heading of a section; words in backticks are typed, and stay as they are."""
    pieces = re.split(r"`([^`]+)`", title)
    told = "".join(
        escape(each, code=True) if number % 2 else escape(each.upper()) for number, each in enumerate(pieces)
    )
    return f'.SH "{told}"'


def subsection(title: str) -> str:
    """Return the heading of a part of a section."""
    return f'.SS "{escape(title.replace("`", ""), code=True)}"'


def tagged(tag: str, paragraphs: Iterable[str]) -> list[str]:
    """Return an entry: `tag` and what stands beside it, both with their markup."""
    first, *rest = list(paragraphs) or [""]
    lines = [".TP", guarded(tag), *filled(first or r"\&")]
    for each in rest:
        lines += [".br", *filled(each)]
    return lines


def document(name: str, number: int, date: str, version: str, body: Iterable[str]) -> str:
    """Return the whole page; `date` is YYYY-MM-DD. Names are not hyphenated, and lines not stretched."""
    title = escape(name.upper(), code=True)
    head = f'.TH "{title}" "{number}" "{date}" "mkpxeinit {version}" "mkpxeinit manual"'
    first = r".\" Written by python -m mkpxeinit.manual; edit its sources."
    # Newer macros of groff adjust lines again at each heading, unless the string AD says otherwise.
    return "\n".join((first, ".ds AD l", head, ".nh", ".ad l", *_tidied(body))) + "\n"


def _tidied(lines: Iterable[str]) -> Iterator[str]:
    """Yield `lines` without the .PP that a heading makes idle."""
    before = ""
    for line in lines:
        if not (line == ".PP" and before.startswith((".SH", ".SS"))):
            yield line
        before = line
