"""Firmware: what modules name, where the tree has it, how it reaches the image."""

import gzip
import lzma
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from mkpxeinit import build, sysroot
from mkpxeinit.errors import ImageError, ProgramError, SysrootError
from mkpxeinit.image import assemble
from mkpxeinit.image.compress import Compressor
from mkpxeinit.image.entry import File
from mkpxeinit.image.plan import Planned, make_segment
from mkpxeinit.kernel import firmware, modulefile
from mkpxeinit.reason import Reason
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import CONFIG, PPC64, RELEASE, X86_64, Link, Tree, kernel_tree, make_tree, unpack
from tests.unit.small import module_path as path_of

XZ, ZSTD = {"FW_LOADER_COMPRESS_XZ": "y"}, {"FW_LOADER_COMPRESS_ZSTD": "y"}


def module(*names: str, bits: int = 64, little: bool = True) -> bytes:
    """Return an ELF file with a `.modinfo` that names firmware, and a decoy in front of it."""
    order, wide = "<" if little else ">", bits == 64
    info = b"license=GPL\0" + b"".join(b"firmware=%s\0" % name.encode() for name in names) + b"depends=\0"
    strings = b"\0.modinfo\0.shstrtab\0"
    size, row = (64, 64) if wide else (52, 40)
    decoy = b"firmware=decoy\0"
    at = size + len(decoy)
    table = at + len(info) + len(strings)
    head = b"\x7fELF" + bytes([2 if wide else 1, 1 if little else 2, 1]) + bytes(9)
    machine = X86_64 if little else PPC64
    head += struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        1, machine, 1, 0, 0, table, 0, size, 0, 0, row, 3, 2,
    )  # fmt: skip
    shape = order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII")
    sections = [(0, 0, 0, 0), (1, 1, at, len(info)), (10, 3, at + len(info), len(strings))]
    rows = b"".join(struct.pack(shape, n, kind, 0, 0, off, ln, 0, 0, 1, 0) for n, kind, off, ln in sections)
    return head + decoy + info + strings + rows


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("little", [True, False])
def test_names_in_a_module(bits: int, little: bool) -> None:
    data = module("b/x.fw", "a.bin", "b/x.fw", bits=bits, little=little)
    assert firmware.names_in(data, "m.ko") == ("b/x.fw", "a.bin")


def test_modules_without_firmware_or_sections() -> None:
    assert firmware.names_in(module(), "m.ko") == ()
    assert firmware.names_in(b"anything", "m.ko") == ()


def test_damaged_module_is_ours() -> None:
    """Whatever is cut off, once the names are there: the table of sections stands at the very end."""
    data = module("a")
    first = data.index(b"firmware=") + len(b"firmware=")
    for end in range(first, len(data)):
        with pytest.raises(ProgramError, match="^m.ko: damaged ELF file: "):
            firmware.names_in(data[:end], "m.ko")
    for end in range(first):
        assert firmware.names_in(data[:end], "m.ko") == ()
    assert firmware.names_in(data, "m.ko") == ("a",)


def find(tmp_path: Path, tree: Tree, *names: str, config: dict[str, str] | None = None) -> firmware.Found:
    root = make_tree(
        tmp_path / "tree", {f"lib/firmware/{k}" if k[0] != "/" else k: v for k, v in tree.items()}
    )
    return firmware.find(Sysroot.open(root), RELEASE, names, config or {})


def shown(found: firmware.Found) -> list[str]:
    """Return path and content of each file, or the link's target."""
    return [
        f"{f.path.relative_to('lib/firmware')} "
        + (f"-> {f.link.relative_to('lib/firmware')}" if f.link else f.source.read_text("latin-1"))
        for f in found.files
    ]


def test_a_pattern_is_what_was_asked_for(tmp_path: Path) -> None:
    """The module that names it is found by that name."""
    found = find(tmp_path, {"a/1.bin": "1", "a/2.bin": "2"}, "a/*.bin", "a/1.bin")
    assert [(str(each.path.name), each.name) for each in found.files] == [
        ("1.bin", "a/*.bin"),
        ("2.bin", "a/*.bin"),
    ]


def test_folders_in_the_order_of_the_kernel(tmp_path: Path) -> None:
    folders = [f"updates/{RELEASE}/", "updates/", f"{RELEASE}/", ""]
    tree = {f"{folder}{n}": str(at) for at, folder in enumerate(folders) for n in range(at + 1)}
    assert shown(find(tmp_path, tree, "0", "1", "2", "3")) == ["0 0", "1 1", "2 2", "3 3"]


def test_plain_before_packed_in_any_folder(tmp_path: Path) -> None:
    tree = {"updates/a.xz": "x", "updates/a.zst": "z", "a": "plain", "b.xz": "x", "b.zst": "z"}
    assert shown(find(tmp_path, tree, "a", "b", config=XZ | ZSTD)) == ["a plain", "b.zst z"]


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        ({}, ["a", "b"]),
        (XZ, ["a.xz", "b"]),
        (ZSTD, ["a", "b.zst"]),
        ({"FW_LOADER_COMPRESS": "y"}, ["a", "b"]),
    ],
)
def test_packed_as_the_kernel_loads_it(tmp_path: Path, config: dict[str, str], paths: list[str]) -> None:
    found = find(tmp_path, {"a.xz": "", "b.zst": ""}, "a", "b", config=config)
    assert [str(f.path) for f in found.files] == [f"lib/firmware/{path}" for path in paths]
    assert [f.unpack for f in found.files] == [path in ("a", "b") for path in paths]


