"""Nothing outside the tree is ever reached, and everything inside is."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mkpxeinit.errors import SysrootError
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import Link, make_tree


def test_plain_path(tmp_path: Path) -> None:
    tree = Sysroot.open(make_tree(tmp_path / "t", {"a/b": "x"}))
    assert tree.resolve("/a/b") == tmp_path / "t/a/b"
    assert tree.resolve("a//./b") == tmp_path / "t/a/b"
    assert tree.read_text("a/b") == "x"


@pytest.mark.parametrize(
    "target", ["/usr/lib", "usr/lib", "../../../usr/lib", "/../usr/./lib", "/usr/../usr/lib/"]
)
def test_links_resolve_inside(tmp_path: Path, target: str) -> None:
    tree = Sysroot.open(make_tree(tmp_path / "t", {"usr/lib/m": "inside", "lib": Link(target)}))
    assert tree.resolve("/lib/m") == tmp_path / "t/usr/lib/m"
    assert tree.read_text("/lib/m") == "inside"


def test_dots_stop_at_the_root(tmp_path: Path) -> None:
    make_tree(tmp_path, {"secret": "outside", "t/secret": "inside"})
    tree = Sysroot.open(tmp_path / "t")
    assert tree.read_text("../../secret") == "inside"
    assert tree.resolve("..") == tmp_path / "t"


def test_link_chain_and_last_component(tmp_path: Path) -> None:
    tree = Sysroot.open(
        make_tree(tmp_path / "t", {"c/f": "x", "b": Link("/c"), "a": Link("b"), "last": Link("/a/f")})
    )
    assert tree.resolve("last") == tmp_path / "t/c/f"


def test_loop_is_an_error_that_names_the_path(tmp_path: Path) -> None:
    tree = Sysroot.open(make_tree(tmp_path / "t", {"a": Link("b"), "b": Link("/a")}))
    with pytest.raises(SysrootError, match=r"/t/a/x: Too many levels of symbolic links"):
        tree.resolve("/a/x")
    assert not tree.exists("a")


def test_missing_names_the_whole_path(tmp_path: Path) -> None:
    tree = Sysroot.open(make_tree(tmp_path / "t", {"f": "x"}))
    with pytest.raises(SysrootError, match=r"/t/no/such: No such file or directory"):
        tree.resolve("/no/such")
    with pytest.raises(SysrootError, match=r"/t/f/x: Not a directory"):
        tree.resolve("/f/x")


def test_no_tree(tmp_path: Path) -> None:
    with pytest.raises(SysrootError, match=r"nowhere: No such file or directory; .*--sysroot"):
        Sysroot.open(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(SysrootError, match="file: Not a directory"):
        Sysroot.open(tmp_path / "file")


def test_a_fifo_neither_blocks_nor_counts(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    tree = Sysroot.open(tmp_path)
    assert not tree.is_file("fifo")
    with pytest.raises(SysrootError, match="not a regular file"):
        tree.read_text("fifo")


def test_control_characters_do_not_reach_messages(tmp_path: Path) -> None:
    with pytest.raises(SysrootError) as caught:
        Sysroot.open(tmp_path).resolve("a\n\x1b[31mb")
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


PARTS = st.sampled_from(["..", "a", "b", "c", ".", "", "d"])
PATHS = st.builds(
    lambda absolute, parts: ("/" if absolute else "") + ("/".join(parts) or "a"),
    st.booleans(),
    st.lists(PARTS, min_size=1, max_size=6),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(targets=st.lists(PATHS, min_size=5, max_size=5), asked=PATHS)
def test_never_outside(tmp_path: Path, targets: list[str], asked: str) -> None:
    root = tmp_path / "t"
    shutil.rmtree(root, ignore_errors=True)
    places = ["a", "b/c", "b/a", "c/a/b", "d"]
    make_tree(root, {place: Link(target) for place, target in zip(places, targets, strict=True)})
    try:
        found = Sysroot.open(root).resolve(asked)
    except SysrootError:
        return
    assert found == root or root in found.parents
    assert not found.is_symlink() and found.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_a_chroot_agrees(tmp_path: Path, host_busybox: Path) -> None:
    make_tree(
        tmp_path,
        {
            "usr/lib/x": "",
            "lib": Link("/usr/lib"),
            "up": Link("../../../usr/./lib/.."),
            "a/b/deep": Link("../../up/lib/x"),
            "a/abs": Link("/a/b"),
        },
    )
    shutil.copy(host_busybox, tmp_path / "busybox")
    for path in ("/lib/x", "/up", "/a/b/deep", "/a/abs/deep", "/a/abs/../b", "/up/../lib"):
        said = subprocess.run(
            ["chroot", tmp_path, "/busybox", "readlink", "-f", path],
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        assert str(Sysroot.open(tmp_path).resolve(path)) == str(tmp_path) + said.rstrip("/"), path
