"""Our own busybox, which `mkpxeinit busybox` builds of Debian's source package. Kept in the cache."""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from mkpxeinit import resources

from . import run
from .archive import Apt
from .errors import LabError
from .trees import cache_folder, locked, mirror

RECIPE = 2
COMPILE_SECONDS = 1800.0


def ours(suite: str = "bookworm", architecture: str = "amd64") -> Path:
    """Return our busybox, for this machine's architecture; made in a minute or two when the cache lacks it.

    Several processes may ask at once; one makes it. Raises LabError with the last words of what failed.
    """
    configs = sorted(resources.folder("busybox-configs").iterdir())
    digest = hashlib.sha256("\n".join((suite, architecture, str(RECIPE))).encode())
    for path in configs:
        digest.update(path.read_bytes())
    folder = cache_folder() / "busyboxes"
    folder.mkdir(exist_ok=True)
    made = folder / f"busybox-ours-{suite}-{digest.hexdigest()[:12]}"
    if not made.is_file():
        with locked(folder / f"{made.name}.lock"):
            if not made.is_file():
                build(source(suite, architecture), made)
    return made


def build(archive: Path, target: Path) -> None:
    """Run `mkpxeinit busybox`; it gets its name only when it is whole."""
    words: list[str | Path] = [
        sys.executable,
        "-m",
        "mkpxeinit",
        "busybox",
        "--source",
        archive,
        "--output",
        target,
    ]
    run.run(words, timeout=COMPILE_SECONDS)


def source(suite: str = "bookworm", architecture: str = "amd64") -> Path:
    """Return upstream's archive out of Debian's source package; fetched when the cache lacks it."""
    folder = cache_folder() / "busyboxes"
    folder.mkdir(exist_ok=True)
    with locked(folder / f"source-{suite}.lock"), tempfile.TemporaryDirectory(prefix="pxelab-") as scratch:
        for kept in folder.glob(f"source-{suite}-*.orig.tar.*"):
            return kept
        apt = Apt(Path(scratch) / "apt", "deb-src", mirror(), suite, architecture)
        for path in apt.get("source", "--download-only", "busybox"):
            if ".orig.tar" in path.name and path.suffix != ".asc":
                target = folder / f"source-{suite}-{path.name}"
                unfinished = target.with_name(f".{target.name}.new")
                shutil.copyfile(path, unfinished)
                return unfinished.rename(target)
    raise LabError(f"the source package busybox of {suite} has no upstream archive")
