"""Images of every make, and images that mean harm."""

import os
import subprocess
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mkpxeinit.errors import ImageError
from mkpxeinit.image import read
from mkpxeinit.image.catalogue import Catalogue
from mkpxeinit.image.read import Record, Segment, open_image
from tests.unit.images import PACKERS, TRAILER, archive, entry
from tests.unit.small import Link, Tree, make_tree

TEXT = "text\n" * 999
TREE: Tree = {"a/f": TEXT, "a/empty": "", "l": Link("a/f"), "d": None, "grüße": "x"}


def records(path: Path) -> tuple[list[tuple[Record, bytes]], list[Segment]]:
    with open_image(path) as image:
        found = [(each.record, b"".join(each.content)) for each in image.entries()]
        return found, image.segments


def refused(path: Path, data: bytes) -> str:
    """Return why the image `data` cannot be read, without the file's name."""
    path.write_bytes(data)
    with pytest.raises(ImageError) as caught:
        records(path)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("kind", PACKERS)
def test_every_compressor(tmp_path: Path, kind: str) -> None:
    """An early plain archive, two in one compressed part, then another part: as GNU cpio lists them."""
    one, two = (archive(make_tree(tmp_path / name, TREE)) for name in "ab")
    pack = PACKERS[kind]
    first = pack(one + two)
    early = one + bytes(512)
    (tmp_path / "image").write_bytes(early + first + bytes(-len(first) % 4 + 8) + pack(two) + bytes(3))
    found, segments = records(tmp_path / "image")
    listed = subprocess.run(["cpio", "-t", "--quiet"], input=one, capture_output=True, check=True).stdout
    assert [str(record.path) for record, _ in found] == listed.decode().split("\n")[:-1] * 4
    by_path = {str(record.path): (record, content) for record, content in found}
    assert by_path["a/f"][1] == TEXT.encode()
    assert by_path["l"][0].target == "a/f"
    status = (tmp_path / "b/a/f").stat()
    record = by_path["a/f"][0]
    assert (record.mode, record.uid, record.mtime) == (status.st_mode, status.st_uid, int(status.st_mtime))
    if kind != "none":
        assert [each.compression for each in segments] == ["none", kind, kind]
        assert [each.offset for each in segments] == [
            0,
            len(early),
            len(early) + len(first) + -len(first) % 4 + 8,
        ]
        assert segments[1].unpacked == len(one + two)


def test_trailer_and_last_padding_may_be_absent(tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(entry(b"a", 0o100644, b"12345")[:-3])
    assert [content for _, content in records(tmp_path / "i")[0]] == [b"12345"]


def test_the_variant_with_checksums(tmp_path: Path) -> None:
    """As `cpio -H crc` writes it; the kernel reads it and ignores the sums."""
    (tmp_path / "a").write_bytes(b"text")
    made = subprocess.run(
        ["cpio", "-o", "-H", "crc", "--quiet"], input=b"a\n", cwd=tmp_path, capture_output=True, check=True
    ).stdout
    assert made.startswith(b"070702")
    (tmp_path / "i").write_bytes(made)
    assert [(str(record.path), content) for record, content in records(tmp_path / "i")[0]] == [("a", b"text")]


def test_a_trailer_with_content(tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(entry(b"TRAILER!!!", 0, b"body") + entry(b"a", 0o100644, b"x"))
    assert [content for _, content in records(tmp_path / "i")[0]] == [b"x"]


def test_hard_links_of_two_file_systems(tmp_path: Path) -> None:
    """The same inode number on another device is another file; an empty link does not empty the others."""
    one, two = (entry(name, 0o100644, name, links=2, inode=9) for name in (b"a", b"b"))
    two = two[:62] + b"%08x" % 8 + two[70:]  # the device's major number
    (tmp_path / "i").write_bytes(one + two + entry(b"c", 0o100644, links=2, inode=9))
    catalogue = Catalogue(tmp_path / "i")
    for name, content in (("a", b"a"), ("b", b"b"), ("c", b"a")):
        assert b"".join(catalogue.content(catalogue.locate(name))) == content


def test_names_padded_with_nul(tmp_path: Path) -> None:
    """As mkinitramfs aligns the content of large files; and absolute names mean the same as relative ones."""
    (tmp_path / "i").write_bytes(entry(b"/a/./b" + bytes(70), 0o100644, b"x") + TRAILER)
    assert [str(record.path) for record, _ in records(tmp_path / "i")[0]] == ["a/b"]


@pytest.mark.parametrize("kind", PACKERS)
def test_cut_short(tmp_path: Path, kind: str) -> None:
    """At any byte: an error that names the place, or what an archive without its trailer may be."""
    data = entry(b"a", 0o100644, os.urandom(3000)) + TRAILER
    packed = PACKERS[kind](data)
    for size in range(1, len(packed) - 4, 97):
        if kind == "none" and size in range(3113, 3117):
            continue
        said = refused(tmp_path / "i", packed[:size])
        assert "byte 0" in said or kind == "none", said


GOOD = entry(b"ok", 0o100644, b"1234") + entry(b"", 0o40755)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty, there is no archive in it; the image is damaged or was not copied whole; copy or make"),
        (b"hello", "byte 0: neither a cpio archive nor compressed as kernels can read it; this is no initrd"),
        (TRAILER + b"\4\x22\x4d\x18", f"byte {len(TRAILER)}: neither a cpio archive nor compressed"),
        (b"\x89LZO\0\r\n\x1a\nxx", "lzo at byte 0: mkpxeinit cannot unpack lzo; unpack it with another"),
        (b"070707" + b"0" * 200, "byte 0: not a header of the cpio format newc"),
        (GOOD + b"070701" + b"+" * 104, f"byte {len(GOOD)}: not a header"),
        (entry(b"a", 0o100644, size=0xFFFFFFFF), "byte 0: an entry is cut short"),
        (entry(b"a", 0o120777, size=0xFFFFFFFF), "byte 0: a is a link of 4294967295 bytes"),
        (entry(b"a", 0o100644, length=0xFFFFFFFF), "byte 0: a name of 4294967295 bytes, where 1 to 4096"),
        (entry(b"a", 0o100644, length=0), "byte 0: a name of 0 bytes"),
        (entry(b"a", 0o100644, length=4096), "byte 0: an entry is cut short"),
        (entry(b"a\n", 0), "byte 0: a\\n has mode 0, which is no type of file"),
        (GOOD + entry(b"../../etc/passwd", 0o100644, b"x"), "byte 232: the name ../../etc/passwd leads out"),
        (entry(b"/a/../../x", 0o40755), "byte 0: the name /a/../../x leads out of the image"),
        (PACKERS["gzip"](GOOD + b"junk"), f"byte {len(GOOD)} of the gzip at byte 0: neither a cpio archive"),
        (PACKERS["gzip"](b"junk"), "byte 0 of the gzip at byte 0: neither a cpio archive nor zeros"),
        (PACKERS["gzip"](TRAILER)[:-8] + bytes(8), "gzip at byte 0: damaged: "),
        (bytes(4) + PACKERS["zstd"](b"x" * 99)[:9] + b"\xff" * 99, "zstd at byte 4: damaged: "),
        (PACKERS["xz"](b"x" * 99)[:30] + b"\xff" * 99, "xz at byte 0: damaged: "),
        (b"BZh9" + b"\xff" * 99, "bzip2 at byte 0: damaged: "),
    ],
)  # fmt: skip
def test_bad(tmp_path: Path, data: bytes, says: str) -> None:
    assert refused(tmp_path / "{i}", data).startswith(says)


