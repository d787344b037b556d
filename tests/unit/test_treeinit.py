"""What an image knows of the tree's init: the files that it is started from, their modes and sizes."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from mkpxeinit import treeinit
from mkpxeinit.elf import Machine
from mkpxeinit.sysroot import Sysroot
from tests.init.test_stale import BUILD, header
from tests.unit.linked import GLIBC, linked
from tests.unit.small import AARCH64, Link, Tree, make_tree

RELEASE = "6.1.0-test"
AMD64 = Machine("EM_X86_64", 64, True)
TREE: dict[str, str | bytes | Link | None] = {
    "lib": Link("usr/lib"),
    "lib64": Link("/usr/lib64"),
    "sbin": Link("usr/sbin"),
    "usr/sbin/init": Link("/lib/systemd/systemd"),
    "usr/lib/systemd/systemd": linked(["liba.so.1"], interpreter=GLIBC),
    "usr/lib64/liba.so.1": Link("liba.so.1.5"),
    "usr/lib64/liba.so.1.5": linked(["libb.so"], soname="liba.so.1") + bytes(200_000),
    "usr/lib64/libb.so": linked(soname="libb.so") + bytes(300_000),
    "usr/lib64/ld-linux-x86-64.so.2": linked(soname="ld-linux-x86-64.so.2"),
}
PATHS = [
    "sbin",
    "usr/sbin/init",
    "lib",
    "usr/lib/systemd/systemd",
    "lib64",
    "usr/lib64/ld-linux-x86-64.so.2",
    "usr/lib64/liba.so.1",
    "usr/lib64/liba.so.1.5",
    "usr/lib64/libb.so",
]


def look(root: Path, tree: Tree, machine: Machine | None = AMD64) -> tuple[list[str], tuple[str, ...]]:
    text, remarks = treeinit.look(Sysroot.open(make_tree(root, tree)), RELEASE, machine, {})
    return text.split("\n")[:-1], remarks


def test_the_six_lines(tmp_path: Path, host_busybox: Path) -> None:
    (init, real, large, build, paths, facts), remarks = look(tmp_path, TREE)
    assert (init, real, build, remarks) == ("/sbin/init", "/usr/lib/systemd/systemd", "", ())
    # The largest that the init itself names.
    assert large == "/usr/lib64/liba.so.1.5"
    assert paths.split() == PATHS
    # As the client looks at them.
    words = [str(host_busybox), "stat", "-c", "%f.%s %N", *PATHS]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60).stdout
    found = [re.fullmatch(r"(\S+) \S+(?: -> '([^']+)')?", line) for line in said.splitlines()]
    assert facts.split() == [".".join(filter(None, each.groups())) for each in found if each]


@pytest.mark.parametrize("place", [f"boot/vmlinuz-{RELEASE}", f"usr/lib/modules/{RELEASE}/vmlinuz"])
def test_the_kernels_build(tmp_path: Path, place: str) -> None:
    lines, _ = look(tmp_path, {**TREE, place: header(RELEASE, BUILD)})
    assert lines[3].startswith(f"{RELEASE} (") and lines[3].endswith(BUILD)
    assert lines[4].split() == [*PATHS, place]


@pytest.mark.parametrize(
    "kernel", [b"", b"MZ" * 1000, header("6.1.0-other", BUILD), header(RELEASE, BUILD)[:600]]
)
def test_kernels_that_do_not_say(tmp_path: Path, kernel: bytes) -> None:
    lines, remarks = look(tmp_path, {**TREE, f"boot/vmlinuz-{RELEASE}": kernel})
    assert lines[3:5] == ["", " ".join(PATHS)] and remarks == ()


def test_a_static_init(tmp_path: Path) -> None:
    lines, _ = look(tmp_path, {"sbin/init": linked()})
    assert lines[:5] == ["/sbin/init", "/sbin/init", "", "", "sbin/init"]


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"sbin/init": "#!/bin/sh\n"},
        {"sbin/init": Link("gone")},
        {"sbin/init": linked(machine=AARCH64)},
        # Words that the client would take apart, and a pattern.
        {"sbin/init": Link("/a b"), "a b": linked()},
        {"sbin/init": Link("/a*"), "a*": linked()},
        {"sbin/init": Link("/a\nb"), "a\nb": linked()},
        {"sbin/init": Link("/\udcff"), "\udcff": linked()},
    ],
)
def test_what_the_client_has_to_look_at_itself(tmp_path: Path, tree: Tree) -> None:
    assert look(tmp_path, tree) == ([], ())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"usr/lib64/libb.so": None}, "needs the library libb.so (needed by liba.so.1)"),
        ({"usr/lib64/ld-linux-x86-64.so.2": None}, "ld-linux-x86-64.so.2"),
        ({"usr/lib/systemd/systemd": b"\x7fELF cut short"}, "damaged ELF file"),
    ],
)
def test_an_init_that_cannot_be_started_is_told(tmp_path: Path, changes: Tree, says: str) -> None:
    """The client would tell it, too, and later. (What is None is missing.)"""
    tree = {path: content for path, content in {**TREE, **changes}.items() if content is not None}
    lines, remarks = look(tmp_path, tree)
    assert lines == []
    (remark,) = remarks
    assert remark.startswith("the tree's own init") and says in remark


def test_as_the_client_looks_for_it() -> None:
    """The candidates, in the order of init/lib/trust.sh."""
    text = (Path(__file__).parents[2] / "init/lib/trust.sh").read_text()
    assert f"set -- {' '.join(treeinit.CANDIDATES)}\n" in text


@pytest.mark.tree
@pytest.mark.skipif(os.geteuid() != 0, reason="the oracle runs in a chroot")
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_as_debians_loader_finds_them(suite: str) -> None:
    from pxelab import trees

    root = Path(trees.debian(suite))
    tree = Sysroot.open(root)
    text, remarks = treeinit.look(tree, trees.Tree(root, suite).release, AMD64, {})
    _, real, large, build, paths, _ = text.split("\n")[:-1]
    words = ["chroot", str(root), GLIBC, "--list", "/sbin/init"]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    libraries = {line.split()[2] for line in said.splitlines() if "=> /" in line}
    assert len(libraries) > 15
    files = {path for path in paths.split() if not (root / path).is_symlink()}
    wanted = {str(tree.resolve(path).relative_to(root)) for path in (*libraries, "/sbin/init", GLIBC)}
    assert {path for path in files if not path.startswith("boot/")} == wanted
    assert (remarks, real) == ((), "/usr/lib/systemd/systemd")
    assert "libsystemd-shared" in large and "Debian" in build
