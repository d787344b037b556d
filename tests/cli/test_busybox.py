"""`mkpxeinit busybox`, on a source whose Makefile only copies a program; the real one is in tests/lab."""

import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from mkpxeinit import busybox_config
from tests.cli.conftest import Done, Run
from tests.unit.small import busybox, make_tree, needed_applets

LIST = Path(__file__).parents[2] / "busybox-configs/applets.txt"
OPTIONAL = [word[1:] for word in LIST.read_text().split() if word.startswith("?")]
ALL = sorted({*needed_applets(), *OPTIONAL, *busybox_config.EXTRA_APPLETS, "ash", "busybox"})
MAKEFILE = """
mrproper:
	@test ! -e ../../ran-twice
oldconfig:
	@grep -q '^CONFIG_ASH=y' .config && echo CONFIG_ED=y >> .config
busybox:
	@grep -q '^# CONFIG_ED is not set' .config && test "$$SOURCE_DATE_EPOCH" = {epoch} && cp made busybox
"""


@pytest.fixture(autouse=True)
def tools() -> None:
    for name in ("make", "gcc"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    if not Path("/usr/include/linux/version.h").exists():
        pytest.skip("no kernel headers")


def source(folder: Path, made: bytes | None = None, makefile: str = MAKEFILE, epoch: int = 0) -> Path:
    return make_tree(
        folder,
        {
            "Makefile": makefile.replace("{epoch}", str(epoch)),
            "Config.in": "",
            "libbb/appletlib.c": "",
            "scripts/kconfig/Makefile": "",
            "made": busybox(ALL) if made is None else made,
            ".config": "CONFIG_OLD=y\n",
        },
    )


def call(run: Run, given: Path, output: Path, *more: str, **environment: str) -> Done:
    return run("busybox", "--source", given, "--output", output, "--compiler", "gcc", *more, env=environment)


def test_folder_and_archive(run: Run, tmp_path: Path) -> None:
    folder = source(tmp_path / "source")
    before = sorted(path.name for path in folder.rglob("*"))
    done = call(run, folder, tmp_path / "one")
    assert done.code == 0, done
    assert (tmp_path / "one").read_bytes() == busybox(ALL)
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o755
    assert f"{tmp_path}/one: {len(ALL)} applets, {len(busybox(ALL))} bytes" in done.stderr
    # The source is only read.
    assert sorted(path.name for path in folder.rglob("*")) == before
    assert (folder / ".config").read_text() == "CONFIG_OLD=y\n"
    with tarfile.open(tmp_path / "source.tar.gz", "w:gz") as archive:
        archive.add(folder, "busybox-1.0")
    done = call(run, tmp_path / "source.tar.gz", tmp_path / "two")
    assert done.code == 0 and (tmp_path / "two").read_bytes() == busybox(ALL), done


def test_the_date_goes_in(run: Run, tmp_path: Path) -> None:
    done = call(run, source(tmp_path / "source", epoch=77), tmp_path / "out", SOURCE_DATE_EPOCH="77")
    assert done.code == 0, done


def refused(run: Run, given: Path, tmp_path: Path, *more: str, **environment: str) -> str:
    """Return the one line of a failure that leaves the old busybox, and nothing else, as it was."""
    output = tmp_path / "out/busybox"
    output.parent.mkdir()
    output.write_bytes(b"old")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done = call(run, given, output, *more, **{"TMPDIR": str(scratch), **environment})
    assert done.code == 1 and done.stdout == b"", done
    assert [path.name for path in output.parent.iterdir()] == ["busybox"] and output.read_bytes() == b"old"
    assert list(scratch.iterdir()) == []
    (line,) = done.stderr.splitlines()
    return line.removeprefix("mkpxeinit: ")


def test_an_applet_is_missing(run: Run, tmp_path: Path) -> None:
    made = busybox([name for name in ALL if name not in ("udhcpc6", "tar")])
    assert "the busybox that was built lacks tar, udhcpc6" in refused(
        run, source(tmp_path / "s", made), tmp_path
    )


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (b"#!/bin/sh\n", "not an ELF file"),
        (busybox(ALL, interpreter="/lib/ld-musl.so.1"), "dynamic, needs /lib/ld-musl.so.1"),
        (busybox(ALL) + bytes(700_000), "more than 700000"),
    ],
)
def test_not_what_was_wanted(run: Run, tmp_path: Path, made: bytes, says: str) -> None:
    assert says in refused(run, source(tmp_path / "s", made), tmp_path)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("cc1.c:1:2: error: oh\\033[31m no", "make busybox: cc1.c:1:2: error: oh"),
        ("fatal: cannot write: No space left on device", "No space left on device"),
    ],
)
def test_the_compilers_word(run: Run, tmp_path: Path, rule: str, says: str) -> None:
    makefile = f"mrproper oldconfig:\n\t@:\nbusybox:\n\t@printf 'begin\\n{rule}\\nend\\n'; exit 1\n"
    said = refused(run, source(tmp_path / "s", makefile=makefile), tmp_path)
    assert says in said and "\033" not in said


