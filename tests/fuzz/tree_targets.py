"""Readers of what a tree, or the user, says about modules, programs and files."""

import io
import shutil
import struct
from contextlib import suppress
from pathlib import Path, PurePosixPath

from mkpxeinit import dynamic, elf
from mkpxeinit.dropins import plan_hooks, read_drop_ins
from mkpxeinit.errors import MkpxeinitError
from mkpxeinit.files import check_target, collect, parse_file
from mkpxeinit.hardware.network import REGISTER, Network, why_not
from mkpxeinit.image.entry import Directory, File, Symlink
from mkpxeinit.image.plan import Planned, make_segment
from mkpxeinit.kernel import builtin, modprobed, symbols
from mkpxeinit.kernel.index import read_index
from mkpxeinit.programs.gather import Host, gather
from mkpxeinit.programs.loader import CONF, read_conf
from mkpxeinit.programs.script import read_shebang
from mkpxeinit.reason import Reason
from mkpxeinit.selection import select
from mkpxeinit.sysroot import Sysroot
from tests.fuzz.target import Target
from tests.unit import linked, objects, small, test_builtin

RELEASE = small.RELEASE
X86 = elf.Machine("EM_X86_64", 64, True)
PROGRAM = "/usr/bin/p"


_LIBRARY = linked.linked(soname="libb.so.1")
_FILES: dict[str, str | bytes | small.Link | None] = {
    "usr/bin/p": linked.linked(["liba.so.1"], interpreter=linked.GLIBC),
    "lib64/ld-linux-x86-64.so.2": linked.linked(soname="ld.so") + b"\0/lib/\0/usr/lib/\0",
    "lib/ld-musl-x86_64.so.1": linked.linked(soname="libc.so"),
    "usr/bin/env": _LIBRARY,
    "opt/liba.so.1": linked.linked(["libb.so.1"], soname="liba.so.1", rpath="$ORIGIN/l:/lib"),
    "lib/libb.so.1": _LIBRARY,
    "opt/l": small.Link("../opt"),
    "etc/ld.so.conf": "include /etc/ld.so.conf.d/*.conf\n/opt\n",
    "etc/ld.so.conf.d/a.conf": "/usr/lib\n",
}


def make_programs(root: Path, tree: small.Tree) -> Sysroot:
    """Return the tree at `root`, made if it is not there: loaders, libraries, and what `tree` has."""
    if not root.exists():
        small.make_tree(root, _FILES | dict(tree))
        for path in (root / "usr/bin").iterdir():
            path.chmod(0o755)
    return Sysroot.open(root)


def _gather(root: Path, tree: small.Tree, data: bytes, at: str) -> None:
    """Gather the program of a tree in which the file `at` is `data`."""
    sysroot = make_programs(root, tree)
    (root / at).write_bytes(data)
    (root / at).chmod(0o755)
    found = gather(sysroot, [(PROGRAM, Reason("test"))], Host(X86, {}, frozenset({"sh"})))
    make_segment("programs", found.items)
    assert all(note.isprintable() for note in found.notes)


def _modprobed(data: bytes, folder: Path) -> None:
    for each in ("etc/modprobe.d", "usr/lib/modprobe.d"):
        (folder / each).mkdir(parents=True, exist_ok=True)
        (folder / each / "a.conf").write_bytes(data)
    (folder / "usr/lib/modprobe.d/b.conf").write_bytes(data[::-1])
    index = read_index(Sysroot.open(folder), RELEASE)
    taken = frozenset(index.modules)
    settings = index.settings
    assert all(note.isprintable() for note in (*settings.notes, *modprobed.remarks(settings, taken)))
    text = modprobed.image_text(settings, taken)
    assert {line.split(" ")[0] for line in text.split("\n")} <= {"alias", "blacklist", "options", ""}
    for name in ("nfs", "x", "pci:v00008086d00001000sv*"):
        index.lookup(name)
    select(index, [])


def _modinfo(data: bytes, folder: Path) -> None:
    (folder / f"lib/modules/{RELEASE}/modules.builtin.modinfo").write_bytes(data)
    index = read_index(Sysroot.open(folder), RELEASE)
    drivers = index.builtin_modules.values()
    text = builtin.image_text(drivers)
    assert text.count("\0") == len(text.split("\0")) - 1
    with suppress(MkpxeinitError):
        builtin.parse_modinfo(text, "x", {})
    network = Network(index.with_builtins())
    for driver in network.known():
        str(why_not(driver, {"00"}, ("pci",)))
    select(index.with_builtins(), [])


