"""writable.sh, tree.sh and dev.sh: the future root, put together for real but for the mounts."""

import io
import os
import tarfile

import pytest

from tests.init.fakeroot import FakeRoot, Result

NAMES = [
    "a b",
    " ",
    ".hidden",
    "..twodots",
    "...",
    "new\nline",
    "-dash",
    "--help",
    "*",
    "$(touch canary)",
    "usr bin",
    "run tmp",
    "\udcff",
]
MOVE = 'rmdir "$4"; /bin/mv "$3" "$4"'


def farm(
    root: FakeRoot, cmdline: str = "", code: str = "phase_writable && phase_tree; echo status $?"
) -> Result:
    """Both phases, with a devtmpfs."""
    root.write("proc/cmdline", cmdline)
    root.fake("mount", when="-o move ", does=MOVE)
    return root.run(f'read_params; mounted="$mounted/dev "; {code}')


def plant(root: FakeRoot) -> None:
    """A tree with something of everything."""
    for folder in (
        "usr/bin",
        "lib64",
        "etc",
        "home",
        "srv",
        "var/log",
        "var/lib/dpkg/info",
        "var/cache/apt",
        "tmp",
        "proc",
    ):
        root.folder(f"nfsroot/{folder}")
    root.write("nfsroot/usr/bin/env", "x")
    root.write("nfsroot/etc/fstab", "fstab")
    root.write("nfsroot/vmlinuz.old", "x")
    root.link("nfsroot/bin", "usr/bin")
    root.link("nfsroot/initrd.img", "/boot/none")
    root.write("nfsroot/var/log/old log", "x")
    root.write("nfsroot/var/lib/dpkg/status", "x")
    root.write("nfsroot/var/lib/systemd/seed", "x")
    root.link("nfsroot/var/run", "/run")


def links(root: FakeRoot, folder: str = "newroot") -> dict[str, str]:
    return {entry.name: str(entry.readlink()) for entry in root.place(folder).iterdir() if entry.is_symlink()}


def real_folders(root: FakeRoot) -> set[str]:
    return {
        entry.name for entry in root.place("newroot").iterdir() if entry.is_dir() and not entry.is_symlink()
    }


LINKS = "pxeinit.farm=symlink"  # the farm in which /var is a copy


def mounts(root: FakeRoot) -> list[list[str]]:
    return [words for words in root.calls("mount") if "move" not in words]


def test_the_farm(root: FakeRoot) -> None:
    plant(root)
    said = farm(root)
    assert said.console == "status 0\n"
    linked = {name: f"nfsroot/{name}" for name in ("home", "srv", "vmlinuz.old")}
    assert links(root) == {**linked, "bin": "usr/bin", "initrd.img": "/boot/none"}
    real = {"run", "tmp", "proc", "sys", "dev", "initrd", "var", "nfsroot", "usr", "lib64", "etc", ".pxeinit"}
    assert real_folders(root) == real - {"dev"} or real_folders(root) == real
    assert root.place("newroot/tmp").stat().st_mode & 0o7777 == 0o1777
    assert root.place("newroot/.pxeinit").stat().st_mode & 0o777 == 0o700
    assert mounts(root) == [
        ["-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/newroot"],
        ["-o", "bind", "nfsroot/usr", "usr"],
        ["-o", "bind", "nfsroot/lib64", "lib64"],
        [
            "-t", "overlay", "-o", "lowerdir=/newroot/nfsroot/etc,upperdir=/newroot/.pxeinit/etc/upper,"
            "workdir=/newroot/.pxeinit/etc/work", "overlay", "etc",
        ],
        [
            "-t", "overlay", "-o", "lowerdir=/newroot/nfsroot/var,upperdir=/newroot/.pxeinit/var/upper,"
            "workdir=/newroot/.pxeinit/var/work", "overlay", "var",
        ],
    ]  # fmt: skip
    assert root.state()["mode"] == "farm"
    assert root.state()["dev"] == "devtmpfs"


def test_the_farm_of_links_alone(root: FakeRoot) -> None:
    plant(root)
    assert farm(root, "pxeinit.farm=symlink").console == "status 0\n"
    assert {name for name, target in links(root).items() if target == f"nfsroot/{name}"} == {
        "home", "srv", "vmlinuz.old", "usr", "lib64", "etc",
    }  # fmt: skip
    assert len(mounts(root)) == 1
    assert not root.place("newroot/.pxeinit").exists()


