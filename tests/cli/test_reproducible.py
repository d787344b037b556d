"""The same inputs, whatever is around them: the same image, byte by byte."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mkpxeinit.image.read import open_image
from mkpxeinit.kernel.release import choose_release
from mkpxeinit.sysroot import Sysroot
from tests.cli.conftest import command
from tests.unit.small import RELEASE, Link, kernel_tree, make_tree
from tests.unit.test_firmware import module

MODULES = f"lib/modules/{RELEASE}"
NIC = "00:03.0 Ethernet controller [0200]: Büro-Karte [8086:1000] (rev 02)\n"
# Loaded by the command's Python: folders are listed in another order each time.
SHUFFLE = """
import os, random
from pathlib import Path
Path(__file__).with_name("loaded").touch()
_list, _scan = os.listdir, os.scandir
def listdir(*words):
    names = _list(*words)
    random.shuffle(names)
    return names
class scandir:
    def __init__(self, *words):
        with _scan(*words) as found:
            self._found = list(found)
        random.shuffle(self._found)
    def __iter__(self): return iter(self._found)
    def __next__(self): return self._found.pop()
    def __enter__(self): return self
    def __exit__(self, *words): pass
    def close(self): pass
os.listdir, os.scandir = listdir, scandir
"""


@dataclass(frozen=True)
class Case:
    """What is different from the first build."""

    env: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    umask: int = 0o022
    place: str = "tree"
    move: Callable[[Path, Path], object] | None = None


def copy_backwards(source: Path, target: Path) -> None:
    """Copy a tree in an order of its own: a file system lists what was made first as it likes."""
    for path in sorted(source.rglob("*"), reverse=True):
        there = target / path.relative_to(source)
        if path.is_symlink() or path.is_file():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, there, follow_symlinks=False)


def copy_of_other_times(source: Path, target: Path) -> None:
    """Copy a tree; other times, modes, and holes at the end of the names' order."""
    shutil.copytree(source, target, symlinks=True)
    for number, path in enumerate(target.rglob("*")):
        if not path.is_symlink():
            os.utime(path, (number, 2_000_000_000 + number))
            path.chmod(0o700 if path.is_dir() else 0o600)


def copy_of_links(source: Path, target: Path) -> None:
    """Copy a tree whose files are hard links of the first one's."""
    shutil.copytree(source, target, symlinks=True, copy_function=os.link)


def link_to(source: Path, target: Path) -> None:
    target.symlink_to(source, target_is_directory=True)


