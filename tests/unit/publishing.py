"""A TFTP root, images, and what must always be true of what is served: for the tests of `publish`."""

from pathlib import Path, PurePosixPath
from typing import Any

from mkpxeinit import build
from mkpxeinit.netboot import generation, publish, published, references
from mkpxeinit.netboot.published import Published
from mkpxeinit.netboot.tftproot import TftpRoot
from tests.unit.images import TRAILER, entry
from tests.unit.small import RELEASE

FILE, FOLDER = 0o100644, 0o040755


def image(folder: Path, content: bytes = b"one", *entries: bytes) -> Path:
    """Return an image that has a file with this content, and a folder of modules."""
    path = folder / f"{len(list(folder.glob('*.img')))}.img"
    modules = entry(b"lib/modules/" + RELEASE.encode() + b"/modules.dep", FILE)
    path.write_bytes(modules + entry(b"init", FILE, content) + b"".join(entries) + TRAILER)
    return path


def options(tftp: Path, tree: Path, name: str = "pc", **more: Any) -> publish.Options:
    return publish.Options(tftp_root=tftp, build=build.Options(tree), tree=name, **more)


def served(tftp: Path) -> dict[str, set[str]]:
    """Return the generations that each loader's file names; all that is named must be there, and whole."""
    root = TftpRoot.open(tftp)
    found: dict[str, set[str]] = {}
    for path in sorted(each for each in tftp.rglob("*") if each.is_file()):
        name = PurePosixPath(path.relative_to(tftp))
        if references.kind_of(name) is None:
            continue
        for each in references.find(name, path.read_text()):
            if each.name.parts[0] == "generations":
                assert (tftp / each.name).is_file(), f"{name}: {each.name} is missing"
                publish.check_whole(root, generation.read(root, each.name.parts[1]))
                found.setdefault(str(name), set()).add(each.name.parts[1])
    return found


def state(tftp: Path) -> Published:
    return published.read(TftpRoot.open(tftp))


def quiet(_: str) -> None:
    """Say nothing."""