@pytest.mark.parametrize("form", ["bind", "symlink"])
def test_every_name_gets_its_link(root: FakeRoot, form: str) -> None:
    for name in NAMES:
        root.write(f"nfsroot/{name}", "x")
    root.link("nfsroot/a link", "-x\ny")
    root.link("nfsroot/-l", "nowhere")
    said = farm(root, f"pxeinit.farm={form}")
    assert said.console == "status 0\n"
    assert links(root) == {**{name: f"nfsroot/{name}" for name in NAMES}, "a link": "-x\ny", "-l": "nowhere"}
    # One call for all the copies.
    assert not root.place("canary").exists()


def test_programs_are_started_once_for_all_entries(root: FakeRoot) -> None:
    plant(root)
    for name in ("ln", "cp", "tar"):
        root.fake(name, fails=-1)
    farm(root, LINKS)
    (cp,) = root.calls("cp")
    assert cp == ["-d", "nfsroot/bin", "nfsroot/initrd.img", "."]
    linked = ("etc", "home", "lib64", "srv", "usr", "vmlinuz.old")
    farm_links = [words for words in root.calls("ln") if words[-1] == "."]
    assert farm_links == [["-s", *(f"nfsroot/{name}" for name in linked), "."]]
    # Written and read: all of /var, and nothing of the package databases.
    assert sorted(words[2] for words in root.calls("tar")) == ["-cf", "-xf"]
    (written,) = (words for words in root.calls("tar") if "-cf" in words)
    assert set(written[5:]) == {"lib/systemd", "log", "run"}


def test_an_empty_tree(root: FakeRoot) -> None:
    root.folder("nfsroot")
    assert farm(root).console == "status 0\n"
    assert links(root) == {}
    assert "etc" not in real_folders(root)
    assert len(mounts(root)) == 1


@pytest.mark.parametrize("command", ["ln", "cp"])
def test_links_that_fail(root: FakeRoot, command: str) -> None:
    plant(root)
    root.fake(command, when="nfsroot/", fails=[1, -1], says=f"{command}: No space left on device")
    said = farm(
        root,
        code="phase_writable && phase_tree; echo status $?; phase_writable && phase_tree; echo status $?",
    )
    assert said.reports("PXE-INIT-tree-links")
    assert said.console.count("status 1\n") == 1
    # The second attempt completes what the first left.
    assert said.console.endswith("status 0\n")
    assert set(links(root)) == {"home", "srv", "vmlinuz.old", "bin", "initrd.img"}


def test_a_folder_that_cannot_be_bound_becomes_a_link(root: FakeRoot) -> None:
    plant(root)
    root.fake("mount", when="bind nfsroot/usr ", fails=255)
    said = farm(root)
    assert said.warnings == ["/usr is a link: it could not be bound"]
    assert links(root)["usr"] == "nfsroot/usr"


def test_without_overlay_etc_and_var_are_copied(root: FakeRoot) -> None:
    plant(root)
    root.fake("mount", when="-t overlay", fails=255)
    said = farm(root)
    assert said.warnings == ["no overlay for /etc: it is copied", "no overlay for /var: it is copied"]
    assert root.read("newroot/etc/fstab") == "fstab"
    assert root.read("newroot/var/log/old log") == "x"
    assert said.console.endswith("status 0\n")


def test_etc_that_cannot_be_copied_either(root: FakeRoot) -> None:
    plant(root)
    root.fake("mount", when="-t overlay", fails=255)
    root.fake("tar", when="-cf", fails=[1, -1], says="tar: read error: Input/output error")
    said = farm(root, code="phase_writable; phase_tree; echo status $?; phase_tree; echo again $?")
    assert said.reports("PXE-INIT-tree-etc")
    assert "Input/output error" in said.console
    assert "status 1\n" in said.console
    assert said.console.endswith("again 0\n")
    assert root.read("newroot/etc/fstab") == "fstab"


def test_etc_that_is_a_link_is_copied_as_one(root: FakeRoot) -> None:
    root.link("nfsroot/etc", "usr/etc")
    root.folder("nfsroot/usr/etc")
    farm(root)
    assert links(root) == {"etc": "usr/etc"}
    assert [words[-1] for words in mounts(root)] == ["/newroot", "usr"]


def test_var_comes_in_one_stream(root: FakeRoot) -> None:
    plant(root)
    farm(root, LINKS)
    var = root.place("newroot/var")
    assert root.read("newroot/var/log/old log") == "x"
    assert root.read("newroot/var/lib/systemd/seed") == "x"
    assert str((var / "run").readlink()) == "/run"
    assert str((var / "lib/dpkg").readlink()) == "/nfsroot/var/lib/dpkg"
    assert str((var / "cache/apt").readlink()) == "/nfsroot/var/cache/apt"
    assert sorted(entry.name for entry in var.iterdir()) == ["cache", "lib", "log", "run"]


