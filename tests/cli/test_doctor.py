"""`mkpxeinit doctor` as it is called."""

import json
import os

import pytest

from mkpxeinit.doctor_needs import PARTS
from tests.cli.conftest import Run

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def test_build_can_build(run: Run) -> None:
    """What builds in the other tests is found to be able to."""
    done = run("doctor", "build")
    assert done.code == 0 and done.stderr == "mkpxeinit: nothing that is needed is missing\n"
    lines = done.stdout.decode().splitlines()
    assert all(line.startswith(("ok ", "useful ")) for line in lines)
    assert any(line.split()[:2] == ["ok", "libarchive"] for line in lines)
    assert run("doctor", "-q", "build").stderr == ""


def test_json(run: Run) -> None:
    done = run("doctor", "--json", "build", "publish")
    found = json.loads(done.stdout)
    assert found["healthy"] is (done.code == 0)
    rows = {each["name"]: each for each in found["findings"]}
    assert rows["libarchive"]["present"] and rows["libarchive"]["parts"] == ["build", "publish"]
    assert rows["pxelinux"]["parts"] == ["publish"]


def test_something_is_missing(run: Run) -> None:
    """For a user who is not root."""
    if os.geteuid() == 0:
        done = run("doctor", "verify-server", prefix=NOBODY)
        if "Permission denied" in done.stderr:
            pytest.skip("this Python lies where only root may read")
    else:
        done = run("doctor", "verify-server")
    assert done.code == 1 and done.stdout.startswith(b"missing  root ")
    assert done.stderr == "mkpxeinit: 1 thing is missing; be root\n"


def test_unknown_part(run: Run) -> None:
    done = run("doctor", "bake")
    assert done.code == 2 and "'bake'" in done.stderr and done.stderr.count("\n") == 1


def test_the_help_names_all(run: Run) -> None:
    text = " ".join(run("doctor", "-h").stdout.decode().split())
    assert all(part in text for part in PARTS)
