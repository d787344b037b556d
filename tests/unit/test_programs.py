"""Programs in the image: their places, interpreters and reasons; trees that are wrong or hostile."""

import os
from pathlib import Path, PurePosixPath

import pytest

from mkpxeinit.dynamic import dynamic
from mkpxeinit.elf import Machine
from mkpxeinit.errors import MkpxeinitError, ProgramError, SysrootError
from mkpxeinit.image.entry import Entry, File, Symlink
from mkpxeinit.programs.gather import Gathered, Host, gather
from mkpxeinit.programs.loader import read_conf, read_loader
from mkpxeinit.reason import Reason
from mkpxeinit.sysroot import Sysroot
from tests.unit.linked import GLIBC, MUSL, linked
from tests.unit.small import AARCH64, I386, Link, Tree, elf, make_tree

AMD64 = Machine("EM_X86_64", 64, True)
APPLETS = frozenset({"sh", "mount", "cat", "env"})
DEFAULTS = b"\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0\0"
LOADER = linked(soname="ld-linux-x86-64.so.2") + DEFAULTS
LIBC = "usr/lib/x86_64-linux-gnu/libc.so.6"

MERGED: Tree = {
    "lib": Link("usr/lib"),
    "lib64": Link("usr/lib64"),
    "bin": Link("usr/bin"),
    "sbin": Link("usr/sbin"),
    "usr/lib64/ld-linux-x86-64.so.2": Link("../lib/x86_64-linux-gnu/ld-2.so"),
    "usr/lib/x86_64-linux-gnu/ld-2.so": LOADER,
    LIBC: linked(soname="libc.so.6"),
    "usr/lib/x86_64-linux-gnu/libx.so.1": Link("libx.so.1.2"),
    "usr/lib/x86_64-linux-gnu/libx.so.1.2": linked(["libc.so.6"], soname="libx.so.1"),
    "usr/sbin/tool": linked(["libx.so.1", "libc.so.6"], interpreter=GLIBC),
}
UNMERGED: Tree = {
    "lib64/ld-linux-x86-64.so.2": Link("/lib/x86_64-linux-gnu/ld-2.so"),
    "lib/x86_64-linux-gnu/ld-2.so": LOADER,
    "lib/x86_64-linux-gnu/libc.so.6": linked(soname="libc.so.6"),
    "usr/lib/x86_64-linux-gnu/libx.so.1": linked(["libc.so.6"], soname="libx.so.1"),
    "sbin/tool": linked(["libx.so.1"], interpreter=GLIBC),
}


def gathered(root: Path, tree: Tree, *programs: str, machine: Machine | None = AMD64) -> Gathered:
    make_tree(root, tree)
    for path in root.rglob("*"):
        if not path.is_symlink() and path.is_file() and path.stat().st_mode & 0o111 == 0:
            path.chmod(0o755)
    wanted = [(each, Reason("--program")) for each in programs]
    return gather(Sysroot.open(root), wanted, Host(machine, {"IA32_EMULATION": "y"}, APPLETS))


def entries(found: Gathered) -> dict[str, Entry]:
    return {str(item.entry.path): item.entry for item in found.items}


def shape(found: Gathered) -> dict[str, str]:
    """Return for each path the target of a link, and the type of anything else."""
    return {
        path: entry.target if isinstance(entry, Symlink) else type(entry).__name__
        for path, entry in entries(found).items()
    }


def test_merged(tmp_path: Path) -> None:
    found = gathered(tmp_path, MERGED, "tool")
    assert shape(found) == {
        "usr/sbin/tool": "File",
        "bin/tool": "../usr/sbin/tool",
        "lib64": "usr/lib64",
        "usr/lib64/ld-linux-x86-64.so.2": "../lib/x86_64-linux-gnu/ld-2.so",
        "usr/lib/x86_64-linux-gnu/ld-2.so": "File",
        "lib/x86_64-linux-gnu": "../usr/lib/x86_64-linux-gnu",
        "usr/lib/x86_64-linux-gnu/libx.so.1": "libx.so.1.2",
        "usr/lib/x86_64-linux-gnu/libx.so.1.2": "File",
        LIBC: "File",
    }
    reasons = {str(item.entry.path): str(item.reason) for item in found.items}
    assert reasons["usr/sbin/tool"] == "--program"
    assert reasons[LIBC] == "library of /usr/sbin/tool ← --program"
    assert reasons["usr/lib/x86_64-linux-gnu/ld-2.so"] == "loader of /usr/sbin/tool ← --program"
    assert not any(str(tmp_path) in reason for reason in reasons.values())


