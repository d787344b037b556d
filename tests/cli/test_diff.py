"""`mkpxeinit diff`: exact output for each kind of difference, and unpacked trees as the oracle."""

import json
import os
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.unit.images import PACKERS, TRAILER, entry
from tests.unit.small import RELEASE, kernel_tree, make_tree, unpack

FILE, FOLDER, LINK = 0o100644, 0o040755, 0o120777


def write(path: Path, *entries: bytes) -> Path:
    path.write_bytes(b"".join(entries) + TRAILER)
    return path


def test_every_kind_of_difference(run: Run, tmp_path: Path) -> None:
    old = write(
        tmp_path / "old",
        entry(b"a", FILE, b"gone"), entry(b"content", FILE, b"123"), entry(b"dev", 0o020600, device=(5, 1)),
        entry(b"etc", FOLDER), entry(b"etc/cmdline", FILE, b"panic=1\n"), entry(b"link", LINK, b"x"),
        entry(b"mode", 0o040755), entry(b"same", FILE, b"same"), entry(b"swap", FILE, b"123456789"),
    )  # fmt: skip
    new = write(
        tmp_path / "new",
        entry(b"b\n", FOLDER), entry(b"content", 0o100755, b"12345"), entry(b"dev", 0o020600, device=(5, 2)),
        entry(b"etc", FOLDER), entry(b"etc/cmdline", FILE), entry(b"link", LINK, b"y"),
        entry(b"mode", 0o041777), entry(b"same", FILE, b"same", inode=77), entry(b"swap", LINK, b"123456789"),
    )  # fmt: skip
    done = run("diff", old, new)
    assert (done.code, done.stderr) == (1, "")
    assert done.stdout.decode().splitlines() == [
        "command line: panic=1 -> empty",
        "- a: file of 4 bytes, mode 0644",
        r"+ b\n: folder, mode 0755",
        "! content: content, 3 -> 5 bytes (+2); mode 0644 -> 0755",
        "! dev: device 5:1 -> 5:2",
        "! etc/cmdline: content, 8 -> 0 bytes (-8)",
        "! link: target x -> y",
        "! mode: mode 0755 -> 1777",
        "! swap: file of 9 bytes, mode 0644 -> link to 123456789, mode 0777",
        "added: 1 entry, +0 bytes",
        "removed: 1 entry, -4 bytes",
        "changed: 6 entries, -15 bytes",
        "unpacked: 28 -> 9 bytes (-19)",
        f"image: {old.stat().st_size} -> {new.stat().st_size} bytes "
        f"({new.stat().st_size - old.stat().st_size:+})",
    ]


def test_owners(run: Run, tmp_path: Path) -> None:
    plain = entry(b"f", FILE, b"1")
    write(tmp_path / "old", plain)
    write(tmp_path / "new", plain[:22] + b"%08X%08X" % (7, 12) + plain[38:])
    done = run("diff", tmp_path / "old", tmp_path / "new")
    assert (done.code, done.stdout.decode().splitlines()[0]) == (1, "! f: owner 0:0 -> 7:12")


@pytest.mark.parametrize("packer", ["gzip", "xz", "zstd"])
def test_how_it_is_packed_is_no_difference(run: Run, tmp_path: Path, packer: str) -> None:
    """Another compressor, more archives, an entry that a later one replaces: the same image."""
    one, two = entry(b"one", FILE, b"1"), entry(b"two", FILE, b"2")
    write(tmp_path / "old", one, two)
    parts = [entry(b"one", FILE, b"other") + two + TRAILER, PACKERS[packer](one + TRAILER)]
    (tmp_path / "new").write_bytes(b"".join(part + bytes(-len(part) % 4) for part in parts))
    done = run("diff", tmp_path / "old", tmp_path / "new")
    assert (done.code, done.stdout, done.stderr) == (0, b"", "")


def test_links_on_the_way_and_hard_links(run: Run, tmp_path: Path) -> None:
    """What a folder's link leads to counts; hard links have one content, which weighs once."""
    old = [entry(b"usr", FOLDER), entry(b"usr/lib", FOLDER), entry(b"lib", LINK, b"usr/lib")]
    write(tmp_path / "old", *old, entry(b"usr/lib/f", FILE, b"1234"))
    write(tmp_path / "new", *old, entry(b"lib/f", FILE, b"1234"))
    assert run("diff", tmp_path / "old", tmp_path / "new").stdout == b""
    both = [entry(name, FILE, body, links=2, inode=9) for name, body in ((b"h1", b""), (b"h2", b"1234"))]
    write(tmp_path / "linked", *both)
    write(tmp_path / "apart", entry(b"h1", FILE, b"1234"), entry(b"h2", FILE, b"1234"))
    assert run("diff", tmp_path / "linked", tmp_path / "apart").code == 0
    lines = run("diff", write(tmp_path / "none"), tmp_path / "linked").stdout.decode().splitlines()
    assert lines[:3] == [
        "+ h1: file of 4 bytes, mode 0644",
        "+ h2: file of 4 bytes, mode 0644",
        "added: 2 entries, +4 bytes",
    ]


