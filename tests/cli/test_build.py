import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from mkpxeinit.build import Options
from tests.cli.conftest import Run, command
from tests.unit.small import CONFIG, RELEASE, archives, kernel_tree, make_tree, module_path
from tests.unit.test_firmware import module

NOTE = f"mkpxeinit: softdep of overlay: kernel {RELEASE} has no not-there\n"
OPTIONAL = r"mkpxeinit: {}/bin/busybox has no ash, (\w+, )*nc: the client does without\n"


def test_default_output_and_last_line(run: Run, root: Path, tmp_path: Path) -> None:
    done = run("build", "--sysroot", root)
    image = tmp_path / f"cwd/pxeinit-{RELEASE}.img"
    assert (done.code, done.stdout) == (0, b"")
    lines = done.stderr.splitlines(keepends=True)
    assert lines[0] == NOTE
    assert re.fullmatch(OPTIONAL.format(root), lines[1])
    last = re.fullmatch(
        rf"mkpxeinit: pxeinit-{RELEASE}\.img: 18 modules, (\d+) files, (\d+) bytes, \d+\.\d s\n", lines[-1]
    )
    assert last is not None and len(lines) == 3
    assert int(last[2]) == image.stat().st_size
    names = {path.name for path in image.parent.iterdir()}
    assert names == {image.name}


def test_dry_run_is_data_and_writes_nothing(run: Run, root: Path, tmp_path: Path) -> None:
    done = run("build", "--sysroot", root, "--dry-run", "--output", tmp_path / "no/such/folder/x")
    assert done.code == 0
    lines = done.stdout.decode().splitlines()
    assert f"-0644 lib/modules/{RELEASE}/kernel/fs/nfs/nfs.ko" in lines
    assert "l0777 bin/sh -> busybox" in lines
    assert "c0600 dev/console 5,1" in lines
    assert "-0755 init" in lines and "d1777 tmp" in lines
    assert not list((tmp_path / "cwd").iterdir())


def test_dry_run_tells_reasons(run: Run, root: Path) -> None:
    done = run("build", "--sysroot", root, "--dry-run", "-v", env={"PYTHONIOENCODING": "utf-8"})
    path = f"lib/modules/{RELEASE}/kernel/drivers/net/phy/realtek.ko"
    assert f"-0644 {path}\tsoftdep of r8169 ← PCI class 02\n" in done.stdout.decode()


