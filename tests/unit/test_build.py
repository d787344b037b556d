"""Whole builds of a small tree, unpacked by GNU cpio."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from mkpxeinit import __version__, build, resources
from mkpxeinit.errors import ImageError, KernelError, MkpxeinitError, ProgramError, SysrootError, UsageError
from mkpxeinit.hardware.pci import PciClass
from mkpxeinit.image import assemble
from mkpxeinit.image.compress import Compressor
from tests.unit.small import (
    AARCH64,
    RELEASE,
    Link,
    archives,
    busybox,
    elf,
    kernel_tree,
    make_tree,
    module_bytes,
    module_path,
    unpack,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="GNU cpio makes device nodes as root only")
MODULES = f"lib/modules/{RELEASE}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree", kernel_tree())


def image_of(root: Path, **options: object) -> bytes:
    output = root.parent / "image"
    decided = build.plan(build.Options(sysroot=root, output=output, **options), {})  # type: ignore[arg-type]
    result = build.write(decided)
    data = output.read_bytes()
    assert len(data) == result.size
    return data


def unpacked(root: Path, **options: object) -> Path:
    return unpack(image_of(root, **options), root.parent / "out")


def test_four_segments(root: Path) -> None:
    data = image_of(root, compressor=Compressor.parse("none"))
    assert len(data) % 4 == 0
    first_names = [archive[110:].partition(b"\0")[0] for archive in archives(data)]
    assert first_names == [b"lib", b"bin", b"dev", b"etc"]


@pytest.mark.parametrize("name", ["zstd", "gzip", "none"])
def test_segments_are_padded(root: Path, name: str) -> None:
    """An archive that is not compressed must begin at a multiple of 4, whatever comes before it."""
    decided = build.plan(build.Options(sysroot=root, compressor=Compressor.parse(name)), {})
    sizes = [len(data) for data in assemble.assemble(decided.plan, decided.compressor, 0)]
    assert len(sizes) == 4 and not any(size % 4 for size in sizes)


def test_modules(root: Path) -> None:
    out = unpacked(root)
    for name in ("nfs", "e1000", "realtek", "overlay"):
        assert (out / MODULES / module_path(name)).read_bytes() == module_bytes(name)
    assert not (out / MODULES / module_path("iwlwifi")).exists()
    assert (out / MODULES / "modules.builtin").read_text() == (root / MODULES / "modules.builtin").read_text()


def test_lists_name_contained_modules_only(root: Path) -> None:
    out = unpacked(root, pci_classes=())
    contained = {str(path.relative_to(out / MODULES)) for path in (out / MODULES).rglob("*.ko")}
    dep = (out / MODULES / "modules.dep").read_text()
    assert set(dep.replace(":", " ").split()) == contained
    assert f"{module_path('nfs')}: {module_path('lockd')} {module_path('sunrpc')}\n" in dep
    alias = (out / MODULES / "modules.alias").read_text()
    assert alias.splitlines()[:2] == ["alias fs-nfs nfs", "alias nfs4 nfs"]
    assert "iwlwifi" not in alias and "realtek" not in alias
    assert (out / MODULES / "modules.softdep").read_text() == (
        "softdep sunrpc pre: crypto-crc post: e1000\n"
        "softdep overlay pre: not-there\n"
        "softdep crc_a pre: sunrpc\n"
    )
    assert (out / MODULES / "modules.weakdep").read_text() == "weakdep lockd weak\n"


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_packed_modules_come_out_plain(root: Path, suffix: str) -> None:
    tool = {".gz": "gzip", ".xz": "xz", ".zst": "zstd"}[suffix]
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}")
    for path in list((root / MODULES).rglob("*.ko")):
        os.spawnlp(os.P_WAIT, tool, tool, "-q", str(path))
        path.unlink(missing_ok=True)
        assert path.with_name(path.name + suffix).exists()
    dep = root / MODULES / "modules.dep"
    dep.write_text(dep.read_text().replace(".ko", f".ko{suffix}"))
    out = unpacked(root)
    assert (out / MODULES / module_path("nfs")).read_bytes() == module_bytes("nfs")
    assert suffix not in (out / MODULES / "modules.dep").read_text()


def test_programs(root: Path) -> None:
    out = unpacked(root)
    assert (out / "bin/busybox").read_bytes() == busybox()
    assert os.access(out / "bin/busybox", os.X_OK)
    for applet in ("sh", "modprobe", "[", "[["):
        assert str((out / "bin" / applet).readlink()) == "busybox"
    assert str((out / "sbin").readlink()) == "bin"
    assert not (out / "usr").exists()


def test_client(root: Path) -> None:
    out = unpacked(root)
    init = resources.folder("init")
    assert (out / "init").read_bytes() == (init / "init").read_bytes()
    for path in init.glob("lib/*.sh"):
        assert (out / "lib/pxeinit" / path.name).read_bytes() == path.read_bytes()
    modes = {
        "init": 0o100755,
        "lib/pxeinit/dhcp-event": 0o100755,
        "lib/pxeinit/hooks": 0o040755,
        "tmp": 0o041777,
        "root": 0o040700,
        "dev/console": 0o020600,
        "dev/null": 0o020666,
    } | {name: 0o040755 for name in ("dev", "proc", "sys", "run", "etc")}
    for name, mode in modes.items():
        assert oct((out / name).stat().st_mode) == oct(mode), name
    assert (out / "dev/console").stat().st_rdev == os.makedev(5, 1)
    assert (out / "dev/null").stat().st_rdev == os.makedev(1, 3)
    for path in out.rglob("*"):
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (0, 0)
        assert not stat.S_ISREG(status.st_mode) or status.st_mtime == 0


def test_configuration(root: Path) -> None:
    out = unpacked(root, cmdline="panic=30 quiet", modules=("xhci-pci", "nfs4", "af_packet"))
    texts = {
        "etc/cmdline": "panic=30 quiet\n",
        "etc/pxeinit/release": f"{RELEASE}\n",
        "etc/pxeinit/version": f"{__version__}\n",
        "etc/pxeinit/modules": "xhci_pci\nnfs\n",
    }
    assert {name: (out / name).read_text() for name in texts} == texts


def test_nothing_told(root: Path) -> None:
    out = unpacked(root)
    assert (out / "etc/cmdline").read_text() == (out / "etc/pxeinit/modules").read_text() == ""


def test_the_same_bytes_again(root: Path, tmp_path: Path) -> None:
    """In another folder, with other times, umask and owner."""
    first = image_of(root)
    previous = os.umask(0o077)
    try:
        other = shutil.copytree(root, tmp_path / "elsewhere" / "tree", symlinks=True)
        for path in other.rglob("*"):
            os.utime(path, (1, 1))
            os.chown(path, 1, 1)
        # The busybox's place is a reason in the plan, and must not be in the image.
        assert image_of(other) == first
    finally:
        os.umask(previous)


def test_source_date_epoch(root: Path) -> None:
    options = build.Options(sysroot=root, output=root.parent / "image", compressor=Compressor.parse("none"))
    build.write(build.plan(options, {"SOURCE_DATE_EPOCH": "1700000000"}))
    heads = [archive[46:54] for archive in archives((root.parent / "image").read_bytes())]
    assert {int(head, 16) for head in heads} == {1700000000}


@pytest.mark.parametrize("text", ["x", "-1", "4294967296", "1.5", "\u0663"])
def test_bad_source_date(root: Path, text: str) -> None:
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        build.plan(build.Options(sysroot=root), {"SOURCE_DATE_EPOCH": text})


def test_lib_is_an_absolute_link(tmp_path: Path) -> None:
    tree = kernel_tree(lib="usr/lib") | {"lib": Link("/usr/lib"), "lib64": Link("../../../../usr/lib64")}
    make_tree(tmp_path, {f"usr/lib/modules/{RELEASE}/modules.dep": "outside: must not be read"})
    root = make_tree(tmp_path / "tree", tree)
    assert image_of(root) == image_of(make_tree(tmp_path / "plain" / "tree", kernel_tree()))


def plan_of(tree: dict[str, str | bytes | Link | None], tmp_path: Path, **options: object) -> build.Build:
    root = make_tree(tmp_path / "tree", tree)
    return build.plan(build.Options(sysroot=root, **options), {})  # type: ignore[arg-type]


def test_newest_kernel_and_saying_so(tmp_path: Path) -> None:
    decided = plan_of(kernel_tree("6.1.0-9-x") | kernel_tree("6.1.0-10-x"), tmp_path)
    assert decided.release == "6.1.0-10-x"
    assert decided.output == Path("pxeinit-6.1.0-10-x.img")
    assert decided.notes[0] == "kernel releases here: 6.1.0-9-x, 6.1.0-10-x; taking the newest, 6.1.0-10-x"


def test_chosen_kernel(tmp_path: Path) -> None:
    decided = plan_of(kernel_tree("6.1") | kernel_tree("6.2"), tmp_path, kernel_release="6.1")
    assert decided.release == "6.1" and not any("newest" in note for note in decided.notes)


@pytest.mark.parametrize(
    ("config", "compressor"),
    [
        ("CONFIG_RD_ZSTD=y\n", "zstd:8"),
        ("CONFIG_RD_GZIP=y\n# CONFIG_RD_ZSTD is not set\n", "gzip:6"),
        (None, "gzip:6"),
    ],
)
def test_compressor(tmp_path: Path, config: str | None, compressor: str) -> None:
    tree = kernel_tree()
    del tree[f"boot/config-{RELEASE}"]
    if config is not None:
        tree[f"boot/config-{RELEASE}"] = config
    assert str(plan_of(tree, tmp_path).compressor) == compressor


def test_compressor_that_the_kernel_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="CONFIG_RD_XZ is not set"):
        plan_of(kernel_tree(), tmp_path, compressor=Compressor.parse("xz"))


def test_listed_but_missing(tmp_path: Path) -> None:
    tree = kernel_tree()
    del tree[f"{MODULES}/{module_path('e1000')}"]
    with pytest.raises(KernelError, match=r"e1000\.ko: listed in modules\.dep, but no such file; run depmod"):
        plan_of(tree, tmp_path)


def test_a_module_that_leads_outside(tmp_path: Path) -> None:
    """A hostile tree cannot put this machine's files into an image."""
    (tmp_path / "secret").write_bytes(elf())
    path = f"{MODULES}/{module_path('e1000')}"
    for number, target in enumerate((f"{tmp_path}/secret", "../" * 20 + f"{tmp_path}/secret")):
        with pytest.raises(KernelError, match="no such file"):
            plan_of(kernel_tree() | {path: Link(target)}, tmp_path / str(number))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not an ELF file"),
        (b"<html>", "not an ELF file"),
        (elf(AARCH64), "for AARCH64 (64 bits), but other modules are for X86_64 (64 bits)"),
    ],
)
def test_damaged_module(root: Path, data: bytes, says: str) -> None:
    (root / MODULES / module_path("e1000")).write_bytes(data)
    with pytest.raises(ImageError) as caught:
        image_of(root)
    assert says in str(caught.value) and "/e1000.ko: " in str(caught.value)
    assert not (root.parent / "image").exists()


