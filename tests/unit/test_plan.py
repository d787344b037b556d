from pathlib import PurePosixPath as P

import pytest

from mkpxeinit.errors import ImageError
from mkpxeinit.image.entry import Directory, Entry, File, Symlink
from mkpxeinit.image.plan import Planned, make_plan, make_segment
from mkpxeinit.reason import Reason


def segment_of(*entries: Entry) -> list[str]:
    segment = make_segment("s", (Planned(entry, Reason("because")) for entry in entries))
    return [str(item.entry.path) for item in segment.items]


def test_sorted_with_parents_before_children() -> None:
    paths = segment_of(File(P("b/c/d"), b""), File(P("a"), b""), File(P("b-c"), b""), File(P("b/a"), b""))
    assert paths == ["a", "b", "b/a", "b/c", "b/c/d", "b-c"]


def test_a_planned_folder_keeps_its_mode() -> None:
    segment = make_segment(
        "s",
        [Planned(File(P("tmp/x"), b""), Reason("r")), Planned(Directory(P("tmp"), 0o1777), Reason("mine"))],
    )
    assert segment.items[0] == Planned(Directory(P("tmp"), 0o1777), Reason("mine"))


def test_twice() -> None:
    with pytest.raises(ImageError, match="^a is planned twice: because; because$"):
        segment_of(File(P("a"), b"1"), Symlink(P("a"), "b"))
    one, two = (make_segment("s", [Planned(File(P("a/b"), b""), Reason("r"))]) for _ in range(2))
    with pytest.raises(ImageError, match="^a/b is planned in two segments$"):
        make_plan([one, two])


def test_folders_may_be_in_two_segments() -> None:
    one = make_segment("1", [Planned(File(P("lib/a"), b""), Reason("r"))])
    two = make_segment("2", [Planned(File(P("lib/b"), b""), Reason("r"))])
    assert [str(item.entry.path) for item in make_plan([one, two]).items()] == [
        "lib",
        "lib/a",
        "lib",
        "lib/b",
    ]


@pytest.mark.parametrize("above", [File(P("a"), b""), Symlink(P("a"), "b")])
def test_nothing_is_planned_below_a_file(above: Entry) -> None:
    with pytest.raises(ImageError, match="^a is no folder, but a/b is planned in it$"):
        segment_of(above, File(P("a/b"), b""))


@pytest.mark.parametrize("path", ["/a", "../a", "a/../b", "."])
def test_paths_stay_inside(path: str) -> None:
    with pytest.raises(ImageError, match="cannot be a path"):
        segment_of(File(P(path), b""))