def test_unmerged(tmp_path: Path) -> None:
    found = gathered(tmp_path, UNMERGED, "/sbin/tool")
    assert shape(found) == {
        "bin/tool": "File",
        "lib64/ld-linux-x86-64.so.2": "../lib/x86_64-linux-gnu/ld-2.so",
        "lib/x86_64-linux-gnu/ld-2.so": "File",
        "usr/lib/x86_64-linux-gnu/libx.so.1": "File",
        "lib/x86_64-linux-gnu/libc.so.6": "File",
    }
    reasons = {str(item.entry.path): str(item.reason) for item in found.items}
    assert (
        reasons["lib/x86_64-linux-gnu/libc.so.6"]
        == "library of libx.so.1 ← library of /sbin/tool ← --program"
    )


def test_what_two_programs_share_is_there_once(tmp_path: Path) -> None:
    more = {**MERGED, "usr/bin/other": linked(["libx.so.1"], interpreter=GLIBC)}
    found = gathered(tmp_path, more, "tool", "other", "/sbin/tool", "/usr/sbin/tool")
    paths = [item.entry.path for item in found.items]
    assert len(paths) == len(set(paths)) and PurePosixPath("usr/bin/other") in paths


def test_an_applets_place(tmp_path: Path) -> None:
    """By name or from /usr/bin it leaves busybox's alone; as /bin/mount it takes its place, and says so."""
    tree = {**MERGED, "usr/bin/mount": linked(["libc.so.6"], interpreter=GLIBC)}
    beside = gathered(tmp_path / "a", tree, "mount", "/usr/bin/mount")
    assert "bin/mount" not in entries(beside) and "usr/bin/mount" in entries(beside) and not beside.notes
    instead = gathered(tmp_path / "b", tree, "/bin/mount")
    assert shape(instead)["bin/mount"] == "../usr/bin/mount"
    assert instead.notes == ("/bin/mount replaces busybox's mount in the image, for pxeinit too",)
    ours = gathered(tmp_path / "c", {**tree, "usr/bin/busybox": linked()}, "/bin/busybox")
    assert not ours.items and ours.notes == ("/bin/busybox: every image has its busybox there",)


def test_modes(tmp_path: Path) -> None:
    make_tree(tmp_path, MERGED)
    (tmp_path / "usr/sbin/tool").chmod(0o6777)
    (tmp_path / LIBC).chmod(0o664)
    found = gather(Sysroot.open(tmp_path), [("tool", Reason("--program"))], Host(AMD64, {}, frozenset()))
    assert entries(found)["usr/sbin/tool"].mode == 0o755 and entries(found)[LIBC].mode == 0o644
    assert found.notes == (
        "/usr/sbin/tool: its set-id bit is left out, programs of the image run as root anyway",
    )
    (tmp_path / "usr/sbin/tool").chmod(0o644)
    with pytest.raises(ProgramError, match=r"/usr/sbin/tool: not executable \(mode 0644\)"):
        gather(Sysroot.open(tmp_path), [("tool", Reason("--program"))], Host(AMD64, {}, frozenset()))


