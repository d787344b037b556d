"""leave.sh and leave: Debian's sysvinit is led into /run/initramfs, where shutdown waits."""

import pytest

from tests.init.fakeroot import FakeRoot, Result

HALT = """#! /bin/sh
### BEGIN INIT INFO
do_stop () {
\thalt -d -f $netdown $poweroff $hddown
}
"""
REBOOT = "#! /bin/sh\n# reboot\n\treboot -d -f ${netdown}\n"
UMOUNT = "#! /bin/sh\n### BEGIN INIT INFO\numount"


def lead(root: FakeRoot, **files: str) -> Result:
    for name, text in files.items():
        root.write(f"newroot/etc/init.d/{name.replace('_', '.')}", text, 0o755)
    return root.run("new_root=/newroot; lead_sysvinit; echo status $?")


def script(root: FakeRoot, name: str) -> str:
    return root.read(f"newroot/etc/init.d/{name}") or ""


def test_sysvinit_is_led_into_memory(root: FakeRoot) -> None:
    said = lead(root, sendsigs="x", halt=HALT, reboot=REBOOT, umountfs=UMOUNT, umountnfs_sh=UMOUNT)
    assert said.console == "status 0\n"
    assert "\n\t/run/initramfs/leave halt -d -f $netdown $poweroff $hddown\n}" in script(root, "halt")
    assert script(root, "reboot").endswith("# reboot\n\t/run/initramfs/leave reboot -d -f ${netdown}")
    for name in ("umountfs", "umountnfs.sh"):
        lines = script(root, name).splitlines()
        assert [lines[0], *lines[2:]] == UMOUNT.splitlines()
        assert lines[1].startswith('[ "${1-}" != stop ] || exit 0 # pxeinit: ')
    assert root.place("newroot/etc/init.d/halt").stat().st_mode & 0o111
    assert str(root.place("run/sendsigs.omit.d/pxeinit").readlink()) == "../initramfs/keeper/pids"


def test_a_second_time_is_no_harm(root: FakeRoot) -> None:
    lead(root, sendsigs="x", halt=HALT)
    once = script(root, "halt")
    assert lead(root).console == "status 0\n"
    assert script(root, "halt") == once


def test_other_systems_are_left_alone(root: FakeRoot) -> None:
    assert lead(root, halt=HALT).console == "status 0\n"
    assert script(root, "halt") == HALT.removesuffix("\n")
    assert not root.place("run/sendsigs.omit.d").exists()


def leave(root: FakeRoot, *words: str) -> Result:
    root.link("run/initramfs/bin/sh", "/bin/sh")
    root.folder("run/initramfs/dev")
    return root.execute("/lib/pxeinit/leave", *words)


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        ("halt -d -f -i -p -h", "poweroff"),
        ("halt -d -f -i -h", "halt"),
        ("reboot -d -f -i", "reboot"),
        ("reboot -p", "reboot"),
    ],
)
def test_what_was_asked_for(root: FakeRoot, words: str, verb: str) -> None:
    said = leave(root, *words.split())
    assert said.status == 0
    calls = [words for words in root.all_calls() if words[0] in ("swapoff", "mount", "pivot_root", "chroot")]
    assert calls == [
        ["swapoff", "-a"],
        *(["mount", "-o", "bind", f"/{name}", name] for name in ("dev", "proc", "sys")),
        ["pivot_root", ".", "oldroot"],
        ["chroot", ".", "/shutdown", verb],
    ]


@pytest.mark.parametrize(
    ("words", "command"), [("halt -p", "poweroff"), ("halt", "halt"), ("reboot", "reboot")]
)
def test_without_a_way_back_it_ends_all_the_same(root: FakeRoot, words: str, command: str) -> None:
    root.fake("pivot_root", fails=1)
    leave(root, *words.split())
    assert root.calls(command) == [["-f"]]
    assert root.calls("chroot") == []


def test_without_its_folder(root: FakeRoot) -> None:
    root.link("run/initramfs/bin/sh", "/bin/sh")
    code = "rm -rf /run/initramfs; /bin/sh /lib/pxeinit/leave halt 2>/dev/null; echo status $?"
    assert root.run(code).console == "status 1\n"
