"""`--file`: what it says, what of a folder goes into the image, and what is refused."""

import os
from pathlib import Path, PurePosixPath

import pytest

from mkpxeinit.errors import MkpxeinitError, ProgramError, UsageError
from mkpxeinit.files import collect, parse_file
from mkpxeinit.image.entry import Directory, Entry, File, Symlink
from mkpxeinit.image.plan import Planned
from mkpxeinit.reason import Reason
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import Link, make_tree

PLANNED = {
    item.entry.path: item
    for item in (
        Planned(Symlink(PurePosixPath("sbin"), "bin"), Reason("the kernel calls /sbin/modprobe")),
        Planned(Symlink(PurePosixPath("lib64"), "usr/lib64"), Reason("loader")),
        Planned(Symlink(PurePosixPath("usr/loop"), "loop"), Reason("a test")),
        Planned(Directory(PurePosixPath("bin")), Reason("folder")),
        Planned(Directory(PurePosixPath("etc")), Reason("folder")),
        Planned(File(PurePosixPath("bin/busybox"), b""), Reason("busybox of the tree")),
        Planned(File(PurePosixPath("etc/cmdline"), b""), Reason("--cmdline")),
    )
}


def collected(root: Path, *texts: str) -> dict[str, Entry]:
    (root / "tree").mkdir(exist_ok=True)
    tree = Sysroot.open(root / "tree")
    items = collect(tree, tuple(parse_file(text) for text in texts), PLANNED)
    assert {str(item.reason) for item in items} <= {"--file"}
    return {str(item.entry.path): item.entry for item in items}


@pytest.mark.parametrize(
    ("text", "source", "tree", "target"),
    [
        ("a:/etc/b", "a", None, "etc/b"),
        ("/x/a:etc/b", "/x/a", None, "etc/b"),
        ("a:etc/", "a", None, "etc/a"),
        ("a:/", "a", None, "a"),
        ("/x/conf/:etc/", "/x/conf", None, "etc/conf"),
        ("/etc/x", None, "/etc/x", "etc/x"),
        ("etc//x/", None, "etc//x/", "etc/x"),
        (r"a\:b:/c\:d", "a:b", None, "c:d"),
        (r"/etc/a\:b", None, "/etc/a:b", "etc/a:b"),
        (r"a\\:b", "a\\", None, "b"),
        (r"C\x:b", r"C\x", None, "b"),
    ],
)
def test_what_it_says(text: str, source: str | None, tree: str | None, target: str) -> None:
    given = parse_file(text)
    assert given.source == (Path(source) if source else None)
    assert (given.tree, given.target) == (tree, PurePosixPath(target))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no path in the image"),
        (":", "is not SRC:DST, nor the path"),
        ("a:", "is not SRC:DST, nor the path"),
        (":a", "is not SRC:DST, nor the path"),
        ("a:b:c", r"write \: for one in a name"),
        ("a:../x", "no `..`"),
        ("a:etc/../../x", "no `..`"),
        ("a:/etc/new\nline", "no control characters"),
        ("a:/dev/x", "/dev is covered by a mount"),
        ("a:run/x", "/run is covered"),
        ("a:/proc/x", "/proc is covered"),
        ("/sys/x", "/sys is covered"),
    ],
)
def test_what_makes_no_sense(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_file(text)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_file(tmp_path: Path) -> None:
    make_tree(
        tmp_path, {"a": "text", "link": Link("a"), "tree/etc/b": Link("/opt/c"), "tree/opt/c": "of the tree"}
    )
    (tmp_path / "a").chmod(0o6777)
    found = collected(tmp_path, f"{tmp_path}/a:/opt/x", f"{tmp_path}/link:/sbin/y", "/etc/b")
    assert found == {
        "opt/x": File(PurePosixPath("opt/x"), b"text", 0o755),
        "bin/y": File(PurePosixPath("bin/y"), b"text", 0o755),
        "etc/b": File(PurePosixPath("etc/b"), b"of the tree", 0o644),
    }


def test_a_folder(tmp_path: Path) -> None:
    make_tree(
        tmp_path / "conf",
        {
            "d/script": "#!/bin/sh",
            "d/up": Link("../top"),
            "top": "t",
            "d/e": None,
            "self": Link("self"),
            "none": Link("d/none"),
            "with\nnewline": "x",
        },
    )
    (tmp_path / "conf/d/script").chmod(0o750)
    (tmp_path / "conf/d").chmod(0o2775)
    found = collected(tmp_path, f"{tmp_path}/conf:/etc")
    assert found["etc/d"] == Directory(PurePosixPath("etc/d"), 0o755)
    assert found["etc/d/script"].mode == 0o750
    assert found["etc/d/up"] == Symlink(PurePosixPath("etc/d/up"), "../top")
    names = {"d", "d/e", "d/script", "d/up", "none", "self", "top", "with\nnewline"}
    assert set(found) == {f"etc/{name}" for name in names}
    assert list(found) == sorted(found)
    assert "usr/lib64/a/top" in collected(tmp_path, f"{tmp_path}/conf:/lib64/a")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}/none:/x", "/none: No such file or directory (--file)"),
        ("/none", "/tree/none: No such file or directory (--file); SRC:DST takes a file of this machine"),
        (
            "{}/a:/bin/busybox",
            "/a (--file): /bin/busybox is in the image already: busybox of the tree; choose",
        ),
        ("{}/a:/sbin/busybox", "/bin/busybox is in the image already"),
        ("{}/a:/sbin", "/sbin is in the image already: the kernel calls"),
        ("{}/a:/etc", "/etc is in the image already"),
        ("{}/a:/etc/cmdline/x", "/etc/cmdline is no folder in the image: --cmdline"),
        ("{}/dir:/etc/cmdline", "/etc/cmdline is in the image already"),
        ("{}/a:/usr/loop/x", "too many symbolic links in the image"),
        ("{}/out:/opt", "/out/link: a link out of its folder, to ../a; give what it means"),
        ("{}/above:/opt", "/above/link: a link out of its folder, to ..; give"),
        ("{}/absolute:/opt", "a link out of its folder, to /etc/passwd"),
        ("{}/fifo:/opt", "neither a file nor a folder"),
        ("{}/loop:/opt", "/loop: "),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, says: str) -> None:
    make_tree(
        tmp_path,
        {
            "a": "text",
            "dir/x": "x",
            "out/link": Link("../a"),
            "above/link": Link(".."),
            "absolute/link": Link("/etc/passwd"),
            "fifo/f": None,
            "loop": Link("loop"),
        },
    )
    (tmp_path / "fifo/f").rmdir()
    os.mkfifo(tmp_path / "fifo/f")
    with pytest.raises(MkpxeinitError) as caught:
        collected(tmp_path, text.format(tmp_path))
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_two_for_one_place(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a": "1", "b": "2"})
    with pytest.raises(ProgramError, match="/opt/x is in the image already: --file"):
        collected(tmp_path, f"{tmp_path}/a:/opt/x", f"{tmp_path}/b:/opt/x")
    with pytest.raises(ProgramError, match="/opt is no folder in the image"):
        collected(tmp_path, f"{tmp_path}/a:/opt", f"{tmp_path}/b:/opt/x")
