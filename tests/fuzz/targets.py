"""The readers of the builder, each with good inputs to begin with."""

import gzip
import json
import lzma
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import zstandard

from mkpxeinit import busybox, elf, selection
from mkpxeinit.errors import MkpxeinitError
from mkpxeinit.hardware import drivers
from mkpxeinit.hardware.inventory import read_inventory
from mkpxeinit.hardware.modalias import Matcher
from mkpxeinit.hardware.pci import PciClass
from mkpxeinit.image import compress, lz4
from mkpxeinit.image.catalogue import Catalogue
from mkpxeinit.image.compress import unpack_module
from mkpxeinit.image.read import open_image
from mkpxeinit.image.unpack import kind_of, unpack
from mkpxeinit.kernel import firmware
from mkpxeinit.kernel.index import read_index
from mkpxeinit.kernel.release import read_config
from mkpxeinit.sysroot import Sysroot
from tests.fuzz.image_targets import IMAGE_TARGETS
from tests.fuzz.prepare_targets import PREPARE_TARGETS
from tests.fuzz.probe_targets import PROBE_TARGETS
from tests.fuzz.publish_targets import PUBLISH_TARGETS
from tests.fuzz.site_targets import SITE_TARGETS
from tests.fuzz.target import Target
from tests.fuzz.tree_targets import TREE_TARGETS
from tests.unit import small, test_firmware, test_inventory
from tests.unit.images import PACKERS, TRAILER, entry

MODALIASES = (
    "pci:v00008086d00001000sv00001AF4sd00001100bc02sc00i00",
    "pci:v000010ECd00008168sv????????sd????????bc02sc00i??",
    "of:NethernetT(null)Cvendor,thing",
    "x-y",
)
SYMBOLIC = 0o120777
KINDS = [kind for kind in PACKERS if kind != "lz4" or shutil.which("lz4")]


def _lists(name: str) -> Callable[[bytes, Path], None]:
    """Return a reader of a tree whose modules.`name` is given: all that a build asks of the index."""

    def run(data: bytes, folder: Path) -> None:
        (folder / f"lib/modules/{small.RELEASE}/modules.{name}").write_bytes(data)
        index = read_index(Sysroot.open(folder), small.RELEASE)
        for text in (*MODALIASES, "crypto-crc", "nfs4"):
            index.lookup(text)
        matcher = Matcher((alias.pattern, alias.module) for alias in index.aliases)
        for text in MODALIASES:
            matcher.modules(text)
        chosen = selection.select(index, [PciClass("02"), PciClass("02", "80"), PciClass("0C")])
        for each in chosen.modules:
            assert str(each.reason).isprintable()
        assert all(note.isprintable() for note in chosen.notes)

    return run


def _config(data: bytes, folder: Path) -> None:
    (folder / f"boot/config-{small.RELEASE}").write_bytes(data)
    config = read_config(Sysroot.open(folder), small.RELEASE)
    compress.check_readable(compress.choose(config), config, small.RELEASE)


def _elf(data: bytes, folder: Path) -> None:
    with suppress(MkpxeinitError):
        elf.inspect(data, "x")
    with suppress(MkpxeinitError):
        elf.section(data, ".modinfo", "x")
    names = firmware.names_in(data, "x")
    found = firmware.find(Sysroot.open(folder), small.RELEASE, names, {})
    assert all(each.path.is_relative_to("lib/firmware") for each in found.files)


def _inventory(data: bytes, folder: Path) -> None:
    (folder / "pc").write_bytes(data)
    inventory = read_inventory(folder / "pc")
    assert all(each.where.isprintable() for each in inventory.devices)
    tree = Sysroot.open(folder)
    found = drivers.find(read_index(tree, small.RELEASE), [inventory])
    assert all(where.isprintable() for _, where in found.modules)


def _image(data: bytes, folder: Path) -> None:
    (folder / "image").write_bytes(data)
    with open_image(folder / "image") as image:
        names = [str(found.record.path) for found in image.entries()]
    catalogue = Catalogue(folder / "image")
    for name in names[:5]:
        with suppress(MkpxeinitError):
            sum(map(len, catalogue.content(catalogue.locate(name))))


def _packed(data: bytes, folder: Path) -> None:
    kind = kind_of(data) or "gzip"
    source = memoryview(data)
    at = 0

    def more(size: int) -> bytes:
        nonlocal at
        piece = bytes(source[at : at + min(size, 100)])
        at += len(piece)
        return piece

    with suppress(ValueError, EOFError):
        for number, piece in enumerate(unpack(kind, more)):
            assert piece and len(piece) <= 64 << 20
            if number == 100:
                break
    for suffix in (".gz", ".xz", ".zst"):
        with suppress(ValueError):
            assert len(unpack_module(data, f"m.ko{suffix}", 1 << 20)) <= 1 << 20


def _lz4_block(data: bytes, folder: Path) -> None:
    with suppress(ValueError):
        assert len(lz4.unpack_block(data, 100_000)) <= 100_000


def _applets(data: bytes, folder: Path) -> None:
    for name in busybox.applet_names(data):
        assert 0 < len(name) <= 32 and "/" not in name and name.isascii() and name.isprintable()
    busybox.check(data, "x", None, {})


