"""kmod is the oracle: a modalias selects what `modprobe -R` says, for all aliases of network drivers."""

import os
import random
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mkpxeinit.hardware.modalias import Matcher
from mkpxeinit.kernel.index import normal_name, read_index
from mkpxeinit.kernel.release import choose_release
from mkpxeinit.sysroot import Sysroot

pytestmark = [
    pytest.mark.tree,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="making a tree needs root"),
]
MODPROBE = shutil.which("modprobe", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
PIECE = re.compile(r"\[[^]]*\]|.")
SEED = 20


def device_of(pattern: str, chance: random.Random) -> str:
    """Return a random modalias that `pattern` may match."""

    def fill(found: re.Match[str]) -> str:
        piece = found[0]
        if piece == "*":
            return "".join(chance.choices("0123456789ABCDEF-,", k=chance.choice((0, 2, 8))))
        if piece == "?":
            return chance.choice("01")
        if len(piece) > 1:
            return chance.choice([piece[1], piece[-2], chance.choice("0123456789abcdef")])
        return piece

    return PIECE.sub(fill, pattern)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_every_alias_of_network_drivers(suite: str) -> None:
    from pxelab import trees

    assert MODPROBE is not None, "kmod is not installed"
    root = Path(trees.debian(suite))
    tree = Sysroot.open(root)
    release = choose_release(tree).release
    index = read_index(tree, release)
    chance = random.Random(SEED)
    patterns = dict.fromkeys(
        alias.pattern
        for alias in index.aliases
        if ":" in alias.pattern
        and ("/drivers/net/" in (path := index.modules[alias.module].path) or "/virtio/" in path)
    )
    asked = [device_of(pattern, chance) for pattern in patterns]
    assert len(asked) > 4000

    def kmod(modalias: str) -> set[str]:
        words = [str(MODPROBE), "-C", "/dev/null", "-d", str(root), "-S", release, "-q", "-R", modalias]
        said = subprocess.run(words, capture_output=True, check=False, text=True).stdout
        return {normal_name(name) for name in said.split()} & index.modules.keys()

    matcher = Matcher((alias.pattern, alias.module) for alias in index.aliases)
    with ThreadPoolExecutor(2) as pool:
        for modalias, theirs in zip(asked, pool.map(kmod, asked), strict=True):
            assert set(matcher.modules(modalias)) == theirs, modalias
