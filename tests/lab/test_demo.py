"""`make demo` when it fails, and when it is interrupted: nothing that it started is left."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.small import kernel_tree, make_tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")

SECONDS = 60.0
RUN = "import sys; from pathlib import Path; from pxelab import demo; sys.exit(demo.main(Path(sys.argv[1])))"


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the demonstration has its files; afterwards there are none, and no process knows it."""
    # Not pytest's, where only root may enter: TFTP servers do not run as root.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.rmdir()
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(folder) not in processes


def demonstrate(tree: Path, temporary: Path, out: Path) -> subprocess.Popen[bytes]:
    with out.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-c", RUN, str(tree)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, "TMPDIR": str(temporary)},
            cwd=out.parent,
        )


def test_it_fails(tmp_path: Path, temporary: Path) -> None:
    tree = make_tree(tmp_path / "pc", {"etc/hostname": "x\n", "usr/bin/true": b"", "var/lib/x": b""})
    out = tmp_path / "out"
    demo = demonstrate(tree, temporary, out)
    assert demo.wait(SECONDS) == 1
    said = out.read_text()
    assert said.splitlines()[-1].endswith("has failed") and "Traceback" not in said


def test_it_is_interrupted(tmp_path: Path, temporary: Path) -> None:
    tree = make_tree(tmp_path / "pc", {**kernel_tree(), "etc/hostname": "x\n", "var/lib/x": b""})
    before = sorted(tree.rglob("*"))
    out = tmp_path / "out"
    demo = demonstrate(tree, temporary, out)
    end = time.monotonic() + SECONDS
    while "asking on br0" not in (said := out.read_text()):
        assert demo.poll() is None and time.monotonic() < end, said
        time.sleep(0.05)
    assert "is published for tree debian12" in said
    for number in (signal.SIGTERM, signal.SIGINT):
        demo.send_signal(number)
    assert demo.wait(SECONDS) in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert "Traceback" not in out.read_text()
    assert sorted(tree.rglob("*")) == before
