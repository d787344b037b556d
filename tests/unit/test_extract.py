"""Unpacking, against GNU cpio, and never outside the folder."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mkpxeinit.errors import ImageError
from mkpxeinit.image.extract import extract
from tests.unit.images import TRAILER, archive, entry
from tests.unit.small import Link, make_tree

Snapshot = dict[str, tuple[object, ...]]
Unpack = Callable[..., list[str]]
FOLDER, FILE, LINK = 0o40755, 0o100644, 0o120777


def snapshot(folder: Path) -> Snapshot:
    """Return all that can be seen of what is in `folder`."""
    found: Snapshot = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (
            status.st_mode, status.st_uid, status.st_gid, int(status.st_mtime), status.st_rdev, content,
        )  # fmt: skip
    return found


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    """Unpack into tmp/out; fail if anything beside it changes."""
    beside = make_tree(tmp_path / "beside", {"passwd": "secret", "folder/x": "x"})

    def unpacker(image: bytes, *patterns: str) -> list[str]:
        (tmp_path / "image").write_bytes(image)
        before = snapshot(beside)
        try:
            return list(extract(tmp_path / "image", tmp_path / "out", patterns))
        finally:
            assert snapshot(beside) == before
            assert {path.name for path in tmp_path.iterdir()} <= {"beside", "image", "out"}

    return unpacker


def test_as_gnu_cpio(tmp_path: Path) -> None:
    tree = make_tree(
        tmp_path / "tree",
        {
            "a/f": "text",
            "a/empty": "",
            "l": Link("a/f"),
            "dangling": Link("/nowhere"),
            "d": None,
            "grüße": "x",
        },
    )
    os.link(tree / "a/f", tree / "a/g")
    os.mkfifo(tree / "fifo")
    (tree / "a/empty").chmod(0o4751)
    (tree / "d").chmod(0o1777)
    if os.geteuid() == 0:
        os.mknod(tree / "console", stat.S_IFCHR | 0o600, os.makedev(5, 1))
        os.lchown(tree / "a/f", 5, 6)
    for path in (*tree.rglob("*"), tree):
        os.utime(path, (86400, 86400), follow_symlinks=False)
    (tmp_path / "image").write_bytes(archive(tree))
    assert list(extract(tmp_path / "image", tmp_path / "ours", ())) == []
    (tmp_path / "theirs").mkdir()
    subprocess.run(
        ["cpio", "-i", "-d", "-m", "--quiet"],
        input=(tmp_path / "image").read_bytes(), cwd=tmp_path / "theirs", check=True,
    )  # fmt: skip
    ours = snapshot(tmp_path / "ours")
    # GNU cpio does not keep the times of links, nor of a folder in which it makes a hard link.
    others = dict.fromkeys(["l", "dangling", "a"], ())
    assert {**snapshot(tmp_path / "theirs"), **others} == {**ours, **others}
    assert ours["l"][5] == Path("a/f") and ours["dangling"][3] == ours["a"][3] == 86400
    assert (tmp_path / "ours/a/f").stat().st_nlink == 2


def test_later_archives_replace_earlier_ones(tmp_path: Path, unpack: Unpack) -> None:
    """A longer file, a link, a folder: and a file is not written through the link that it replaces."""
    link = str(tmp_path / "beside/passwd").encode()
    unpack(
        entry(b"f", FILE, b"long text") + entry(b"l", LINK, link) + entry(b"d", FOLDER) + TRAILER
        + entry(b"f", FILE, b"new") + entry(b"l", FILE, b"mine") + entry(b"d", LINK, link) + TRAILER
    )  # fmt: skip
    out = tmp_path / "out"
    assert ((out / "f").read_text(), (out / "l").read_text()) == ("new", "mine")
    assert (out / "d").is_symlink()


@pytest.mark.parametrize(
    "target", ["{beside}", "../beside", "../../../../../../../../{beside}", "x/../../beside"]
)
def test_folders_that_are_links(tmp_path: Path, unpack: Unpack, target: str) -> None:
    """What goes through a link stays in the folder, as it would in the kernel's root."""
    link = target.format(beside=tmp_path / "beside").encode()
    unpack(
        entry(b"d", LINK, link) + entry(b"d/passwd", FILE, b"bad") + entry(b"d/folder", LINK, b"..")
        + entry(b"d/folder/y", FILE, b"bad") + entry(b"d/new", FOLDER) + TRAILER
    )  # fmt: skip
    assert [path.read_bytes() for path in (tmp_path / "out").rglob("passwd")] == [b"bad"]


