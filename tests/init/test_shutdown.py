"""shutdown: the old root is unmounted, with deadlines, and the verb done."""

import pytest

from tests.init.fakeroot import FakeRoot, Result

# /run was moved there, so that it stands before the root.
MOUNTS = r"""rootfs / rootfs rw 0 0
tmpfs /oldroot/run tmpfs rw 0 0
tmpfs /oldroot tmpfs rw 0 0
srv:/tree /oldroot/nfsroot nfs4 ro 0 0
srv:/tree /oldroot/usr nfs4 ro 0 0
/dev/sda1 /oldroot/usr/local ext4 rw 0 0
tmpfs /oldroot/run/initramfs tmpfs rw 0 0
tmpfs /oldroot/a\040b tmpfs rw 0 0
tmpfs /oldroot/star* tmpfs rw 0 0
tmpfs /oldroot/back\134slash tmpfs rw 0 0
tmpfs /oldrootish tmpfs rw 0 0
proc /proc proc rw 0 0
"""
OWN = "/oldroot/run/initramfs"
POINTS = [
    "/oldroot/back\\slash",
    "/oldroot/usr/local",
    "/oldroot/nfsroot",
    "/oldroot/a b",
    "/oldroot/star*",
    "/oldroot/usr",
    "/oldroot/run",
    "/oldroot",
]
UNMOUNTED = [[POINTS[0]], ["-l", OWN], *([point] for point in POINTS[1:])]


def shutdown(root: FakeRoot, *verb: str, mounts: str = MOUNTS) -> Result:
    root.write("proc/mounts", mounts)
    root.folder("oldroot/starfish")
    return root.execute("/lib/pxeinit/shutdown", *verb)


def ends(root: FakeRoot) -> list[list[str]]:
    return [words for words in root.all_calls() if words[0] in ("poweroff", "halt", "reboot")]


def test_what_lies_in_another_goes_first(root: FakeRoot) -> None:
    root.fake("umount", when="/oldroot ", does="echo rootfs / rootfs rw 0 0 > /proc/mounts")
    said = shutdown(root, "poweroff")
    assert root.calls("umount") == UNMOUNTED
    assert said.console == ""
    limits = [words[:3] for words in root.calls("timeout")]
    assert all(words[:2] == ["-s", "KILL"] and int(words[2]) <= 3 for words in limits)
    assert root.calls("sync") == [[]]


def test_what_does_not_go_is_forced_then_detached_then_told(root: FakeRoot) -> None:
    root.fake("umount", fails=1, says="umount: busy")
    said = shutdown(root, "poweroff")
    assert root.calls("umount")[:3] == [[POINTS[0]], ["-f", POINTS[0]], ["-l", POINTS[0]]]
    assert len(root.calls("umount")) == 1 + 3 * len(POINTS)
    # A disk that is busy is whole before it is left.
    assert root.calls("mount") == [["-o", "remount,ro", "/oldroot/usr/local"]]
    assert said.console.startswith("pxeinit: still mounted: ")
    assert said.console.count("pxeinit: still mounted: /oldroot") == len(UNMOUNTED)
    assert "busy" not in said.console
    assert root.calls("poweroff") == [["-n", "-f"]]


def test_force_helps(root: FakeRoot) -> None:
    root.fake("umount", fails=1)
    root.fake("umount", when="-f ")
    shutdown(root)
    assert [words for words in root.calls("umount") if words[0] == "-l"] == [["-l", OWN]]


def test_a_hanging_server_does_not_stop_it(root: FakeRoot) -> None:
    """Each step ends by its deadline, and after five seconds there is only detaching."""
    clock = 'read -r now rest < /proc/uptime; echo "$((${now%%.*} + $3)).0 0" > /proc/uptime'
    root.fake("timeout", when="umount", fails=137, does=clock)
    shutdown(root)
    steps = [words[2:5] for words in root.calls("timeout") if "umount" in words]
    assert [words[0] for words in steps] == ["3", "2", "1", *["1"] * 8]
    assert all(words[-2] == "-l" for words in root.calls("timeout")[-5:])
    seconds = float((root.read("proc/uptime") or "").split()[0]) - 3
    # All in all eleven seconds where the server is dead and nine things are mounted.
    assert seconds <= 14
    assert ends(root) == [["poweroff", "-n", "-f"]]


def test_without_a_clock(root: FakeRoot) -> None:
    root.place("proc/uptime").unlink()
    root.folder("proc/uptime")
    shutdown(root)
    assert root.calls("umount") == UNMOUNTED
    assert ends(root)[0] == ["poweroff", "-n", "-f"]


@pytest.mark.parametrize(
    ("verb", "command"), [("poweroff", "poweroff"), ("halt", "halt"), ("reboot", "reboot"), ("", "poweroff")]
)
def test_verbs(root: FakeRoot, verb: str, command: str) -> None:
    said = shutdown(root, *([verb] if verb else []))
    assert said.status == -9
    assert ends(root) == [[command, "-n", "-f"]]


def test_it_never_ends_by_itself(root: FakeRoot) -> None:
    root.fake("poweroff", fails=1)
    said = shutdown(root)
    assert said.status == -9
    assert root.calls("sleep")[0] == ["60"]


# The lease


