"""Reasons travel in the image: `why` says what the dry run promised."""

import gzip
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.unit.images import TRAILER, entry
from tests.unit.small import RELEASE, archives, kernel_tree, make_tree, module_path
from tests.unit.test_firmware import module

UTF8 = {"PYTHONUTF8": "1"}
MODULES = f"lib/modules/{RELEASE}"
REALTEK = f"{MODULES}/{module_path('realtek')} ← softdep of r8169 ← PCI class 02\n"


@pytest.fixture
def image(run: Run, root: Path, tmp_path: Path) -> Path:
    (root / f"{MODULES}/{module_path('r8169')}").write_bytes(module("rtl_nic/a.fw"))
    make_tree(root, {"lib/firmware/rtl_nic/a.fw": "x"})
    assert run("build", "--sysroot", root, "-o", tmp_path / "image").code == 0
    return tmp_path / "image"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("realtek", REALTEK),
        ("realtek.ko", REALTEK),
        ("realtek.ko.xz", REALTEK),
        ("phy/realtek.ko", REALTEK),
        (f"/{MODULES}/{module_path('realtek')}", REALTEK),
        ("virtio-pci", f"{MODULES}/{module_path('virtio_pci')} ← virtual network\n"),
        ("virtio_pci.ko", f"{MODULES}/{module_path('virtio_pci')} ← virtual network\n"),
        ("rtl_nic/a.fw", "lib/firmware/rtl_nic/a.fw ← firmware of r8169 ← PCI class 02\n"),
        ("a.fw", "lib/firmware/rtl_nic/a.fw ← firmware of r8169 ← PCI class 02\n"),
        ("udhcpc", "bin/udhcpc ← applet of busybox ← the tree's /bin/busybox\n"),
        ("sbin/udhcpc", "bin/udhcpc ← applet of busybox ← the tree's /bin/busybox\n"),
        ("bin/busybox", "bin/busybox ← the tree's /bin/busybox\n"),
        ("init", "init ← started by the kernel\n"),
        ("/lib/firmware", "lib/firmware ← holds a.fw ← firmware of r8169 ← PCI class 02\n"),
        ("modules.dep", f"{MODULES}/modules.dep ← read by modprobe\n"),
        ("dev/console", "dev/console ← standard streams of init\n"),
    ],
)
def test_names(run: Run, image: Path, name: str, says: str) -> None:
    done = run("why", image, name, env=UTF8)
    assert (done.code, done.stdout.decode(), done.stderr) == (0, says, "")


def test_all_is_what_the_dry_run_says(run: Run, image: Path, root: Path) -> None:
    dry = run("build", "--sysroot", root, "--dry-run", "-v", env=UTF8).stdout.decode().splitlines()
    promised: dict[str, str] = {}
    for line in dry:
        entry_, _, reason = line.partition("\t")
        promised.setdefault(entry_.split()[1], reason)
    said = dict(
        line.split(" ← ", 1) for line in run("why", "--all", image, env=UTF8).stdout.decode().splitlines()
    )
    assert said.keys() == promised.keys()
    # A folder of several segments has the reason of the first of what it holds in all of them.
    differ = {path for path in said if said[path] != promised[path]}
    assert differ <= {"lib", "lib/pxeinit", "lib/pxeinit/reasons", "etc", "etc/pxeinit"}


def test_several_names_some_missing(run: Run, image: Path) -> None:
    done = run("why", image, "realtec", "realtek", "af-packet", env=UTF8)
    assert (done.code, done.stdout.decode()) == (1, REALTEK)
    assert done.stderr == (
        f"mkpxeinit: {image}: has no realtec; close to it: realtek\n"
        f"mkpxeinit: {image}: has no af-packet: kernel {RELEASE} has it built in\n"
    )


def test_in_any_locale(run: Run, image: Path) -> None:
    done = run("why", image, "realtek", env={"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    assert done.code == 0 and b"realtek.ko" in done.stdout and b"softdep of r8169" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["image"], 2, "give names, or --all without names; see mkpxeinit why --help"),
        (["--all", "image", "x"], 2, "give names, or --all"),
        (["foreign", "x"], 1, "foreign: no reasons in it, another program made it; mkpxeinit list shows"),
        (["old", "x"], 1, "old: no reasons in it, an older mkpxeinit made it; mkpxeinit list shows"),
        (["evil", "x"], 1, "evil: lib/pxeinit/reasons/a:1: '../x' is no path in an image; the image is dam"),
        (["none", "x"], 1, "none: No such file or directory"),
    ],
)
def test_refused(run: Run, tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    folder = tmp_path / "cwd"
    (folder / "foreign").write_bytes(entry(b"init", 0o100755, b"x") + TRAILER)
    (folder / "old").write_bytes(entry(b"etc/pxeinit/version", 0o100644, b"0") + TRAILER)
    (folder / "evil").write_bytes(entry(b"lib/pxeinit/reasons/a", 0o100644, b"../x\ty\n") + TRAILER)
    done = run("why", *arguments)
    assert (done.code, done.stdout) == (code, b"")
    assert done.stderr.startswith(f"mkpxeinit: {says}") and done.stderr.count("\n") == 1


def test_a_huge_file_of_reasons(run: Run, tmp_path: Path) -> None:
    """Memory is bounded by what all such files may have together, not by what they say."""
    body = bytes(9 << 20)
    parts = [entry(b"lib/pxeinit/reasons/%d" % number, 0o100644, body) for number in range(8)]
    (tmp_path / "cwd/huge").write_bytes(gzip.compress(b"".join(parts) + TRAILER, 1))
    done = run("why", "huge", "x")
    assert (done.code, done.stdout) == (1, b"")
    assert done.stderr.startswith("mkpxeinit: huge: reasons and lists of more than 67108864 bytes; no such")


def test_reasons_do_not_know_where_the_tree_lay(run: Run, tmp_path: Path) -> None:
    """Neither the tree's own place nor that of a --busybox or an inventory is in the image."""
    images = []
    for place in ("here", "there/is/another"):
        root = make_tree(tmp_path / place / "tree", kernel_tree())
        shutil.copy(root / "bin/busybox", tmp_path / place / "box")
        (tmp_path / place / "pc").write_text("00:03.0 0200: 8086:1000\n")
        for number, options in enumerate(
            [(), ("--busybox", tmp_path / place / "box"), ("--hardware", tmp_path / place / "pc")]
        ):
            output = tmp_path / place / f"image{number}"
            done = run("build", "--sysroot", root, "-o", output, "--compress", "none", *options)
            assert done.code == 0, done.stderr
            images.append(output.read_bytes())
    assert images[:3] == images[3:]
    assert b"e1000.ko\thardware pc:1\n" in images[2] and b"bin/busybox\t--busybox\n" in images[1]


def test_a_segment_is_the_same_whatever_the_others_are(run: Run, root: Path, tmp_path: Path) -> None:
    """Segments are cached one by one: a new command line changes the last alone."""
    whole = []
    for number, options in enumerate([(), ("--cmdline", "quiet"), ("--pci-class", "0280")]):
        output = tmp_path / f"image{number}"
        assert run("build", "--sysroot", root, "-o", output, "--compress", "none", *options).code == 0
        whole.append(archives(output.read_bytes()))
    plain, cmdline, wireless = whole
    assert [a == b for a, b in zip(plain, cmdline, strict=True)] == [True, True, True, False]
    assert [a == b for a, b in zip(plain, wireless, strict=True)] == [False, True, True, True]
