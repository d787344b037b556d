"""squashfs.sh: a root that is one file on the export. What mksquashfs makes is the oracle."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.init.conftest import plant_tree
from tests.init.fakeroot import FakeRoot, Result
from tests.init.test_root import phase
from tests.unit.small import superblock

FILE = "medium/image.squashfs"
LOOP = ["-t", "squashfs", "-o", "loop,ro", "/medium/image.squashfs", "/nfsroot"]
LINE = "nfsroot=10.0.2.2:/srv/live/image.squashfs"


@pytest.fixture
def live(root: FakeRoot) -> FakeRoot:
    """An export with a squashfs on it, and the tree that this will be mounted as."""
    plant_tree(root)
    root.write(FILE, superblock().ljust(4096, b"\0"))
    return root


def mounts(root: FakeRoot) -> list[list[str]]:
    return root.calls("mount")


def refused(said: Result, code: str) -> None:
    """The phase ended, with this one failure."""
    assert said.codes == [code]
    assert said.reports(code)
    assert said.console.endswith("status 1\n")


def test_a_root_path_that_names_a_squashfs(live: FakeRoot) -> None:
    said = phase(live, f"{LINE},vers=4.1,hard")
    assert said.console == (
        "pxeinit: [3.00] root: mounting 10.0.2.2:/srv/live/image.squashfs\n"
        "pxeinit: [3.00] root: 10.0.2.2:/srv/live/image.squashfs over NFS 4.1, init is /sbin/init\nstatus 0\n"
    )
    assert mounts(live) == [
        ["-i", "-t", "nfs4", "-o", "ro,vers=4.1,hard", "10.0.2.2:/srv/live", "/medium"],
        LOOP,
    ]
    assert live.calls("modprobe") == [["-a", "-q", "loop", "squashfs"]]
    state = live.state()
    assert (state["root"], state["squashfs"]) == ("10.0.2.2:/srv/live/image.squashfs", "image.squashfs")
    assert live.calls("umount") == []


def test_one_at_the_top_of_a_server(live: FakeRoot) -> None:
    phase(live, "nfsroot=10.0.2.2:/image.squashfs")
    assert mounts(live)[0][5] == "10.0.2.2:/"


def test_option_17_names_one(live: FakeRoot) -> None:
    said = phase(live, "", root_path="10.0.2.2:/srv/live/image.squashfs")
    assert said.console.endswith("status 0\n")
    assert mounts(live)[1] == LOOP


@pytest.mark.parametrize("path", ["LiveOS/root.img", "/LiveOS/root.img"])
def test_the_parameter_names_a_file_of_any_name(live: FakeRoot, path: str) -> None:
    live.write("medium/LiveOS/root.img", superblock().ljust(4096, b"\0"))
    phase(live, f"nfsroot=10.0.2.2:/srv/a.squashfs pxeinit.squashfs={path}")
    assert mounts(live)[0][5:] == ["10.0.2.2:/srv/a.squashfs", "/medium"]
    assert mounts(live)[1][4] == "/medium/LiveOS/root.img"
    assert live.state()["root"] == "10.0.2.2:/srv/a.squashfs/LiveOS/root.img"
    assert live.state()["squashfs"] == "LiveOS/root.img"


@pytest.mark.parametrize("path", ["", "/", "a/", "../x", "a/../x", "a/..", "a;b", "$(reboot)", "x" * 1100])
def test_a_parameter_that_is_no_path_is_dropped(root: FakeRoot, path: str) -> None:
    plant_tree(root)
    said = phase(root, f"nfsroot=10.0.2.2:/srv pxeinit.squashfs={path}")
    assert len(said.warnings) == 1
    assert said.warnings[0].startswith("pxeinit.squashfs='")
    assert "squashfs" not in root.state()
    assert len(mounts(root)) == 1


def test_without_one_nothing_is_different(root: FakeRoot) -> None:
    plant_tree(root)
    phase(root)
    assert root.calls("modprobe") == []
    assert "squashfs" not in root.state()
    assert not root.place("medium").exists()


@pytest.mark.parametrize("line", [LINE, "nfsroot=10.0.2.2:/srv/live pxeinit.squashfs=image.squashfs"])
def test_mode_rw_is_refused_before_anything_is_mounted(live: FakeRoot, line: str) -> None:
    said = phase(live, f"{line} pxeinit.mode=rw")
    refused(said, "PXE-INIT-root-squashfs-mode")
    assert "'/srv/live/image.squashfs' is a squashfs" in said.console
    assert mounts(live) == []


@pytest.mark.parametrize("mode", ["farm", "overlay", "ro"])
def test_the_export_is_mounted_read_only_in_every_other_mode(live: FakeRoot, mode: str) -> None:
    phase(live, f"{LINE} pxeinit.mode={mode}")
    assert mounts(live)[0][4].startswith("ro,")


def test_one_that_is_not_there(live: FakeRoot) -> None:
    live.place(FILE).unlink()
    said = phase(live, LINE)
    refused(said, "PXE-INIT-root-squashfs-missing")
    # No version of NFS has another folder.
    assert len(mounts(live)) == 1
    assert live.calls("umount") == [["/nfsroot"], ["/medium"]]


def test_a_folder_is_none(live: FakeRoot) -> None:
    live.place(FILE).unlink()
    live.folder(FILE)
    said = phase(live, LINE)
    refused(said, "PXE-INIT-root-squashfs-missing")
    assert "it is no file" in said.console


@pytest.mark.parametrize("target", ["../outside", "/outside", "../../outside"])
def test_no_link_leads_out_of_the_export(live: FakeRoot, target: str) -> None:
    live.place(FILE).unlink()
    live.write("outside", superblock().ljust(4096, b"\0"))
    live.link(FILE, target)
    refused(phase(live, LINE), "PXE-INIT-root-squashfs-missing")
    # What it means within the export, it may mean.
    live.write("medium/outside", superblock().ljust(4096, b"\0"))
    assert phase(live, LINE).console.endswith("status 0\n")
    assert mounts(live)[-1][4] == "/medium/outside"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the file is empty"),
        (b"hsqs", "it does not begin as a squashfs does"),
        (b"\x7fELF" + b"\0" * 4092, "it does not begin as a squashfs does"),
        (superblock(magic=b"sqsh").ljust(4096, b"\0"), "it does not begin as a squashfs does"),
        (superblock(major=3).ljust(4096, b"\0"), "it is of version 3"),
        (superblock(used=4097).ljust(4096, b"\0"), "the file has 4096 bytes of its 4097"),
        (superblock(used=0).ljust(4096, b"\0"), "the file has 4096 bytes of its 0"),
        (superblock(used=2**64 - 1).ljust(4096, b"\0"), "the file has 4096 bytes of its -1"),
        (superblock()[:90], "the file has 90 bytes of its 4096"),
    ],
)
def test_what_is_no_whole_squashfs(live: FakeRoot, data: bytes, why: str) -> None:
    live.write(FILE, data)
    said = phase(live, LINE)
    refused(said, "PXE-INIT-root-squashfs-format")
    assert why in said.console
    assert [words[-1] for words in mounts(live)] == ["/medium"]


def test_one_that_cannot_be_read_may_be_read_by_another_version(live: FakeRoot) -> None:
    live.fake("dd", when="/medium/", fails=[1, 0], says="dd: /medium/image.squashfs: Input/output error")
    said = phase(live, LINE)
    assert said.console.endswith("status 0\n")
    assert live.state()["nfs.vers"] == "4.1"
    assert said.warnings == ["the tree over NFS 4.2 is useless: /image.squashfs: Input/output error"]
    assert live.calls("umount") == [["/nfsroot"], ["/medium"]]


def test_one_that_cannot_be_read(live: FakeRoot) -> None:
    live.fake("dd", when="/medium/", fails=1, says="dd: /medium/image.squashfs: Permission denied")
    said = phase(live, LINE)
    refused(said, "PXE-INIT-root-squashfs-unreadable")
    assert "why: NFS 3: /image.squashfs: Permission denied" in said.console


def test_a_kernel_that_does_not_mount_it(live: FakeRoot) -> None:
    live.fake("mount", when="-t squashfs", fails=255, says="mount: mounting a on b failed: Invalid argument")
    said = phase(live, LINE)
    refused(said, "PXE-INIT-root-squashfs-mount")
    assert "why: NFS 3: Invalid argument (it is packed by zstd)" in said.console


def test_a_tree_in_it_that_is_useless(live: FakeRoot) -> None:
    live.place("nfsroot/sbin/init").unlink()
    said = phase(live, LINE)
    refused(said, "PXE-INIT-root-no-init")
    assert "10.0.2.2:/srv/live/image.squashfs: no init in the tree" in said.console
    assert live.calls("umount") == [["/nfsroot"], ["/medium"]]


def test_a_mount_that_stays_is_detached(live: FakeRoot) -> None:
    live.place("nfsroot/sbin/init").unlink()
    live.fake("umount", fails=1)
    live.fake("umount", when="-l ")
    phase(live, LINE)
    assert live.calls("umount") == [["/nfsroot"], ["-l", "/nfsroot"], ["/medium"], ["-l", "/medium"]]


@pytest.mark.parametrize("packer", ["gzip", "xz", "zstd", "lzo", "lz4", "lzma"])
def test_what_mksquashfs_makes_is_taken(root: FakeRoot, tmp_path: Path, packer: str) -> None:
    mksquashfs = shutil.which("mksquashfs")
    if mksquashfs is None:
        pytest.skip("no mksquashfs on this machine (package squashfs-tools)")
    root.folder("medium")
    command = [
        mksquashfs,
        str(tmp_path / "root/lib"),
        str(root.place(FILE)),
        "-comp",
        packer,
        "-quiet",
        "-no-progress",
    ]
    made = subprocess.run(command, capture_output=True, timeout=20)
    if b"not supported" in made.stderr or b'Compressor "' in made.stderr + made.stdout:
        pytest.skip(f"this mksquashfs has no {packer}")
    assert made.returncode == 0, made.stderr
    check = "squashfs_path=/medium/image.squashfs; check_squashfs; echo $? $squashfs_packed $tree_fault"
    assert root.run(check).console == f"0 {packer}\n"
    whole = root.place(FILE).read_bytes()
    (used,) = struct.unpack_from("<Q", whole, 40)
    root.write(FILE, whole[: used - 1])
    assert root.run(check).console == f"1 {packer} squashfs-format\n"


# From power-on to the switch


def test_a_farm_of_it_with_the_clients_own_beside_it(booting: FakeRoot) -> None:
    booting.write(FILE, superblock().ljust(4096, b"\0"))
    booting.write("medium/clients/52-54-00-12-34-56/etc/motd", "mine")
    booting.folder("nfsroot/clients/default/etc")
    said = booting.boot(f"{LINE} pxeinit.mode=farm")
    assert said.status == 0
    assert said.codes == []
    state = booting.state()
    assert (state["squashfs"], state["mode"], state["client"]) == (
        "image.squashfs",
        "farm",
        "52-54-00-12-34-56",
    )
    assert "this client's own is in /clients/52-54-00-12-34-56" in said.console
    (etc,) = [words for words in mounts(booting) if words[-1] == "etc"]
    assert "lowerdir=/medium/clients/52-54-00-12-34-56/etc:/newroot/nfsroot/etc," in etc[3]
    # The file is held by the loop device, and the client's own by the overlay.
    assert ["-l", "/medium"] in booting.calls("umount")