@pytest.mark.parametrize(
    ("line", "brings"),
    [
        ("#!/bin/sh\n", set()),
        ("#! /bin/sh -e\n", set()),
        ("#!/usr/bin/python3 -I\n", {"usr/bin/python3", "bin/python3"}),
        ("#!/usr/bin/env python3\n", {"usr/bin/env", "usr/bin/python3", "bin/python3"}),
        ("#!/usr/bin/env -S A=1 python3 -I\n", {"usr/bin/env", "usr/bin/python3", "bin/python3"}),
        ("#!/usr/bin/env cat\n", {"usr/bin/env"}),
        ("#!/bin/env sh\n", set()),
        ("#!/usr/bin/middle\n", {"usr/bin/middle", "bin/middle", "usr/bin/python3", "bin/python3"}),
    ],
)
def test_scripts_bring_their_interpreter(tmp_path: Path, line: str, brings: set[str]) -> None:
    tree = {
        **MERGED,
        "usr/bin/script": f"{line}text\n",
        "usr/bin/python3": linked(),
        "usr/bin/env": linked(),
        "usr/bin/middle": "#!/usr/bin/python3\n",
    }
    found = gathered(tmp_path, tree, "script")
    assert set(entries(found)) == {"usr/bin/script", "bin/script"} | brings
    reasons = {str(item.entry.path): str(item.reason) for item in found.items}
    if "usr/bin/env" in brings:
        assert reasons["usr/bin/env"] == "interpreter of /usr/bin/script ← --program"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("#!/usr/bin/script\n", "go round in circles"),
        ("#!/usr/bin/other\n", "go round in circles"),
        ("#!/usr/bin/none\n", "/usr/bin/none: No such file or directory (interpreter of /usr/bin/script"),
        ("#!relative\n", "is no absolute path"),
        ("#!\n", "without an interpreter"),
        ("#!/usr/bin/env none\n", "no program 'none' in"),
        ("#!/" + "x" * 300 + "\n", "longer than 255 bytes"),
        ("text\n", "neither an ELF program nor a script"),
        ("", "neither an ELF program nor a script"),
    ],
)
def test_scripts_that_cannot_start(tmp_path: Path, script: str, says: str) -> None:
    tree = {
        **MERGED,
        "usr/bin/script": script,
        "usr/bin/other": "#!/usr/bin/script\n",
        "usr/bin/env": linked(),
    }
    with pytest.raises(ProgramError) as caught:
        gathered(tmp_path, tree, "script")
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_libraries_as_programs(tmp_path: Path) -> None:
    """What is loaded by dlopen is named as a program: it comes with its needs, by the tree's usual loader."""
    (tmp_path / "a").mkdir()
    make_tree(tmp_path / "a", MERGED)
    path = "/lib/x86_64-linux-gnu/libx.so.1"
    for name in ("libx.so.1.2", "libc.so.6"):
        (tmp_path / "a/usr/lib/x86_64-linux-gnu" / name).chmod(0o644)
    found = gather(Sysroot.open(tmp_path / "a"), [(path, Reason("--program"))], Host(AMD64, {}, APPLETS))
    assert LIBC in entries(found) and "lib64" in entries(found)
    assert not any(path.startswith("bin/") for path in entries(found))
    none = {"usr/lib/libx.so": linked(["liby.so"], soname="libx.so")}
    with pytest.raises(ProgramError, match="the tree has no loader for X86_64"):
        gathered(tmp_path / "b", none, "/usr/lib/libx.so")


def test_a_missing_library(tmp_path: Path) -> None:
    tree = {
        **MERGED,
        "usr/lib/x86_64-linux-gnu/libx.so.1.2": linked(
            ["libgone.so.2"], soname="libx.so.1", runpath="/opt/a"
        ),
    }
    with pytest.raises(ProgramError) as caught:
        gathered(tmp_path, tree, "tool")
    assert str(caught.value) == (
        f"{tmp_path}/usr/sbin/tool: needs the library libgone.so.2 (needed by libx.so.1), which the tree "
        "lacks; looked in /opt/a, /lib/x86_64-linux-gnu, /usr/lib/x86_64-linux-gnu, /lib, /usr/lib; "
        "install its package into the tree"
    )


def test_other_machines(tmp_path: Path) -> None:
    arm = {**MERGED, "usr/sbin/tool": linked(["libc.so.6"], interpreter=GLIBC, machine=AARCH64)}
    with pytest.raises(ProgramError, match=r"for AARCH64 \(64 bits\), but the kernel is for X86_64"):
        gathered(tmp_path / "a", arm, "tool")
    with pytest.raises(ProgramError, match=r"but its loader .*ld-linux-x86-64.so.2 is for X86_64"):
        gathered(tmp_path / "a", {}, "tool", machine=Machine("EM_AARCH64", 64, True))
    small = {
        **MERGED,
        "lib": None,
        "usr/sbin/tool": linked(["libc.so.6"], interpreter="/ld.so", machine=I386, bits=32),
        "ld.so": linked(machine=I386, bits=32),
        "opt/libc.so.6": linked(machine=I386, bits=32),
        "usr/lib/libc.so.6": linked(machine=I386, bits=32),
    }
    del small["lib"]
    found = gathered(tmp_path / "b", small, "tool")
    assert "usr/lib/libc.so.6" in entries(found) and LIBC not in entries(found)