@pytest.mark.parametrize("alive", [True, False])
def test_the_lease_is_released_when_the_root_is_gone(root: FakeRoot, alive: bool) -> None:
    root.write("keeper/pids", "171 179")
    root.fake("kill", fails=0 if alive else 1)
    shutdown(root)
    calls = [words for words in root.all_calls() if words[0] in ("umount", "kill", "usleep", "poweroff")]
    released = [
        ["kill", "-KILL", "171"],
        ["kill", "-USR2", "179"],
        ["usleep", "200000"],
        ["kill", "-KILL", "179"],
    ]
    if not alive:
        released.remove(["usleep", "200000"])
    assert calls == [*(["umount", *words] for words in UNMOUNTED), *released, ["poweroff", "-n", "-f"]]


@pytest.mark.parametrize("pids", ["", "77777777", "7 x", "x 7", "$(reboot) 7", "-7 -7", " "])
def test_what_are_no_pids(root: FakeRoot, pids: str) -> None:
    root.write("keeper/pids", pids)
    said = shutdown(root)
    assert ends(root)[0] == ["poweroff", "-n", "-f"]
    assert root.calls("kill") == []
    assert said.console.startswith("pxeinit: still mounted")


# kexec

LIBRARIES = """\tlinux-vdso.so.1 (0x00007ffd)
\tlibz.so.1 => /lib/triplet/libz.so.1 (0x00007f)
\t/lib64/ld-of-the-tree.so.2 (0x00007f)
"""


def kexec(
    root: FakeRoot, *, loaded: str | None = "1", libraries: str = LIBRARIES, mounts: str = MOUNTS
) -> Result:
    if loaded is not None:
        root.write("sys/kernel/kexec_loaded", loaded)
    log = "#!/bin/sh\necho kexec $* >> /tmp/kexec\n"
    root.fake("chroot", when="/bin/cat", does='printf "%s" "$3" > /tmp/cat; echo "$3"; exit 0')
    root.fake("chroot", when="/bin/cat /usr/sbin/kexec", does=f"printf '{log}'; exit 0")
    root.fake("chroot", when="/bin/cat /sbin/kexec", fails=1)
    root.fake(
        "chroot", when="LD_TRACE_LOADED_OBJECTS=1 /usr/sbin/kexec", does=f"printf '{libraries}'; exit 0"
    )
    return shutdown(root, "kexec", mounts=mounts)


def test_kexec(root: FakeRoot) -> None:
    """The tree's program with its libraries, taken before the tree goes, run after it."""
    root.fake("umount", does="[ -x /kexec/kexec ] || echo too early >> /tmp/kexec")
    kexec(root)
    assert root.read("tmp/kexec") == "kexec -e -x -y"
    assert root.read("lib/triplet/libz.so.1") == "/lib/triplet/libz.so.1"
    assert root.read("lib64/ld-of-the-tree.so.2") == "/lib64/ld-of-the-tree.so.2"
    assert root.place("lib64/ld-of-the-tree.so.2").stat().st_mode & 0o111
    assert len(root.calls("umount")) >= len(POINTS)
    # It came back: it has failed.
    assert ends(root) == [["reboot", "-n", "-f"]]


@pytest.mark.parametrize("root_type", ["tmpfs", "overlay"])
def test_kexec_out_of_a_farm_that_systemd_has_emptied(root: FakeRoot, root_type: str) -> None:
    """The links come back, but not over what is mounted there, nor into another root."""
    root.folder("oldroot/lib")
    mounts = MOUNTS.replace("tmpfs /oldroot tmpfs", f"x /oldroot {root_type}")
    kexec(root, mounts=f"{mounts}srv:/tree /oldroot/lib nfs4 ro 0 0\n")
    links = {path.name: str(path.readlink()) for path in root.place("oldroot").iterdir() if path.is_symlink()}
    names = ("bin", "sbin", "lib32", "lib64", "libx32")
    assert links == ({name: f"usr/{name}" for name in names} if root_type == "tmpfs" else {})
    assert list(root.place("oldroot/lib").iterdir()) == []
    assert root.read("tmp/kexec") == "kexec -e -x -y"


@pytest.mark.parametrize("loaded", [None, "0"])
def test_kexec_without_a_kernel(root: FakeRoot, loaded: str | None) -> None:
    said = kexec(root, loaded=loaded)
    assert "pxeinit: no kernel is loaded for kexec: rebooting instead" in said.console
    assert ends(root) == [["reboot", "-n", "-f"]]
    assert root.calls("chroot") == []


@pytest.mark.parametrize("failing", ["/bin/cat /usr/sbin/kexec", "LD_TRACE", "/bin/cat /lib64/ld"])
def test_kexec_that_cannot_be_read(root: FakeRoot, failing: str) -> None:
    root.fake("timeout", when=failing, fails=137)
    said = kexec(root)
    if failing == "LD_TRACE":
        # A static program lists nothing.
        assert root.read("tmp/kexec") == "kexec -e -x -y"
    else:
        assert "pxeinit: the tree has no kexec that can be read: rebooting instead" in said.console
        assert root.read("tmp/kexec") is None
    assert ends(root) == [["reboot", "-n", "-f"]]


def test_a_library_outside_is_not_taken(root: FakeRoot) -> None:
    said = kexec(root, libraries="\\tx => /lib/../../canary (0x1)\\n")
    assert "rebooting instead" in said.console
    assert not root.place("canary").exists()
