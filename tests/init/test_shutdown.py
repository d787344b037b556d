"""shutdown: the old root is unmounted, with deadlines, and the verb done."""

import pytest

from tests.init.fakeroot import FakeRoot, Result

MOUNTS = r"""rootfs / rootfs rw 0 0
tmpfs /oldroot tmpfs rw 0 0
srv:/tree /oldroot/nfsroot nfs4 ro 0 0
srv:/tree /oldroot/usr nfs4 ro 0 0
tmpfs /oldroot/a\040b tmpfs rw 0 0
tmpfs /oldroot/star* tmpfs rw 0 0
tmpfs /oldroot/back\134slash tmpfs rw 0 0
tmpfs /oldrootish tmpfs rw 0 0
proc /proc proc rw 0 0
"""
POINTS = [
    "/oldroot/back\\slash",
    "/oldroot/star*",
    "/oldroot/a b",
    "/oldroot/usr",
    "/oldroot/nfsroot",
    "/oldroot",
]


def shutdown(root: FakeRoot, *verb: str) -> Result:
    root.write("proc/mounts", MOUNTS)
    root.write("bin/kexec", "#!/fake/busybox sh", 0o755)
    root.folder("oldroot/starfish")
    return root.execute("/lib/pxeinit/shutdown", *verb)


def test_the_last_mounted_goes_first(root: FakeRoot) -> None:
    root.fake("umount", when="/oldroot ", does="echo rootfs / rootfs rw 0 0 > /proc/mounts")
    said = shutdown(root, "poweroff")
    assert root.calls("umount") == [[point] for point in POINTS]
    assert said.console == ""
    assert all(words[:3] == ["-s", "KILL", "3"] for words in root.calls("timeout"))


def test_what_does_not_go_is_forced_then_detached_then_told(root: FakeRoot) -> None:
    root.fake("umount", fails=1, says="umount: busy")
    said = shutdown(root, "poweroff")
    assert root.calls("umount")[:3] == [[POINTS[0]], ["-f", POINTS[0]], ["-l", POINTS[0]]]
    assert len(root.calls("umount")) == 3 * len(POINTS)
    assert said.console.startswith("pxeinit: still mounted: ")
    assert "/oldroot/nfsroot" in said.console
    assert "busy" not in said.console
    assert root.calls("poweroff") == [["-f"]]


def test_force_helps(root: FakeRoot) -> None:
    root.fake("umount", fails=1)
    root.fake("umount", when="-f ")
    shutdown(root)
    assert not [words for words in root.calls("umount") if words[0] == "-l"]


def test_a_hanging_server_does_not_stop_it(root: FakeRoot) -> None:
    root.fake("timeout", when="umount", fails=137)
    shutdown(root)
    assert root.calls("umount") == []
    assert len(root.calls("timeout")) == 3 * len(POINTS)
    assert root.calls("poweroff") == [["-f"]]


@pytest.mark.parametrize(
    ("verb", "command"),
    [("poweroff", "poweroff"), ("halt", "halt"), ("reboot", "reboot"), ("kexec", "reboot"), ("", "poweroff")],
)
def test_verbs(root: FakeRoot, verb: str, command: str) -> None:
    said = shutdown(root, *([verb] if verb else []))
    assert said.status == -9
    done = [words for words in root.all_calls() if words[0] in ("poweroff", "halt", "reboot")]
    assert done == [[command, "-f"]]


def test_it_never_ends_by_itself(root: FakeRoot) -> None:
    root.fake("poweroff", fails=1)
    said = shutdown(root)
    assert said.status == -9
    assert root.calls("sleep")[0] == ["60"]
