"""Library closures against real loaders: glibc's and musl's, in a chroot; `ldd` over a whole Debian."""

import itertools
import os
import platform
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mkpxeinit.errors import ProgramError
from mkpxeinit.image.entry import Directory, File, Symlink
from mkpxeinit.image.plan import Planned, make_segment
from mkpxeinit.programs.gather import Host, gather
from mkpxeinit.programs.libraries import Reader, find_libraries
from mkpxeinit.programs.loader import read_loader
from mkpxeinit.programs.place import in_image
from mkpxeinit.reason import Reason
from mkpxeinit.sysroot import Sysroot
from tests.unit.linked import GLIBC, MUSL, NODEFLIB, linked
from tests.unit.shares import shares
from tests.unit.small import AARCH64, I386, Link, Tree, make_tree

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the oracles run in a chroot"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the oracles are x86-64 loaders"),
]
NAMES = [f"lib{letter}.so.1" for letter in "abcdefgh"]
FOLDERS = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib",
    "/usr/lib",
    "/opt/a",
    "/opt/b/lib",
    "/opt/x86_64",
    "/srv/conf",
    "/usr/local/lib",
    "/bin",
]
PATHS = [
    "$ORIGIN",
    "$ORIGIN/../lib",
    "${ORIGIN}/../../opt/a",
    "/opt/a:/opt/b/lib",
    "/$LIB:/opt/a",
    "/opt/${PLATFORM}",
    "opt/b/lib",
    "/nowhere::/opt/b/lib/",
    "",
    "$OTHER:/opt/a",
]
# Level AVX2 off: else glibc says `haswell` for $PLATFORM on some processors.
TRACE = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2 LD_TRACE_LOADED_OBJECTS=1"


def world(chance: random.Random, interpreter: str) -> Tree:
    """Return a tree of libraries that need each other, and programs, of all sorts."""

    def maybe(values: list[str], percent: int) -> str | None:
        return chance.choice(values) if chance.random() * 100 < percent else None

    def needed(most: int) -> list[str]:
        names = chance.sample(NAMES, chance.randint(0, most))
        return [f"{chance.choice(FOLDERS)}/{name}" if chance.random() < 0.03 else name for name in names]

    tree: dict[str, str | bytes | Link | None] = {}
    for name in NAMES:
        for folder in chance.sample(FOLDERS, chance.randint(1, 4)):
            kind = chance.random()
            if kind < 0.12:
                made: bytes | Link = linked(soname=name, machine=AARCH64)
            elif kind < 0.18:
                made = linked(soname=name, machine=I386, bits=32)
            elif kind < 0.19:
                made = b"\x7fELF" if interpreter == GLIBC else b""
            elif kind < 0.25:
                made = Link(f"{chance.choice(FOLDERS)}/{name}")
            else:
                made = linked(
                    needed(2), soname=name, rpath=maybe(PATHS, 30), runpath=maybe(PATHS, 25), interpreter=None
                )
            tree[f"{folder}/{name}"] = made
    for number in range(25):
        tree[f"/bin/p{number}"] = linked(
            needed(3),
            rpath=maybe(PATHS, 60),
            runpath=maybe(PATHS, 30),
            interpreter=interpreter,
            flags_1=NODEFLIB if chance.random() < 0.1 else 0,
        )
    return tree


def chains(interpreter: str) -> Tree:
    """Return programs of three objects in a row, with every mix of RPATH and RUNPATH.

    The last library is in /usr/lib too, for every second one, so that what is found first matters.
    """
    folders = (None, "/opt/a:/opt/b", "$ORIGIN/../opt/b:$ORIGIN/../a")
    tree: dict[str, str | bytes | Link | None] = {}
    for number, (rpath, runpath, its_rpath, its_runpath) in enumerate(itertools.product(folders, repeat=4)):
        a, b, c = (f"lib{letter}{number}.so" for letter in "abc")
        program = linked([a], interpreter=interpreter, rpath=rpath, runpath=runpath)
        tree[f"/bin/p{number}"] = program
        tree[f"/usr/lib/{a}"] = linked([b], soname=a, rpath=its_rpath, runpath=its_runpath)
        tree[f"/opt/b/{b}"] = linked([c], soname=b)
        tree[f"/opt/a/{c}"] = linked(soname=c)
        if number % 2:
            tree[f"/usr/lib/{c}"] = linked(soname=c)
            tree[f"/usr/lib/{b}"] = linked([c], soname=b)
    return tree


