"""Debian packages as files, and folders of them that apt takes for an archive."""

import gzip
import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from . import run
from .archive import Apt
from .errors import LabError
from .trees import cache_folder, locked, mirror

SCAN_SECONDS = 60.0


def kernel(suite: str, flavor: str, *, security: bool = False) -> tuple[Path, ...]:
    """Return the packages of a kernel of `suite` beside the usual one: `cloud-amd64`, for example.

    They are linux-image-FLAVOR and what it leads to; with `security` the newest, also of the suite's
    security updates, for trees that have these. Fetches 20 to 80 MB when the cache lacks them.
    LabError with the last words of the program that failed.
    """
    meta = f"linux-image-{flavor}"

    def names(apt: Apt) -> list[str]:
        said = apt.cache("depends", "--recurse", "--important", meta)
        pattern = re.compile(rf"linux-(?:image|modules|binary|base)-\S*{re.escape(flavor)}")
        found = sorted({line for line in said.splitlines() if pattern.fullmatch(line)})
        if not found:
            raise LabError(f"{mirror()} {suite}: no package {meta}")
        return found

    return _cached(suite, meta, names, security=security)


def packages(suite: str, *names: str) -> tuple[Path, ...]:
    """Return these packages of `suite`, without what they depend on; fetched when the cache lacks them."""
    return _cached(suite, "+".join(names), lambda apt: names)


def _cached(
    suite: str, key: str, names: Callable[[Apt], Sequence[str]], *, security: bool = False
) -> tuple[Path, ...]:
    folder = cache_folder() / "packages" / f"{suite}{'-security' if security else ''}-{key}"
    folder.parent.mkdir(exist_ok=True)
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.is_dir():
            unfinished = folder.with_name(f"{folder.name}.new")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            with tempfile.TemporaryDirectory(prefix="pxelab-") as scratch:
                apt = Apt(Path(scratch), "deb", mirror(), suite, "amd64", security=security)
                for path in apt.get("download", *names(apt)):
                    shutil.copy(path, unfinished / path.name)
            unfinished.rename(folder)
    return tuple(sorted(folder.glob("*.deb")))


def make_archive(folder: Path, packages: Sequence[Path]) -> str:
    """Copy packages into `folder` and list them there; return the line for sources.list that names it.

    The line is for a system in which the folder is `/archive`: it is not signed, and trusted as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for path in packages:
        shutil.copy(path, folder / path.name)
        control = run.run(["dpkg-deb", "--field", path], timeout=SCAN_SECONDS).stdout.decode().strip()
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        entries.append(f"{control}\nFilename: ./{path.name}\nSize: {len(data)}\nSHA256: {digest}\n")
    listed = "\n".join(entries).encode()
    (folder / "Packages").write_bytes(listed)
    (folder / "Packages.gz").write_bytes(gzip.compress(listed, mtime=0))
    return "deb [trusted=yes] file:/archive ./\n"