def _symbols(data: bytes, folder: Path) -> None:
    with suppress(MkpxeinitError):
        assert all(len(each) <= 512 for each in elf.imports(data, "x"))
    for names in (".modinfo", ".symtab"):
        with suppress(MkpxeinitError):
            assert len(elf.section_of(io.BytesIO(data), names, "x")) <= len(data)
    for suffix in ("", ".gz", ".xz", ".zst"):
        place = f"lib/modules/{RELEASE}/kernel/m.ko{suffix}"
        (folder / place).write_bytes(data)
        with suppress(MkpxeinitError), (folder / place).open("rb", buffering=0) as file:
            elf.section_of(file, ".modinfo", "x")
    index = read_index(Sysroot.open(folder), RELEASE)
    network = Network(index, symbols.reader(Sysroot.open(folder), RELEASE))
    for module in list(index.modules.values())[:1]:
        (folder / f"lib/modules/{RELEASE}/{module.path}").write_bytes(data)
        found = symbols.reader(Sysroot.open(folder), RELEASE)([module], REGISTER)
        assert found[module.name] is not None and network.driver(module.name) is None


def _dynamic(data: bytes, folder: Path) -> None:
    with suppress(MkpxeinitError):
        dynamic.dynamic(data, "x")
    for at in ("usr/bin/p", "opt/liba.so.1", "lib64/ld-linux-x86-64.so.2"):
        with suppress(MkpxeinitError):
            _gather(folder / at.replace("/", "-"), {}, data, at)


def _conf(data: bytes, folder: Path) -> None:
    for at in ("etc/ld.so.conf", "etc/ld.so.conf.d/a.conf"):
        with suppress(MkpxeinitError):
            _gather(folder / at.replace("/", "-"), {}, data, at)
        tree = Sysroot.open(folder / at.replace("/", "-"))
        assert all(each.startswith("/") for each in read_conf(tree, CONF))


def _musl_path(data: bytes, folder: Path) -> None:
    tree = {"usr/bin/p": linked.linked(["liba.so.1"], interpreter=linked.MUSL)}
    _gather(folder / "musl", tree, data, "etc/ld-musl-x86_64.path")


def _shebang(data: bytes, folder: Path) -> None:
    with suppress(MkpxeinitError):
        found = read_shebang(data, "x")
        assert found.interpreter.startswith("/") and "\0" not in found.interpreter
    tree: small.Tree = {
        "bin/sh": linked.linked(interpreter=linked.GLIBC),
        "usr/bin/python3": small.Link("env"),
        "usr/bin/a.sh": "#!/bin/sh\n",
    }
    _gather(folder / "script", tree, data, "usr/bin/p")


# How the pieces of a `world` are told from each other: a byte for the place, a number for the length.
_PLACES = (
    "usr/bin/p", "opt/liba.so.1", "lib/libb.so.1", "lib64/ld-linux-x86-64.so.2", "etc/ld.so.conf",
    "lib/ld-musl-x86_64.so.1", "etc/ld-musl-x86_64.path",
)  # fmt: skip


def world(*files: tuple[int, bytes]) -> bytes:
    """Return files of a tree as one input."""
    return b"".join(struct.pack("<BH", place, len(data)) + data for place, data in files)


def _world(data: bytes, folder: Path) -> None:
    root = folder / "world"
    if root.exists():
        shutil.rmtree(root)
    tree = make_programs(root, {})
    while len(data) > 3:
        place, length = struct.unpack_from("<BH", data)
        path = root / _PLACES[place % len(_PLACES)]
        path.unlink(missing_ok=True)
        if place > 200:
            with suppress(ValueError, OSError):
                path.symlink_to(data[3 : 3 + min(length, 100)])
        else:
            path.write_bytes(data[3 : 3 + length])
            path.chmod(0o755)
        data = data[3 + length :]
    found = gather(tree, [(PROGRAM, Reason("test"))], Host(X86, {}, frozenset()))
    make_segment("programs", found.items)


def _drop_in(data: bytes, folder: Path) -> None:
    place = folder / "drop-ins"
    small.make_tree(place, {"go": "#!/bin/sh\n", "conf": "x"})
    (place / "a.toml").write_bytes(data)
    found = read_drop_ins([place])
    make_segment("hooks", plan_hooks(found.hooks))
    for each in found.files:
        assert each.target.parts and ".." not in each.target.parts and not each.target.is_absolute()
    for name, reason in (*found.modules, *found.programs):
        assert name and str(reason).isprintable()