def merged(tree: Tree) -> dict[str, str | bytes | Link | None]:
    """Return the tree with /bin, /lib and /lib64 as links into /usr; what is there twice stays once."""
    moved = {re.sub(r"^/(bin|lib|lib64)/", r"/usr/\1/", path): content for path, content in tree.items()}
    return {**moved, "/lib": Link("usr/lib"), "/bin": Link("usr/bin"), "/lib64": Link("/usr/lib64")}


def prepare(root: Path, tree: Tree, is_merged: bool, interpreter: str, busybox: Path) -> Sysroot:
    """Make the tree with a real loader, a busybox to start programs, and ldconfig's cache."""
    loader = Path(interpreter)
    assert loader.exists(), f"no {loader} on this machine: see tools/packages"
    more: Tree = {interpreter: loader.read_bytes(), "/busybox": busybox.read_bytes(), "/proc": None}
    if interpreter == GLIBC:
        more = {
            **more,
            "/etc/ld.so.conf": "# some\ninclude /etc/ld.so.conf.d/*.conf\n/opt/none\n",
            "/etc/ld.so.conf.d/b.conf": "/usr/local/lib/ # behind\n",
            "/etc/ld.so.conf.d/a.conf": "hwcap 0 nosegneg\n/srv/conf\ninclude a.conf\n",
            "/etc/ld.so.conf.d/.hidden.conf": "/opt/a\n",
        }
    whole = {**tree, **more}
    make_tree(root, merged(whole) if is_merged else whole)
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755)
    if interpreter == GLIBC:
        ldconfig = shutil.which("ldconfig", path="/usr/sbin:/sbin")
        assert ldconfig is not None
        subprocess.run([ldconfig, "-X", "-r", root], check=True, capture_output=True)
    return Sysroot.open(root)


def in_chroot(root: Path, script: str) -> str:
    """Run a script of busybox in the tree, with /proc, which tells a loader where its program is."""
    inside = f'mount -t proc proc "{root}/proc" && exec chroot "{root}" /busybox sh -c "$0" 2>&1'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", inside, script], capture_output=True, timeout=60, check=False
    )
    return done.stdout.decode(errors="surrogateescape") + done.stderr.decode()


def traced(said: str, tree: Sysroot) -> Iterator[tuple[str, list[str] | str]]:
    """Yield program by program what a loader found, in its order; or what it missed or refused."""
    for part in said.split("== ")[1:]:
        name, _, text = part.partition("\n")
        found: list[str] = []
        failed = ""
        for line in text.splitlines():
            match = re.fullmatch(r"\t(?:(.+) => )?(\S+) \(0x[0-9a-f]+\)", line)
            if line == "\tstatically linked":
                continue
            if line.endswith("=> not found") or (not match and line.strip()):
                failed = failed or line
            elif match and "vdso" not in match[2]:
                found.append(real(tree, match[2]))
        yield name, failed or found


def ours(tree: Sysroot, path: str, reader: Reader | None = None) -> list[str] | str:
    """Return what we find for a program, by real paths, or the error."""
    reader = reader or Reader(tree)
    binary = reader.read(path)
    assert binary.facts.interpreter is not None
    loader = read_loader(tree, binary.facts.interpreter, binary.facts.machine)
    try:
        libraries = find_libraries(reader, binary, loader, path)
    except ProgramError as error:
        return str(error)
    return list(dict.fromkeys(each.binary.real for each in libraries))


def links_to(tree: Sysroot, paths: list[str]) -> set[str]:
    """Return the paths of libraries that lead to one of `paths`."""
    every = (f"{folder}/{name}" for folder in FOLDERS for name in NAMES)
    return {path for path in every if tree.exists(path) and real(tree, path) in paths}


