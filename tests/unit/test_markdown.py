"""Markdown of docs/ as man(7)."""

import pytest

from mkpxeinit.manual import markdown, roff


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("# Title\n\nWords.\n", [".PP", "Words."]),
        ("## Two *words*\n", ['.SH "TWO WORDS"']),
        ("### `[[client]]`\n", ['.SS "[[client]]"']),
        ("one\ntwo\n\nthree\n", [".PP", "one two", ".PP", "three"]),
        ("`a-b` and **c** and *d*\n", [".PP", r"\fBa\-b\fR and \fIc\fR and \fId\fR"]),
        ("[text](client.md#x), [`web`](https://a.b)\n", [".PP", r"text, \fBweb\fR (https://a.b)"]),
        ("[a.md](a.md#b), [a](a.md)\n", [".PP", "docs/a.md, a"]),
        ("- one\n  more\n- two\n", [r".IP \(bu 2", "one more", r".IP \(bu 2", "two"]),
        ("```sh\n.x 'y' \\z\n\n```\n", [".PP", ".RS 4", ".nf", r"\&.x \(aqy\(aq \ez", r"\&", ".fi", ".RE"]),
        (r"`a\b` .c", [".PP", r"\fBa\eb\fR .c"]),
        (".c", [".PP", r"\&.c"]),
        ("–", [".PP", r"\[u2013]"]),
        ("| k | m |\n|---|---|\n| `a\\|b` | c |\n", [".TP", r"\fBa|b\fR", "c"]),
        (
            "| k | m | n |\n|---|---|---|\n| `a` | c | d |\n",
            [".TP", r"\fBa\fR", r"\fIm:\fR c", ".br", r"\fIn:\fR d"],
        ),
    ],
)
def test_convert(text: str, lines: list[str]) -> None:
    assert markdown.convert(text) == lines


def test_a_heading_makes_a_paragraph_idle() -> None:
    page = roff.document("a-b", 7, "2026-01-02", "1", markdown.convert("## X\n\ntext\n"))
    assert page.splitlines()[1:] == [
        r'.TH "A\-B" "7" "2026-01-02" "mkpxeinit 1" "mkpxeinit"',
        '.SH "X"',
        "text",
    ]