def test_links(tmp_path: Path) -> None:
    tree: Tree = {
        "real/x.bin": "x",
        "one": Link("two"),
        "two": Link("/lib/firmware/real/x.bin"),
        "folder": Link("real"),
        "other": Link("/opt/other.bin"),
        "/opt/other.bin": "o",
    }
    found = find(tmp_path, tree, "one", "folder/x.bin", "other")
    assert shown(found) == ["folder/x.bin -> real/x.bin", "one -> real/x.bin", "other o", "real/x.bin x"]


def test_a_link_whose_place_is_taken(tmp_path: Path) -> None:
    """lib/firmware/x is hidden by updates/x: what leads to the hidden one is a file of its own."""
    found = find(tmp_path, {"updates/x": "new", "x": "old", "y": Link("x")}, "x", "y")
    assert shown(found) == ["x new", "y old"]


@pytest.mark.parametrize(
    ("tree", "names", "expected"),
    [
        # The target's folder is a file of updates/.
        ({"updates/d": "file", "d/x": "x", "y": Link("d/x")}, ("d", "y"), ["d file", "y x"]),
        # The target itself is a folder of updates/.
        ({"updates/d/x": "x", "d": "file", "y": Link("d")}, ("d/x", "y"), ["d/x x", "y file"]),
        # Two targets, of which one is the other's folder: the first has its place.
        (
            {"d": "file", "updates/d/x": "x", "y": Link("d"), "z": Link("updates/d/x")},
            ("y", "z"),
            ["d file", "y -> d", "z x"],
        ),
        # One target, and another that is its folder.
        (
            {"d/x": "x", "updates/d": "file", "y": Link("d/x"), "z": Link("updates/d")},
            ("y", "z"),
            ["d/x x", "y -> d/x", "z file"],
        ),
        # A link is the folder of a target.
        ({"y": Link("r"), "r": "r", "updates/y/x": "x", "z": Link("updates/y/x")}, ("y", "z"), None),
    ],
)
def test_a_link_whose_target_has_no_place(
    tmp_path: Path, tree: Tree, names: tuple[str, ...], expected: list[str] | None
) -> None:
    """The image has one folder for what the tree has in several."""
    found = find(tmp_path, tree, *names)
    assert shown(found) == (expected or ["r r", "y -> r", "z x"])
    make_segment("modules", [Planned(File(each.path, b""), Reason("test")) for each in found.files])


def test_unpacked_links(tmp_path: Path) -> None:
    tree: Tree = {"x.xz": "x", "y.xz": Link("x.xz"), "z": Link("x.xz")}
    assert shown(find(tmp_path / "y", tree, "y")) == ["x x", "y -> x"]
    assert shown(find(tmp_path / "z", tree, "z")) == ["x.xz x", "z -> x.xz"]


