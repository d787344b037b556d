"""Images made to lead out of the folder: nothing outside it is ever made, changed or removed."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mkpxeinit.image.catalogue import Catalogue
from mkpxeinit.image.extract import extract
from tests.fuzz.bounds import ours_or_a_result
from tests.fuzz.mutation import CHANGES, Change, changed
from tests.fuzz.runs import SETTINGS, repeat
from tests.unit.images import TRAILER, entry
from tests.unit.small import Link, make_tree
from tests.unit.test_extract import snapshot

PARTS = st.sampled_from([b"a", b"b", b"l", b"..", b".", b"", b"beside", b"secret", b"n\nl", b"x" * 256])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(b"/".join)
NUMBERS = st.sampled_from([0, 0, 0, 1, 5, 255, 0x7FFFFFFF, 0xFFFFFFFF])
KINDS = (0o040000, 0o100000, 0o100000, 0o120000, 0o120000, 0o020000, 0o010000, 0o140000)
CHANGED: st.SearchStrategy[list[Change]] = st.one_of(st.just([]), st.just([]), CHANGES)


def targets(here: bytes) -> st.SearchStrategy[bytes]:
    """Return what links may point to; `out` in the folder `here` is unpacked into, `beside` is to stay."""
    known = [b"/", b"..", b"../..", b"/beside", b"/beside/secret", b"../beside/secret", b"a\0b", b""]
    return st.one_of(
        PATHS,
        PATHS.map(lambda path: b"../" + path),
        PATHS.map(lambda path: here + b"/" + path),
        st.sampled_from(known + [here + each for each in known]),
    )


@st.composite
def entries(draw: st.DrawFn, here: bytes) -> bytes:
    """Return an entry of any type under one of few names, so that they meet."""
    kind = draw(st.sampled_from(KINDS))
    name = draw(st.one_of(PATHS, PATHS, targets(here)))
    mode = kind | draw(st.sampled_from([0, 0o644, 0o777, 0o7777]))
    body = b""
    if kind == 0o120000:
        body = draw(targets(here))
    elif kind == 0o100000:
        body = draw(st.sampled_from([b"", b"bad"]))
    links = draw(st.sampled_from([1, 2])) if kind == 0o100000 else 1
    device = (draw(NUMBERS), draw(NUMBERS))
    data = entry(name, mode, body, links=links, inode=draw(st.integers(1, 2)), device=device)
    owner, group, when = (b"%08x" % draw(NUMBERS) for _ in range(3))
    return data[:22] + owner + group + data[38:46] + when + data[54:]


def images(here: Path) -> st.SearchStrategy[bytes]:
    """Return images of up to eight entries, in one archive or several."""
    one = entries(os.fsencode(here))
    return st.lists(st.one_of(one, one, one, st.just(TRAILER)), max_size=8).map(b"".join)


def test_nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = make_tree(tmp_path / "beside", {"secret": "secret", "a/b": "x", "l": Link("../out"), "b": None})
    before = snapshot(beside)
    out, image = tmp_path / "out", tmp_path / "image"

    @SETTINGS
    @given(images(tmp_path), CHANGED, st.sampled_from([0, 1000]), st.sampled_from([(), ("a*",)]))
    def run(data: bytes, changes: list[Change], user: int, patterns: tuple[str, ...]) -> None:
        image.write_bytes(changed(data, changes, [data]))
        make_tree(out, {"before": "mine"})
        (out / "to").symlink_to("../beside")
        try:
            monkeypatch.setattr(os, "geteuid", lambda: user if os.getuid() == 0 else os.getuid())
            with ours_or_a_result():
                for line in extract(image, out, patterns):
                    assert line.isprintable()
            assert snapshot(beside) == before
            assert {path.name for path in tmp_path.iterdir()} == {"beside", "image", "out"}
            assert (out / "before").read_bytes() == b"mine" and (out / "to").readlink() == Path("../beside")
        finally:
            shutil.rmtree(out)

    repeat(run)


def test_links_in_an_image(tmp_path: Path) -> None:
    """What `cat` finds is of the image, wherever links lead."""
    image = tmp_path / "image"

    @SETTINGS
    @given(images(tmp_path), targets(os.fsencode(tmp_path)))
    def run(data: bytes, name: bytes) -> None:
        image.write_bytes(data)
        with ours_or_a_result():
            catalogue = Catalogue(image)
            found = b"".join(catalogue.content(catalogue.locate(name.decode())))
            assert found in (b"", b"bad")

    repeat(run)
