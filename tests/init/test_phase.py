"""phase.sh and init: the order of things, breaks, hooks, and another try after a failure."""

import pytest

from tests.init.fakeroot import FakeRoot

PHASES = ["early", "drivers", "network", "lease", "root", "writable", "tree", "handoff", "switch"]


def test_the_phases_in_their_order(booting: FakeRoot) -> None:
    said = booting.boot()
    shown = [line.split("] phase ")[1] for line in said.console.splitlines() if "] phase " in line]
    assert shown == PHASES
    assert said.console.splitlines()[-1].endswith("handing over to /sbin/init")
    assert [f"phase.{name}" for name in PHASES] == [
        key for key in booting.state() if key.startswith("phase.")
    ]
    assert said.warnings == said.codes == []
    assert "not found" not in said.console


@pytest.mark.parametrize("mode", ["farm pxeinit.farm=symlink", "overlay", "ro", "rw"])
@pytest.mark.parametrize("switch", ["switch_root", "pivot_root"])
def test_every_mode_boots(booting: FakeRoot, mode: str, switch: str) -> None:
    said = booting.boot(f"pxeinit.mode={mode} pxeinit.switch={switch}")
    assert said.codes == []
    assert "not found" not in said.console
    assert booting.state()["mode"] == mode.split()[0]
    (call,) = booting.calls("switch_root")
    assert call[-1] == "/sbin/init"


@pytest.mark.parametrize("name", PHASES)
def test_a_break_gives_a_shell_before_the_phase(booting: FakeRoot, name: str) -> None:
    booting.fake("setsid", when="cttyhack", does="/bin/cp /run/pxeinit/state /tmp/state")
    said = booting.boot(f"quiet pxeinit.break={name}")
    # The first phase has to begin before the parameter can be read.
    assert (
        f"stopped {'in' if name == 'early' else 'before'} phase {name}, as pxeinit.break says" in said.console
    )
    assert [words for words in booting.calls("setsid") if "cttyhack" in words] == [["cttyhack", "sh"]]
    done = [line for line in (booting.read("tmp/state") or "").splitlines() if line.startswith("phase.")]
    assert len(done) == PHASES.index(name)
    assert booting.state()["mode"] == "farm"


def test_a_phase_that_fails_is_tried_again(booting: FakeRoot) -> None:
    booting.fake("mount", when="-t tmpfs -o mode", fails=[1, 1, -1])
    said = booting.boot()
    assert said.status == 0
    assert said.codes == ["PXE-INIT-writable-mount"] * 2
    # The phase begins once, its failures wait longer each time.
    assert said.console.count("phase writable") == 1
    assert len([words for words in booting.calls("timeout") if "head" in words]) == 2


def test_hooks_run_in_order_with_their_arguments(booting: FakeRoot) -> None:
    for name in PHASES:
        for number in ("20-b", "10-a", "30 blank"):
            text = '#!/bin/sh\nprintf "%s|%s|%s|%s\\n" "$0" "$1" "$2" "$#" >> /tmp/hooks'
            booting.write(f"lib/pxeinit/hooks/{name}/{number}", text, 0o755)
        booting.write(f"lib/pxeinit/hooks/{name}/40-readme", "not executable", 0o644)
    said = booting.boot()
    assert said.status == 0
    assert said.warnings == []
    lines = (booting.read("tmp/hooks") or "").splitlines()
    late = PHASES.index("writable")
    assert lines == [
        f"/lib/pxeinit/hooks/{name}/{number}|{name}|{'/newroot' if number_of >= late else ''}|2"
        for number_of, name in enumerate(PHASES)
        for number in ("10-a", "20-b", "30 blank")
    ]


@pytest.mark.parametrize("name", PHASES)
def test_hooks_before_a_phase(booting: FakeRoot, name: str) -> None:
    """Run between the beginning of their phase and its work, once, also if it fails and is tried again."""
    text = '#!/bin/sh\necho "$1|$2|$#" >> /tmp/before; cat /run/pxeinit/state > /tmp/state'
    booting.write(f"lib/pxeinit/hooks/{name}.before/50-x", text, 0o755)
    booting.fake("mount", when="-t tmpfs -o mode", fails=[1, -1])
    assert booting.boot().status == 0
    late = "/newroot" if PHASES.index(name) > PHASES.index("writable") else ""
    assert booting.read("tmp/before") == f"{name}|{late}|2"
    if name != "early":  # when there is no state file yet
        assert (booting.read("tmp/state") or "").splitlines()[-1].startswith(f"phase.{name}=")


def test_hooks_of_a_phase_come_behind_it_and_those_of_switch_before(booting: FakeRoot) -> None:
    for name in ("root", "switch"):
        booting.write(f"lib/pxeinit/hooks/{name}/x", f"#!/bin/sh\nmount --hook {name}", 0o755)
    booting.boot()
    calls = booting.calls("mount")
    nfs = next(number for number, words in enumerate(calls) if "nfs4" in words)
    assert calls[nfs + 1] == ["--hook", "root"]
    moved = next(
        number for number, words in enumerate(calls) if "/newroot/sys" in words or "/newroot/proc" in words
    )
    assert calls.index(["--hook", "switch"]) < moved


def test_a_hook_that_fails_is_told_and_the_boot_goes_on(booting: FakeRoot) -> None:
    booting.write("lib/pxeinit/hooks/drivers/10-x", "#!/bin/sh\nexit 7", 0o755)
    booting.write("lib/pxeinit/hooks/drivers/20-y", "#!/nowhere\n", 0o755)
    said = booting.boot()
    assert said.status == 0
    assert said.warnings[0] == "the hook /lib/pxeinit/hooks/drivers/10-x failed with status 7"
    assert "20-y failed with status 12" in said.warnings[1]


def test_debug_traces(booting: FakeRoot) -> None:
    assert "+ read_release" in booting.boot("debug").console


def test_arguments_of_init_reach_the_real_one(booting: FakeRoot) -> None:
    booting.boot("", "single", "a b", "")
    assert booting.calls("switch_root")[0][3:] == ["/sbin/init", "single", "a b", ""]


def test_state_outside_the_run_folder_is_no_failure(root: FakeRoot) -> None:
    assert root.run("rm -rf /run/pxeinit; add_state a b; echo $?").console == "0\n"
