"""known.sh: a tree whose init is as the image's builder saw it needs no further look, and any other does."""

import os
from pathlib import Path

import pytest

from tests.init.conftest import plant_tree
from tests.init.fakeroot import FakeRoot
from tests.init.programs import program
from tests.init.test_stale import BUILD, RUNNING, header
from tests.init.test_trust import check

LOADER = "/lib64/ld-linux-x86-64.so.2"
LIBRARY = "usr/lib/libx.so.1"
PATHS = ["sbin/init", "lib64/ld-linux-x86-64.so.2", LIBRARY, f"{LIBRARY}.5"]
KERNEL = f"boot/vmlinuz-{RUNNING}"


def plant(root: FakeRoot, **changes: str) -> None:
    """A tree with an init, its loader and a library, and what the builder wrote of it."""
    plant_tree(root)
    root.write("nfsroot/sbin/init", program(LOADER), 0o755)
    root.write(f"nfsroot{LOADER}", b"\x7fELF loader", 0o755)
    root.write(f"nfsroot/{LIBRARY}.5", b"\x7fELF library")
    root.link(f"nfsroot/{LIBRARY}", "libx.so.1.5")
    root.fake("chroot", when="--list", prints=f"\t{LOADER} (0x00007f0000000000)")
    note(root, PATHS, **changes)


def note(root: FakeRoot, noted: list[str], **changes: str) -> None:
    """Write what the builder does of these paths; `changes` are other lines than those."""
    lines = {
        "init": "/sbin/init",
        "file": "/sbin/init",
        "large": f"/{LIBRARY}.5",
        "build": f"{RUNNING} (builder@host) {BUILD}",
        "paths": " ".join(noted),
        "facts": facts(root, noted),
    }
    root.write("etc/pxeinit/tree", "\n".join({**lines, **changes}.values()))


def facts(root: FakeRoot, paths: list[str]) -> str:
    """The modes and sizes of the paths, as lstat(2) says, and what links lead to."""
    found = []
    for place in (Path(root.place(f"nfsroot/{path}")) for path in paths):
        status = place.lstat()
        found.append(f"{status.st_mode:x}.{status.st_size}")
        if place.is_symlink():
            found[-1] += f".{place.readlink()}"
    return " ".join(found)


def relink(root: FakeRoot, target: str) -> None:
    """Have the library's link lead to another file, whose name is as long."""
    root.write(f"nfsroot/usr/lib/{target}", b"\x7fELF library")
    root.place(f"nfsroot/{LIBRARY}").unlink()
    root.link(f"nfsroot/{LIBRARY}", target)


def asked(root: FakeRoot) -> bool:
    """Return whether the tree's loader was asked; the tree is good in any case."""
    assert check(root) == "good: /sbin/init"
    return any("--list" in call for call in root.calls("chroot"))


def test_a_tree_as_the_builder_saw_it(root: FakeRoot) -> None:
    plant(root)
    root.fake("dd", fails=-1)
    assert not asked(root)
    # What is read of it is what the builder named.
    assert [call[0] for call in root.calls("dd")] == ["if=/nfsroot/sbin/init", f"if=/nfsroot/{LIBRARY}.5"]


def test_an_image_that_knows_nothing(root: FakeRoot) -> None:
    plant(root)
    root.place("etc/pxeinit/tree").unlink()
    assert asked(root)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: root.write(f"nfsroot/{LIBRARY}.5", b"\x7fELF other library"),
        lambda root: root.place(f"nfsroot/{LIBRARY}").unlink(),
        lambda root: root.place(f"nfsroot/{LIBRARY}.5").unlink(),
        lambda root: root.place(f"nfsroot/{LIBRARY}.5").rename(root.place(f"nfsroot/{LIBRARY}.6")),
        lambda root: root.place(f"nfsroot{LOADER}").chmod(0o644),
        lambda root: root.write("nfsroot/sbin/init", program(LOADER) + b"more", 0o755),
        lambda root: relink(root, "libx.so.2.5"),
        lambda root: relink(root, "lib so 1.5"),
        lambda root: relink(root, "-> 81ed.1 *"),
    ],
)
def test_a_tree_that_has_changed(root: FakeRoot, change: object) -> None:
    plant(root)
    assert callable(change)
    change(root)
    assert asked(root)
    assert "the tree's init is not as this image's builder saw it" in (root.read("run/pxeinit/log") or "")


