"""Images of initramfs-tools and dracut, whole: GNU cpio says what is in them."""

import hashlib
import json
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from mkpxeinit.cli.main import group
from tests.unit.images import TRAILER
from tests.unit.small import archives

pytestmark = [
    pytest.mark.tree,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="making a tree needs root"),
]


@dataclass(frozen=True)
class Foreign:
    """An image, what the tools list in it, and the folder into which GNU cpio unpacked it."""

    path: Path
    names: list[str]
    folder: Path


@pytest.fixture(scope="module", params=["initramfs-tools", "initramfs-tools trixie", "dracut"])
def foreign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    from pxelab import initrds, trees

    tool, _, suite = request.param.partition(" ")
    path: Path | None
    if tool == "dracut":
        path = initrds.dracut("bookworm")
    else:
        path = next((Path(trees.debian(suite or "bookworm")) / "boot").glob("initrd.img-*"), None)
        if path is None:
            pytest.skip("this tree has no image of initramfs-tools")
    folder = tmp_path_factory.mktemp("foreign")
    names = []
    for archive in archives(path.read_bytes()):
        listed = subprocess.run(["cpio", "-t", "--quiet"], input=archive, capture_output=True, check=True)
        names += listed.stdout.decode().splitlines()
        words = ["cpio", "-i", "--quiet", "--no-absolute-filenames", "--unconditional", "-m"]
        subprocess.run(words, input=archive, cwd=folder, check=True, capture_output=True)
    return Foreign(path, names, folder)


def run(*words: str | Path) -> bytes:
    done = CliRunner().invoke(group, [str(word) for word in words], standalone_mode=False)
    assert done.exception is None, done.output
    return done.stdout_bytes


def test_list(foreign: Foreign) -> None:
    assert len(foreign.names) > 1000
    assert run("list", foreign.path).decode().splitlines() == foreign.names


def test_cat(foreign: Foreign) -> None:
    """Every hundredth file, and the init."""
    files = [name for name in foreign.names if (foreign.folder / name).is_file()]
    files = [name for name in files if not (foreign.folder / name).is_symlink()]
    chosen = ["init" if "init" in files else "usr/lib/systemd/systemd", *files[::100]]
    said = run("cat", foreign.path, *chosen)
    assert said == b"".join((foreign.folder / name).read_bytes() for name in chosen)


def test_extract(foreign: Foreign, tmp_path: Path) -> None:
    run("extract", foreign.path, "-C", tmp_path / "ours")
    theirs = {str(path.relative_to(foreign.folder)): path for path in foreign.folder.rglob("*")}
    ours = {str(path.relative_to(tmp_path / "ours")): path for path in (tmp_path / "ours").rglob("*")}
    assert theirs.keys() == ours.keys()
    for name, path in theirs.items():
        assert facts(ours[name]) == facts(path), name


def facts(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    what: object = status.st_rdev
    if stat.S_ISREG(status.st_mode):
        what = hashlib.sha256(path.read_bytes()).hexdigest()
    elif stat.S_ISLNK(status.st_mode):
        what = str(path.readlink())
    return oct(status.st_mode), status.st_uid, status.st_gid, what


def test_diff(foreign: Foreign, tmp_path: Path) -> None:
    """Against nothing, all of it is new; against itself, nothing is."""
    assert run("diff", foreign.path, foreign.path) == b""
    (tmp_path / "empty").write_bytes(TRAILER)
    said = json.loads(run("diff", "--json", tmp_path / "empty", foreign.path))
    added = {each["path"]: each["new"] for each in said["changes"]}
    assert set(foreign.names) - {"."} <= added.keys()
    for name in foreign.names:
        path = foreign.folder / name
        if path.is_file() and not path.is_symlink():
            assert added[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