_PLANNED = {
    item.entry.path: item
    for item in (
        Planned(Symlink(PurePosixPath("sbin"), "bin"), Reason("a link")),
        Planned(Symlink(PurePosixPath("lib64"), "usr/../usr/lib64"), Reason("a link")),
        Planned(Symlink(PurePosixPath("usr/loop"), "loop"), Reason("a link")),
        Planned(Symlink(PurePosixPath("up"), "../../.."), Reason("a link")),
        Planned(Directory(PurePosixPath("bin")), Reason("folder")),
        Planned(File(PurePosixPath("bin/busybox"), b""), Reason("busybox")),
    )
}


def _given(data: bytes, folder: Path) -> None:
    small.make_tree(folder / "given", {"a": "x", "d/b": "y", "a:b": "z"})
    tree = Sysroot.open(folder / "given")
    text = data.decode("utf-8", "surrogateescape")
    with suppress(MkpxeinitError):
        assert str(check_target(text, "x")).isprintable()
    given = parse_file(text.replace("HERE", str(tree.root)))
    found = collect(tree, (given,), _PLANNED)
    make_segment("files", (*_PLANNED.values(), *found))


_MODPROBED = (
    "# one\nblacklist e1000\nalias pci:v*d* r8169\noptions nfs a=1 b=\"x y\" \\\n c=2\n"
    "softdep overlay pre: crc_a post: nfs\ninstall x* /bin/true; modprobe y\nremove e1000 x\nalias z off\n"
)  # fmt: skip
_DROP_IN = """modules = ["nfs", "e1000"]
programs = ["/usr/bin/p"]
[[files]]
source = "conf"
target = "/etc/"
[[files]]
sysroot = "/etc/x"
[[hooks]]
phase = ["lease", "switch"]
script = "go"
order = 5
[[hooks]]
phase = "root"
when = "before"
script = "./go"
"""
_OBJECTS = tuple(
    objects.object_file("register_netdev", "cfg80211_x", bits=bits, little=little)
    for bits in (32, 64)
    for little in (True, False)
)
_LINKED = (
    linked.linked(["liba.so.1", "libb.so.1"], interpreter=linked.GLIBC, runpath="$ORIGIN/../../opt:${LIB}/x"),
    linked.linked(["libb.so.1"], soname="liba.so.1", rpath="/opt:$ORIGIN", flags_1=linked.NODEFLIB),
    linked.linked(["libb.so.1"], interpreter="/lib/ld.so", bits=32, machine=small.I386),
)
_SHEBANGS = (
    b"#!/bin/sh -e\n",
    b"#! /usr/bin/env -S -i A=b python3 -u\nx",
    b"#!/usr/bin/env python3",
    b"#!/usr/bin/a.sh -x\n",
)
_CONFS = (
    b"include /etc/ld.so.conf.d/*.conf\n/opt # x\n/lib=libc6\nhwcap 1 nosegneg\n",
    b"include ld.so.conf.d/[a-b]*.conf *\n/usr/lib/\n",
)
_WORLDS = (
    world((0, _LINKED[0]), (1, _LINKED[1]), (4, _CONFS[0])),
    world((0, linked.linked(["liba.so.1"], interpreter=linked.MUSL, rpath="/opt")), (6, b"/opt:/lib\n")),
    world((0, _LINKED[0]), (207, b"ld.so.conf.d/a.conf"), (204, b"../lib/libb.so.1")),
)

TREE_TARGETS = (
    Target("modprobe.d", (_MODPROBED.encode(), b"alias a-b c\nblacklist c\n"), _modprobed, dear=3),
    Target("builtin-modinfo", (test_builtin.text_of(test_builtin.ENTRIES).encode(),), _modinfo, dear=3),
    Target("symbols", _OBJECTS, _symbols, dear=3),
    Target("dynamic", _LINKED, _dynamic, dear=3),
    Target("ld.so.conf", _CONFS, _conf, dear=3),
    Target("ld-musl.path", (b"/lib:/opt\n/usr/lib", b"/opt"), _musl_path),
    Target("shebang", _SHEBANGS, _shebang),
    Target("libraries", _WORLDS, _world, dear=3),
    Target("drop-in", (_DROP_IN.encode(), b'[[hooks]]\nphase = "root"\nscript = "go"\n'), _drop_in),
    Target("file", (b"HERE/a:/etc/b", b"d/b", rb"HERE/a\:b:up/x", b"HERE/d:lib64/", b"d"), _given),
)
