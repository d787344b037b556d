"""`mkpxeinit verify-server`: what can be said without servers; with them see tests/lab."""

import json
import socket

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give either --interface NAME"),
        (["--interface", "lo", "--server", "10.0.0.1"], "give either --interface NAME"),
        (["--interface", "lo", "--file", "x"], "--file is for --server"),
        (["--server", "10.0.0.1"], "says nothing to look at"),
        (["--server", "10.0.0.1", "--file", "x", "--arch", "bios"], "--arch is for --interface"),
        (["--server", "host", "--file", "x"], "'host' is no address"),
        (["--server", "10.0.0.1", "--file", "x", "--mac", "01:00:00:00:00:00"], "no hardware address"),
        (["--server", "10.0.0.1", "--file", "x", "--mac", "52:54:00"], "no hardware address"),
        (["--server", "10.0.0.1", "--file", "x", "--uuid", "b8945908"], "no UUID"),
        (["--server", "10.0.0.1", "--root-path", "/x", "--dns", "x"], "'x' is no address"),
        (["--interface", "lo", "--arch", "vax"], "'vax'"),
    ],
)
def test_wrong_usage(run: Run, words: list[str], said: str) -> None:
    done = run("verify-server", *words)
    assert (done.code, done.stdout) == (2, b"")
    assert said in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lo", "interface lo is not Ethernet"),
        ("a/b", "'a/b' is no name of an interface"),
        ("x" * 40, "is no name of an interface"),
        ("nothere0", "interface nothere0: No such device; see `ip link`"),
    ],
)
def test_interfaces_that_are_none(run: Run, name: str, said: str) -> None:
    done = run("verify-server", "--interface", name)
    assert done.code == 1
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_nobody_there(run: Run) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        root = f"/x,vers=4,port={taken.getsockname()[1]}"
        done = run("verify-server", "--server", "127.0.0.1", "--root-path", root, "--json", "--timeout", "1")
    assert done.code == 1
    found = json.loads(done.stdout)
    assert found["good"] is False
    assert found["findings"][0]["part"] == "nfs" and found["findings"][0]["verdict"] == "bad"
    assert "nobody listens" in found["findings"][0]["text"] and found["findings"][0]["remedy"]


def test_what_is_no_root(run: Run) -> None:
    done = run("verify-server", "--server", "127.0.0.1", "--root-path", "x\x1b[2J")
    assert done.code == 1
    assert b"is no root" in done.stdout and b"\x1b" not in done.stdout


def test_help(run: Run) -> None:
    done = run("verify-server", "--help")
    assert done.code == 0
    for word in (b"--interface", b"--arch", b"--root-path", b"--json", b"Exit code 1"):
        assert word in done.stdout
