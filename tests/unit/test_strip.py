"""Stripped modules: real objects and binutils' strip, and programs that go wrong."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mkpxeinit import elf
from mkpxeinit.errors import ImageError
from mkpxeinit.kernel import strip
from tests.unit.small import AARCH64
from tests.unit.small import elf as small_elf

SOURCE = """
static int unused(int x) { return x * 7; }
int other(int);
int init_module(void) { return other(unused(3)); }
__attribute__((section(".modinfo"))) const char said[] = "license=GPL";
__attribute__((section(".BTF"))) const char types[300] = {1};
static const char *event = "name";
__attribute__((section("_ftrace_eval_map"))) const char **names[3] = {&event, &event, &event};
"""
NUMBERS = '__attribute__((section(".BTF_ids"))) const int numbers[2] = {1};'
SIGNATURE = b"sig~Module signature appended~\n"
HOST = elf.machine(elf.begin_of(Path("/proc/self/exe").resolve()), "this Python")


def compiled(folder: Path, source: str = SOURCE) -> bytes:
    """Return an object that looks like a module, with something behind its end as a signature is."""
    made = folder / "module.o"
    words = ["gcc", "-x", "c", "-c", "-O0", "-o", str(made), "-"]
    subprocess.run(words, input=source.encode(), check=True)
    return made.read_bytes() + SIGNATURE


def symbols(data: bytes, folder: Path) -> str:
    (folder / "symbols.o").write_bytes(data)
    words = ["nm", str(folder / "symbols.o")]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout


def test_what_the_kernel_needs_stays(tmp_path: Path) -> None:
    data = compiled(tmp_path)
    stripper = strip.find(HOST)
    assert "strip" in stripper.version.lower()
    stripped = stripper.strip(data, "m.ko")
    assert len(stripped) < len(data) - 300 and b"~Module signature appended~" not in stripped
    assert elf.section(stripped, ".modinfo", "m.ko") == b"license=GPL\0"
    for gone in (".BTF", "_ftrace_eval_map", ".rela_ftrace_eval_map"):
        assert elf.section(data, gone, "m.ko") and not elf.section(stripped, gone, "m.ko")
    left = symbols(stripped, tmp_path)
    assert "init_module" in left and "U other" in left and "unused" not in left
    assert "unused" in symbols(data, tmp_path)
    assert stripper.strip(data, "m.ko") == stripped


def test_types_stay_where_functions_are_registered_by_them(tmp_path: Path) -> None:
    stripped = strip.find(HOST).strip(compiled(tmp_path, SOURCE + NUMBERS), "m.ko")
    assert len(elf.section(stripped, ".BTF", "m.ko")) == 300


def planted(folder: Path, script: str, name: str = "strip") -> Path:
    path = folder / name
    path.write_text(f'#!/bin/sh\n[ "$1" != --version ] || {{ echo own strip 1.0; exit 0; }}\n{script}\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('echo "$0: $8: wrong format" >&2; exit 1', "m.ko: wrong format; leave --strip-modules out"),
        ("exit 3", "failed: without a word; leave --strip-modules out"),
        ("kill -9 $$", "failed: without a word"),
        ("exit 0", "No such file or directory"),
        ('while [ "$1" != -o ]; do shift; done; cp "$0" "$2"', "not an ELF file"),
        ('objcopy -R .modinfo "$8" "$7"', "made another module of it; leave --strip-modules out"),
    ],
)
def test_a_strip_that_goes_wrong(tmp_path: Path, script: str, said: str) -> None:
    data = compiled(tmp_path)
    bad = strip.Stripper(str(planted(tmp_path, script)), "own strip 1.0")
    with pytest.raises(ImageError) as error:
        bad.strip(data, "m.ko")
    assert said in str(error.value) and "m.ko" in str(error.value)


def test_what_is_no_module(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"m\.ko: .*install its package again"):
        strip.find(HOST).strip(b"no module", "m.ko")


def test_which_program_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    foreign = elf.machine(small_elf(AARCH64), "foreign")
    with pytest.raises(ImageError) as error:
        strip.find(foreign)
    assert "aarch64-linux-gnu-strip, llvm-strip" in str(error.value)
    assert "Debian: binutils-aarch64-linux-gnu), or leave --strip-modules out" in str(error.value)
    with pytest.raises(ImageError, match=r"Debian: binutils\)"):
        strip.find(HOST)
    planted(tmp_path, "", "llvm-strip")
    assert Path(strip.find(foreign).program).name == "llvm-strip"
    planted(tmp_path, "")
    assert Path(strip.find(foreign).program).name == "llvm-strip"
    assert strip.find(HOST) == strip.Stripper(str(tmp_path / "strip"), "own strip 1.0")
    planted(tmp_path, "", "aarch64-linux-gnu-strip")
    assert Path(strip.find(foreign).program).name == "aarch64-linux-gnu-strip"
    shutil.copy("/bin/false", tmp_path / "llvm-strip")
    (tmp_path / "strip").unlink()
    with pytest.raises(ImageError, match="--version failed"):
        strip.find(HOST)