def test_another_init(root: FakeRoot) -> None:
    """The one that the command line names, or that a link leads to since."""
    plant(root)
    root.write("nfsroot/sbin/other", program(LOADER), 0o755)
    assert check(root, "param_init=/sbin/other; check_tree") == "good: /sbin/other"
    assert any("--list" in call for call in root.calls("chroot"))
    root.place("nfsroot/sbin/init").unlink()
    root.link("nfsroot/sbin/init", "other")
    assert asked(root)


@pytest.mark.parametrize("kept", range(6))
def test_a_file_cut_short(root: FakeRoot, kept: int) -> None:
    plant(root)
    whole = (root.read("etc/pxeinit/tree") or "").split("\n")
    root.write("etc/pxeinit/tree", "\n".join(whole[:kept]))
    assert asked(root)


def test_patterns_are_no_patterns(root: FakeRoot) -> None:
    """What the builder would not write: a word is a name, whatever it looks like."""
    plant(root, paths="sbin/* $(touch${IFS}canary)", facts="81ed.1")
    assert asked(root)
    assert root.read("canary") is None and root.read("nfsroot/canary") is None


def test_where_stat_knows_no_format(root: FakeRoot) -> None:
    plant(root)
    root.fake("stat", when="%f", fails=1, says="stat: invalid option")
    assert asked(root)


def test_it_works_in_the_root_and_leaves_no_trace(root: FakeRoot) -> None:
    plant(root)
    said = root.run("cd /tmp; check_tree; pwd; echo '*'; case $- in *f*) echo noglob ;; esac")
    assert said.console == "/\n*\n"


def plant_kernel(root: FakeRoot, running: str = BUILD) -> None:
    plant(root)
    root.write(f"nfsroot/{KERNEL}", header(RUNNING, BUILD))
    root.folder(f"nfsroot/lib/modules/{RUNNING}")
    root.write("proc/sys/kernel/version", running)
    note(root, [*PATHS, KERNEL])
    root.fake("od", fails=-1)


def codes(root: FakeRoot) -> list[str]:
    return root.run(f"kernel_release={RUNNING}; check_tree; check_modules").codes


@pytest.mark.parametrize("known", [True, False])
def test_the_kernels_build(root: FakeRoot, known: bool) -> None:
    """That the tree still has the kernel that runs, its file need not be read for if it is the one known."""
    plant_kernel(root)
    if not known:
        root.place("etc/pxeinit/tree").unlink()
    assert codes(root) == []
    assert any(f"/nfsroot/{KERNEL}" in call for call in root.calls("od")) != known


def test_another_build_of_the_kernel(root: FakeRoot) -> None:
    """The one that runs is not the image's: the tree's file is read, and tells."""
    plant_kernel(root, BUILD.replace("#1", "#2"))
    assert codes(root) == ["PXE-INIT-root-stale"]


def test_a_kernel_that_was_exchanged(root: FakeRoot) -> None:
    plant_kernel(root)
    root.write(f"nfsroot/{KERNEL}", header(RUNNING, BUILD.replace("#1", "#3x")))
    assert codes(root) == ["PXE-INIT-root-stale"]


def test_modes_are_written_as_busybox_does(root: FakeRoot) -> None:
    """As the builder does (mkpxeinit/treeinit.py): lower-case hexadecimal digits without a prefix."""
    plant(root)
    line = root.run("cd /nfsroot; stat -c %f.%s sbin/init").console
    status = os.lstat(root.place("nfsroot/sbin/init"))
    assert line == f"{status.st_mode:x}.{status.st_size}\n"
