"""list, cat and extract, on an image of ours and on what is none."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.unit.images import TRAILER, entry
from tests.unit.small import RELEASE, unpack

DRIVER = f"lib/modules/{RELEASE}/kernel/fs/nfs/nfs.ko"


@pytest.fixture
def image(run: Run, root: Path, tmp_path: Path) -> Path:
    """An image of ours."""
    assert run("build", "--sysroot", root, "-o", tmp_path / "image", "--cmdline", "panic=30").code == 0
    return tmp_path / "image"


def test_list(run: Run, root: Path, image: Path) -> None:
    """The names are those that the dry run promised."""
    dry = run("build", "--sysroot", root, "--dry-run", "--cmdline", "panic=30").stdout.decode().splitlines()
    done = run("list", image)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.decode().splitlines() == [line.split()[1] for line in dry]


def test_list_long(run: Run, image: Path) -> None:
    lines = run("list", "-l", image).stdout.decode().splitlines()
    assert "lrwxrwxrwx  1    0    0         7 1970-01-01 00:00 bin/sh -> busybox" in lines
    assert "crw-------  1    0    0       5,1 1970-01-01 00:00 dev/console" in lines
    assert "drwxrwxrwt  2    0    0         0 1970-01-01 00:00 tmp" in lines
    assert any(
        re.fullmatch(rf"-rw-r--r--  1    0    0 +\d+ 1970-01-01 00:00 {DRIVER}", line) for line in lines
    )


def test_list_sizes(run: Run, image: Path, tmp_path: Path) -> None:
    lines = run("list", "--sizes", image).stdout.decode().splitlines()
    assert [line.split()[-1] for line in lines[1:5]] == ["zstd"] * 4
    assert lines[5] == "" and lines[6] == "     bytes  files kind"
    drivers = [path.stat().st_size for path in unpack(image.read_bytes(), tmp_path / "o").rglob("*.ko")]
    assert lines[7].split() == [str(sum(drivers)), str(len(drivers)), "drivers"]
    sizes = [int(line.split()[0]) for line in lines[12:]]
    assert sizes == sorted(drivers, reverse=True)


def test_cat(run: Run, image: Path, root: Path) -> None:
    done = run("cat", image, "etc/cmdline", "/bin/sh")
    assert done.code == 0
    assert done.stdout == b"panic=30\n" + (root / "bin/busybox").read_bytes()


def test_extract(run: Run, image: Path, root: Path, tmp_path: Path) -> None:
    done = run("extract", image, "-C", tmp_path / "o/new", DRIVER, "etc/cmd*")
    assert (done.code, done.stdout, done.stderr) == (0, b"", "")
    files = {
        path.relative_to(tmp_path / "o/new") for path in (tmp_path / "o/new").rglob("*") if path.is_file()
    }
    assert files == {Path(DRIVER), Path("etc/cmdline")}
    assert (tmp_path / "o/new" / DRIVER).read_bytes() == (root / DRIVER).read_bytes()
    assert run("extract", image, "init").code == 0
    assert (tmp_path / "cwd/init").is_file()


def test_odd_names(run: Run, tmp_path: Path) -> None:
    """One line each, whatever is in them, also twice the same; the last of these counts."""
    names = (b"/abs/a\nb", b"\x1b[2J", b"gr\xc3\xbc\xc3\x9fe", b"\xff", b"twice", b"twice")
    image = b"".join(entry(name, 0o100644, b"%d" % at) for at, name in enumerate(names))
    (tmp_path / "cwd/odd").write_bytes(image + TRAILER)
    done = run("list", "odd")
    lines = [
        "abs/a\\nb",
        "\\x1b[2J",
        "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}\N{LATIN SMALL LETTER SHARP S}e",
    ]
    assert done.stdout.decode().splitlines() == [*lines, "\\udcff", "twice", "twice"]
    assert run("cat", "odd", "abs/a\nb", "twice").stdout == b"05"
    done = run("extract", "odd", "-C", "out")
    assert (done.code, done.stderr) == (0, "")
    found = {
        path.relative_to(tmp_path / "cwd/out"): path.read_bytes() for path in files(tmp_path / "cwd/out")
    }
    assert found[Path("abs/a\nb")] == b"0" and found[Path("twice")] == b"5" and len(found) == 5


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["list"], 2, "Missing argument 'IMAGE'"),
        (["cat", "image"], 2, "Missing argument 'PATH"),
        (["list", "-l", "--sizes", "image"], 2, "-l, --sizes and --json exclude each other"),
        (["list", "no"], 1, "no: No such file or directory"),
        (["list", "."], 1, ".: not a regular file; give the file of an image"),
        (["list", "short"], 1, "short: byte 0: an entry is cut short; the image is damaged or was not"),
        (["list", "evil"], 1, "evil: byte 0: the name ../../etc/passwd leads out of the image"),
        (["extract", "evil"], 1, "evil: byte 0: the name ../../etc/passwd leads out of the image"),
        (["extract", "-C", "short", "good"], 1, "short: not a folder; choose another one to unpack into"),
        (["cat", "good", "aa"], 1, "good: has no aa; close to it: a"),
        (["cat", "evil", "etc/passwd"], 1, "evil: byte 0: the name ../../etc/passwd leads out of the image"),
        (["list", "--sizes", "short"], 1, "short: byte 0: an entry is cut short; "),
        (["cat", "short", "a"], 1, "short: byte 0: an entry is cut short; "),
        (["extract", "odd"], 1, "odd: byte 0: a\\nb has mode 0, which is no type of file; "),
        (["list", "image.png"], 1, "image.png: byte 0: neither a cpio archive nor compressed as kernels can"),
        (["list", "empty"], 1, "empty: empty, there is no archive in it; "),
    ],
)
def test_refused(run: Run, tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    folder = tmp_path / "cwd"
    (folder / "image").write_bytes(TRAILER)
    (folder / "good").write_bytes(entry(b"a", 0o100644, b"x"))
    (folder / "short").write_bytes(entry(b"a", 0o100644, size=99))
    (folder / "odd").write_bytes(entry(b"a\nb", 0))
    (folder / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    (folder / "empty").write_bytes(b"")
    (folder / "evil").write_bytes(entry(b"../../etc/passwd", 0o100644, b"x"))
    done = run(*arguments)
    assert done.code == code
    assert done.stderr.startswith(f"mkpxeinit: {says}") and done.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"cwd"}