def real(tree: Sysroot, path: str) -> str:
    return "/" + str(tree.resolve(path).relative_to(tree.root))


def compare(tree: Sysroot, said: str, loader: str) -> tuple[int, int]:
    """Compare all programs; return how many were found and how many failed."""
    counts, reader = [0, 0], Reader(tree)
    for name, theirs in traced(said, tree):
        mine = ours(tree, name, reader)
        if isinstance(mine, str) and "musl's loader looks no further" in mine and isinstance(theirs, list):
            # musl would map a library for another machine, and jump into it.
            assert mine.removeprefix(str(tree.root)).partition(":")[0] in {*theirs, *links_to(tree, theirs)}
            counts[1] += 1
        elif isinstance(theirs, str):
            assert isinstance(mine, str), (name, theirs, mine)
            counts[1] += 1
        else:
            assert mine == [path for path in theirs if path != real(tree, loader)], name
            counts[0] += 1
    return counts[0], counts[1]


def imaged(tree: Sysroot, programs: list[str], root: Path, busybox: Path) -> Sysroot:
    """Return what an image with these programs holds, as a tree of its own."""
    wanted = [(path, Reason("test")) for path in programs]
    unpack(gather(tree, wanted, Host(None, {}, frozenset())).items, root)
    shutil.copy(busybox, root / "busybox")
    (root / "proc").mkdir()
    return Sysroot.open(root)


def unpack(items: tuple[Planned, ...], root: Path) -> None:
    """Make the entries of a segment below `root`."""
    for item in make_segment("test", items).items:
        entry, path = item.entry, root / item.entry.path
        if isinstance(entry, Directory):
            path.mkdir(parents=True, exist_ok=True)
        elif isinstance(entry, Symlink):
            path.symlink_to(entry.target)
        elif isinstance(entry, File):
            assert isinstance(entry.source, bytes)
            path.write_bytes(entry.source)
            path.chmod(entry.mode)


def check_image(tree: Sysroot, said: str, trace: str, folder: Path, busybox: Path) -> None:
    """In an image of all programs that can start, the loader finds for each what it found in the tree."""
    whole = {name: found for name, found in traced(said, tree) if isinstance(ours(tree, name), list)}
    image = imaged(tree, list(whole), folder / "image", busybox)
    again = dict(traced(in_chroot(image.root, trace), image))
    assert again == {name: [moved(path) for path in found] for name, found in whole.items()}


def moved(path: str) -> str:
    """Return where the image has a file of the tree."""
    return f"/{in_image(tuple(path.split('/')[1:]))}"


@pytest.mark.parametrize("is_merged", [False, True], ids=["unmerged", "merged"])
@pytest.mark.parametrize("seed", range(4))
def test_as_ld_so_finds_them(tmp_path: Path, host_busybox: Path, seed: int, is_merged: bool) -> None:
    tree = prepare(tmp_path / "tree", world(random.Random(seed), GLIBC), is_merged, GLIBC, host_busybox)
    trace = f'for p in /bin/p*; do echo "== $p"; {TRACE} $p; done'
    said = in_chroot(tree.root, trace)
    found, failed = compare(tree, said, GLIBC)
    assert found + failed == 25 and found >= 5
    check_image(tree, said, trace, tmp_path, host_busybox)


@pytest.mark.parametrize("is_merged", [False, True], ids=["unmerged", "merged"])
@pytest.mark.parametrize("seed", range(4))
def test_as_musl_finds_them(tmp_path: Path, host_busybox: Path, seed: int, is_merged: bool) -> None:
    tree = prepare(tmp_path / "tree", world(random.Random(seed), MUSL), is_merged, MUSL, host_busybox)
    if seed % 2:
        (tree.root / "etc").mkdir()
        (tree.root / "etc/ld-musl-x86_64.path").write_text("/opt/b/lib:/srv/conf\n/lib\n/usr/lib")
    folder = "/usr/bin" if is_merged else "/bin"
    trace = f'for p in {folder}/p*; do echo "== $p"; {MUSL} --list $p; done'
    said = in_chroot(tree.root, trace)
    found, failed = compare(tree, said, MUSL)
    assert found + failed == 25 and found >= 2
    check_image(tree, said, trace, tmp_path, host_busybox)


