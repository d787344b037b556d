"""`mkpxeinit timeline`, and the timeline of a boot."""

import json
from pathlib import Path
from xml.etree import ElementTree

from mkpxeinit.cli.boot import as_object, steps
from mkpxeinit.timeline import Step
from pxelab.smoke import Phase, SmokeResult
from tests.cli.conftest import Run

STATE = "phase.early=1.00\nphase.switch=2.00\nhandover=2.50\n"


def test_plot_of_a_state_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "state").write_text(STATE)
    done = run("timeline", tmp_path / "state", "--output", tmp_path / "plot.svg")
    assert done.code == 0 and done.stdout == b"" and done.stderr == ""
    assert ElementTree.parse(tmp_path / "plot.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert (tmp_path / "plot.svg").stat().st_mode & 0o777 == 0o644
    assert run("timeline", tmp_path / "state").code == 0
    assert (tmp_path / "cwd/state.svg").read_bytes() == (tmp_path / "plot.svg").read_bytes()


def test_a_bad_file_leaves_the_old_plot(run: Run, tmp_path: Path) -> None:
    (tmp_path / "state").write_text(STATE + "phase.x=1;rm -rf\n")
    (tmp_path / "plot.svg").write_text("old")
    done = run("timeline", tmp_path / "state", "--output", tmp_path / "plot.svg")
    assert done.code == 1 and (tmp_path / "plot.svg").read_text() == "old"
    assert done.stderr == (
        f"mkpxeinit: {tmp_path}/state:4: not a time in seconds; "
        "give a whole copy of a client's /run/pxeinit/state\n"
    )


def test_steps_of_a_boot_that_was_watched() -> None:
    seen = [("kernel", 7.0), ("firmware", 0.5), ("pxeinit early", 9.0), ("real init /sbin/init", 12.0)]
    drawn = steps(Path("x/pxe.img"), seen)
    assert drawn.title == "boot of pxe.img"
    assert drawn.subtitle == "12.0 s from power-on to: real init /sbin/init"
    assert drawn.steps == (
        Step("firmware", 0.5, 7.0, "before"),
        Step("kernel", 7.0, 9.0, "before"),
        Step("pxeinit early", 9.0, 12.0, "client"),
        Step("real init /sbin/init", 12.0, None, "after"),
    )


def test_a_plot_nowhere_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "image").touch()
    done = run("boot", tmp_path / "image", "--timeline", tmp_path / "none/plot.svg")
    assert done.code == 2 and done.stderr.startswith("mkpxeinit: --timeline ")


def test_a_boot_as_json() -> None:
    phases = (Phase("firmware", 0.12345), Phase("kernel", 9.0))
    found = json.loads(json.dumps(as_object(SmokeResult(False, "why", phases, log=Path("a/console.log")))))
    assert found == {
        "ok": False,
        "reason": "why",
        "phases": [{"name": "firmware", "seconds": 0.123}, {"name": "kernel", "seconds": 9.0}],
        **dict.fromkeys(("system_state", "failed_units", "mounts", "client_state", "login_line"), ""),
        "power_off_seconds": None,
        "log": "a/console.log",
    }
    assert as_object(SmokeResult(True, "", phases))["log"] is None