def test_what_is_not_there(tmp_path: Path) -> None:
    for name, says in (
        ("nothing", "no program 'nothing' in /usr/local/sbin"),
        ("/usr/bin/nothing", "/usr/bin/nothing: No such file or directory (--program)"),
        ("", "no program ''"),
        ("/usr", "Is a directory"),
        ("/../../etc", "Is a directory"),
        ("/new\nline", "/new\\nline: No such"),
    ):
        with pytest.raises(ProgramError) as caught:
            gathered(tmp_path, MERGED if name == "nothing" else {"etc": None}, name)
        assert says in str(caught.value), name
        assert "\n" not in str(caught.value)


def hostile(needed: list[str], **more: str) -> Tree:
    return {**MERGED, "usr/sbin/tool": linked(needed, interpreter=GLIBC, **more)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        (
            hostile(["../../../../etc/passwd"]),
            "/etc/passwd: not an ELF file; truncated, or another kind of file; the loader of",
        ),
        (hostile([".."]), "Is a directory"),
        (hostile(["lib\nx.so"]), "needs the library lib\\nx.so,"),
        (hostile([""]), "Is a directory"),
        (
            hostile(["/etc/passwd"]),
            "passwd: not an ELF file; truncated, or another kind of file; the loader of",
        ),
        (hostile(["libx.so.1"], rpath="/../../../.."), None),
        (hostile(["libx.so.1"], rpath="$ORIGIN/" + "../" * 200), None),
        (hostile(["libfifo.so"], runpath="/opt"), "libfifo.so: not a regular file"),
        (hostile(["libloop.so"], runpath="/opt"), "needs the library libloop.so"),
        (hostile(["libx.so.1"], runpath="/lib/../share"), None),
        (hostile(["libo.so"], runpath="/lib/../share"), "name it without `..`"),
        (hostile(["libself.so"], runpath="/opt"), None),
        (hostile(["liba.so"], runpath="/opt"), None),
        (hostile(["libr.so"], runpath="/run"), "/run is covered by a mount"),
        ({**MERGED, "usr/sbin/tool": linked(interpreter="ld.so")}, "its loader 'ld.so' is no absolute path"),
        (
            {**MERGED, "usr/sbin/tool": linked(interpreter="/none")},
            "/none: not in the tree; install",
        ),
        ({**MERGED, "usr/sbin/tool": linked(interpreter="/etc/passwd")}, "passwd: not an ELF file"),
        ({**MERGED, "usr/sbin/tool": elf()[:40]}, "damaged ELF file"),
    ],
)
def test_hostile_trees(tmp_path: Path, tree: Tree, says: str | None) -> None:
    os.mkfifo(make_tree(tmp_path, {"opt": None}) / "opt/libfifo.so")
    more: Tree = {
        "etc/passwd": "root\n",
        "opt/libloop.so": Link("libloop.so"),
        "usr/share/libo.so": linked(),
        "opt/libself.so": linked(["libself.so"], soname="libother.so"),
        "opt/liba.so": linked(["libb.so"], runpath="$ORIGIN"),
        "opt/libb.so": linked(["liba.so"], runpath="$ORIGIN"),
        "run/libr.so": linked(),
    }
    if says is None:
        assert "usr/sbin/tool" in entries(gathered(tmp_path, {**tree, **more}, "tool"))
        return
    with pytest.raises(MkpxeinitError) as caught:
        gathered(tmp_path, {**tree, **more}, "tool")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("at", "value"),
    [(56, b"\xff\xff"), (54, b"\x00\x00"), (54, b"\xff\xff"), (32, b"\xff" * 8), (58, b"\xff" * 6)],
)
def test_absurd_headers_end_soon(at: int, value: bytes) -> None:
    """Counts and sizes of headers are believed only as far as the file goes."""
    data = bytearray(linked(["libx.so"], interpreter=GLIBC))
    data[at : at + len(value)] = value
    if at == 58:
        assert dynamic(bytes(data), "x").needed == ("libx.so",)
    else:
        with pytest.raises(ProgramError):
            dynamic(bytes(data), "x")


def test_a_file_cut_short() -> None:
    """Also where what is left could be read: a loader maps the whole."""
    whole = linked(["libx.so"], interpreter=GLIBC) + bytes(64)
    size = len(whole) - 64
    assert dynamic(whole[:size], "x").needed == ("libx.so",)
    for kept in (size - 1, size - 9):
        with pytest.raises(ProgramError, match="x: truncated ELF file"):
            dynamic(whole[:kept], "x")


