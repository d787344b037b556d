"""`mkpxeinit serve`: what can be said without a network; with one see tests/lab and tests/boot."""

import json
from pathlib import Path

import pytest

from mkpxeinit.cli.serve import _show_json
from mkpxeinit.netboot.serve_reports import Event
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing option '--interface'"),
        (["--interface", "x"], "give either --sysroot DIR or --config FILE"),
        (
            ["--interface", "x", "--sysroot", "/", "--config", "y"],
            "give either --sysroot DIR or --config FILE",
        ),
        (["--interface", "x", "--sysroot", "TREE", "--cache", "c", "--no-cache"], "one of them only"),
        (["--interface", "x", "--config", "y", "--mode", "ro"], "--config says mode"),
        (["--interface", "x", "--sysroot", "y", "--published", "z", "--mode", "ro"], "served as it is"),
        (["--interface", "x", "--sysroot", "y", "--published", "z", "--image", "i"], "served as it is"),
        (["--interface", "x", "--sysroot", "y", "--http", "apache"], "'apache'"),
        (["--interface", "a b", "--sysroot", "TREE"], "'a b'"),
        (["--interface", "x", "--sysroot", "TREE", "--mode", "wild"], "'wild'"),
        (["--interface", "x", "--sysroot", "TREE", "--append", "a\nb"], "parameters"),
        (["--interface", "x", "--sysroot", "TREE", "--address", "10.0.0.1"], "is not the address of a host"),
        (
            ["--interface", "x", "--sysroot", "TREE", "--address", "10.0.0.0/24"],
            "is not the address of a host",
        ),
        (["--interface", "x", "--sysroot", "TREE", "--address", "10.0.0.300/24"], "is not ADDRESS/LENGTH"),
        (["--interface", "x", "--sysroot", "TREE", "--range", "10.0.0.2"], "is not FIRST-LAST"),
        (["--interface", "x", "--sysroot", "TREE", "--nfs", "zfs"], "'zfs'"),
        (["--interface", "x", "--sysroot", "TREE", "--http-port", "70000"], "70000"),
        (["--interface", "x", "--sysroot", "TREE", "--console", "tty;"], "'tty;'"),
    ],
)
def test_wrong_usage(run: Run, root: Path, words: list[str], said: str) -> None:
    done = run("serve", *(str(root) if word == "TREE" else word for word in words))
    assert (done.code, done.stdout) == (2, b""), done.stderr
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_no_such_interface(run: Run, root: Path) -> None:
    done = run("serve", "--interface", "nothere0", "--sysroot", root)
    assert (done.code, done.stdout) == (1, b"")
    assert done.stderr == "mkpxeinit: interface nothere0: No such device; see `ip link`\n"


def test_no_such_tree_and_no_such_description(run: Run, tmp_path: Path) -> None:
    for words in (["--sysroot", tmp_path / "none"], ["--config", tmp_path / "none"]):
        done = run("serve", "--interface", "lo", *words)
        assert done.code in (1, 2) and "none" in done.stderr and done.stderr.count("\n") == 1


def test_help(run: Run) -> None:
    done = run("serve", "--help")
    assert done.code == 0
    for word in (b"--proxy", b"--anyway", b"--report-port", b"Ctrl-C"):
        assert word in done.stdout


def test_events_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """An object a line, whatever a client has sent."""
    for event in (Event("52:54:00:12:34:56", "phase lease at 4.3 s"), Event("192.0.2.7", "x\n\x1b[2J", True)):
        _show_json(event)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["client"], first["what"], first["failed"]) == (
        "52:54:00:12:34:56",
        "phase lease at 4.3 s",
        False,
    )
    assert (second["what"], second["failed"]) == ("x\n\x1b[2J", True) and second["time"] >= first["time"]
