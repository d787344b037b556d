"""Initrds that other tools make, to be read by ours: kept in the cache beside the trees."""

import hashlib
import shutil
from pathlib import Path

from .errors import LabError
from .trees import bootstrap, cache_folder, locked

RECIPE = 1
_DRACUT = ("linux-image-amd64", "dracut", "kmod", "udev")


def dracut(suite: str) -> Path:
    """Return the initrd that dracut makes when a suite's kernel is installed beside it.

    Makes it when the cache lacks it: a tree of its own for that, two to three minutes, and nothing of it
    stays but the image, 32 MB. Raises LabError if there is none in the end.
    """
    key = hashlib.sha256("\n".join((suite, str(RECIPE), *_DRACUT)).encode()).hexdigest()[:12]
    folder = cache_folder() / "initrds"
    folder.mkdir(exist_ok=True)
    image = folder / f"dracut-{suite}-{key}.img"
    if not image.is_file():
        with locked(image.with_suffix(".lock")):
            if not image.is_file():
                _make(suite, image)
    return image


def _make(suite: str, image: Path) -> None:
    tree = image.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    try:
        bootstrap(suite, _DRACUT, tree)
        made = next((tree / "boot").glob("initrd.img-*"), None)
        if made is None:
            raise LabError(f"the {suite} tree with dracut has no initrd in boot/")
        unfinished = image.with_suffix(".new")
        shutil.copyfile(made, unfinished)
        unfinished.rename(image)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