@pytest.mark.parametrize("seed", range(300))
def test_any_damage_is_an_error_of_ours(seed: int) -> None:
    import random

    chance = random.Random(seed)
    data = bytearray(linked(["liba.so", "libb.so"], interpreter=GLIBC, rpath="/a:/b", runpath="/c"))
    for _ in range(chance.randint(1, 6)):
        data[chance.randrange(4, len(data))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
    data = data[: chance.randint(4, len(data))] if seed % 3 == 0 else data
    try:
        dynamic(bytes(data), "x")
    except ProgramError as error:
        assert str(error).startswith("x: ")


def test_folders_of_the_loader(tmp_path: Path) -> None:
    tree = Sysroot.open(make_tree(tmp_path, {"lib64/a": LOADER, "lib64/b": linked(), "lib/c": linked()}))
    assert read_loader(tree, "/lib64/a", AMD64).default == (
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/lib",
        "/usr/lib",
    )
    assert read_loader(tree, "/lib64/a", AMD64).lib == "lib/x86_64-linux-gnu"
    assert read_loader(tree, "/lib64/b", AMD64).default == ("/lib64", "/usr/lib64")
    assert read_loader(tree, "/lib/c", AMD64).default == ("/lib", "/usr/lib")


def test_conf_files_that_include_each_other_end(tmp_path: Path) -> None:
    tree = {
        "etc/ld.so.conf": "include ld.so.conf\ninclude conf.d/*\n/opt/a=libc6 # why\nrelative\n",
        "etc/conf.d/x": "include ../ld.so.conf /etc/conf.d/x\n/opt/b/\n",
        "etc/conf.d/y": None,
    }
    assert list(read_conf(Sysroot.open(make_tree(tmp_path, tree)))) == ["/opt/b", "/opt/a"]


def test_searches_that_would_not_end(tmp_path: Path) -> None:
    """Names, folders and patterns without measure: an error, and soon."""
    for needed, more, says in (
        (["x" * 5000], {}, "a name has no end, or is too long"),
        ([f"lib{n}.so" for n in range(5000)], {}, "needs 5000 libraries"),
        (["libx.so.1"], {"rpath": ":".join(["/a"] * 40000)}, "a name has no end, or is too long"),
    ):
        with pytest.raises(ProgramError, match=says):
            dynamic(linked(needed, interpreter=GLIBC, **more), "x")  # type: ignore[arg-type]
    names = [f"lib{n}.so" for n in range(40)]
    many: Tree = {f"opt/{name}": linked(soname=name) for name in names}
    with pytest.raises(ProgramError, match="could be in more than 100000 places"):
        gathered(tmp_path / "a", {**hostile(names, rpath=":" * 5000 + "/opt"), **many}, "tool")
    circles: Tree = {f"c{n}": Link("/") for n in range(9)}
    tree = Sysroot.open(make_tree(tmp_path / "b", {**circles, "etc/ld.so.conf": f"include {'/*' * 20}\n"}))
    with pytest.raises(ProgramError, match="more than 4096 files"):
        list(read_conf(tree))


def test_musl(tmp_path: Path) -> None:
    tree: Tree = {
        "lib/ld-musl-x86_64.so.1": linked(),
        "etc/ld-musl-x86_64.path": "/opt/musl\n/lib",
        "opt/musl/libz.so.1": linked(["libc.musl-x86_64.so.1"]),
        "usr/bin/tool": linked(["libz.so.1", "libc.musl-x86_64.so.1"], interpreter=MUSL),
    }
    found = gathered(tmp_path, tree, "tool")
    assert set(entries(found)) == {
        "usr/bin/tool",
        "bin/tool",
        "lib/ld-musl-x86_64.so.1",
        "etc/ld-musl-x86_64.path",
        "opt/musl/libz.so.1",
    }
    path = entries(found)["etc/ld-musl-x86_64.path"]
    assert isinstance(path, File) and path.source == b"/opt/musl\n/lib"


def test_two_files_for_one_place(tmp_path: Path) -> None:
    tree = {"sbin/x": linked(), "bin/x": linked(soname="other")}
    with pytest.raises(ProgramError, match="/bin/x: two different files of the tree want this place"):
        gathered(tmp_path, tree, "/bin/x", "/sbin/x")


def test_a_tree_that_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(SysrootError):
        Sysroot.open(tmp_path / "none")
