"""Where a program's loader looks for libraries: ld.so(8) of glibc, or musl's.

ld.so.cache is not read: it says what the folders held when ldconfig ran last, and trees are made
without running it. /etc/ld.so.conf, from which it is made, is read instead, and the folders themselves.
"""

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mkpxeinit.elf import Machine
from mkpxeinit.errors import ProgramError, SysrootError, os_cause
from mkpxeinit.sysroot import Sysroot, read_regular

CONF = "/etc/ld.so.conf"
_MAX_LOADER = 64 << 20  # bytes
_MAX_CONFS = 256
_MAX_FOUND = 4096
_MAX_PATH = 4096  # PATH_MAX, limits.h
_MUSL_FOLDERS = "/lib:/usr/local/lib:/usr/lib"

# glibc's system_dirs in the loader itself: names that end with `/`, each ended by a NUL.
_SYSTEM = re.compile(rb"(?<![!-~])(?:/[!-~]{0,255}/\0){2,}")

# Where the psABI of each machine wants the loader, and what the kernel says in AT_PLATFORM at least.
_LOADERS: dict[str, tuple[tuple[str, ...], str]] = {
    "EM_X86_64": (("/lib64/ld-linux-x86-64.so.2",), "x86_64"),
    "EM_386": (("/lib/ld-linux.so.2",), "i686"),
    "EM_AARCH64": (("/lib/ld-linux-aarch64.so.1",), "aarch64"),
    "EM_ARM": (("/lib/ld-linux-armhf.so.3", "/lib/ld-linux.so.3"), "v7l"),
    "EM_RISCV": (("/lib/ld-linux-riscv64-lp64d.so.1",), "riscv64"),
    "EM_PPC64": (("/lib64/ld64.so.2", "/lib64/ld64.so.1"), "power8"),
    "EM_S390": (("/lib/ld64.so.1",), "z900"),
    "EM_LOONGARCH": (("/lib64/ld-linux-loongarch-lp64d.so.1",), "loongarch64"),
}


@dataclass(frozen=True, slots=True)
class Loader:
    """A loader and where it looks.

    `path` is as programs name it. `configured` are the folders of ld.so.conf, `default` those built in
    or of musl's file, which is `file`. `lib` and `platform` stand for $LIB and $PLATFORM.
    """

    path: str
    musl: bool
    default: tuple[str, ...]
    configured: tuple[str, ...] = ()
    file: str | None = None
    lib: str = "lib"
    platform: str = ""


def read_loader(tree: Sysroot, path: str, machine: Machine) -> Loader:
    """Return what the loader `path` of the tree does; ProgramError if it is not there or not readable."""
    musl = re.fullmatch(r"ld-musl-([\w.-]+)\.so\.1", path.rpartition("/")[2])
    try:
        data = read_regular(tree.resolve(path), _MAX_LOADER)
    except (SysrootError, OSError) as error:
        cause = os_cause(error) if isinstance(error, OSError) else "not in the tree"
        raise ProgramError(f"{tree.show(path)}: {cause}; install the C library into the tree") from error
    if musl:
        return _musl(tree, path, musl[1])
    found = next((match for match in _SYSTEM.finditer(data) if b"/lib" in match[0]), None)
    default = tuple(name.decode("ascii") for name in found[0].split(b"\0")[:-1]) if found else ()
    default = tuple(folder.rstrip("/") or "/" for folder in default) or _fallback(path)
    configured = tuple(dict.fromkeys(read_conf(tree)))
    lib = default[0].strip("/").removeprefix("usr/")
    platform = _LOADERS.get(machine.name, ((), ""))[1]
    return Loader(path, False, default, configured, None, lib, platform)


def _fallback(path: str) -> tuple[str, ...]:
    """Return the folders of an unchanged glibc whose loader is `path`."""
    name = "lib64" if path.startswith(("/lib64/", "/usr/lib64/")) else "lib"
    return (f"/{name}", f"/usr/{name}")


def _musl(tree: Sysroot, path: str, architecture: str) -> Loader:
    """Return musl's: folders from its file in the prefix that the loader is in, as its dynlink.c does."""
    prefix = path.rpartition("/")[0].rpartition("/")[0]
    file = f"{prefix}/etc/ld-musl-{architecture}.path"
    exists = tree.is_file(file)
    text = tree.read_text(file) if exists else _MUSL_FOLDERS
    folders = tuple(folder for folder in re.split("[:\n]", text) if folder)
    return Loader(path, True, folders, file=file if exists else None)


def usual_loader(tree: Sysroot, machine: Machine) -> str | None:
    """Return the loader that programs for `machine` name if the tree has it: for libraries on their own."""
    for path in _LOADERS.get(machine.name, ((), ""))[0]:
        if tree.is_file(path):
            return path
    name = machine.name.removeprefix("EM_").lower().replace("386", "i386")
    path = f"/lib/ld-musl-{name}.so.1"
    return path if tree.is_file(path) else None


def read_conf(tree: Sysroot, path: str = CONF) -> Iterator[str]:
    """Yield the folders of ld.so.conf and the files that it includes, in the order of ldconfig(8)."""
    todo = [path]
    seen: set[str] = set()
    patterns = 0
    while todo:
        item = todo.pop()
        if item.startswith("="):
            yield item[1:]
        elif item.startswith("*"):
            patterns += 1
            if patterns > _MAX_CONFS:
                raise ProgramError(f"{tree.show(path)}: more than {_MAX_CONFS} files or patterns included")
            todo.extend(reversed(expand(tree, item[1:])))
        elif tree.is_file(item) and len(seen) < _MAX_CONFS and (real := str(tree.resolve(item))) not in seen:
            seen.add(real)
            todo.extend(reversed(list(_conf_items(tree, item))))


def _conf_items(tree: Sysroot, path: str) -> Iterator[str]:
    """Yield what the file `path` says: patterns of included files after a `*`, folders after a `=`."""
    for line in tree.read_text(path).split("\n"):
        words = line.partition("#")[0].split()
        if not words or words[0].lower() == "hwcap":
            continue
        if words[0] == "include":
            for pattern in words[1:]:
                inside = pattern if pattern.startswith("/") else f"{path.rpartition('/')[0]}/{pattern}"
                yield f"*{inside}"
            continue
        # A type such as `=libc6` may follow.
        folder = line.partition("#")[0].strip().partition("=")[0].strip().rstrip("/")
        if folder.startswith("/"):
            yield f"={folder}"


def expand(tree: Sysroot, pattern: str) -> list[str]:
    """Return the paths in the tree that the absolute `pattern` means, sorted, as glob(7) says.

    ProgramError if it means thousands, as links in circles can make it.
    """
    if len(pattern) > _MAX_PATH:
        raise ProgramError(
            f"{tree.show(pattern[:60])}...: longer than {_MAX_PATH} bytes ({CONF} includes it)"
        )
    found = [""]
    for part in (part for part in pattern.split("/") if part):
        if not re.search(r"[*?[]", part):
            found = [f"{folder}/{part}" for folder in found]
            continue
        found = [
            f"{folder}/{name}"
            for folder in found
            if tree.is_dir(folder or "/")
            for name in tree.list(folder or "/")
            if fnmatch.fnmatchcase(name, part) and (not name.startswith(".") or part.startswith("."))
        ]
        if len(found) > _MAX_FOUND:
            raise ProgramError(f"{tree.show(pattern)}: more than {_MAX_FOUND} files ({CONF} includes them)")
    return [path for path in found if tree.exists(path)]
