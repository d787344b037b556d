"""The reasons in an image: what is written is read again, and nothing else."""

from pathlib import PurePosixPath as P

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mkpxeinit.errors import ImageError
from mkpxeinit.image.entry import File
from mkpxeinit.image.plan import Planned, Segment, make_segment
from mkpxeinit.image.reasons import FOLDER, Reasons, parse, recorded, write
from mkpxeinit.reason import Reason

CLASS = Reason("PCI class 02")
SOFT = Reason("softdep of", "r8169", CLASS)


def planned(name: str, reason: Reason) -> Planned:
    return Planned(File(P(name), b""), reason)


def text_of(segment: Segment) -> bytes:
    (source,) = (i.entry.source for i in segment.items if i.entry.path == FOLDER / segment.name)  # type: ignore[union-attr]
    assert isinstance(source, bytes)
    return source


def test_the_form() -> None:
    items = [planned("b/two words", CLASS), planned("a/realtek.ko", SOFT), planned("a/a\\b", CLASS)]
    segment = recorded(make_segment("modules", items))
    assert text_of(segment).decode() == (
        "# mkpxeinit reasons 1: paths, then the steps from the nearest on\n"
        "a/a\\134b b/two\\040words\tPCI class 02\n"
        "a/realtek.ko\tsoftdep of r8169\tPCI class 02\n"
        "lib/pxeinit/reasons/modules\tread by mkpxeinit why\n"
    )
    assert [str(item.entry.path) for item in segment.items if str(item.entry.path).startswith("lib")] == [
        "lib", "lib/pxeinit", "lib/pxeinit/reasons", "lib/pxeinit/reasons/modules",
    ]  # fmt: skip


def test_order_and_neighbours_do_not_matter() -> None:
    items = [planned("b", CLASS), planned("a", SOFT), planned("c", CLASS)]
    assert write(items) == write(reversed(items))


NAMES = st.text(min_size=1).map(lambda text: text.replace("/", "").replace("\0", "x")).filter(
    lambda text: text not in ("", ".", "..")
)  # fmt: skip
STEPS = st.text(min_size=1)


@given(st.dictionaries(NAMES, st.lists(STEPS, min_size=1, max_size=3), max_size=6))
def test_round_trip(chains: dict[str, list[str]]) -> None:
    """Any name and any step, newlines, tabs, backslashes and bytes that are no UTF-8 among them."""

    def reason(steps: list[str]) -> Reason | None:
        return Reason(steps[0], None, reason(steps[1:])) if steps else None

    items = [planned(name, made) for name, steps in chains.items() if (made := reason(steps))]
    taken = [item for item in items if item.reason.text != "holds"]
    assert parse(write(taken), "x") == {item.entry.path: item.reason.chain() for item in taken}


def test_names_that_are_no_utf8() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert parse(write([planned(name, CLASS)]), "x") == {P(name): ("PCI class 02",)}


def test_folders_without_a_line() -> None:
    segment = make_segment("s", [planned("a/z/f", CLASS), planned("a/b/c/g", SOFT)])
    reasons = parse(write(segment.items), "x")
    assert set(reasons) == {P("a/z/f"), P("a/b/c/g")}
    found = Reasons(reasons)
    assert {path: found.of(path) for path in (item.entry.path for item in segment.items)} == {
        item.entry.path: item.reason.chain() for item in segment.items
    }
    assert found.of(P("a")) == ("holds g", "softdep of r8169", "PCI class 02")
    assert [found.of(P(name)) for name in ("a/b/c/d", "a/b/c/h", "a/zz", "0", "aa", "z")] == [None] * 6


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a", "x:2: no reason in 'a'; the image is damaged"),
        ("a\t", "x:2: no reason in"),
        ("a\tb\t\tc", "x:2: no reason in"),
        ("/etc/passwd\tb", "x:2: '/etc/passwd' is no path in an image"),
        ("a/../../b\tc", "x:2: 'a/../../b' is no path"),
        ("a  b\tc", "x:2: '' is no path"),
        ("a/" * 10_000 + "b\tc", "x:2: 'a/a/.*' is no path"),
        ("\\056.\tc", "x:2: .* is no path"),
        ("a\\9\tb", "x:2: a backslash without an octal number"),
        ("a\tb\\", "x:2: a backslash"),
        ("a\tb\\377", "x:2: a backslash"),
        ("# mkpxeinit reasons 2: new", "x:2: reasons of form 2; read them with a newer mkpxeinit"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        parse(f"# mkpxeinit reasons 1\n{text}\n".encode(), "x")


@given(st.binary(max_size=60))
def test_anything_is_a_result_or_an_error_of_ours(data: bytes) -> None:
    try:
        found = parse(b"a\tb\n" + data, "x")
    except ImageError as error:
        assert str(error).startswith("x:") and "\n" not in str(error)
    else:
        assert all(path.parts and not path.is_absolute() for path in found)
