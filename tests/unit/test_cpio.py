"""Archives are read back by GNU cpio, which is not libarchive."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from pathlib import PurePosixPath as P
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libarchive import ffi

from mkpxeinit.errors import ImageError
from mkpxeinit.image import cpio
from mkpxeinit.image.entry import CharDevice, Directory, Entry, File, Symlink


def pack(items: Iterable[tuple[Entry, bytes]], mtime: int) -> bytes:
    """Return the whole archive."""
    archive = bytearray()
    cpio.write(items, mtime, archive.extend)
    return bytes(archive)


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack with GNU cpio, which must find nothing odd."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["cpio", "--extract", "--no-absolute-filenames", "--quiet"],
        input=archive, cwd=folder, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stderr == b""


def test_all_kinds(tmp_path: Path) -> None:
    items: list[tuple[Entry, bytes]] = [
        (Directory(P("d"), 0o1777), b""),
        (File(P("d/empty"), b"", 0o600), b""),
        (File(P("d/f"), b"", 0o755), b"12345"),
        (Symlink(P("d/l"), "../where/ever"), b""),
    ]
    unpack(pack(items, 0), tmp_path / "out")
    folder = tmp_path / "out/d"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert (folder / "empty").read_bytes() == b""
    assert (folder / "f").read_bytes() == b"12345"
    assert stat.S_IMODE((folder / "f").stat().st_mode) == 0o755
    assert str((folder / "l").readlink()) == "../where/ever"


def test_listing() -> None:
    """Owner root, the given time, the device's numbers."""
    archive = pack([(CharDevice(P("console"), 5, 1, 0o600), b""), (File(P("f"), b""), b"x")], 86400)
    said = subprocess.run(
        ["cpio", "--list", "--verbose", "--numeric-uid-gid", "--quiet"],
        input=archive, capture_output=True, check=True, env={"PATH": os.environ["PATH"], "TZ": "UTC"},
    ).stdout.decode()  # fmt: skip
    console, file = (line.split() for line in said.splitlines())
    assert console[:6] == ["crw-------", "1", "0", "0", "5,", "1"]
    assert file == ["-rw-r--r--", "1", "0", "0", "1", "Jan", "2", "1970", "f"]


def test_exact_bytes() -> None:
    """One file, as buffer-format.rst of the kernel describes it."""
    fields = [1, 0o100644, 0, 0, 1, 7, 3, 0, 0, 0, 0, 3, 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields)
    end = b"070701" + b"".join(b"%08x" % field for field in [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0])
    archive = pack([(File(P("ab"), b""), b"xyz")], 7)
    assert archive == head + b"ab\0" + b"\0" * 3 + b"xyz\0" + end + b"TRAILER!!!\0" + b"\0" * 3


def test_inodes_differ_and_links_are_one() -> None:
    archive = pack([(File(P(name), b""), b"") for name in "abc"], 0)
    heads = [archive[i : i + 110] for i in range(0, 3 * 112, 112)]
    assert [int(head[6:14], 16) for head in heads] == [1, 2, 3]
    assert [int(head[38:46], 16) for head in heads] == [1, 1, 1]


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_names_do_not_depend_on_the_locale(tmp_path: Path, locale: str) -> None:
    code = (
        "import sys; from pathlib import PurePosixPath as P\n"
        "from mkpxeinit.image import cpio; from mkpxeinit.image.entry import *\n"
        "name = 'gr\\xfc\\xdfe \\u20ac \\udcff'\n"
        "items = [(File(P(name), b''), b'x'), (Symlink(P('l'), name), b'')]\n"
        "cpio.write(items, 0, sys.stdout.buffer.write)"
    )
    env = {"PATH": os.environ["PATH"], "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    archive = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, check=True,
        cwd=Path(__file__).resolve().parents[2],
    ).stdout  # fmt: skip
    unpack(archive, tmp_path / "out")
    name = "grüße €".encode() + b" \xff"
    assert {os.fsencode(path.name) for path in (tmp_path / "out").iterdir()} == {name, b"l"}
    assert os.fsencode((tmp_path / "out/l").readlink()) == name


# (Debian 12's Hypothesis has these older names of the arguments only.)
NAMES = st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"])


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.text(NAMES, min_size=1, max_size=60)
        .filter(lambda name: name not in (".", "..", "TRAILER!!!") and len(name.encode()) < 200),
        st.binary(max_size=5000),
        max_size=8,
    )
)  # fmt: skip
def test_any_names_and_contents(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("out")
    items: list[tuple[Entry, bytes]] = [(Directory(P("d")), b"")]
    items += [(File(P("d") / name, b""), body) for name, body in files.items()]
    unpack(pack(items, 0), folder)
    assert {path.name: path.read_bytes() for path in (folder / "d").iterdir()} == files


def test_what_does_not_fit() -> None:
    with pytest.raises(ImageError, match="only files have content"):
        pack([(Directory(P("d")), b"x")], 0)
    with pytest.raises(ImageError, match="cannot be a name"):
        pack([(File(P("a\0b"), b""), b"")], 0)
    for time in (-1, 1 << 32):
        with pytest.raises(ImageError, match="time"):
            pack([], time)


def test_a_short_write_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """libarchive fills up with zeros in silence."""
    real = ffi.write_data
    monkeypatch.setattr(ffi, "write_data", lambda archive, body, size: real(archive, body, size - 1))
    with pytest.raises(ImageError, match="f: libarchive took 4 of 5 bytes"):
        pack([(File(P("f"), b""), b"12345")], 0)


def test_what_cannot_be_put_away_is_an_error_and_the_end() -> None:
    put: list[int] = []

    def full(data: memoryview) -> None:
        put.append(len(data))
        if len(put) == 3:
            raise KeyboardInterrupt("full")

    asked: list[int] = []

    def items() -> Iterator[tuple[Entry, bytes]]:
        for number in range(9):
            asked.append(number)
            yield File(P(f"f{number}"), b""), b"x" * 100

    with pytest.raises(KeyboardInterrupt, match="full"):
        cpio.write(items(), 0, full)
    assert len(put) == 3 and asked == [0]


@pytest.mark.parametrize("call", [0, 1, 3, 6])
def test_a_signal_at_the_edge_of_the_callback_comes_out(
    monkeypatch: pytest.MonkeyPatch, call: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """ctypes has nobody to give it to, and prints it; the archive goes on without those bytes."""
    take = cpio._Output._take
    calls: list[int] = []

    def interrupted(self: cpio._Output, *arguments: Any) -> int:
        calls.append(0)
        if len(calls) == call + 1:
            raise KeyboardInterrupt("at the edge")
        return take(self, *arguments)

    monkeypatch.setattr(cpio._Output, "_take", interrupted)
    usual = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt, match="at the edge"):
        pack([(File(P("a"), b""), b"12345"), (File(P("b"), b""), b"123")], 0)
    assert sys.unraisablehook is usual
    assert capfd.readouterr().err == ""


def test_an_error_of_the_contents_passes_and_nothing_more_is_written() -> None:
    archive = bytearray()

    def items() -> Iterator[tuple[Entry, bytes]]:
        yield File(P("f"), b""), b"12345"
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        cpio.write(items(), 0, archive.extend)
    assert archive.startswith(b"070701") and b"TRAILER" not in archive
