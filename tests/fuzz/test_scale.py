"""Large input, made to cost much: what grows with its square would not be done within the bounds in hours.

Each is some megabytes, or few bytes that ask for much, and must be done, or refused, as any other input.
"""

import gzip
import io
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
import zstandard

from mkpxeinit import elf
from mkpxeinit.errors import ProgramError
from mkpxeinit.hardware import drivers
from mkpxeinit.hardware.inventory import Inventory, parse
from mkpxeinit.hardware.modalias import Matcher
from mkpxeinit.hardware.pci import PciClass
from mkpxeinit.image.catalogue import Catalogue
from mkpxeinit.image.compress import unpack_module
from mkpxeinit.image.read import open_image
from mkpxeinit.image.reasons import Reasons
from mkpxeinit.image.reasons import parse as parse_reasons
from mkpxeinit.image.unpack import unpack
from mkpxeinit.kernel import firmware
from mkpxeinit.kernel.index import read_index
from mkpxeinit.programs.gather import Host, gather
from mkpxeinit.programs.loader import read_conf
from mkpxeinit.reason import Reason
from mkpxeinit.selection import select
from mkpxeinit.sysroot import Sysroot
from tests.fuzz.bounds import bounded, ours_or_a_result
from tests.unit.images import TRAILER, entry
from tests.unit.linked import GLIBC, linked
from tests.unit.small import RELEASE, Link, Tree, dep_text, kernel_tree, make_tree
from tests.unit.test_firmware import module

