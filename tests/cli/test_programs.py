"""`build --program`, `--file` and the options of drop-ins."""

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.unit.linked import GLIBC, linked
from tests.unit.small import Link, make_tree

FRAGMENT = """
modules = ["weak"]
programs = ["tool"]
[[files]]
source = "conf"
target = "/etc/tool/"
[[hooks]]
phase = "lease"
script = "go"
"""


@pytest.fixture
def root(root: Path) -> Path:
    """The small tree, with a program, its library and its loader."""
    programs: dict[str, str | bytes | Link | None] = {
        "usr/bin/tool": linked(["libx.so.1"], interpreter=GLIBC, runpath="$ORIGIN/../tools"),
        "usr/bin/bad": linked(["libgone.so.1"], interpreter=GLIBC),
        "usr/tools/libx.so.1": linked(soname="libx.so.1"),
        "lib64/ld-linux-x86-64.so.2": linked(),
        "etc/greeting": "hello",
    }
    make_tree(root, programs)
    for path in programs:
        (root / path).chmod(0o755)
    return root


def fragments(folder: Path, text: str = FRAGMENT) -> Path:
    return make_tree(folder, {"site.toml": text, "conf/a": "A", "go": "#!/bin/sh\n"})


def test_all_of_it(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "motd").write_text("hi")
    words = ["--program", "/usr/bin/tool", "--file", f"{tmp_path}/motd:/etc/motd", "--file", "/etc/greeting"]
    done = run("build", "--sysroot", root, "-o", "image", *words, "--drop-in-dir", fragments(tmp_path / "d"))
    assert done.code == 0, done.stderr
    listed = run("list", "-l", "image").stdout.decode()
    for line in ("bin/tool -> ../usr/bin/tool", "usr/tools/libx.so.1", "lib64/ld-linux-x86-64.so.2"):
        assert f" {line}\n" in listed
    for path, text in (
        ("etc/motd", b"hi"),
        ("etc/greeting", b"hello"),
        ("etc/tool/conf/a", b"A"),
        ("lib/pxeinit/hooks/lease/50-go", b"#!/bin/sh\n"),
        ("etc/pxeinit/modules", b"weak\n"),
    ):
        assert run("cat", "image", path).stdout == text, path
    said = run("build", "--sysroot", root, "--dry-run", "-v", *words, "--drop-in-dir", tmp_path / "d").stdout
    reasons = dict(line.split("\t") for line in said.decode().splitlines())
    reasons = {path.split()[1]: reason for path, reason in reasons.items()}
    assert reasons["usr/tools/libx.so.1"] == "library of /usr/bin/tool ← --program"
    assert reasons["etc/motd"] == reasons["etc/greeting"] == "--file"
    assert reasons["lib/pxeinit/hooks/lease/50-go"] == reasons["etc/tool/conf/a"] == "drop-in site.toml"
    assert next(r for p, r in reasons.items() if p.endswith("/weak.ko")) == "drop-in site.toml"


def test_the_same_bytes_from_other_folders(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "motd").write_text("hi")
    fragments(tmp_path / "d")
    (tmp_path / "other").mkdir()
    for name in ("tree", "motd", "d"):
        source, copy = tmp_path / name, tmp_path / "other" / name
        _ = shutil.copytree(source, copy, symlinks=True) if source.is_dir() else shutil.copy2(source, copy)
    sums = set()
    for base in (tmp_path, tmp_path / "other"):
        words = ["--file", f"{base}/motd:/etc/motd", "--drop-in-dir", base / "d", "-o", base / "image"]
        done = run("build", "--sysroot", base / "tree", *words)
        assert done.code == 0, done.stderr
        sums.add(hashlib.sha256((base / "image").read_bytes()).hexdigest())
    assert len(sums) == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--program", "none"], 1, "tree/: no program 'none' in /usr/local/sbin, "),
        (["--program", "bad"], 1, "tree/usr/bin/bad: needs the library libgone.so.1, which the tree lacks; "),
        (["--program", "/etc/greeting"], 1, "tree/etc/greeting: neither an ELF program nor a script"),
        (["--file", "a:b:c"], 2, "Invalid value for '--file': --file a:b:c: more than one colon"),
        (["--file", "none:/etc/x"], 1, "none: No such file or directory (--file)"),
        (["--file", "/etc/greeting:/init"], 1, "No such file or directory"),
        (["--drop-in-dir", "none"], 1, "none: No such file or directory; a folder with fragments"),
        (["--drop-in-dir", "d", "--no-drop-ins"], 2, "--no-drop-ins and --drop-in-dir: one of them only"),
        (["--drop-in-dir", "d"], 1, "d/site.toml:1: "),
    ],
)
def test_errors(run: Run, root: Path, tmp_path: Path, words: list[str], code: int, says: str) -> None:
    fragments(tmp_path / "cwd/d", "x x\n")
    done = run("build", "--sysroot", root, "-o", "image", *words)
    assert done.code == code and says in done.stderr and done.stderr.count("\n") == 1, done
    assert not (tmp_path / "cwd/image").exists()


def test_ours_is_not_replaced(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "motd").write_text("hi")
    for place in (
        "init",
        "bin/busybox",
        "sbin/modprobe",
        "etc/cmdline",
        "lib/pxeinit/root.sh",
        "lib",
        "dev/null",
    ):
        done = run("build", "--sysroot", root, "-o", "image", "--file", f"{tmp_path}/motd:/{place}")
        wanted = 2 if place == "dev/null" else 1
        assert done.code == wanted and ("in the image already" in done.stderr or wanted == 2), done


def test_a_module_that_a_fragment_wants_in_vain(run: Run, root: Path, tmp_path: Path) -> None:
    folder = fragments(tmp_path / "d", 'modules = ["r816"]\n')
    done = run("build", "--sysroot", root, "-o", "image", "--drop-in-dir", folder)
    says = "mkpxeinit: drop-in site.toml: module r816: kernel 6.1.0-1-test has no such module; close to it: "
    assert done.code == 1 and done.stderr.startswith(says)
