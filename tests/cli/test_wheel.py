"""The wheel, installed into an empty environment, builds images from any folder."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.small import RELEASE, archives

# What a type checker has to find.
WRONG = """
from mkpxeinit import bake_image
ImageOptions(sysroot=1)
"""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Place:
    """A folder outside of the checkout, where nothing says where Python is to look."""

    folder: Path

    def call(self, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        argv = list(map(str, words))
        done = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done


@pytest.mark.slow
def test_wheel(tmp_path: Path, root: Path) -> None:
    place = Place(tmp_path)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    place.call(*pip, "-w", "dist", ROOT)
    (wheel,) = (tmp_path / "dist").glob("mkpxeinit-*.whl")
    place.call(sys.executable, "-m", "venv", "venv")
    place.call(tmp_path / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    command = tmp_path / "venv/bin/mkpxeinit"
    place.call(command, "build", "--sysroot", root, "--compress", "none")
    _, _, client, _ = archives((tmp_path / f"pxeinit-{RELEASE}.img").read_bytes())
    init = (ROOT / "init/init").read_bytes()
    assert init in client
    for path in (ROOT / "init/lib").glob("*.sh"):
        assert path.read_bytes() in client
    data = next((tmp_path / "venv").glob("lib/python*/site-packages/mkpxeinit/data"))
    for name in ("busybox-configs/applets.txt", "docs/client.md"):
        assert (data / name).read_bytes() == (ROOT / name).read_bytes()
    # pxelab comes inside, and `boot` finds it there: it gets as far as the image that is missing.
    assert (data.parent / "pxelab/smoke.py").exists() and not (data.parents[1] / "pxelab").exists()
    said = place.call(command, "boot", "none.img", code=1).stderr
    assert said == "mkpxeinit: none.img: no such image; make one with: mkpxeinit build\n"
    place.call(tmp_path / "venv/bin/python", "-m", "mkpxeinit.manual", tmp_path / "manual")
    assert (tmp_path / "manual/man/pxeinit.7").exists()
    assert (data.parent / "py.typed").exists()
    if importlib.util.find_spec("mypy") is not None:  # with the oldest dependencies there is none
        check_types(place)


def check_types(place: Place) -> None:
    """As a program of somebody else sees it: the public interface has types, and so does what uses it."""
    (place.folder / "user.py").write_text((ROOT / "docs/examples/rebuild.py").read_text() + WRONG)
    mypy = (sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file", os.devnull)
    python = place.folder / "venv/bin/python"
    done = place.call(*mypy, "--python-executable", python, "user.py", code=1)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 2 and '"bake_image"' in errors[0] and '"int"' in errors[1], (
        done.stdout + done.stderr
    )