INVENTORIES: dict[str, Callable[[], str]] = {
    "lspci -nn": lambda: "00:00.0 x " + "[0200]: [8086:15bb] (prog-if 00 " * 30_000,
    "lspci -nn, brackets": lambda: "00:00.0 x [0200]: " + "[8086:15bb] " * 90_000 + "y",
    "lspci -n": lambda: "00:00.0 0200: 8086:15bb (prog-if 00 " + ") " * 500_000 + "y",
    "lspci -mm": lambda: '00:00.0 "0200" "8086" "15bb" ' + '"\\' * 500_000,
    "lspci -mm, no end": lambda: '00:00.0 "0200" "8086" "15bb" "' + '\\"' * 500_000 + "\\",
    "lspci -k": lambda: "00:00.0 0200: 8086:15bb\n\tSubsystem: " + "1028:0869 " * 100_000 + "x",
    "lspci, blanks": lambda: "00:00.0 0200: 8086:15bb\n" + " " * 1_000_000 + "x",
    "lspci -vmm": lambda: "Slot: 1\nClass: " + "[0200" * 300_000 + "\nVendor: x",
    "lspci, many": lambda: "00:00.0 0200: 8086:15bb\n" * 30_000,
    "modalias": lambda: "pci:v" + "0" * 4_000_000,
    "modalias, dashes": lambda: "of:" + "-[" * 2_000_000,
    "lshw": lambda: '{"class":"x","children":[' + "{}," * 4_000_000 + "{}]}",
    "lshw, brackets": lambda: '{"class":"network","businfo":"pci@","product":"' + "[8086:" * 500_000 + '"}',
    "lshw, deep": lambda: '{"class":"x","children":[' * 900,
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Sysroot:
    return Sysroot.open(make_tree(tmp_path_factory.mktemp("tree"), kernel_tree()))


@pytest.mark.parametrize("name", INVENTORIES)
def test_inventories(tree: Sysroot, name: str) -> None:
    text = INVENTORIES[name]()
    with ours_or_a_result():
        devices = tuple(parse(text, "x", "x"))
        drivers.find(read_index(tree, RELEASE), [Inventory("x", devices)])


STARS = "pci:v*" + "a*" * 100_000
LISTS: dict[str, Callable[[], dict[str, str]]] = {
    "softdep": lambda: {"softdep": "softdep nfs pre: x\n" * 50_000},
    "softdeps": lambda: {"softdep": "softdep nfs pre: " + "x " * 250_000},
    "chain": lambda: {
        "dep": dep_text() + "".join(f"kernel/m{n}.ko:\n" for n in range(20_000)),
        "softdep": "softdep nfs pre: m0\n" + "".join(f"softdep m{n} pre: m{n + 1}\n" for n in range(19_999)),
    },
    "circle": lambda: {"softdep": "softdep nfs pre: sunrpc lockd nfs\nsoftdep sunrpc pre: nfs\n"},
    "dep": lambda: {"dep": dep_text() + "kernel/x.ko:" + " kernel/x.ko" * 500_000},
    "alias, stars": lambda: {"alias": f"alias {STARS} e1000\n" * 5},
    "alias, question marks": lambda: {"alias": "alias pci:v" + "*?" * 100_000 + "x e1000\n"},
    "alias, brackets": lambda: {"alias": "alias pci:v" + "[a-z]" * 200_000 + " e1000\n"},
    "alias, open bracket": lambda: {"alias": "alias pci:v" + "[" * 200_000 + " e1000\n"},
    "alias, many": lambda: {"alias": "".join(f"alias pci:v*d{n:08X}* e1000\n" for n in range(8_000))},
    "alias of a softdep": lambda: {
        "alias": f"alias {STARS} e1000\n",
        "softdep": "softdep nfs pre: pci:v" + "a" * 100_000,
    },
    "builtin": lambda: {"builtin": "".join(f"kernel/x{n}.ko\n" for n in range(100_000))},
}


@pytest.mark.parametrize("name", LISTS)
def test_lists(tmp_path: Path, name: str) -> None:
    make_tree(tmp_path, kernel_tree())
    for each, text in LISTS[name]().items():
        (tmp_path / f"lib/modules/{RELEASE}/modules.{each}").write_text(text)
    with ours_or_a_result():
        index = read_index(Sysroot.open(tmp_path), RELEASE)
        chosen = select(index, [PciClass("02")])
        assert sum(len(str(each.reason)) for each in chosen.modules) < 100 << 20
        matcher = Matcher((alias.pattern, alias.module) for alias in index.aliases)
        matcher.modules("pci:v" + "a" * 1000)
        matcher.modules("pci:v00008086d00001000sv????????sd????????bc02sc00i??")
        index.lookup("pci:v" + "a" * 1000)


def odd_section(kind: int, flags: int, size: int, content: bytes) -> bytes:
    """Return a module whose .modinfo has this type, these flags and this size, and `content` at its end."""
    data = bytearray(module("a"))
    table, row = struct.unpack_from("<Q", data, 40)[0], 64
    struct.pack_into("<IQ", data, table + row + 4, kind, flags)
    struct.pack_into("<QQ", data, table + row + 24, len(data), size)
    return bytes(data) + content


def odd_head(**fields: int) -> bytes:
    """Return a module whose ELF header says something else."""
    data = bytearray(module("a"))
    places = {"e_phoff": (32, "<Q"), "e_shoff": (40, "<Q"), "e_phentsize": (54, "<H"), "e_phnum": (56, "<H"),
              "e_shentsize": (58, "<H"), "e_shnum": (60, "<H"), "e_shstrndx": (62, "<H")}  # fmt: skip
    for name, value in fields.items():
        if name in places:
            struct.pack_into(places[name][1], data, places[name][0], value)
    table = struct.unpack_from("<Q", data, 40)[0]
    if table + 64 <= len(data):
        struct.pack_into("<Q", data, table + 32, fields.get("first_size", 0))
        struct.pack_into("<I", data, table + 44, fields.get("first_info", 0))
    return bytes(data)


ELFS: dict[str, Callable[[], bytes]] = {
    "no bits": lambda: odd_section(8, 0, 1 << 40, b""),
    "no bits, 3 GiB": lambda: odd_section(8, 0, 3 << 30, b""),
    "compressed": lambda: odd_section(
        1, 1 << 11, 3 << 20, struct.pack("<IIQQ", 1, 0, 512 << 20, 1) + packed(512 << 20)
    ),
    "sections": lambda: odd_head(e_shnum=0, first_size=1 << 60),
    "sections of no size": lambda: odd_head(e_shnum=0, e_shentsize=0, first_size=1 << 60),
    "many sections of no size": lambda: odd_head(e_shnum=0xFEFF, e_shentsize=0),
    "segments": lambda: odd_head(e_phnum=0xFFFF, e_phentsize=56, e_phoff=64, first_info=0xFFFFFFFF),
    "segments of no size": lambda: odd_head(e_phnum=0xFFFF, e_phentsize=0, e_phoff=64, first_info=0xFFFFFFFF),
}


def packed(size: int) -> bytes:
    """Return `size` zeros as zlib packs them."""
    packer = zlib.compressobj(1)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()])


@pytest.mark.parametrize("name", ELFS)
def test_elf(name: str) -> None:
    data = ELFS[name]()
    with ours_or_a_result(memory=256 << 20):
        elf.inspect(data, "x")
    with ours_or_a_result(memory=256 << 20):
        elf.section(data, ".modinfo", "x")


@pytest.mark.parametrize(
    "pattern", ["*/" * 40 + "x", "*" * 100_000, "[" * 100_000, "a/" * 100_000 + "*", "*a" * 200]
)
def test_firmware_patterns(tmp_path: Path, pattern: str) -> None:
    """Two links to the folder that they are in: each wildcard would double the places."""
    tree: Tree = {f"lib/firmware/{'a' * 100}{n}.bin": "x" for n in range(25)}
    root = make_tree(tmp_path, {**tree, "lib/firmware/l1": Link("."), "lib/firmware/l2": Link(".")})
    with ours_or_a_result():
        firmware.find(Sysroot.open(root), RELEASE, firmware.names_in(module(pattern), "x"), {})


