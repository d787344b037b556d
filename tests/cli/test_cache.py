"""`build` with its cache, through the command."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, command
from tests.unit.small import kernel_tree, make_tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree", kernel_tree())


def test_warm_is_cold_byte_for_byte(run: Run, root: Path, tmp_path: Path) -> None:
    for name in ("cold", "warm"):
        assert run("build", "--sysroot", root, "-o", tmp_path / name, "--cmdline", "quiet").code == 0
    assert (
        run("build", "--sysroot", root, "-o", tmp_path / "none", "--cmdline", "quiet", "--no-cache").code == 0
    )
    assert (tmp_path / "cold").read_bytes() == (tmp_path / "warm").read_bytes()
    assert (tmp_path / "cold").read_bytes() == (tmp_path / "none").read_bytes()
    assert list((tmp_path / "xdg/mkpxeinit/build").iterdir())


def test_no_cache_leaves_nothing(run: Run, root: Path, tmp_path: Path) -> None:
    assert run("build", "--sysroot", root, "--no-cache").code == 0
    assert not (tmp_path / "xdg").exists()


def test_a_dry_run_leaves_nothing(run: Run, root: Path, tmp_path: Path) -> None:
    assert run("build", "--sysroot", root, "--dry-run").code == 0
    assert not (tmp_path / "xdg").exists()


def test_the_folder_can_be_named(run: Run, root: Path, tmp_path: Path) -> None:
    assert run("build", "--sysroot", root, "--cache", tmp_path / "mine").code == 0
    assert list((tmp_path / "mine").iterdir())
    assert not (tmp_path / "xdg").exists()
    done = run("build", "--sysroot", root, "--cache", tmp_path / "mine", "--no-cache")
    assert done.code == 2
    assert done.stderr == "mkpxeinit: --no-cache and --cache: one of them only\n"


def test_a_folder_that_cannot_be_used_costs_only_time(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = run("build", "--sysroot", root, "-o", tmp_path / "image", "--cache", tmp_path / "file")
    assert done.code == 0
    assert f"mkpxeinit: {tmp_path}/file: nothing cached: File exists" in done.stderr
    assert (tmp_path / "image").stat().st_size > 1000


def test_another_client_is_another_image(run: Run, root: Path, tmp_path: Path) -> None:
    """A script of the client that changes comes into the next image, from the same cache."""
    source = Path(__file__).resolve().parents[2]
    if not (source / "mkpxeinit").is_dir() or Path(command()).parent != Path(sys.executable).parent:
        pytest.skip("the command under test is installed elsewhere")
    copy = tmp_path / "source"
    for name in ("mkpxeinit", "init", "busybox-configs"):
        shutil.copytree(source / name, copy / name)
    prefix = (sys.executable, "-c", _MAIN)
    env = {"PYTHONPATH": str(copy)}
    seen = []
    for text in ("", "# changed\n"):
        with (copy / "init/lib/root.sh").open("a") as file:
            file.write(text)
        for extra in ((), ("--no-cache",)):
            done = run("build", "--sysroot", root, "-o", tmp_path / "i", *extra, env=env, prefix=prefix)
            assert done.code == 0, done.stderr
            seen.append((tmp_path / "i").read_bytes())
    assert seen[0] == seen[1] != seen[2] == seen[3]


# Runs the mkpxeinit of PYTHONPATH; the command that the fixture names stands in its arguments.
_MAIN = "import sys; del sys.argv[1]; from mkpxeinit.__main__ import main; main()"


def test_publish_keeps_and_takes_the_same(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "tftp").mkdir()
    words = ("publish", "--sysroot", root, "--name", "pc", "--tftp-root", tmp_path / "tftp")
    assert run(*words, "--no-cache").code == 0
    assert not (tmp_path / "xdg").exists()
    assert run(*words, "--cmdline", "panic=1", "--cache", tmp_path / "mine").code == 0
    assert run(*words, "--cmdline", "panic=2").code == 0
    kept = sorted((tmp_path / "xdg/mkpxeinit/build").iterdir())
    assert [path.name for path in kept] == sorted(path.name for path in (tmp_path / "mine").iterdir())
    largest = max(kept, key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])
    done = run(*words, "--cmdline", "panic=3")
    assert done.code == 0 and f"mkpxeinit: {largest}: damaged; made anew" in done.stderr
    for number in range(1, 5):  # how it was made changes no image, and is not told
        said = json.loads((tmp_path / f"tftp/generations/pc.{number}/generation.json").read_text())
        assert set(said["options"]) <= {"cmdline"}
