"""Real kernels and what kmod says of them: many questions in one call, since there are tens of thousands."""

import re
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from mkpxeinit.hardware.network import Network
from mkpxeinit.image.assemble import read_plain
from mkpxeinit.kernel.index import Module, ModuleIndex, normal_name, plain_path, read_index
from mkpxeinit.kernel.symbols import ReadImports, reader
from mkpxeinit.sysroot import Sysroot

MODPROBE = shutil.which("modprobe", path="/usr/sbin:/sbin:/usr/bin:/bin")
SENTINEL = "overlay"  # a module without dependencies that no network driver needs: it parts the answers
BATCH = 200
_PIECE = re.compile(r"\[[^]]*\]|.")


@dataclass(frozen=True)
class RealKernel:
    """A distribution's kernel, unpacked."""

    title: str
    root: Path
    release: str
    index: ModuleIndex
    network: Network
    read: ReadImports

    def bytes_of(self, module: Module) -> bytes:
        """Return a module, unpacked."""
        path = self.root / "lib/modules" / self.release / module.path
        return read_plain(path.resolve(), str(path))

    def _kmod(self, words: Sequence[str], asked: Sequence[str]) -> Iterator[list[str]]:
        """Yield the lines that modprobe prints for each name asked for."""
        assert MODPROBE is not None, "kmod is not installed"
        command = [MODPROBE, "-C", "/dev/null", "-d", str(self.root), "-S", self.release, "-q", "-a", *words]
        for start in range(0, len(asked), BATCH):
            some = asked[start : start + BATCH]
            pairs = [word for name in some for word in (name, SENTINEL)]
            said = subprocess.run([*command, "--", *pairs], capture_output=True, check=False, text=True)
            lines = [line.removeprefix("insmod ").rstrip() for line in said.stdout.splitlines()]
            answers: list[list[str]] = [[]]
            for line in lines:
                name = normal_name(plain_path(Path(line).name).removesuffix(".ko"))
                if name == SENTINEL:
                    answers.append([])
                else:
                    answers[-1].append(name)
            assert len(answers) == len(some) + 1 and not answers.pop(), said.stderr
            yield from answers

    def kmod_closures(self, names: Sequence[str]) -> list[set[str]]:
        """Return for each module what `modprobe --show-depends` would load, soft dependencies included."""
        return [set(each) for each in self._kmod(["--show-depends"], names)]

    def kmod_matches(self, modaliases: Sequence[str]) -> list[set[str]]:
        """Return for each modalias the modules that `modprobe -R` names, without those built in."""
        return [set(each) & self.index.modules.keys() for each in self._kmod(["-R"], modaliases)]


def real_kernel(suite: str, architecture: str) -> RealKernel:
    """Return the kernel of a Debian suite from the cache."""
    from pxelab import kernels

    kernel = kernels.debian(suite, architecture)
    tree = Sysroot.open(kernel.path)
    index = read_index(tree, kernel.release)
    read = reader(tree, kernel.release)
    return RealKernel(
        f"{suite} {architecture}, {kernel.release}",
        kernel.path,
        kernel.release,
        index,
        Network(index, read),
        read,
    )


def device_of(pattern: str, chance: Random) -> str:
    """Return a random modalias that `pattern` may match."""

    def fill(found: re.Match[str]) -> str:
        piece = found[0]
        if piece == "*":
            return "".join(chance.choices("0123456789ABCDEF-,", k=chance.choice((0, 2, 8))))
        if piece == "?":
            return chance.choice("01")
        if len(piece) > 1:
            return chance.choice([piece[1], piece[-2], chance.choice("0123456789abcdef")])
        return piece

    return _PIECE.sub(fill, pattern)


def undefined_symbols(data: bytes) -> set[str]:
    """Return the undefined symbols of a 64-bit little-endian object file: elf(5), read by hand."""
    at, size, count = (*struct.unpack_from("<Q", data, 40), *struct.unpack_from("<HH", data, 58))
    rows = [struct.unpack_from("<IIQQQQIIQQ", data, at + n * size) for n in range(count)]
    found = set()
    for row in rows:
        if row[1] != 2:  # SHT_SYMTAB
            continue
        strings = data[rows[row[6]][4] :]
        for name, _, _, section, _, _ in struct.iter_unpack("<IBBHQQ", data[row[4] : row[4] + row[5]]):
            if name and not section:
                found.add(strings[name : strings.index(b"\0", name)].decode())
    return found