@pytest.mark.parametrize("place", ["", "lib/", "cache/"])
def test_var_may_have_any_names(root: FakeRoot, place: str) -> None:
    for name in NAMES:
        root.write(f"nfsroot/var/{place}{name}", name)
    root.write("nfsroot/var/log/x", "x")
    said = farm(root, LINKS)
    assert said.console == "status 0\n"
    kept = {name: root.read(f"newroot/var/{place}{name}") for name in NAMES}
    assert kept == dict(zip(NAMES, (name.removesuffix("\n") for name in NAMES), strict=True))
    assert not root.place("canary").exists()


def test_var_keeps_modes_and_links(root: FakeRoot) -> None:
    root.write("nfsroot/var/spool/secret", "x", 0o640)
    root.place("nfsroot/var/spool").chmod(0o1777)
    os.link(root.place("nfsroot/var/spool/secret"), root.place("nfsroot/var/spool/twin"))
    root.folder("nfsroot/var/empty")
    farm(root, LINKS)
    assert root.place("newroot/var/spool").stat().st_mode & 0o7777 == 0o1777
    assert root.place("newroot/var/spool/secret").stat().st_mode & 0o7777 == 0o640
    assert root.place("newroot/var/spool/twin").stat().st_nlink == 2
    assert root.place("newroot/var/empty").is_dir()


@pytest.mark.parametrize("target", ["data/var", "/data/var", "/../../data/var"])
def test_var_may_be_a_link(root: FakeRoot, target: str) -> None:
    """Inside the tree, whatever it says: never the image's own /data."""
    root.write("data/var/outside", "x")
    root.write("nfsroot/data/var/inside", "x")
    root.write("nfsroot/data/var/lib/dpkg/status", "x")
    root.link("nfsroot/var", target)
    assert farm(root, LINKS).console == "status 0\n"
    assert root.names("newroot/var") == ["inside", "lib"]
    assert str(root.place("newroot/var/lib/dpkg").readlink()) == "/nfsroot/data/var/lib/dpkg"


@pytest.mark.parametrize("side", ["-cf", "-xf"])
def test_var_that_cannot_be_copied(root: FakeRoot, side: str) -> None:
    plant(root)
    root.fake("tar", when=side, fails=[1, -1], says="tar: write error: No space left on device")
    said = farm(
        root,
        LINKS,
        code="phase_writable && phase_tree; echo status $?; phase_writable && phase_tree; echo status $?",
    )
    assert said.reports("PXE-INIT-tree-var")
    assert "No space left on device" in said.console
    assert said.console.count("status 1\n") == 1
    assert said.console.endswith("status 0\n")
    assert root.read("newroot/var/log/old log") == "x"


@pytest.mark.parametrize("target", ["data/var", "/data/var", "/../../data/var"])
def test_var_that_is_a_link_has_its_layer_too(root: FakeRoot, target: str) -> None:
    root.folder("data/var")
    root.folder("nfsroot/data/var")
    root.link("nfsroot/var", target)
    farm(root)
    layer = next(words for words in root.calls("mount") if words[-2:] == ["overlay", "var"])
    assert layer[3].startswith("lowerdir=/newroot/nfsroot/data/var,upperdir=")
    assert "var" in real_folders(root)


def test_var_that_no_layer_can_hold_is_copied(root: FakeRoot) -> None:
    """A comma would end the name of the lower layer."""
    root.write("nfsroot/a,b/inside", "x")
    root.link("nfsroot/var", "a,b")
    assert farm(root).warnings == ["no overlay for /var: it is copied"]
    assert root.names("newroot/var") == ["inside"]


OWN_VAR = "# /var was on /dev/sda2 during installation\n10.0.2.2:/state /var nfs rw 0 0\n"
COMMENT = "# /var was on /dev/sda2 during installation\n#x /var y\ntmpfs /var/tmp tmpfs nosuid 0 0"


