"""Files and pipes that a user names."""

import os
from pathlib import Path

import pytest

from mkpxeinit.errors import HardwareError
from mkpxeinit.hardware import given, inventory


def test_a_file_and_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 200_000)
    (tmp_path / "l").symlink_to("f")
    assert given.read_given(tmp_path / "l", 200_000) == b"x" * 200_000
    assert not given.is_pipe(tmp_path / "l") and not given.is_pipe(tmp_path / "none")
    with pytest.raises(OSError, match="larger than 199999 bytes"):
        given.read_given(tmp_path / "l", 199_999)


def test_a_file_that_was_removed(tmp_path: Path) -> None:
    """As the shell makes for long here-documents: it is there as long as someone has it open."""
    with (tmp_path / "f").open("w+b", buffering=0) as file:
        file.write(b"text")
        (tmp_path / "f").unlink()
        assert given.read_given(Path(f"/proc/self/fd/{file.fileno()}"), 100) == b"text"


@pytest.mark.parametrize("name", ["/dev/null", "/dev/zero", "/"])
def test_neither_file_nor_pipe(name: str) -> None:
    with pytest.raises(OSError, match="neither a regular file nor a pipe"):
        given.read_given(Path(name), 100)


def test_pipe_with_too_much() -> None:
    ours, theirs = os.pipe()
    try:
        os.write(theirs, b"x" * 101)
        with pytest.raises(OSError, match="larger than 100 bytes"):
            given.read_given(Path(f"/proc/self/fd/{ours}"), 100)
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("opened", [False, True])
def test_pipe_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: bool) -> None:
    """A FIFO that nobody writes into, whether somebody has it open or not."""
    monkeypatch.setattr(given, "PATIENCE", 0.1)
    os.mkfifo(tmp_path / "fifo")
    writer = os.open(tmp_path / "fifo", os.O_RDWR) if opened else None
    try:
        with pytest.raises(HardwareError, match="fifo: not at its end after 0 s; is anything written"):
            inventory.read_inventory(tmp_path / "fifo")
    finally:
        if writer is not None:
            os.close(writer)