def test_other_kinds_of_trouble(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, str | bytes | Link | None], type[MkpxeinitError]]] = [
        ({"etc/hostname": "x"}, KernelError),
        (kernel_tree() | {"bin/busybox": Link("/bin/busybox")}, ProgramError),
        (kernel_tree() | {f"{MODULES}/modules.dep": Link("modules.dep")}, KernelError),
    ]
    for number, (tree, error) in enumerate(cases):
        with pytest.raises(error):
            plan_of(tree, tmp_path / str(number), busybox=tmp_path / "none")
    with pytest.raises(SysrootError):
        build.plan(build.Options(sysroot=tmp_path / "none"), {})


@pytest.mark.parametrize("text", ["a\nb", "a\x1bb", "a\0b", "x" * 5000])
def test_bad_cmdline(root: Path, text: str) -> None:
    with pytest.raises(UsageError, match="--cmdline"):
        build.plan(build.Options(sysroot=root, cmdline=text), {})


def test_every_entry_has_a_reason(root: Path) -> None:
    decided = build.plan(build.Options(sysroot=root, pci_classes=(PciClass("02"),)), {})
    assert all(item.reason.text for item in decided.plan.items())
    reasons = {item.entry.path.name: str(item.reason) for item in decided.plan.items()}
    assert reasons["realtek.ko"] == "softdep of r8169 ← PCI class 02"