CASES = {
    "again": Case(),
    "another folder": Case(place="some/where/else with a ünusual name", move=copy_of_other_times),
    "by a link": Case(place="link", move=link_to),
    "hard links": Case(place="links", move=copy_of_links),
    "file order": Case(place="backwards", move=copy_backwards),
    "times and modes": Case(place="times", move=copy_of_other_times),
    "listing order": Case(env={"PYTHONPATH": "{here}/shuffle"}),
    "umask": Case(umask=0o077),
    "no umask": Case(umask=0),
    "time zone": Case(env={"TZ": "Pacific/Kiritimati"}),
    "hash seed 0": Case(env={"PYTHONHASHSEED": "0"}),
    "hash seed 1": Case(env={"PYTHONHASHSEED": "1"}),
    "one processor": Case(prefix=("taskset", "-c", "0")),
    "no locale": Case(env={"LC_ALL": ""}),
    "C, as of old": Case(env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "Turkish": Case(env={"LOCPATH": "{here}/locale", "LC_ALL": "tr_TR.UTF-8"}),
    "Turkish, Latin 5": Case(env={"LOCPATH": "{here}/locale", "LC_ALL": "tr_TR.ISO-8859-9"}),
    "home and names": Case(env={"HOME": "/nowhere", "USER": "x", "TMPDIR": "/var/tmp", "COLUMNS": "9"}),
    "another user": Case(prefix=("unshare", "--user", "--map-user=1234", "--map-group=1234")),
}  # fmt: skip


@dataclass(frozen=True)
class First:
    """The first build: its folder, with tree and inventory, and its image."""

    here: Path
    image: bytes


def build(here: Path, case: Case, tree: Path, epoch: str = "1700000000") -> bytes:
    """Return the image that a command makes, in a folder of its own."""
    folder = here / f"cwd-{random.randrange(1 << 60):x}"
    folder.mkdir()
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": epoch}
    env |= {name: value.format(here=here) for name, value in case.env.items()}
    words: list[str | Path] = [
        *case.prefix,
        command(),
        "build",
        "--sysroot",
        tree,
        "-o",
        "image",
        "--cmdline",
        "panic=3 x=ü",
    ]
    if (here / "büro.lspci").exists():
        words += ["--hardware", here / "büro.lspci", "--pci-class", "02", "--module", "grüße"]
    done = subprocess.run(
        words, cwd=folder, env=env, umask=case.umask, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return (folder / "image").read_bytes()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    """A tree with names beyond ASCII: a module, firmware, an inventory."""
    here = tmp_path_factory.mktemp("first")
    tree = make_tree(here / "tree", kernel_tree())
    make_tree(
        tree,
        {
            f"{MODULES}/kernel/drivers/net/grüße.ko": module("fw/größe.bin", "fw/*.dat", "fw/fehlt"),
            "lib/firmware/fw/größe.bin": "größe",
            "lib/firmware/fw/ä.dat": Link("ö.dat"),
            "lib/firmware/fw/ö.dat": "dat",
            "lib/firmware/fw/b.dat": "dat",
        },
    )
    for name, line in (
        ("dep", "kernel/drivers/net/grüße.ko:\n"),
        ("alias", "alias pci:v00008086d00001000sv*sd*bc*sc*i* grüße\n"),
        ("softdep", "softdep e1000 pre: grüße\n"),
    ):
        with (tree / MODULES / f"modules.{name}").open("a", encoding="utf-8") as file:
            file.write(line)
    (here / "büro.lspci").write_text(NIC, encoding="utf-8")
    make_tree(here / "shuffle", {"sitecustomize.py": SHUFFLE})
    return First(here, build(here, Case(), tree))


def locales(folder: Path) -> None:
    """Make the Turkish locales, whose small I has its own capital; skip the test if that cannot be."""
    folder.mkdir(exist_ok=True)
    for charset in ("UTF-8", "ISO-8859-9"):
        words = ["localedef", "-i", "tr_TR", "-f", charset, str(folder / f"tr_TR.{charset}")]
        try:
            subprocess.run(words, capture_output=True, check=False)
        except FileNotFoundError:
            pytest.skip("no localedef here")
        if not (folder / f"tr_TR.{charset}").exists():
            pytest.skip("localedef cannot make the locale here")


def test_the_image_has_the_odd_names(first: First, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(first.image)
    with open_image(tmp_path / "image") as image:
        names = {str(found.record.path) for found in image.entries()}
    for name in ("größe.bin", "ä.dat", "ö.dat", "b.dat"):
        assert f"lib/firmware/fw/{name}" in names
    assert f"{MODULES}/kernel/drivers/net/grüße.ko" in names


@pytest.mark.parametrize("name", CASES)
def test_same_bytes(first: First, name: str) -> None:
    case = CASES[name]
    if "LOCPATH" in case.env:
        locales(first.here / "locale")
    if case.prefix and subprocess.run([*case.prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"no {' '.join(case.prefix)} here")
    tree = first.here / case.place
    if case.move:
        tree.parent.mkdir(parents=True, exist_ok=True)
        case.move(first.here / "tree", tree)
    image = build(first.here, case, tree)
    assert image == first.image
    if name == "listing order":
        assert (first.here / "shuffle/loaded").exists()


def test_what_makes_a_difference(first: First) -> None:
    """The time that is asked for; and nothing in the image tells where its tree was."""
    assert build(first.here, Case(), first.here / "tree", epoch="0") != first.image
    assert os.fsencode(first.here) not in first.image


@pytest.mark.tree
@pytest.mark.skipif(os.geteuid() != 0, reason="making a tree needs root")
def test_a_real_tree(tmp_path: Path) -> None:
    """Everything different at once, and Debian's own modules."""
    from pxelab import trees

    tree = Path(trees.debian("bookworm"))
    release = choose_release(Sysroot.open(tree)).release
    copy = tmp_path / "copy of a tree"
    copy.mkdir()
    modprobe = ("usr/lib/modprobe.d", "etc/modprobe.d")
    modules = ("lib", f"usr/lib/modules/{release}", *modprobe)
    kernel = (f"boot/config-{release}", f"boot/vmlinuz-{release}")
    init = (
        "sbin",
        "usr/sbin/init",
        "usr/lib/systemd/systemd",
        "lib64",
        "usr/lib64",
        "usr/lib/x86_64-linux-gnu",
    )
    for name in (*modules, *kernel, *init, "bin", "usr/bin/busybox", "etc/ld.so.conf", "etc/ld.so.conf.d"):
        if (tree / name).exists():
            subprocess.run(["cp", "-a", "--parents", name, copy], cwd=tree, check=True)
    make_tree(tmp_path / "shuffle", {"sitecustomize.py": SHUFFLE})
    env = {"PYTHONPATH": "{here}/shuffle", "LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
    other = Case(env=env, prefix=("taskset", "-c", "0"), umask=0o077)
    assert build(tmp_path, other, copy) == build(tmp_path, Case(), tree)