def test_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, says in (
        ("no", "No such file or directory"),
        (".", "not a regular"),
        ("fifo", "not a regular"),
    ):
        with pytest.raises(ImageError, match=f"{name}: {says}"), open_image(tmp_path / name):
            pass
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(read.MAX_UNPACKED + 1)
    with pytest.raises(ImageError, match="larger than"), open_image(tmp_path / "huge"):
        pass


@pytest.mark.parametrize("kind", [kind for kind in PACKERS if kind != "none"])
def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(read, "MAX_UNPACKED", 20 << 20)
    # A piece of zstd may have 64 MiB; the others are unpacked by the megabyte, lz4 by eight.
    size, most = (150 << 20, 140 << 20) if kind == "zstd" else (48 << 20, 40 << 20)
    bomb = entry(b"a", 0o100644, size=0xF0000000) + bytes(size)
    packed = PACKERS[kind](bomb)
    del bomb
    (tmp_path / "i").write_bytes(packed)
    tracemalloc.start()
    try:
        says = f"{kind} at byte 0: the image unpacks to more than {20 << 20} bytes"
        with pytest.raises(ImageError, match=says), open_image(tmp_path / "i") as image:
            assert len(list(image.entries())) == 0
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("limit", "number"), [("MAX_ENTRIES", 3), ("MAX_SEGMENTS", 3), ("MAX_NAMES", 47)])
def test_limits_of_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, number: int) -> None:
    """Four archives with a name of two bytes and a link of ten; trailers do not count."""
    image = (entry(b"a", 0o120777, b"0123456789") + TRAILER) * 4
    monkeypatch.setattr(read, limit, number)
    assert f"more than {number} " in refused(tmp_path / "i", image)
    monkeypatch.setattr(read, limit, number + 1)
    assert len(records(tmp_path / "i")[0]) == 4


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.data())
def test_anything(tmp_path: Path, data: st.DataObject) -> None:
    """A good image with some bytes changed, and cut: an error of ours or a result, nothing else."""
    kind = data.draw(st.sampled_from([kind for kind in PACKERS if kind != "lz4"]))
    plain = GOOD + entry(b"l", 0o120777, b"ok") + TRAILER + bytes(5)
    image = bytearray(TRAILER + PACKERS[kind](plain) + plain)
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(image) - 1), st.integers(0, 255)), max_size=5)
    ):
        image[at] = value
    (tmp_path / "i").write_bytes(image[: data.draw(st.integers(0, len(image)))])
    with suppress(ImageError):
        records(tmp_path / "i")


def test_catalogue(tmp_path: Path) -> None:
    """The last wins; links are followed; content of hard links is where one of them has it."""
    image = (
        entry(b"usr/f", 0o100644, b"old") + entry(b"lib", 0o120777, b"/usr/../usr") + entry(b"usr", 0o40755)
        + entry(b"h1", 0o100644, links=2, inode=9) + entry(b"h2", 0o100644, b"shared", links=2, inode=9)
        + entry(b"alone", 0o100644, b"alone", inode=9) + entry(b"loop", 0o120777, b"loop") + TRAILER
        + entry(b"h3", 0o100644, b"other", links=2, inode=9) + entry(b"usr/f", 0o100644, b"new") + TRAILER
    )  # fmt: skip
    (tmp_path / "i").write_bytes(image)
    catalogue = Catalogue(tmp_path / "i")
    for name, content in (("lib/f", b"new"), ("/usr/f", b"new"), ("h1", b"shared"), ("h3", b"other")):
        assert b"".join(catalogue.content(catalogue.locate(name))) == content
    for name, says in (
        ("usr/g", "has no usr/g; close to it: usr/f"),
        ("loop", "too many"),
        ("lib", "not a reg"),
    ):
        with pytest.raises(ImageError, match=says):
            catalogue.locate(name)
