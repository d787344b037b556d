"""switch.sh and pivot: the last act, in each of its forms."""

import pytest

from tests.init.fakeroot import FakeRoot, Result

FS = {"rootfs": "rootfs / rootfs rw 0 0", "tmpfs": "none / tmpfs rw 0 0", "ext2": "/dev/root / ext2 rw 0 0"}


def switch(
    root: FakeRoot, root_type: str, way: str = "auto", *, devtmpfs: bool = True, old: bool = True
) -> Result:
    lines = [FS[root_type], "dev /dev devtmpfs rw 0 0" if devtmpfs else ""]
    root.write("proc/self/mounts", "\n".join(lines))
    for name in ("proc", "sys", "dev", "run", *(["initrd"] if old else [])):
        root.folder(f"newroot/{name}")
    code = (
        "read_params; read_mounts; new_root=/newroot; tree_init=/sbin/init; phase_switch one 'two words' ''"
    )
    root.write("proc/cmdline", f"pxeinit.switch={way}")
    return root.run(f"{code}; echo still here")


@pytest.mark.parametrize(
    ("root_type", "way", "chosen"),
    [
        ("rootfs", "auto", "switch_root"),
        ("rootfs", "switch_root", "switch_root"),
        ("rootfs", "pivot_root", "move_then_pivot"),
        ("tmpfs", "auto", "pivot_root"),
        ("tmpfs", "switch_root", "switch_root"),
        ("tmpfs", "pivot_root", "pivot_root"),
        ("ext2", "auto", "pivot_root"),
        ("ext2", "switch_root", "pivot_root"),
    ],
)
def test_the_way_fits_the_root(root: FakeRoot, root_type: str, way: str, chosen: str) -> None:
    root.write("proc/self/mounts", FS[root_type])
    root.folder("newroot/initrd")
    said = root.run(f"param_switch={way}; new_root=/newroot; choose_switch; echo $switch_way")
    assert said.console == f"{chosen}\n"


def test_switch_root(root: FakeRoot) -> None:
    said = switch(root, "rootfs")
    assert said.console == "pxeinit: [3.00] handing over to /sbin/init\n"
    assert root.calls("switch_root") == [
        ["-c", "/dev/console", "/newroot", "/sbin/init", "one", "two words", ""]
    ]
    assert root.state()["switch"] == "switch_root"
    assert root.state()["handover"] == "3.00"
    moved = [words[2:] for words in root.calls("mount")]
    assert moved == [[f"/{name}", f"/newroot/{name}"] for name in ("dev", "sys", "run", "proc")]


def test_without_devtmpfs_dev_stays(root: FakeRoot) -> None:
    switch(root, "rootfs", devtmpfs=False)
    assert [words[2] for words in root.calls("mount")] == ["/sys", "/run", "/proc"]


def test_folders_that_the_new_root_lacks_are_left(root: FakeRoot) -> None:
    root.write("proc/self/mounts", FS["rootfs"])
    root.folder("newroot/run")
    root.run("new_root=/newroot; tree_init=/i; phase_switch")
    assert [words[2] for words in root.calls("mount")] == ["/run"]


def test_init_starts_with_a_clean_environment(root: FakeRoot) -> None:
    root.fake("switch_root", does="set > /tmp/environment")
    switch(root, "rootfs")
    names = {line.partition("=")[0] for line in (root.read("tmp/environment") or "").splitlines()}
    assert "HOME" in names
    assert not names & {"new_root", "param_mode", "LC_ALL", "tree_init"}


def test_pivot_root_from_a_real_mount(root: FakeRoot) -> None:
    root.folder("newroot/initrd/bin")
    root.write("newroot/initrd/bin/busybox", '#!/fake/busybox sh\nprintf "<%s>" "$@"', 0o755)
    # Afterwards the new root is "/": what pivot runs then is under /initrd.
    root.fake("pivot_root", does="/bin/ln -s /newroot/initrd /initrd")
    said = switch(root, "tmpfs")
    assert said.console.endswith("handing over to /sbin/init\n<chroot><.></sbin/init><one><two words><>") or (
        root.read("newroot/dev/console") == "<chroot><.></sbin/init><one><two words><>"
    )
    assert root.calls("pivot_root") == [[".", "initrd"]]
    assert root.state()["switch"] == "pivot_root"


def test_pivot_that_fails_ends(root: FakeRoot) -> None:
    root.fake("pivot_root", fails=1)
    assert switch(root, "tmpfs").status == 1
    assert root.execute("/lib/pxeinit/pivot", "/nowhere", "/sbin/init").status == 1
    assert len(root.calls("pivot_root")) == 1


def test_pivot_root_out_of_the_kernels_root(root: FakeRoot) -> None:
    root.folder("root")
    said = switch(root, "rootfs", "pivot_root")
    assert said.codes == []
    assert root.calls("switch_root") == [
        ["/keep", "/lib/pxeinit/pivot", "/newroot", "/sbin/init", "one", "two words", ""]
    ]
    assert root.state()["switch"] == "pivot_root"
    assert root.calls("mount")[0] == ["-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/keep"]
    assert root.calls("mount")[-1] == ["-o", "move", "/newroot", "/keep/newroot"]
    assert {"bin", "etc", "lib", "newroot", "tmp"} <= set(root.names("keep"))
    assert root.read("keep/lib/pxeinit/pivot")


@pytest.mark.parametrize("failing", ["mount", "cp"])
def test_no_memory_for_the_old_root(root: FakeRoot, failing: str) -> None:
    root.fake(failing, when="/keep", fails=1)
    said = switch(root, "rootfs", "pivot_root")
    assert said.reports("PXE-INIT-switch-keep")
    assert said.console.endswith("still here\n")
    assert root.calls("switch_root") == []


@pytest.mark.parametrize(("root_type", "way"), [("tmpfs", "auto"), ("rootfs", "pivot_root")])
def test_a_new_root_without_a_place_for_the_old(root: FakeRoot, root_type: str, way: str) -> None:
    said = switch(root, root_type, way, old=False)
    assert said.warnings == ["the new root has no /initrd to pivot into: switch_root instead"]
    assert len(root.calls("switch_root")) == 1