def test_dry_run_in_any_locale(run: Run, root: Path) -> None:
    """An arrow is no reason to fail."""
    done = run(
        "build", "--sysroot", root, "--dry-run", "-v", env={"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    )
    assert done.code == 0 and b"realtek.ko\tsoftdep of r8169" in done.stdout


def test_verbose_build_tells_reasons(run: Run, root: Path) -> None:
    done = run("build", "--sysroot", root, "-v")
    assert f"mkpxeinit: kernel {RELEASE}, compressor zstd:8\n" in done.stderr
    assert "mkpxeinit: module nfs: NFS root\n" in done.stderr


def test_a_reader_that_goes_away(root: Path, tmp_path: Path) -> None:
    line = f"{command()} build --sysroot {root} --dry-run 2>{tmp_path}/err | head -n 1"
    for _ in range(3):
        assert subprocess.run(line, shell=True, capture_output=True, check=True).stdout.count(b"\n") == 1
        assert "rror" not in (tmp_path / "err").read_text()


def test_options_reach_the_image(run: Run, root: Path, tmp_path: Path) -> None:
    done = run(
        "build", "--sysroot", root, "-o", tmp_path / "image", "--compress", "none", "--cmdline", "panic=30",
        "--module", "xhci-pci", "--module", "snd_hda", "--pci-class", "0280", "--pci-class", "0200",
        env={"SOURCE_DATE_EPOCH": "5"},
    )  # fmt: skip
    assert done.code == 0
    modules, _, _, configuration = archives((tmp_path / "image").read_bytes())
    for name in (b"/xhci-pci.ko\0", b"/snd-hda.ko\0", b"/iwlwifi.ko\0", b"/oddradio.ko\0", b"/oddnic.ko\0"):
        assert name in modules
    assert b"panic=30\n" in configuration and b"xhci_pci\nsnd_hda\n" in configuration
    assert modules[46:54] == b"00000005"


def test_chosen_busybox(run: Run, root: Path, tmp_path: Path) -> None:
    shutil.move(root / "bin/busybox", tmp_path / "mine")
    assert run("build", "--sysroot", root, "--busybox", tmp_path / "mine").code == 0


def test_several_kernels(run: Run, root: Path, tmp_path: Path) -> None:
    other = kernel_tree("6.1.0-10-test")
    del other["bin/busybox"]
    make_tree(root, other)
    done = run("build", "--sysroot", root)
    assert f"releases here: {RELEASE}, 6.1.0-10-test; taking the newest, 6.1.0-10-test\n" in done.stderr
    assert (tmp_path / "cwd/pxeinit-6.1.0-10-test.img").exists()
    done = run("build", "--sysroot", root, "--kernel-release", RELEASE)
    assert "newest" not in done.stderr
    assert (tmp_path / f"cwd/pxeinit-{RELEASE}.img").exists()


@pytest.mark.parametrize(
    ("config", "magic"),
    [(CONFIG, b"\x28\xb5\x2f\xfd"), ("CONFIG_RD_GZIP=y\n", b"\x1f\x8b"), ("CONFIG_RD_XZ=y\n", b"\xfd7zXZ\0")],
)
def test_default_compressor(run: Run, root: Path, tmp_path: Path, config: str, magic: bytes) -> None:
    (root / f"boot/config-{RELEASE}").write_text(config)
    assert run("build", "--sysroot", root, "-o", tmp_path / "image").code == 0
    assert (tmp_path / "image").read_bytes().startswith(magic)


# Copies: the modules of small trees have nothing to strip.
STRIP = """#!/bin/sh
[ "$1" != --version ] || { echo own strip 1.0; exit; }
while [ "$1" != -o ]; do shift; done
exec /bin/cp "$3" "$2"
"""


def test_stripped_modules(run: Run, root: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    words = ("build", "--sysroot", root, "-o", tmp_path / "image", "--strip-modules")
    done = run(*words, env={"PATH": str(bare)})
    assert done.code == 1
    assert done.stderr.startswith("mkpxeinit: --strip-modules: no program here strips modules for X86_64")
    assert "install binutils" in done.stderr
    assert not (tmp_path / "image").exists()
    (bare / "strip").write_text(STRIP)
    (bare / "strip").chmod(0o755)
    assert run(*words, env={"PATH": str(bare)}).code == 0
    assert b"etc/pxeinit/unsigned" in run("list", tmp_path / "image").stdout
    # What real strip makes of such a module is not the module.
    done = run(*words, "--no-cache")
    assert done.code == 1 and "leave --strip-modules out" in done.stderr
    assert run(*words[:-1]).code == 0
    assert b"etc/pxeinit/unsigned" not in run("list", tmp_path / "image").stdout


def test_version_loads_little(run: Run) -> None:
    """`--version` is quick because no verb and no reader of archives, ELF or zstd is imported for it."""
    done = run("--version", fresh=True)
    assert (done.code, done.stdout, done.stderr) == (0, b"mkpxeinit 0.1.0\n", "")
    script = (
        "import sys\nfrom mkpxeinit.cli import main\nmain.run(['--version'])\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    python = Path(command()).with_name("python")
    loaded = subprocess.run([python, "-c", script], capture_output=True, check=True, text=True).stderr.split()
    assert {"libarchive", "zstandard", "elftools", "mkpxeinit.build"}.isdisjoint(loaded)
    assert [name for name in loaded if name.startswith("mkpxeinit.cli.")] == [
        "mkpxeinit.cli.forms",
        "mkpxeinit.cli.main",
        "mkpxeinit.cli.say",
    ]


def test_help_of_every_verb(run: Run) -> None:
    """Each in a fresh process: it imports what it needs by itself."""
    text = run("--help").stdout.decode()
    verbs = re.findall(r"^  ([\w-]+)  ", text.partition("Verbs:")[2], re.MULTILINE)
    assert verbs == [
        *("build", "list", "why", "diff", "check", "cat", "extract"),
        *("prepare", "server-config", "publish", "hook", "verify-server", "serve"),
        *("busybox", "boot", "timeline", "doctor"),
    ]
    for verb in verbs:
        done = run(verb, "--help", fresh=True)
        assert done.code == 0 and b"Examples:" in done.stdout


def test_as_a_module(root: Path) -> None:
    python = Path(command()).with_name("python")
    done = subprocess.run([python, "-m", "mkpxeinit", "--version"], capture_output=True, check=True)
    assert done.stdout == b"mkpxeinit 0.1.0\n"


def test_missing_firmware(run: Run, root: Path, tmp_path: Path) -> None:
    """A count, the list with -v, and an error with --strict."""
    (root / f"lib/modules/{RELEASE}/{module_path('e1000')}").write_bytes(module("a/b.fw"))
    count = "mkpxeinit: the tree lacks 1 firmware file that drivers of this image name; -v lists them\n"
    line = "mkpxeinit: firmware missing: a/b.fw, asked for by e1000\n"
    done = run("build", "--sysroot", root)
    assert done.code == 0 and count in done.stderr and line not in done.stderr
    done = run("build", "--sysroot", root, "-v")
    assert done.code == 0 and count not in done.stderr and done.stderr.count(line) == 1
    done = run("build", "--sysroot", root, "--strict", "-o", tmp_path / "strict")
    assert done.code == 1 and done.stderr.count(line) == 1
    assert done.stderr.splitlines()[-1].startswith("mkpxeinit: --strict: the tree lacks 1 firmware file; ")
    assert not (tmp_path / "strict").exists()
    make_tree(root, {"lib/firmware/a/b.fw": "x"})
    done = run("build", "--sysroot", root, "--strict")
    assert done.code == 0 and "firmware file" not in done.stderr


def test_help_has_every_option_once(run: Run) -> None:
    """Under headings; an option that is in none would stand behind --help."""
    text = run("build", "--help").stdout.decode()
    shown = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE)
    assert shown[-1] == "--help" and len(shown) == len(set(shown))
    assert {f"--{each.name}".replace("_", "-") for each in fields(Options)} - set(shown) == {
        # named in the singular, as each is given
        "--modules", "--drivers", "--pci-classes", "--buses", "--programs", "--files", "--drop-ins",
        "--compressor",
    }  # fmt: skip
    headings = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert [each.partition(", ")[0] for each in headings] == [
        "Tree and image",
        "What the clients have",
        "More in the image",
        "What is said",
    ]
    assert "Options:" not in text
