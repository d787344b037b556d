"""Modules without what only debuggers and tracers read; the signature goes with it.

binutils' strip does it, or LLVM's. What the kernel needs to load and link a module stays: sections,
relocations and the symbols that these name (Documentation/kbuild/modules.rst, INSTALL_MOD_STRIP).
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mkpxeinit import elf
from mkpxeinit.errors import ImageError, ProgramError, os_cause, printable

# elf(5)'s machine: the GNU triplet whose binutils are for it.
_TRIPLETS = {
    "EM_X86_64": "x86_64-linux-gnu",
    "EM_AARCH64": "aarch64-linux-gnu",
    "EM_386": "i686-linux-gnu",
    "EM_ARM": "arm-linux-gnueabihf",
    "EM_PPC64": "powerpc64le-linux-gnu",
    "EM_RISCV": "riscv64-linux-gnu",
}
_TYPES = ".BTF"
# Enumerations of trace events, for whoever reads their formats (include/trace/trace_events.h): to write
# them there takes the kernel longer than all else that it does for NFS 4.
_NAMES = "_ftrace_eval_map"
_TYPE_NUMBERS = ".BTF_ids"  # a module that has it registers functions by its types, and fails without them
_KEPT = (".modinfo", "__versions", ".gnu.linkonce.this_module")


@dataclass(frozen=True, slots=True)
class Stripper:
    """A program that strips, and what it says of its version."""

    program: str
    version: str

    def strip(self, data: bytes, shown: str) -> bytes:
        """Return the module `data` without what the kernel does not need; ImageError if that fails."""
        words = [self.program, "--strip-unneeded", "-R", _NAMES]
        try:
            if not elf.section(data, _TYPE_NUMBERS, shown):
                words += ["-R", _TYPES]
            with tempfile.TemporaryDirectory(prefix="mkpxeinit-") as folder:
                given, made = Path(folder, "given"), Path(folder, "made")
                given.write_bytes(data)
                done = _run([*words, "-o", str(made), str(given)])
                if done.returncode:
                    said = done.stderr.replace(str(given), shown).strip().splitlines()
                    raise ImageError(
                        f"{shown}: {self.program} failed: {printable((said or ['without a word'])[0])}; "
                        "leave --strip-modules out"
                    )
                stripped = made.read_bytes()
            same = all(elf.section(data, each, shown) == elf.section(stripped, each, shown) for each in _KEPT)
        except (ProgramError, ValueError) as error:
            raise ImageError(f"{shown}: {error}; install its package again") from error
        except OSError as error:
            raise ImageError(f"{shown}: {self.program}: {os_cause(error)}") from error
        if not same:
            raise ImageError(f"{shown}: {self.program} made another module of it; leave --strip-modules out")
        return stripped


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        errors="replace",
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
    )


def find(machine: elf.Machine) -> Stripper:
    """Return a stripper for modules of `machine`; ImageError, with the way out, if this machine has none."""
    triplet = _TRIPLETS.get(machine.name)
    names = [f"{triplet}-strip"] if triplet else []
    if machine == elf.machine(elf.begin_of(Path("/proc/self/exe").resolve()), "this Python"):
        names.append("strip")
    for name in (*names, "llvm-strip"):
        if (program := shutil.which(name)) is not None:
            return Stripper(program, _version(program))
    package = f"binutils-{triplet.replace('_', '-')}" if triplet and "strip" not in names else "binutils"
    raise ImageError(
        f"--strip-modules: no program here strips modules for {machine} (looked for {', '.join(names)}, "
        f"llvm-strip); install binutils (Debian: {package}), or leave --strip-modules out"
    )


def _version(program: str) -> str:
    try:
        done = _run([program, "--version"])
    except OSError as error:
        raise ImageError(f"--strip-modules: {program}: {os_cause(error)}") from error
    if done.returncode or not done.stdout:
        raise ImageError(f"--strip-modules: {program} --version failed; leave --strip-modules out")
    return done.stdout.splitlines()[0]
