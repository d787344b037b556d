import errno
import os
import stat
from pathlib import Path

import pytest

from mkpxeinit.errors import ImageError
from mkpxeinit.image.output import replacing


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(b"old")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_replaced_and_private(target: Path) -> None:
    previous = os.umask(0)
    try:
        with replacing(target) as file:
            file.write(b"new")
            assert target.read_bytes() == b"old"
    finally:
        os.umask(previous)
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert names(target.parent) == ["image"]


@pytest.mark.parametrize(
    "error", [RuntimeError, KeyboardInterrupt, SystemExit, OSError(errno.ENOSPC, "full")]
)
def test_old_one_stays_whatever_happens(target: Path, error: BaseException | type[BaseException]) -> None:
    expected = ImageError if isinstance(error, OSError) else error
    with pytest.raises(expected) as caught, replacing(target) as file:  # type: ignore[arg-type]
        file.write(b"half")
        raise error
    if isinstance(error, OSError):
        assert str(caught.value) == f"{target}: cannot write: full"
    assert target.read_bytes() == b"old"
    assert names(target.parent) == ["image"]


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_late_errors(target: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with (
        pytest.raises(ImageError, match="image: cannot write: Input/output error"),
        replacing(target) as file,
    ):
        file.write(b"new")
    assert target.read_bytes() == b"old"
    assert names(target.parent) == ["image"]


def test_a_link_stays_a_link(target: Path) -> None:
    link = target.with_name("link")
    link.symlink_to(target.name)
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_where_nothing_can_be_written(tmp_path: Path, target: Path) -> None:
    for path, cause in (
        (tmp_path / "no/folder/image", "No such file or directory"),
        (target / "image", "Not a directory"),
        (tmp_path, "not a regular file"),
        (Path("/dev/null"), "not a regular file"),
    ):
        with pytest.raises(ImageError, match=cause), replacing(path):
            raise AssertionError("not reached")