def test_no_source(run: Run, tmp_path: Path) -> None:
    make_tree(tmp_path / "other", {"Makefile": "all:\n"})
    assert refused(run, tmp_path / "other", tmp_path) == (
        f"{tmp_path}/other: not a source of busybox: no Config.in in it; give its folder or its tar archive"
    )


@pytest.mark.parametrize("data", [b"", b"not an archive", b"\x1f\x8b\x08\0\0\0"])
def test_no_archive(run: Run, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(data)
    assert f"{tmp_path}/x.tar: not a source of busybox: " in refused(run, tmp_path / "x.tar", tmp_path)


def test_nothing_there(run: Run, tmp_path: Path) -> None:
    assert refused(run, tmp_path / "none", tmp_path).startswith(f"{tmp_path}/none: No such file or directory")


@pytest.mark.parametrize(
    ("name", "kind", "target"),
    [
        ("../../evil", tarfile.REGTYPE, ""),
        ("/tmp/evil", tarfile.REGTYPE, ""),
        ("x/../../../evil", tarfile.REGTYPE, ""),
        ("busybox", tarfile.SYMTYPE, "/"),
        ("busybox", tarfile.LNKTYPE, "/etc/passwd"),
        ("busybox", tarfile.CHRTYPE, ""),
        ("busybox", tarfile.FIFOTYPE, ""),
    ],
)
def test_a_hostile_archive_stays_in_its_folder(
    run: Run, tmp_path: Path, name: str, kind: bytes, target: str
) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)
    said = refused(run, tmp_path / "x.tar", tmp_path)
    assert f"not a source of busybox: {name} " in said
    assert not list(tmp_path.rglob("evil"))
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize("opened", [gzip.open, bz2.open, lzma.open])
def test_a_damaged_archive(run: Run, tmp_path: Path, opened: Callable[[Path, str], BinaryIO]) -> None:
    """In the middle: its beginning is good."""
    path = tmp_path / "x.tar"
    with opened(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for number in range(20):
            member = tarfile.TarInfo(f"busybox/{number}")
            member.size = 50_000
            archive.addfile(member, io.BytesIO(random.Random(number).randbytes(member.size)))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    assert refused(run, path, tmp_path).startswith(f"{path}: ")


def test_an_archive_of_no_time(run: Run, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("busybox/file")
        member.mtime = 10**30
        archive.addfile(member)
    assert "not a source of busybox: " in refused(run, tmp_path / "x.tar", tmp_path)


def test_an_archive_with_a_file_twice(run: Run, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("busybox/file"))
    assert "File exists" in refused(run, tmp_path / "x.tar", tmp_path)


def test_no_compiler(run: Run, tmp_path: Path) -> None:
    said = refused(run, source(tmp_path / "s"), tmp_path, "--compiler", "no-such-cc")
    assert said.startswith("no-such-cc: no such program in /") and "--compiler" in said


@pytest.mark.parametrize("compiler", ["", "gcc -O3", "gcc;true", "$(gcc)", "a\nb"])
def test_odd_compilers_are_wrong_usage(run: Run, tmp_path: Path, compiler: str) -> None:
    done = call(run, tmp_path, tmp_path / "out", "--compiler", compiler)
    assert done.code == 2 and "--compiler" in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_no_space(run: Run, tmp_path: Path) -> None:
    """A disk that is full, in a namespace of its own, as it is."""
    folder = source(tmp_path / "s", busybox(ALL) + bytes(300_000))
    full = tmp_path / "full"
    full.mkdir()
    script = 'mount -t tmpfs -o size=200k tmpfs "$TMPDIR" && exec "$@"'
    words = ("--source", folder, "--output", tmp_path / "out", "--compiler", "gcc")
    done = run(
        "busybox", *words, env={"TMPDIR": str(full)}, prefix=("unshare", "--mount", "sh", "-c", script, "sh")
    )
    assert done.code == 1 and "No space left on device" in done.stderr, done
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_help_says_that_it_runs_the_source(run: Run) -> None:
    said = " ".join(run("busybox", "--help").stdout.decode().split())
    assert "Building RUNS what the source brings" in said