@pytest.mark.parametrize(
    ("files", "own"),
    [
        ({"nfsroot/etc/fstab": OWN_VAR}, True),
        ({"nfsroot/etc/systemd/system/var.mount": ""}, True),
        ({"nfsroot/clients/default/etc/fstab": OWN_VAR}, True),
        ({"nfsroot/etc/fstab": OWN_VAR, "nfsroot/clients/default/etc/fstab": COMMENT}, False),
        ({"nfsroot/etc/fstab": COMMENT}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("mode", ["farm", "ro"])
def test_var_of_the_trees_own(root: FakeRoot, mode: str, files: dict[str, str], own: bool) -> None:
    """A mount that is there already would keep systemd from mounting it."""
    root.folder("nfsroot/etc")
    root.write("nfsroot/var/inside", "x")
    for name, text in files.items():
        root.write(name, text)
    root.write("proc/cmdline", f"pxeinit.mode={mode}")
    root.fake("mount", when="-o move ", does=MOVE)
    said = root.run('read_params; mounted="$mounted/dev "; phase_writable && phase_tree; echo status $?')
    assert said.console.endswith("status 0\n")
    overlays = {words[-1].rpartition("/")[2] for words in root.calls("mount") if words[1] == "overlay"}
    assert overlays == ({"etc"} if own else {"etc", "var"})
    if mode == "farm":
        assert (root.read("newroot/var/inside") == "x") == own


def test_tmp_of_the_trees_own(root: FakeRoot) -> None:
    root.folder("nfsroot/tmp")
    root.write("nfsroot/etc/fstab", "tmpfs\t/tmp\ttmpfs size=10m 0 0")
    farm(root, "pxeinit.mode=ro")
    assert not [words for words in root.calls("mount") if words[-1] == "/nfsroot/tmp"]


@pytest.mark.parametrize(
    ("mode", "own", "systemd", "kept"),
    [
        ("farm", None, True, True),
        ("farm", None, False, False),
        ("farm pxeinit.farm=symlink", None, True, False),
        ("ro", None, True, True),
        ("overlay", None, True, False),
        ("overlay", "var", True, True),
        ("overlay", "etc", True, False),
        ("rw", None, True, False),
        ("rw", "var", True, True),
    ],
)
def test_var_stays_mounted_to_the_end(
    root: FakeRoot, mode: str, own: str | None, systemd: bool, kept: bool
) -> None:
    """A unit without the usual dependencies (systemd.mount(5)): journald writes there to its end."""
    root.folder("nfsroot/var")
    if own:
        root.folder(f"nfsroot/clients/default/{own}")
    for place in ("newroot", "nfsroot"):
        root.folder(f"{place}/var")
        if systemd:
            root.write(f"{place}/usr/lib/systemd/systemd", "")
    farm(root, f"pxeinit.mode={mode}", "phase_writable && phase_tree && keep_var")
    unit = root.read("run/systemd/system/var.mount") or ""
    assert ("\nDefaultDependencies=no\n" in unit and "\nWhere=/var\n" in unit) == kept


def test_a_tree_without_var(root: FakeRoot) -> None:
    root.folder("nfsroot/home")
    assert farm(root).console == "status 0\n"
    assert "var" in real_folders(root)


@pytest.mark.parametrize("failing", ["-t tmpfs", "-o move"])
def test_a_farm_without_its_mounts(root: FakeRoot, failing: str) -> None:
    plant(root)
    root.write("proc/cmdline", "")
    root.fake("mount", when="-o move ", does=MOVE)
    root.fake("mount", when=failing, fails=[255, -1])
    said = root.run("read_params; phase_writable; echo status $?; phase_writable; echo status $? $tree_root")
    assert said.reports("PXE-INIT-writable-mount")
    # The second attempt is a whole one: never an empty /nfsroot, never a tmpfs over another.
    assert root.calls("umount") == ([["/newroot"]] if "move" in failing else [])
    assert said.console.endswith("status 0 /newroot/nfsroot\n")
    assert root.read("newroot/nfsroot/etc/fstab") == "fstab"


def test_overlay(root: FakeRoot) -> None:
    plant(root)
    said = farm(root, "pxeinit.mode=overlay")
    assert said.console == "status 0\n"
    base = "/run/pxeinit/overlay"
    assert root.calls("mount") == [
        ["-t", "tmpfs", "-o", "mode=0755", "tmpfs", f"{base}/top"],
        ["-o", "move", "/nfsroot", f"{base}/tree"],
        [
            "-t", "overlay", "-o", f"lowerdir={base}/tree,upperdir={base}/top/upper,workdir={base}/top/work",
            "overlay", "/newroot",
        ],
    ]  # fmt: skip
    assert root.state()["mode"] == "overlay"


@pytest.mark.parametrize("failing", ["-t tmpfs", "-o move", "-t overlay"])
def test_overlay_that_fails(root: FakeRoot, failing: str) -> None:
    plant(root)
    root.fake("mount", when="-o move ", does=MOVE)
    root.fake("mount", when=failing, fails=[255, -1])
    root.write("proc/cmdline", "pxeinit.mode=overlay")
    said = root.run(
        "read_params; phase_writable; echo status $?; ls /nfsroot/etc; phase_writable; echo again $?"
    )
    assert said.reports("PXE-INIT-writable-mount")
    # The tree is back in its place, and the second attempt is a whole one.
    assert "status 1\nfstab\n" in said.console
    assert said.console.endswith("again 0\n")
    assert root.calls("umount") == ([] if "tmpfs" in failing else [["/run/pxeinit/overlay/top"]])


def test_the_tree_itself(root: FakeRoot) -> None:
    plant(root)
    said = farm(root, "pxeinit.mode=rw", "phase_writable && phase_tree; echo status $? $new_root $tree_root")
    assert said.console == "status 0 /nfsroot /nfsroot\n"
    assert root.calls("mount") == []
    assert root.state()["mode"] == "rw"


MEMORY = "/run/pxeinit/memory"


def layer(name: str) -> list[str]:
    """The mount of /NAME's layer in memory."""
    inside = f"{MEMORY}/{name.removeprefix('data/')}"
    options = f"lowerdir=/nfsroot/{name},upperdir={inside}/upper,workdir={inside}/work"
    return ["-t", "overlay", "-o", options, "overlay", f"/nfsroot/{name}"]


def test_read_only(root: FakeRoot) -> None:
    """The tree itself; /etc, /var and /tmp in memory. A second attempt finds them."""
    plant(root)
    code = "phase_writable && phase_tree && phase_tree; echo status $? $new_root"
    said = farm(root, "pxeinit.mode=ro", code)
    assert said.console == "status 0 /nfsroot\n"
    assert root.calls("mount") == [
        ["-t", "tmpfs", "-o", "mode=0755", "tmpfs", MEMORY],
        ["-t", "tmpfs", "-o", "nosuid,nodev,mode=1777", "tmpfs", "/nfsroot/tmp"],
        layer("etc"),
        layer("var"),
    ]
    for name in ("etc", "var"):
        assert root.names(f"run/pxeinit/memory/{name}") == ["upper", "work"]
    assert root.run("param_mode=ro; layered=' tmp etc '; etc_is_ours && echo yes").console == "yes\n"


def test_read_only_with_links(root: FakeRoot) -> None:
    """A link means a place in the tree; a /tmp that is one is left as it is."""
    root.folder("nfsroot/data/var")
    root.folder("nfsroot/etc")
    root.link("nfsroot/var", "/../data/var")
    root.link("nfsroot/tmp", "/canary")
    farm(root, "pxeinit.mode=ro")
    assert root.calls("mount")[1:] == [layer("etc"), layer("data/var")]


def test_read_only_without_folders(root: FakeRoot) -> None:
    root.folder("nfsroot/usr")
    said = farm(root, "pxeinit.mode=ro")
    assert said.console == "status 0\n"
    assert len(root.calls("mount")) == 1


def test_read_only_without_overlay(root: FakeRoot) -> None:
    """The system comes up as well as it can; /etc is then nobody's own."""
    plant(root)
    root.fake("mount", when="-t overlay", fails=255)
    said = farm(root, "pxeinit.mode=ro", "phase_writable && phase_tree; etc_is_ours || echo shared")
    assert said.warnings == ["no overlay: /etc stays read-only", "no overlay: /var stays read-only"]
    assert said.console.endswith("shared\n")


def test_read_only_without_tmpfs(root: FakeRoot) -> None:
    plant(root)
    root.fake("mount", when=" /nfsroot/tmp", fails=255)
    assert farm(root, "pxeinit.mode=ro").warnings == ["no tmpfs: /tmp stays read-only"]
    root.fake("mount", when=MEMORY, fails=255)
    said = farm(root, "pxeinit.mode=ro")
    assert said.reports("PXE-INIT-writable-mount")
    assert said.console.endswith("status 1\n")


# dev.sh


def dev(root: FakeRoot, source: str, *, devtmpfs: bool = True) -> Result:
    root.folder("newroot/dev")
    root.folder("newroot/nfsroot")
    point = "/dev " if devtmpfs else ""
    code = (
        f'mounted="$mounted{point}"; new_root=/newroot; tree_root=/newroot/nfsroot; fill_dev; echo status $?'
    )
    return root.run(f"param_dev={source}; {code}")


def pack(root: FakeRoot, *names: str) -> None:
    """A dev.tar.gz with plain files for nodes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            entry.mode = 0o755
            archive.addfile(entry)
    root.write("newroot/nfsroot/dev.tar.gz", stream.getvalue())


COMPLETE = {"console", "null", "zero", "full", "random", "urandom", "kmsg", "tty", "ptmx", "pts", "shm"} | {
    "fd", "stdin", "stdout", "stderr",
}  # fmt: skip


def test_dev_of_the_kernel(root: FakeRoot) -> None:
    said = dev(root, "auto")
    assert said.console == "status 0\n"
    assert root.state()["dev"] == "devtmpfs"
    assert set(root.names("dev")) == COMPLETE
    # What is there stays.
    made = [words[2] for words in root.calls("mknod")]
    assert made == [f"/dev/{name}" for name in ("zero", "full", "random", "kmsg", "tty", "ptmx")]
    assert str(root.place("dev/fd").readlink()) == "/proc/self/fd"
    assert root.calls("mount") == []


@pytest.mark.parametrize(
    "names", [["./", "./sda", "./pts/", "./.x"], ["dev/", "dev/sda", "dev/pts/", "dev/.x"]]
)
def test_dev_from_the_archive(root: FakeRoot, names: list[str]) -> None:
    pack(root, *names)
    root.folder("dev/pts")
    said = dev(root, "tar")
    assert said.console == "status 0\n"
    assert set(root.names("dev")) == COMPLETE | {"sda", ".x"}
    assert root.state()["dev"] == "tar"


def test_dev_as_a_copy(root: FakeRoot) -> None:
    root.write("newroot/nfsroot/dev/sda", "")
    root.link("newroot/nfsroot/dev/cdrom", "sr0")
    said = dev(root, "copy")
    assert said.console == "status 0\n"
    assert set(root.names("dev")) == COMPLETE | {"sda", "cdrom"}
    assert root.state()["dev"] == "copy"


@pytest.mark.parametrize(("archive", "source"), [(True, "tar"), (False, "copy")])
def test_a_kernel_without_devtmpfs(root: FakeRoot, archive: bool, source: str) -> None:
    root.write("newroot/nfsroot/dev/sda", "")
    if archive:
        pack(root, "dev/", "dev/sda")
    said = dev(root, "auto", devtmpfs=False)
    assert said.console == "status 0\n"
    assert root.calls("mount") == [["-t", "tmpfs", "-o", "nosuid,mode=0755", "tmpfs", "/newroot/dev"]]
    assert set(root.names("newroot/dev")) == COMPLETE | {"sda"}
    assert root.state()["dev"] == source
    nodes = {words[2].removeprefix("/newroot/dev/"): words for words in root.calls("mknod")}
    assert nodes["null"] == ["-m", "666", "/newroot/dev/null", "c", "1", "3"]
    assert nodes["console"] == ["-m", "600", "/newroot/dev/console", "c", "5", "1"]


def test_devtmpfs_that_was_asked_for_and_is_not_there(root: FakeRoot) -> None:
    said = dev(root, "devtmpfs", devtmpfs=False)
    assert said.reports("PXE-INIT-tree-devtmpfs")
    assert said.console.endswith("status 1\n")


def test_no_place_for_dev(root: FakeRoot) -> None:
    root.fake("mount", when="tmpfs", fails=255)
    said = dev(root, "copy", devtmpfs=False)
    assert said.reports("PXE-INIT-tree-dev")
    assert said.console.endswith("status 1\n")


@pytest.mark.parametrize("source", ["tar", "copy"])
def test_a_source_that_fails_is_told_and_completed(root: FakeRoot, source: str) -> None:
    said = dev(root, source)
    assert said.warnings == [f"/dev from {source} is incomplete; the kernel's own nodes are there"]
    assert set(root.names("dev")) >= COMPLETE
    assert said.console.endswith("status 0\n")


def test_the_kernels_consoles_get_nodes(root: FakeRoot) -> None:
    root.write("sys/class/tty/console/active", "tty0 ttyS0 ../x nodev")
    root.write("sys/class/tty/tty0/dev", "4:0")
    root.write("sys/class/tty/ttyS0/dev", "4:64")
    dev(root, "auto")
    made = [words[2:] for words in root.calls("mknod") if words[1] == "620"]
    assert made == [["/dev/tty0", "c", "4", "0"], ["/dev/ttyS0", "c", "4", "64"]]
