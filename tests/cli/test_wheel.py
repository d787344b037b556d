"""The wheel, installed into an empty environment, builds images from any folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.small import RELEASE, archives

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
