"""ld.so.cache as ldconfig(8) reads it back, and its order as glibc's loader searches it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mkpxeinit.elf import Machine
from mkpxeinit.programs.cache import pack_cache
from tests.unit.linked import linked
from tests.unit.small import make_tree

AMD64, I386 = Machine("EM_X86_64", 64, True), Machine("EM_386", 32, True)
NAMES = [
    "libc.so.6",
    "libz.so.1",
    "libz.so.10",
    "libz.so.9",
    "liba-2.so",
    "liba-10.so",
    "libaa.so",
    "libB.so",
]
LDCONFIG = shutil.which("ldconfig", path="/usr/sbin:/sbin")


def lines(cache: Path) -> list[str]:
    assert LDCONFIG is not None
    said = subprocess.run([LDCONFIG, "-p", "-C", cache], capture_output=True, check=True, text=True).stdout
    return [line.strip() for line in said.splitlines() if "=>" in line]


def test_read_back(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(
        pack_cache({("liba.so", AMD64): "/opt/a/liba.so", ("liba.so", I386): "/opt/b/liba.so"})
    )
    assert sorted(lines(tmp_path / "cache")) == [
        "liba.so (libc6) => /opt/b/liba.so",
        "liba.so (libc6,x86-64) => /opt/a/liba.so",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="ldconfig -r needs root")
def test_the_order_is_that_of_ldconfig(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {f"opt/a/{name}": linked(soname=name) for name in NAMES})
    make_tree(tree, {"etc/ld.so.conf": "/opt/a\n"})
    assert LDCONFIG is not None
    subprocess.run([LDCONFIG, "-X", "-r", tree], check=True, capture_output=True)
    (tmp_path / "cache").write_bytes(pack_cache({(name, AMD64): f"/opt/a/{name}" for name in NAMES}))
    assert lines(tmp_path / "cache") == lines(tree / "etc/ld.so.cache")
    assert len(lines(tmp_path / "cache")) == len(NAMES)


def test_big_endian() -> None:
    big = pack_cache({("liba.so", Machine("EM_S390", 64, False)): "/opt/liba.so"})
    assert big[20:24] == b"\0\0\0\1" and big[28] == 3 and big[48:52] == b"\0\0\4\3"