def _images() -> tuple[bytes, ...]:
    """Return small images, of one archive and of several, plain and packed by everything that is here."""
    plain = (
        entry(b".", 0o40755) + entry(b"d", 0o40755) + entry(b"d/f", 0o100644, b"content\n" * 9)
        + entry(b"l", SYMBOLIC, b"d/f") + entry(b"h1", 0o100600, links=2, inode=7)
        + entry(b"h2", 0o100600, b"both", links=2, inode=7) + entry(b"dev/console", 0o020600, device=(5, 1))
        + TRAILER + bytes(20)
    )  # fmt: skip
    found = [plain, plain + plain]
    for kind in KINDS:
        packed = PACKERS[kind](plain)
        found.append(plain + packed + bytes(-len(packed) % 4) + packed)
    return tuple(found)


def _frames() -> tuple[bytes, ...]:
    plain = small.module_bytes("e1000") * 3
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    unsized = packer.compress(plain) + packer.flush()
    found = [gzip.compress(plain, mtime=0), lzma.compress(plain), unsized]
    return (*found, *(PACKERS[kind](plain) for kind in KINDS))


_LSHW = {
    "id": "pc", "class": "system", "children": [
        {"id": "network", "class": "network", "businfo": "pci@0000:00:1f.6", "product": "I219-LM [8086:1000]",
         "configuration": {"driver": "e1000"}},
        {"class": "bus", "businfo": "pci@0000:00:14.0", "configuration": {"driver": "xhci_hcd"}, "children": [
            {"class": "network", "businfo": "usb@2:1", "configuration": {"driver": "r8169"}}]},
    ],
}  # fmt: skip
_INVENTORIES = (
    test_inventory.NN, test_inventory.NNK, test_inventory.MM, test_inventory.NNMM, test_inventory.VMM,
    f"00:1f.6 0200: 8086:15bb (rev 10)\n\tSubsystem: 1028:0869\n00: 86 80 bb 15\n{test_inventory.NNK}",
    "00:03.0 Ethernet controller [0200]: Red Hat Virtio [1af4:1000] (rev 10) (prog-if 00 [x])\n",
    "# client\npci:v00008086d00001000sv00001028sd00000869bc02sc00i00\nvirtio:d00000001v00001AF4\n"
    "acpi:LNRO0005:\n",
    json.dumps(_LSHW), json.dumps([_LSHW], indent=1),
)  # fmt: skip

_ALIASES = small.kernel_tree()[f"lib/modules/{small.RELEASE}/modules.alias"]
assert isinstance(_ALIASES, str)
_ODD_ALIASES = "alias of:N*T*C[a-z]endor,th?ng* e1000\nalias x[!a-]y\\* r8169\nalias a b c nfs\n"

# Literals and matches: near, far, overlapping, with lengths of several bytes.
_LZ4_BLOCKS = (
    b"\x42abcd\x04\x00\x1fx\x01\x00\xff\x30\x50last5",
    b"\xf0\x05" + bytes(range(20)),
    b"\x1fa\x01\x00\xff\xff\xff\x07\x60abcdef",
)

_SHAPES = ((32, True), (32, False), (64, True), (64, False))  # bits, little endian

TARGETS = (
    Target("dep", (small.dep_text().encode(), small.dep_text(suffix=".xz").encode()), _lists("dep")),
    Target("alias", (_ALIASES.encode(), (_ALIASES + _ODD_ALIASES).encode()), _lists("alias")),
    Target("softdep", (small.SOFTDEPS.encode(), small.WEAKDEPS.encode()), _lists("softdep")),
    Target("weakdep", (small.WEAKDEPS.encode(), small.SOFTDEPS.encode()), _lists("weakdep")),
    Target("builtin", (b"kernel/net/packet/af_packet.ko\nkernel/net/unix/unix.ko\n",), _lists("builtin")),
    Target("config", (small.CONFIG.encode(),), _config),
    Target(
        "elf",
        (
            *(test_firmware.module("a", "b/*.bin", bits=b, little=o) for b, o in _SHAPES),
            *(small.elf(bits=b, little=o, interpreter="/lib/ld.so") for b, o in _SHAPES),
        ),
        _elf,
    ),
    Target("inventory", tuple(text.encode() for text in _INVENTORIES), _inventory),
    Target("image", _images(), _image),
    Target("packed", _frames(), _packed),
    Target("lz4-block", _LZ4_BLOCKS, _lz4_block),
    Target("applets", (small.busybox(), small.busybox(["mount", "sh", "[", "ls"])), _applets),
    *TREE_TARGETS,
    *SITE_TARGETS,
    *IMAGE_TARGETS,
    *PREPARE_TARGETS,
    *PROBE_TARGETS,
    *PUBLISH_TARGETS,
)


def make_folder(folder: Path) -> None:
    """Make what the readers expect beside their input: a small tree, with some firmware."""
    os.umask(0o022)
    tree = small.kernel_tree() | {"lib/firmware/a": "x", "lib/firmware/b/1.bin": "x"}
    small.make_tree(folder, tree)
