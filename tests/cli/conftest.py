"""Runs the installed command; `MKPXEINIT` names another one to test."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.forked import SECONDS, Forked, fits
from tests.unit.small import kernel_tree, make_tree


@dataclass(frozen=True)
class Done:
    """What a command left: exit code, bytes of stdout, text of stderr."""

    code: int
    stdout: bytes
    stderr: str


Run = Callable[..., Done]
Hook = Callable[..., Done]
STATE = "state/hooks.json"  # what hooks keep, below a test's folder
ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C"}


def command() -> str:
    """Return the command under test: `$MKPXEINIT`, else the one installed beside this Python."""
    beside = Path(sys.executable).with_name("mkpxeinit")
    found = os.environ.get("MKPXEINIT") or (str(beside) if beside.exists() else shutil.which("mkpxeinit"))
    if found is None:
        pytest.fail("mkpxeinit is not installed: pip install -e .")
    return found


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """What most commands are run by."""
    waiting = Forked(ENVIRONMENT)
    yield waiting
    waiting.close()


@pytest.fixture
def run(tmp_path: Path, forked: Forked) -> Run:
    """Run mkpxeinit with arguments in an empty folder and a clean environment.

    `prefix` are words before it. A command is a process of its own, but begins as a fork, which saves
    Python's start, unless another mkpxeinit is tested, `fresh` asks for it, variables or words before it need
    it, or several threads run commands.
    """
    folder = tmp_path / "cwd"
    folder.mkdir()

    def runner(
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        fresh: bool = False,
    ) -> Done:
        environment = ENVIRONMENT | {"XDG_CACHE_HOME": str(tmp_path / "xdg")} | dict(env or {})
        if arguments[:2] == ("hook", "run") and len(arguments) > 2:  # not this machine's own
            arguments = ("hook", "run", "--state", tmp_path / STATE, *arguments[2:])
        words = [*prefix, command(), *map(str, arguments)]
        alone = threading.current_thread() is threading.main_thread()
        if alone and not (fresh or prefix or "MKPXEINIT" in os.environ) and fits(env or {}):
            code, stdout, stderr = forked.run(words, folder, environment)
            return Done(code, stdout, stderr.decode())
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, check=False, timeout=SECONDS
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())

    return runner


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small system tree."""
    return make_tree(tmp_path / "tree", kernel_tree())


@pytest.fixture
def tftp() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="mkpxeinit-tftp-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def config(tmp_path: Path, root: Path) -> Path:
    """The configuration: images of one tree, in its boot folder."""
    path = tmp_path / "mkpxeinit.toml"
    path.write_text(f'[[hook.tree]]\nsysroot = "{root}"\nname = "pc"\nbuild = {{ buses = [] }}\n')
    return path


@pytest.fixture
def hook(run: Run, config: Path) -> Hook:
    """Run `hook run` with the configuration."""

    def running(*words: str, **more: object) -> Done:
        return run("hook", "run", "--config", config, *words, **more)

    return running