def one_gib(data: bytes) -> bytes:
    """Return a small .xz file that says that its dictionary has 1 GiB (xz-file-format 1.1, 3.1 and 5.3.1)."""
    packed, start = bytearray(lzma.compress(data)), 12
    end = start + (packed[start] + 1) * 4 - 4
    packed[packed.index(b"\x21\x01", start, end) + 2] = 36
    packed[end : end + 4] = struct.pack("<I", zlib.crc32(packed[start:end]))
    return bytes(packed)


def test_dictionaries() -> None:
    """What claims to need much memory is refused, whoever unpacks it."""
    old = bytearray(lzma.compress(b"x" * 100, lzma.FORMAT_ALONE))
    old[1:5] = struct.pack("<I", 1 << 30)
    for kind, data in (("xz", one_gib(b"x" * 100)), ("lzma", bytes(old))):
        with pytest.raises(ValueError, match="Memory usage limit"):
            list(unpack(kind, io.BytesIO(data).read))
    with pytest.raises(ValueError, match="Memory usage limit"):
        unpack_module(one_gib(b"x" * 100), "m.ko.xz", 1000)


MODULE_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lambda data: lzma.compress(data, preset=0),
    ".zst": zstandard.compress,
}


@pytest.mark.parametrize("suffix", MODULE_PACKERS)
def test_no_more_is_unpacked_than_the_limit(suffix: str) -> None:
    data = MODULE_PACKERS[suffix](bytes(128 << 20))
    with bounded(memory=64 << 20), pytest.raises(ValueError, match="more than 1000 bytes"):
        unpack_module(data, f"m.ko{suffix}", 1000)


def test_libraries_that_all_need_each_other(tmp_path: Path) -> None:
    names = [f"lib{n}.so" for n in range(300)]
    tree: dict[str, str | bytes | Link | None] = {f"lib/{name}": linked(names, soname=name) for name in names}
    tree |= {"bin/p": linked(names, interpreter=GLIBC), GLIBC: linked(soname="ld.so") + b"\0/lib/\0/usr/\0"}
    root = make_tree(tmp_path, tree)
    (root / "bin/p").chmod(0o755)
    with ours_or_a_result():
        found = gather(Sysroot.open(root), [("/bin/p", Reason("test"))], Host(None, {}, frozenset()))
        assert len(found.items) > 300


@pytest.mark.parametrize(
    "line", ["include" + " *" * 50_000, "include *\n" * 50_000, "include " + "a/" * 500_000]
)
def test_conf(tmp_path: Path, line: str) -> None:
    files = {f"etc/f{n}": "" for n in range(50)}
    root = make_tree(tmp_path, {**files, "etc/ld.so.conf": line})
    with ours_or_a_result(), pytest.raises(ProgramError):
        list(read_conf(Sysroot.open(root)))


def test_reasons_of_deep_folders() -> None:
    lines = "".join(f"a{n}/" + "b/" * 2000 + "c\td\n" for n in range(1000))
    with ours_or_a_result():
        found = Reasons(parse_reasons(lines.encode(), "x"))
        assert found.of(PurePosixPath("a500/b/b")) == ("holds c", "d")


IMAGES: dict[str, Callable[[], bytes]] = {
    "many": lambda: entry(b"a", 0o40755) * 25_000,
    "many archives": lambda: (entry(b"a", 0o100644) + TRAILER) * 9_000,
    "long names": lambda: b"".join(entry(b"%07d/" % n + b"/a" * 2040, 0o100644) for n in range(4_000)),
    "zeros": lambda: entry(b"a", 0o100644) + bytes(96 << 20) + TRAILER,
    "zeros between": lambda: (entry(b"a", 0o100644) + bytes(1000)) * 12_000,
    "long links": lambda: b"".join(entry(b"l%d" % n, 0o120777, b"/l/" * 1300) for n in range(10_000)),
}


# Packed, some come in pieces of many megabytes; the sequence of archives is bounded by their number.
CASES = [
    ("none", "many archives"),
    ("none", "zeros between"),
    *(("zstd", name) for name in IMAGES if name != "many archives"),
]


@pytest.mark.parametrize(("pack", "name"), CASES)
def test_images(tmp_path: Path, pack: str, name: str) -> None:
    data = IMAGES[name]()
    (tmp_path / "i").write_bytes(zstandard.compress(data) if pack == "zstd" else data)
    del data
    with ours_or_a_result(), open_image(tmp_path / "i") as image:
        for _ in image.entries():
            pass
    with ours_or_a_result():
        Catalogue(tmp_path / "i").locate("a/b")
