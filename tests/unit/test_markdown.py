"""Markdown of docs/ as man(7)."""

import pytest

from mkpxeinit.manual import markdown, roff


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("# Title\n\nWords.\n", [".PP", "Words."]),
        ("## Two *words*\n", ['.SH "TWO WORDS"']),
        ("## `--a-b` and more\n", [r'.SH "\-\-a\-b AND MORE"']),
        ("### `[[client]]`\n", ['.SS "[[client]]"']),
        ("one\ntwo\n\nthree\n", [".PP", "one two", ".PP", "three"]),
        ("`a-b` and **c** and *d*\n", [".PP", r"\fBa\-b\fR and \fIc\fR and \fId\fR"]),
        ("a\n`b` c\n--d\n10. and e\n", [".PP", r"a \fBb\fR c \fB\-\-d\fR", ".IP 10. 4", "and e"]),
        (
            "[text](client.md#x), [`web`](https://a.b)\n",
            [".PP", r"text (\fBpxeinit\fR(7)), \fBweb\fR (https://a.b)"],
        ),
        ("See [drop-ins.md](drop-ins.md#b), [a](#a).\n", [".PP", r"See \fBmkpxeinit.d\fR(5), a."]),
        (
            "[hooks.md](hooks.md#configuration) nfs(5) a-b --c-d\n",
            [".PP", r"\fBmkpxeinit.toml\fR(5) \fBnfs\fR(5) a-b \fB\-\-c\-d\fR"],
        ),
        # What leads to a page that no manual has: the sentence goes, what is in brackets goes.
        ("One. [Why](decisions/1.md)\n", [".PP", "One."]),
        ("One 1.5. Why so:\n[it](decisions/1.md).\nTwo.\n", [".PP", "One 1.5. Two."]),
        ("One ([it](packaging.md)). Two.\n", [".PP", "One. Two."]),
        ("[Why](decisions/1.md)\n", []),
        ("1. one\n   more\n2. two\n", [".IP 1. 4", "one more", ".IP 2. 4", "two"]),
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
        (
            "| `--k` | meaning | n |\n|---|---|---|\n| `a` | c | |\n| | d | |\n",
            [".PP", r"For \fB\-\-k\fR:", ".TP", r"\fBa\fR", "c", ".TP", r"\fBa\fR", "d"],
        ),
    ],
)
def test_convert(text: str, lines: list[str]) -> None:
    assert markdown.convert(text) == lines


def test_a_heading_makes_a_paragraph_idle() -> None:
    page = roff.document("a-b", 7, "2026-01-02", "1", markdown.convert("## X\n\ntext\n"))
    assert page.splitlines()[1:] == [
        ".ds AD l",
        r'.TH "A\-B" "7" "2026-01-02" "mkpxeinit 1" "mkpxeinit manual"',
        ".nh",
        ".ad l",
        '.SH "X"',
        "text",
    ]


def test_sections() -> None:
    page = "# T\n\na\n\n## B\n\nb\n```sh\n## c\n```\n### d\n\n## E\n"
    assert [(name, body.split()) for name, body in markdown.sections(page)] == [
        ("", ["a"]),
        ("B", ["b", "```sh", "##", "c", "```", "###", "d"]),
        ("E", []),
    ]


def test_a_page_as_one_section() -> None:
    lines = markdown.convert("# T\n\na [x](kernel.md#b)\n\n## B\n", "mkpxeinit-build(8)", lower=True)
    assert lines == ['.SH "T"', ".PP", "a x", '.SS "B"']