def facts(folder: Path) -> dict[str, object]:
    """Return what a folder holds, without mkpxeinit's help."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        what: object = status.st_rdev
        if stat.S_ISREG(status.st_mode):
            what = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            what = str(path.readlink())
        found[str(path.relative_to(folder))] = (status.st_mode, what)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="GNU cpio makes device nodes as root only")
def test_images_of_ours(run: Run, root: Path, tmp_path: Path) -> None:
    """Two real builds; GNU cpio unpacks both, and the folders are compared."""
    (tmp_path / "pc").write_text("00:03.0 0200: 8086:1000\n")
    old, new = tmp_path / "old", tmp_path / "new"
    assert run("build", "--sysroot", root, "-o", old).code == 0
    make_tree(root, {"lib/firmware/x": "1"})
    assert (
        run("build", "--sysroot", root, "-o", new, "--hardware", tmp_path / "pc", "--cmdline", "a").code == 0
    )
    before, after = (facts(unpack(image.read_bytes(), tmp_path / f"{image.name}.d")) for image in (old, new))
    done = run("diff", "--json", old, new)
    assert (done.code, done.stderr) == (1, "")
    said = json.loads(done.stdout)
    assert {each["path"]: each["change"] for each in said["changes"]} == {
        path: "added" if path not in before else "removed" if path not in after else "changed"
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }
    assert [each["path"] for each in said["changes"]] == sorted(
        (each["path"] for each in said["changes"]), key=lambda path: path.split("/")
    )
    assert said["old"]["cmdline"] == "" and said["new"]["cmdline"] == "a"
    assert said["old"]["releases"] == [RELEASE] and said["old"]["version"] == "0.1.0"
    assert said["new"]["packed"] == new.stat().st_size
    sizes = [sum(len(w) for m, w in tree.values() if stat.S_ISREG(m)) for tree in (before, after)]  # type: ignore
    assert [said["old"]["unpacked"], said["new"]["unpacked"]] == sizes
    assert sum(total["bytes"] for total in said["totals"].values()) == sizes[1] - sizes[0]
    (cmdline,) = (each for each in said["changes"] if each["path"] == "etc/cmdline")
    assert cmdline["new"] == {
        "type": "file", "mode": "0644", "owner": [0, 0], "size": 2, "target": None, "device": None,
        "sha256": "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7",
    }  # fmt: skip


def test_two_releases(run: Run, tmp_path: Path) -> None:
    for release in ("6.1", "6.2"):
        root = make_tree(tmp_path / release, kernel_tree(release))
        assert run("build", "--sysroot", root, "-o", tmp_path / f"{release}.img").code == 0
    images = (tmp_path / "6.1.img", tmp_path / "6.2.img")
    apart = run("diff", *images).stdout.decode().splitlines()
    assert apart[0] == "kernel: 6.1 -> 6.2"
    assert len([line for line in apart if "/nfs.ko: " in line]) == 2
    paths = [
        line.split(": ")[0] for line in run("diff", "--across-releases", *images).stdout.decode().splitlines()
    ]
    assert [path for path in paths if path.startswith(("+", "-", "!"))] == [
        "! etc/pxeinit/release", "! lib/pxeinit/reasons/modules",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["a"], 2, "Missing argument 'NEW'"),
        (["a", "none"], 1, "none: No such file or directory"),
        (["a", "short"], 1, "short: byte 0: an entry is cut short; the image is damaged or was not"),
        (["--across-releases", "a", "a"], 1, "a: no modules in it; --across-releases wants those of one"),
    ],
)
def test_refused(run: Run, tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    write(tmp_path / "cwd/a", entry(b"a", FILE, b"x"))
    (tmp_path / "cwd/short").write_bytes(entry(b"a", FILE, size=99))
    done = run("diff", *arguments)
    assert (done.code, done.stdout) == (code, b"")
    assert done.stderr.startswith(f"mkpxeinit: {says}") and done.stderr.count("\n") == 1