def test_a_tree_whose_lib_is_a_link(tmp_path: Path, unpack: Unpack) -> None:
    unpack(entry(b"usr/lib", FOLDER) + entry(b"lib", LINK, b"usr/lib") + entry(b"lib/x", FILE, b"x"))
    assert (tmp_path / "out/usr/lib/x").read_bytes() == b"x"


def test_absolute_links_begin_at_the_folder(tmp_path: Path, unpack: Unpack) -> None:
    unpack(entry(b"d/l", LINK, b"/usr") + entry(b"d/l/x", FILE, b"x"))
    assert (tmp_path / "out/usr/x").read_bytes() == b"x"


def test_a_link_that_goes_in_circles(unpack: Unpack) -> None:
    with pytest.raises(ImageError, match=r"out/l/x: cannot write: too many symbolic links"):
        unpack(entry(b"l", LINK, b"l") + entry(b"l/x", FILE, b"x"))


@pytest.mark.parametrize("middle", [entry(b"a", LINK, b"/beside/passwd"), entry(b"a", 0o010644), b""])
def test_hard_links(tmp_path: Path, unpack: Unpack, middle: bytes) -> None:
    """To what was replaced meanwhile they are refused; else the one with content fills them all."""
    image = entry(b"a", FILE, links=2) + middle + entry(b"b", FILE, b"text", links=2)
    if middle:
        with pytest.raises(ImageError, match="was replaced"):
            unpack(image)
    else:
        unpack(image)
        assert (tmp_path / "out/a").read_text() == "text"


def test_what_was_there_before(tmp_path: Path, unpack: Unpack) -> None:
    make_tree(tmp_path / "out", {"f": "mine", "d/l": Link("../../beside/passwd"), "e": Link("../beside")})
    (tmp_path / "out/d").chmod(0o711)
    for name in (b"f", b"d/l", b"e"):
        with pytest.raises(ImageError, match="it was there before; take an empty folder"):
            unpack(entry(name, FILE, b"bad"))
    unpack(entry(b"d", FOLDER) + entry(b"d/new", FILE, b"x"))
    assert (tmp_path / "out/f").read_text() == "mine"
    assert stat.S_IMODE((tmp_path / "out/d").stat().st_mode) == 0o711


@pytest.mark.parametrize("name", [b"../x", b"a/../../x", b"/../beside/passwd"])
def test_names_that_lead_out(unpack: Unpack, name: bytes) -> None:
    with pytest.raises(ImageError, match="leads out of the image"):
        unpack(entry(name, FILE, b"x"))


@pytest.mark.parametrize("device", [(0xFFFFFFFF, 0), (1 << 12, 0), (0, 1 << 20)])
def test_devices_that_there_are_not(unpack: Unpack, device: tuple[int, int]) -> None:
    """Numbers of 32 bits are read, but no system call takes them all."""
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    image = entry(b"dev/c", 0o020600, device=device)
    with pytest.raises(ImageError, match=r"out/dev/c: cannot write: .* device number that there is not"):
        unpack(image)


def test_absolute_names(tmp_path: Path, unpack: Unpack) -> None:
    unpack(entry(str(tmp_path / "beside/passwd").encode(), FILE, b"bad"))
    assert (tmp_path / "out" / str(tmp_path / "beside/passwd").lstrip("/")).read_bytes() == b"bad"


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((), {"a", "a/b", "a/b/c.ko", "ab"}),
        (("a",), {"a", "a/b", "a/b/c.ko"}),
        (("./a/b/", "ab"), {"a", "a/b", "a/b/c.ko", "ab"}),
        (("*.ko",), {"a", "a/b", "a/b/c.ko"}),
        (("/a?",), {"ab"}),
    ],
)
def test_patterns(tmp_path: Path, unpack: Unpack, patterns: tuple[str, ...], expected: set[str]) -> None:
    unpack(
        entry(b".", FOLDER) + entry(b"a", FOLDER) + entry(b"a/b", FOLDER) + entry(b"a/b/c.ko", FILE)
        + entry(b"ab", FILE), *patterns,
    )  # fmt: skip
    assert set(snapshot(tmp_path / "out")) == expected


def test_no_match(unpack: Unpack) -> None:
    with pytest.raises(ImageError, match="nothing in it matches .*; see mkpxeinit list"):
        unpack(entry(b"a", FILE), "b")


def test_sockets_and_devices_without_root(
    tmp_path: Path, unpack: Unpack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said = unpack(entry(b"c", 0o020600, device=(5, 1)) + entry(b"s", 0o140600) + entry(b"u", 0o104755, b"x"))
    assert said == ["c: a device, which only root can make; left out", "s: a socket; left out"]
    assert stat.S_IMODE((tmp_path / "out/u").stat().st_mode) == 0o755
