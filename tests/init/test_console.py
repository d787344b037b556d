"""console.sh: what is said, how values are quoted, and what follows a failure."""

import pytest

from tests.init.fakeroot import DOOMSDAY, FakeRoot
from tests.init.test_check import HOSTILE


def test_lines_go_to_console_and_log(root: FakeRoot) -> None:
    said = root.run("say one; warn two; report CODE what why 'do that'; say_always three")
    lines = [
        "pxeinit: [3.00] one",
        "pxeinit: [3.00] warning: two",
        "pxeinit: [3.00] CODE: what",
        "pxeinit:   why: why",
        "pxeinit:   try: do that",
        "pxeinit: [3.00] three",
    ]
    assert said.console.splitlines() == lines
    assert (root.read("run/pxeinit/log") or "").splitlines() == lines


def test_a_code_is_kept_for_the_booted_system(root: FakeRoot) -> None:
    root.run("report PXE-INIT-lease-none what why try; report PXE-INIT-root-dns what why try")
    lines = (root.read("run/pxeinit/state") or "").splitlines()
    assert lines == ["code=PXE-INIT-lease-none", "code=PXE-INIT-root-dns"]


def test_quiet_hides_information_alone(root: FakeRoot) -> None:
    said = root.run("param_quiet=yes; say one; warn two; report CODE what why try; say_always three")
    assert "one" not in said.console
    assert "two" in said.console
    assert "CODE" in said.console
    assert "three" in said.console
    assert "one" in (root.read("run/pxeinit/log") or "")


def test_without_a_run_folder_there_is_the_console(root: FakeRoot) -> None:
    assert root.run("rm -rf /run/pxeinit; say one; rm /proc/uptime; say two").console == (
        "pxeinit: [3.00] one\npxeinit: [0.00] two\n"
    )


def test_quoted_values_are_short_and_harmless(root: FakeRoot) -> None:
    said = root.run('for v; do quote_safely "$v"; printf "%s\\n" "$quoted"; done', *HOSTILE)
    lines = said.console.splitlines()
    assert len(lines) == len(HOSTILE)
    for value, line in zip(HOSTILE, lines, strict=True):
        assert line[0] == line[-1] == "'"
        inner = line[1:-1]
        assert inner.isascii()
        assert inner.isprintable()
        assert "'" not in inner
        assert len(inner) <= 63
        data = value.encode("utf-8", "surrogateescape")
        plain = "".join(chr(byte) if 32 <= byte < 127 and byte != 39 else "?" for byte in data)
        assert inner == plain or (len(plain) > 60 and inner == plain[:60] + "...")


@pytest.mark.parametrize("panic", ["", "0"])
def test_without_panic_it_tries_again_by_itself(root: FakeRoot, panic: str) -> None:
    said = root.run(
        f"param_panic={panic}; for n in 1 2 3; do after_failure; done; read_uptime; echo $uptime_now"
    )
    assert said.console.count("press Enter for a shell; trying again in") == 3
    assert root.calls("reboot") == root.calls("setsid") == []
    # No busy loop: time passed each time.
    assert float(said.console.split()[-1]) >= 3 + 1 + 2 + 4


def test_enter_gives_a_shell(root: FakeRoot) -> None:
    root.fake("timeout", when="head", does="echo")
    said = root.run("param_panic=; after_failure; echo again")
    assert root.calls("setsid") == [["cttyhack", "sh"]]
    assert said.console.endswith("pxeinit: a shell for you; exit it to go on\nagain\n")


def test_a_console_that_is_closed_is_no_busy_loop(root: FakeRoot) -> None:
    # Standard input ends at once: nobody pressed Enter.
    root.fake("timeout", when="head")
    said = root.run("param_panic=; for n in 1 2 3; do after_failure; done; read_uptime; echo $uptime_now")
    assert root.calls("setsid") == []
    assert float(said.console.split()[-1]) >= 3 + 1 + 2 + 4


@pytest.mark.parametrize(("panic", "slept"), [("5", [["5"]]), ("-1", [])])
def test_panic_reboots(root: FakeRoot, panic: str, slept: list[list[str]]) -> None:
    said = root.run(f"param_panic={panic}; after_failure; echo still here")
    assert said.status == -9
    assert root.calls("reboot") == [["-f"]]
    assert root.calls("sleep") == slept
    assert f"as panic={panic} says" in said.console


def test_delays_after_failures_grow(root: FakeRoot) -> None:
    said = root.run("param_panic=; while :; do after_failure; done")
    assert said.status == -9
    delays = [int(words[0]) for words in root.calls("timeout")]
    assert len(delays) > 10
    assert sum(delays) >= DOOMSDAY - 3
    assert all(10 <= delay <= 20 for delay in delays[6:])