def test_nothing_outside_the_tree(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    tree: Tree = {
        "a": Link(f"{tmp_path}/secret"),
        "b": Link("../" * 30 + f"{tmp_path}/secret"),
        "c": Link("c"),
        "d": None,
    }
    names = ("a", "b", "c", "d", "../../../secret", f"{tmp_path}/secret", "", "x//y", "./a", "\x1b", "../*")
    found = find(tmp_path, tree, *names)
    assert found.files == () and found.missing == tuple(sorted(names))


def test_patterns(tmp_path: Path) -> None:
    tree = {
        "brcm/b43-sdio.AP.bin.xz": "1",
        "brcm/b44-sdio.bin": "2",
        "brcm/b44.bin": "3",
        "x/brcm/b1-sdio.bin": "",
    }
    found = find(tmp_path, tree, "brcm/b*-sdio*.bin", "no/*", "*/b44.bin", config=XZ)
    assert shown(found) == ["brcm/b43-sdio.AP.bin.xz 1", "brcm/b44-sdio.bin 2", "brcm/b44.bin 3"]
    assert found.missing == ("no/*",)
    tree["updates/brcm/b45.bin.zst"] = "4"
    assert shown(find(tmp_path / "more", tree, "brcm/b4[45].bin", "brcm/b?5.bin", config=ZSTD)) == [
        "brcm/b44.bin 3",
        "brcm/b45.bin.zst 4",
    ]


def with_firmware(tmp_path: Path, **config: str) -> Path:
    """Return a tree whose r8169 and e1000 name firmware, two files of which are there."""
    folder = f"lib/modules/{RELEASE}"
    tree = kernel_tree() | {
        f"{folder}/{path_of('r8169')}": module("rtl/a.fw", "rtl/b.fw", "none.fw"),
        f"{folder}/{path_of('e1000')}": module("none.fw"),
        "lib/firmware/rtl/a.fw.xz": lzma.compress(b"firmware a", check=lzma.CHECK_CRC32),
        "lib/firmware/rtl/b.fw.zst": zstandard.ZstdCompressor().compress(b"firmware b"),
        f"boot/config-{RELEASE}": CONFIG + "".join(f"CONFIG_{k}={v}\n" for k, v in config.items()),
    }
    return make_tree(tmp_path / "tree", tree)


def plan(root: Path) -> build.Build:
    options = build.Options(sysroot=root, output=root.parent / "image", compressor=Compressor.parse("none"))
    return build.plan(options, {})


def test_reasons_and_what_is_missing(tmp_path: Path) -> None:
    decided = plan(with_firmware(tmp_path))
    reasons = {str(item.entry.path): str(item.reason) for item in decided.plan.segments[0].items}
    assert reasons["lib/firmware/rtl/a.fw"] == "firmware of r8169 ← PCI class 02"
    assert [str(each) for each in decided.missing_firmware] == ["none.fw, asked for by e1000, r8169"]
    with pytest.raises(SysrootError, match=r"--strict: the tree lacks 1 firmware file; install"):
        build.check_firmware(decided)


def pack_modules(root: Path, suffix: str, packer: Callable[[bytes], bytes]) -> None:
    folder = root / f"lib/modules/{RELEASE}"
    for path in list(folder.rglob("*.ko")):
        data = path.read_bytes()
        path.unlink()
        path.with_name(path.name + suffix).write_bytes(packer(data))
    dep = folder / "modules.dep"
    dep.write_text(dep.read_text().replace(".ko", f".ko{suffix}"))


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_names_in_packed_modules(tmp_path: Path, suffix: str) -> None:
    packers: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.compress,
        ".xz": lzma.compress,
        ".zst": zstandard.ZstdCompressor().compress,
    }
    root = with_firmware(tmp_path)
    if suffix:
        pack_modules(root, suffix, packers[suffix])
    assert [str(each) for each in plan(root).missing_firmware] == ["none.fw, asked for by e1000, r8169"]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_modules_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, cached: bool
) -> None:
    """Also those whose symbols are looked at. For the plan no more than sections of plain ones are read."""
    seen: list[Path] = []
    real = sysroot.read_regular

    def counting(path: Path, limit: int) -> bytes:
        seen.append(path)
        return real(path, limit)

    monkeypatch.setattr(assemble, "read_regular", counting)
    monkeypatch.setattr(modulefile, "read_regular", counting)
    root = with_firmware(tmp_path)
    if packed:
        pack_modules(root, ".xz", lzma.compress)
    cache = tmp_path / "cache" if cached else None
    options = build.Options(sysroot=root, output=tmp_path / "image", cache=cache)
    decided = build.plan(options, {})
    modules = [path for path in seen if path.name.startswith("e1000")]
    assert cached or len(modules) == packed  # for a cache all of them are read meanwhile
    build.write(decided)
    modules = [path for path in seen if ".ko" in path.suffixes]
    assert len(modules) == len(set(modules)) >= len(decided.modules) > 5


@pytest.mark.parametrize("sized", [True, False])
def test_firmware_cut_short_is_named(tmp_path: Path, sized: bool) -> None:
    root = with_firmware(tmp_path)
    path = root / "lib/firmware/rtl/b.fw.zst"
    packer = zstandard.ZstdCompressor(write_content_size=sized).compressobj(size=9000 if sized else -1)
    path.write_bytes((packer.compress(os.urandom(9000)) + packer.flush())[:-10])
    with pytest.raises(ImageError, match=rf"^{path}: damaged: .*; install its package again$"):
        build.write(plan(root))


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("little", [True, False])
def test_names_are_those_of_kmod(tmp_path: Path, bits: int, little: bool) -> None:
    modinfo = shutil.which("modinfo", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert modinfo is not None, "kmod is not installed"
    path = tmp_path / "m.ko"
    path.write_bytes(module("b/x.fw", "a.bin", bits=bits, little=little))
    said = subprocess.run([modinfo, "-F", "firmware", path], capture_output=True, check=True, text=True)
    assert firmware.names_in_file(path, "m.ko") == tuple(said.stdout.splitlines()) == ("b/x.fw", "a.bin")


@pytest.mark.skipif(os.geteuid() != 0, reason="GNU cpio makes device nodes as root only")
def test_in_the_image(tmp_path: Path) -> None:
    root = with_firmware(tmp_path, **XZ)
    (root / "lib/firmware/rtl/b.fw.zst").rename(root / "lib/firmware/rtl/c.fw.zst")
    (root / "lib/firmware/rtl/b.fw.zst").symlink_to("c.fw.zst")
    build.write(plan(root))
    out = unpack((tmp_path / "image").read_bytes(), tmp_path / "out") / "lib/firmware"
    assert (out / "rtl/a.fw.xz").read_bytes() == (root / "lib/firmware/rtl/a.fw.xz").read_bytes()
    assert (out / "rtl/c.fw").read_bytes() == b"firmware b"
    assert str((out / "rtl/b.fw").readlink()) == "c.fw"
