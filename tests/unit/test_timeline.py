from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mkpxeinit.errors import MkpxeinitError
from mkpxeinit.timeline import MAX_STATE, MAX_STEPS, Step, Timeline, read_state, svg

STATE = """phase.early=3.18
version=0.1.0
phase.drivers=3.23
phase.network=4.26
code=PXE-INIT-network-no-link
code=PXE-INIT-network-no-link
phase.lease=14.35
interface=eth0
root=10.77.0.1:/netboot/<pxe&client>
phase.switch=16.85
handover=16.89
"""
MANY = "".join(f"phase.p{number}=1\n" for number in range(MAX_STEPS + 1))


def state(folder: Path, text: str | bytes) -> Path:
    path = folder / "state"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def drawn(timeline: Timeline) -> tuple[ElementTree.Element, list[str]]:
    """Return the document, and its texts."""
    tree = ElementTree.fromstring(svg(timeline).encode())
    return tree, [each.text or "" for each in tree.findall("{*}text")]


def test_a_clients_record(tmp_path: Path) -> None:
    read = read_state(state(tmp_path, STATE))
    assert read.steps == (
        Step("kernel", 0.0, 3.18, "before"),
        Step("early", 3.18, 3.23),
        Step("drivers", 3.23, 4.26),
        Step("network", 4.26, 14.35, note="PXE-INIT-network-no-link (2 times)"),
        Step("lease", 14.35, 16.85),
        Step("switch", 16.85, 16.89),
        Step("hand-over", 16.89, None, "after"),
    )
    assert read.title == "pxeinit 0.1.0"
    assert read.subtitle == (
        "13.71 s from the first phase to the hand-over; root 10.77.0.1:/netboot/<pxe&client>; interface eth0"
    )


def test_a_boot_that_did_not_end(tmp_path: Path) -> None:
    read = read_state(state(tmp_path, "phase.early=1.0\nphase.root=2\ncode=PXE-INIT-root-mount\n"))
    assert read.steps[-1] == Step("root", 2.0, None, note="PXE-INIT-root-mount not ended")
    assert "to the last phase" in read.subtitle


def test_bars_stand_where_their_times_are(tmp_path: Path) -> None:
    tree, texts = drawn(read_state(state(tmp_path, STATE)))
    bars = [(float(each.attrib["x"]), float(each.attrib["width"])) for each in tree.findall("{*}rect")[1:]]
    assert len(bars) == 7  # the last is the hand-over's mark
    scale = 700 / 16.89
    for (x, width), (begin, end) in zip(bars, [(0, 3.18), (3.18, 3.23), (3.23, 4.26)], strict=False):
        assert x == pytest.approx(150 + begin * scale, abs=0.1)
        assert width == pytest.approx((end - begin) * scale, abs=0.1)
    assert texts[0] == "pxeinit 0.1.0"
    assert "10.09 s PXE-INIT-network-no-link (2 times)" in texts and "at 16.89 s" in texts
    assert [text for text in texts if text in ("0 s", "2 s", "16 s")] == ["0 s", "2 s", "16 s"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "state: no phase in it"),
        ("mode=farm\n", "state: no phase in it"),
        ("phase.early=1\nrubbish\n", "state:2: not KEY=VALUE"),
        ("phase.early=1\n<svg>=1\n", "state:2: not KEY=VALUE"),
        ("phase.early=nan\n", "state:1: not a time"),
        ("phase.early=1e999\n", "state:1: not a time"),
        ("phase.early=-1\n", "state:1: not a time"),
        ("phase.early=99999999\n", "state:1: not a time"),
        ("phase.early=٣\n", "state:1: not a time"),
        ("phase.early=2\nphase.root=1.99\n", "state:2: earlier than the line before it"),
        ("phase.early=2\nhandover=1\n", "state:2: earlier than the line before it"),
        ("phase.early=1\nphase.early=2\n", "state:2: phase.early after the hand-over, twice"),
        ("phase.early=1\nhandover=2\nphase.root=3\n", "state:3: phase.root after the hand-over"),
        ("phase.early=1\nhandover=2\nhandover=3\n", "state:3: handover after the hand-over"),
        ("phase.early=1\ncode=<script>\n", "state:2: not a code"),
        (MANY, f"state:{MAX_STEPS + 1}: phase.p{MAX_STEPS} "),
        (b"\xff\xfe", "state: not a text"),
        (b"\0" * (MAX_STATE + 1), "state: "),
    ],
)
def test_hostile_records(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(MkpxeinitError) as caught:
        read_state(state(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path}/{says}")
    assert "\n" not in str(caught.value) and "/run/pxeinit/state" in str(caught.value)


def test_no_record(tmp_path: Path) -> None:
    with pytest.raises(MkpxeinitError, match=r"none: No such file or directory; give a copy"):
        read_state(tmp_path / "none")
    with pytest.raises(MkpxeinitError, match=r"not a regular file|Is a directory"):
        read_state(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(MkpxeinitError, match=r"loop: "):
        read_state(tmp_path / "loop")


@given(st.text(max_size=300), st.text(max_size=300), st.floats(0, 1e7))
def test_any_text_is_valid_xml(one: str, two: str, end: float) -> None:
    tree, texts = drawn(Timeline(one, two, (Step(one, 0.0, end, note=two), Step(two, end, None, "after"))))
    assert all(len(text) <= 220 for text in texts)
    assert {child.tag.partition("}")[2] for child in tree} == {"title", "rect", "text", "line"}


@pytest.mark.parametrize("last", [0.0, 0.004, 0.9, 13.0, 47.3, 5000.0, 1e7])
def test_an_axis_has_few_marks(last: float) -> None:
    _, texts = drawn(Timeline("", "", (Step("x", 0.0, last),)))
    marks = [text for text in texts if text.endswith(" s") and text != f"{last:.2f} s"]
    assert 1 <= len(marks) <= 13


def test_nothing_to_draw() -> None:
    with pytest.raises(MkpxeinitError, match="nothing was seen"):
        svg(Timeline("", "", ()))