@pytest.mark.parametrize("loader", [GLIBC, MUSL], ids=["glibc", "musl"])
def test_every_mix_of_rpath_and_runpath(tmp_path: Path, host_busybox: Path, loader: str) -> None:
    tree = prepare(tmp_path / "tree", chains(loader), False, loader, host_busybox)
    start = f"{TRACE} $p" if loader == GLIBC else f"{loader} --list $p"
    trace = f'for p in /bin/p*; do echo "== $p"; {start}; done'
    said = in_chroot(tree.root, trace)
    found, failed = compare(tree, said, loader)
    assert found + failed == 81 and found > 40 and failed > 5
    check_image(tree, said, trace, tmp_path, host_busybox)


def test_newer_processors_builds_do_not_count(tmp_path: Path, host_busybox: Path) -> None:
    level = "/opt/a/glibc-hwcaps/x86-64-v2"
    world = {
        f"{level}/liba.so.1": linked(soname="liba.so.1"),
        "/opt/a/liba.so.1": linked(soname="liba.so.1"),
        f"{level}/libb.so.1": linked(soname="libb.so.1"),
        "/bin/p": linked(["liba.so.1"], interpreter=GLIBC, rpath="/opt/a"),
        "/bin/q": linked(["libb.so.1"], interpreter=GLIBC, rpath="/opt/a"),
    }
    tree = prepare(tmp_path / "tree", world, False, GLIBC, host_busybox)
    assert level in in_chroot(tree.root, f"{TRACE} /bin/p"), "this processor takes the newer build"
    said = in_chroot(tree.root, f"{GLIBC} --glibc-hwcaps-mask none --list /bin/p")
    assert "/opt/a/liba.so.1" in said
    assert ours(tree, "/bin/p") == ["/opt/a/liba.so.1"]
    assert "/opt/a/glibc-hwcaps/x86-64-v2 has it for newer processors only" in ours(tree, "/bin/q")


def programs_of(tree: Sysroot) -> list[str]:
    """Return the dynamic programs in the bin folders of the tree."""
    reader = Reader(tree)
    paths = (
        f"{folder}/{name}"
        for folder in ("/usr/bin", "/usr/sbin", "/usr/libexec", "/usr/lib/systemd")
        if tree.is_dir(folder)
        for name in tree.list(folder)
    )
    elves = (path for path in paths if tree.is_file(path) and is_elf(tree.resolve(path)))
    return [path for path in elves if reader.read(path).facts.interpreter is not None]


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


@pytest.mark.tree
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
@shares(5)
@pytest.mark.slow
def test_as_ldd_finds_them_in_debian(suite: str, step: int, tmp_path: Path, host_busybox: Path) -> None:
    """The dynamic programs of the tree, against its own ldd."""
    from pxelab import trees

    tree = Sysroot.open(Path(trees.debian(suite)))
    programs = programs_of(tree)
    assert len(programs) > 300
    programs = programs[::step]
    said = asked_ldd(tree.root, programs)
    assert compare(tree, said, GLIBC) == (len(programs), 0)
    # And once more in an image that has them all: the tree's ldd, bash and loader are among them.
    image = imaged(tree, [*programs, "/usr/bin/ldd"], tmp_path / "image", host_busybox)
    again = dict(traced(asked_ldd(image.root, programs), image))
    assert again == {name: [moved(path) for path in found] for name, found in traced(said, tree)}


def asked_ldd(root: Path, programs: list[str]) -> str:
    """Return what the tree's own ldd says about the programs, each after a line with `== `."""
    script = 'mount -t proc proc "$0/proc" && exec chroot "$0" /usr/bin/bash /usr/bin/ldd "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, str(root), *programs]
    said = subprocess.run(words, capture_output=True, check=True, timeout=300, text=True).stdout
    return "".join(f"== {line[:-1]}\n" if line[0] == "/" else f"{line}\n" for line in said.splitlines())
