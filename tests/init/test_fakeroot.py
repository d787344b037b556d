"""The fakes themselves: that they run, fail on demand, and log what cannot be misread."""

import pytest

from tests.init.fakeroot import ALWAYS, FAKED, FakeRoot
from tests.init.parts import BUSYBOX, ORIGINAL


def test_the_shell_runs_the_fakes_and_not_its_applets(root: FakeRoot) -> None:
    for name in FAKED:
        root.fake(name, fails=9)
    # kill is the shell's own unless it is asked for by its path.
    code = (
        'case $name in kill) name=/bin/kill ;; esac; "$name" --word; [ $? -eq 9 ] || echo "not faked: $name"'
    )
    said = root.run(f"for name; do {code}; done", *sorted(FAKED))
    assert said.console == ""
    assert sorted(words[0] for words in root.all_calls()) == sorted(FAKED)


@pytest.mark.parametrize("way", ["env -i PATH=/bin", "timeout -s KILL 5", "exec env -i"])
def test_the_fakes_run_behind_other_commands_too(root: FakeRoot, way: str) -> None:
    root.run(f"{way} mount -t nfs 'a b'")
    assert root.calls("mount") == [["-t", "nfs", "a b"]]


def test_faked_applets_are_gone_from_busybox(root: FakeRoot) -> None:
    for name in ALWAYS:
        for program in (BUSYBOX, ORIGINAL):
            assert "applet not found" in root.execute(program, name).console
    # The others answer.
    assert root.execute(BUSYBOX, "echo", "here").console == "here\n"
    assert root.run(
        "usleep 1; true; uname > /dev/null; printf x | sort; sed -n p /etc/cmdline; mv /tmp/a /tmp/b"
    ).status


def test_calls_keep_every_byte(root: FakeRoot) -> None:
    words = ["", "a b", "two\nlines", "'\"$(x)", "\udcff"]
    root.run('mount "$@"; umount', *words)
    assert root.all_calls() == [["mount", *words], ["umount"]]


def test_fakes_fail_on_demand(root: FakeRoot) -> None:
    root.fake("mount", fails=[32, 0], says="no")
    root.fake("mount", when="special", fails=7, prints="yes")
    said = root.run("for n in 1 2 3; do mount; echo $?; done; mount very special; echo $?")
    assert said.console.split() == ["no", "32", "0", "0", "yes", "7"]


def test_the_clock_goes_with_the_sleeper(root: FakeRoot) -> None:
    assert root.run("sleep 60; usleep 5; read_uptime; echo $uptime_now").console == "64.00\n"


def test_a_reboot_ends_init(root: FakeRoot) -> None:
    said = root.run("echo before; reboot -f; echo after")
    assert (said.status, said.console) == (-9, "before\n")


def test_the_shells_are_two(root: FakeRoot) -> None:
    said = root.execute("/bin/sh", "-c", "help > /tmp/help 2>&1 && echo ash")
    assert ("ash" in said.console) == (root.shell == "ash")


def test_a_boot_reaches_the_real_init(booting: FakeRoot) -> None:
    said = booting.boot("quiet", "splash", "3")
    assert said.status == 0
    # The first line comes before the command line is read.
    assert said.console == "pxeinit: [3.00] phase early\n"
    assert booting.calls("switch_root") == [["-c", "/dev/console", "/newroot", "/sbin/init", "splash", "3"]]
