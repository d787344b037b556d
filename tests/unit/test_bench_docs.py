"""The page of benchmarks is what its figures make, and plots show what they are given."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import docs, frame
from bench.plot import Bar, bars


def test_the_page_and_its_plots_equal_the_results() -> None:
    if not list(frame.RESULTS.glob("*.json")):
        pytest.skip("no results yet")
    for name, text in docs.generated().items():
        assert (docs.DOCS / name).read_text() == text, f"docs/{name}: python -m bench --docs"
    linked = set(re.findall(r"\]\((plots/[^)]+)\)", (docs.DOCS / "benchmarks.md").read_text()))
    assert linked == {f"plots/{path.name}" for path in (docs.DOCS / "plots").glob("*.svg")}


def results(folder: Path, monkeypatch: pytest.MonkeyPatch, **parts: object) -> None:
    monkeypatch.setattr(frame, "RESULTS", folder)
    for name, rows in parts.items():
        result = {
            "title": name,
            "machine": "a machine",
            "versions": {"zstd": "1.5"},
            "rounds": 3,
            "rows": rows,
        }
        (folder / f"{name}.json").write_text(json.dumps(result))


def row(case: str, wall: float, size: float) -> dict[str, object]:
    found = {"suite": "bookworm", "case": case, "wall": wall, "cpu": 1.0, "peak": 2e8, "size": size}
    return found | {"unpacked": 5e7}


def test_ratios_are_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        row("mkpxeinit", 1.0, 10e6),
        row("floor zstd:9", 0.8, 10e6),
        row("floor zstd:19", 9.0, 8e6),
        row("initramfs-tools netboot", 12.0, 20e6),
        row("dracut", 20.0, 40e6),
    ]
    results(tmp_path, monkeypatch, build=rows)
    page = docs.generated()["benchmarks.md"]
    assert "| Debian 12 | seconds |" in page
    assert "| mkpxeinit | 1.00 | 1.00 | 200 | 10.00 | 50.0 |" in page
    assert "- initramfs-tools netboot ÷ mkpxeinit: 12.0 × the time; our image has 0.50 × the size" in page
    assert "- dracut ÷ mkpxeinit: 20.0 × the time; our image has 0.25 × the size" in page
    assert "- mkpxeinit ÷ floor: 1.25 (1.00 s; 1.5 × the floor and 0.25 s are 1.45 s)" in page
    assert "Machine: a machine; 3 rounds." in page


def test_phases_of_a_boot_are_stacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boot = {"suite": "trixie", "tool": "mkpxeinit", "mode": "farm", "nic": "virtio"}
    times = {"power_on_to_init": 3.0, "init_to_real": 1.0, "real_to_line": 0.6, "lost": 0.2}
    results(tmp_path, monkeypatch, boot=[boot | times])
    files = docs.generated()
    assert "| Debian 13 | farm | virtio | 3.0 | 1.00 (0.2 lost) | 0.60 |" in files["benchmarks.md"]
    widths = [float(each) for each in re.findall(r'y="69" width="([0-9.]+)"', files["plots/boot-trixie.svg"])]
    assert widths == [300.0, 100.0, 60.0]


def test_bars_are_as_long_as_their_numbers() -> None:
    text = bars("a < b", "s", [Bar("one & only", (1.0,), ours=True), Bar("two", (2.0,))])
    tree = ElementTree.fromstring(text)
    rects = tree.findall("{*}rect")[1:]
    assert [float(rect.attrib["width"]) for rect in rects] == [230.0, 460.0]
    assert rects[0].attrib["fill"] != rects[1].attrib["fill"]
    assert [each.text for each in tree.findall("{*}text")] == ["a < b", "one & only", "1.0 s", "two", "2.0 s"]
    assert rects[0].attrib["x"] == "230.0"
    long = ElementTree.fromstring(bars("", "s", [Bar("n" * 60, (1.0,), ours=True), Bar("two", (2.0,))]))
    begin = {float(rect.attrib["x"]) for rect in long.findall("{*}rect")[1:]}
    # Sixty bold letters of twelve pixels' height, and a bar as long as ever.
    assert len(begin) == 1 and min(begin) > 60 * 7 and float(long.attrib["width"]) >= min(begin) + 460 + 90
    with pytest.raises(ValueError, match="no rows"):
        bars("none", "s", [])
