"""Trees, images and laboratories for the boot tests.

Trees come from the cache, images are built once a test run by the installed command, also
when several workers want the same one. Logs of failed tests stay in results/boot/TEST/, and
results/boot/matrix.md has how each machine ended (matrix.py).
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from pxelab import Lab, Tree, trees
from tests.boot import matrix

BUILD_SECONDS = 300
TAIL_LINES = 60
RESULTS = Path(os.environ.get("MKPXEINIT_RESULTS", Path(__file__).parents[2] / "results")) / "boot"

BuildImage = Callable[..., Path]

_failed = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, so that `-m "not boot"` leaves it out; only root can run it."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("boot")
            if os.geteuid() != 0:
                item.add_marker(
                    pytest.mark.skip(reason="boot tests make network namespaces: run them as root")
                )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make the table of how the machines ended, once all workers are done."""
    if not hasattr(session.config, "workerinput"):
        matrix.write(RESULTS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the end of each console into the report of a failed test."""
    report = yield
    if report.failed:
        item.stash[_failed] = True
        for log in sorted(_results_of(item).glob("*.console.log")):
            lines = log.read_text(errors="replace").splitlines()
            report.sections.append((f"console, {log}", "\n".join(lines[-TAIL_LINES:])))
    return report


def _results_of(item: pytest.Item) -> Path:
    return RESULTS / re.sub(r"[^\w.-]+", "_", item.name)


@pytest.fixture(scope="session")
def bookworm() -> Tree:
    """A Debian 12 tree; never to be written to."""
    return trees.debian("bookworm")


@pytest.fixture(scope="session")
def trixie() -> Tree:
    """A Debian 13 tree; never to be written to."""
    return trees.debian("trixie")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def build_image(shared_folder: Path) -> BuildImage:
    """A function: `build_image(tree, *options)` returns the image, built once a test run."""

    def build(tree: Tree, *options: str) -> Path:
        key = hashlib.sha256("\0".join((str(tree.path), *options)).encode()).hexdigest()[:12]
        image = shared_folder / f"{tree.suite}-{key}.img"
        with trees.locked(image.with_suffix(".lock")):
            if not image.exists():
                command = [Path(sys.executable).parent / "mkpxeinit", "build", "--sysroot", tree.path]
                done = subprocess.run(
                    [*map(str, command), "--output", str(image), *options],
                    capture_output=True,
                    text=True,
                    timeout=BUILD_SECONDS,
                    check=False,
                )
                assert done.returncode == 0, f"mkpxeinit build failed:\n{done.stderr}"
        return image

    return build


@pytest.fixture(scope="session")
def bookworm_image(bookworm: Tree, build_image: BuildImage) -> Path:
    """The image that `mkpxeinit build` makes of the Debian 12 tree without options."""
    return build_image(bookworm)


@pytest.fixture(scope="session")
def trixie_image(trixie: Tree, build_image: BuildImage) -> Path:
    """The image that `mkpxeinit build` makes of the Debian 13 tree without options."""
    return build_image(trixie)


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A laboratory of its own for each test; its logs stay when the test fails."""
    item: pytest.Item = request.node
    results = _results_of(item)
    shutil.rmtree(results, ignore_errors=True)
    with Lab.open(results) as laboratory:
        yield laboratory
        consoles = [[line for _, line in machine.console.lines] for machine in laboratory.machines]
    if consoles:
        passed = not item.stash.get(_failed, False)
        matrix.note(RESULTS, item.path.name, item.name, consoles, passed)
    if not item.stash.get(_failed, False):
        shutil.rmtree(results, ignore_errors=True)
