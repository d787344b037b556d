"""The wheel, installed into an empty environment, builds images from any folder."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.small import RELEASE, archives

# What a type checker has to find.
WRONG = """
from mkpxeinit import bake_image
ImageOptions(sysroot=1)
"""
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_wheel(tmp_path: Path, root: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            list(map(str, words)), cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    call(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        "dist",
        ROOT,
    )
    (wheel,) = (tmp_path / "dist").glob("mkpxeinit-*.whl")
    call(sys.executable, "-m", "venv", "venv")
    call(tmp_path / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    command = tmp_path / "venv/bin/mkpxeinit"
    call(command, "build", "--sysroot", root, "--compress", "none")
    _, _, client, _ = archives((tmp_path / f"pxeinit-{RELEASE}.img").read_bytes())
    init = (ROOT / "init/init").read_bytes()
    assert init in client
    for path in (ROOT / "init/lib").glob("*.sh"):
        assert path.read_bytes() in client
    call(tmp_path / "venv/bin/python", "-c", "import pxelab")
    data = next((tmp_path / "venv").glob("lib/python*/site-packages/mkpxeinit/data"))
    assert (data / "busybox-configs/applets.txt").read_bytes() == (
        ROOT / "busybox-configs/applets.txt"
    ).read_bytes()
    assert (data / "docs/client.md").read_bytes() == (ROOT / "docs/client.md").read_bytes()
    assert (data.parent / "py.typed").exists()
    call(tmp_path / "venv/bin/python", "-m", "mkpxeinit.manual", tmp_path / "manual")
    assert (tmp_path / "manual/man/pxeinit.7").exists()
    if importlib.util.find_spec("mypy") is None:
        return  # with the oldest dependencies there is none
    # As a program of somebody else sees it: the public interface has types, and so does what uses it.
    (tmp_path / "user.py").write_text((ROOT / "docs/examples/rebuild.py").read_text() + WRONG)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file", os.devnull]
    words = [*mypy, "--python-executable", str(tmp_path / "venv/bin/python"), "user.py"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 2 and '"bake_image"' in errors[0] and '"int"' in errors[1], (
        done.stdout + done.stderr
    )
