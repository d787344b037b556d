"""What the client needs to know the tree's init again: the files that it is started from, and their sizes.

Before the client hands over to the tree's init, it asks the tree's own loader whether all libraries are
there. Over a network that means to open each of them, and the real system opens them once more. Where
everything is as the image's builder saw it, one look at their sizes is enough (init/lib/known.sh).

The file has six lines: the init's path, what it leads to, the largest file, what the kernel's image says of
its build, the paths, and for each of these its mode (hexadecimal, as in stat(1) %f), size, and of a link
the target.
"""

import os
import re
import stat
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from mkpxeinit.elf import Machine, runs_on
from mkpxeinit.errors import MkpxeinitError, os_cause
from mkpxeinit.programs.libraries import Reader, find_libraries
from mkpxeinit.programs.loader import read_loader
from mkpxeinit.sysroot import Sysroot, open_regular

PLACE = PurePosixPath("etc/pxeinit/tree")
# As the client looks for it: init/lib/trust.sh, find_init.
CANDIDATES = ("/sbin/init", "/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/bin/init", "/etc/init")
# And the kernel's image: init/lib/stale.sh, check_build.
_KERNELS = ("/boot/vmlinuz-{}", "/lib/modules/{}/vmlinuz")
_PLAIN = re.compile(r"[a-zA-Z0-9/._@%+=~-]+")
_BUILD = re.compile(rb"[ -~]{1,255}(?=\0)")
_MAX_PATHS = 200
_LARGE = 128 << 10  # bytes that are read ahead at most: init/lib/trust.sh, find_large_file


def look(
    tree: Sysroot, release: str, kernel: Machine | None, config: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    """Return the text of the file PLACE, and remarks.

    The text is empty where the client has to look itself: no init, a script, unusual names. A remark tells of
    an init that could not be started as the tree is now.
    """
    init = next((each for each in CANDIDATES if tree.is_file(each)), None)
    if init is None:
        return "", ()
    try:
        used, direct = _used(tree, init, kernel, config)
        if not used:
            return "", ()
        large = max(
            (_inside(tree, path) for path in direct), key=lambda path: (_status(tree, path).st_size, path)
        )
        image, build = _kernel(tree, release)
        paths = tuple(dict.fromkeys(_with_links(tree, (*used, *image))))
        facts = [_fact(tree, path) for path in paths]
    except OSError as error:
        return "", (f"the tree's own init, {tree.show(init)}: {os_cause(error)}",)
    except MkpxeinitError as error:
        return "", (f"the tree's own init cannot be started: {error}",)
    real = _inside(tree, init)
    if len(paths) > _MAX_PATHS or not all(_PLAIN.fullmatch(text) for text in (*paths, *facts, real)):
        return "", ()
    lines = (
        init,
        real,
        large if _status(tree, large).st_size > _LARGE else "",
        build,
        " ".join(path.lstrip("/") for path in paths),
        " ".join(facts),
    )
    return "".join(f"{line}\n" for line in lines), ()


def _used(
    tree: Sysroot, init: str, kernel: Machine | None, config: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the kernel and the loader open to start `init`; empty if no program for this kernel.

    And those of it that it names itself.
    """
    with open_regular(tree.resolve(init)) as file:
        if file.read(4) != b"\x7fELF":
            return (), ()
    reader = Reader(tree, whole=False)
    program = reader.read(init)
    facts = program.facts
    if kernel is not None and not runs_on(facts.machine, kernel, config):
        return (), ()
    if facts.interpreter is None:
        return (init,), (init,)
    loader = read_loader(tree, facts.interpreter, facts.machine)
    libraries = find_libraries(reader, program, loader, tree.show(init))
    direct = (init, *(each.path for each in libraries if each.by is None))
    return (init, facts.interpreter, *(each.path for each in libraries)), direct


def _with_links(tree: Sysroot, paths: tuple[str, ...]) -> Iterator[str]:
    """Yield each of `paths` without links, after the links on the way."""
    for path in paths:
        yield from tree.links(path)
        yield _inside(tree, path)


def _status(tree: Sysroot, path: str) -> os.stat_result:
    """Return lstat(2) of `path`, which has no link before its last component."""
    return os.lstat(f"{tree.root}{path}")


def _fact(tree: Sysroot, path: str) -> str:
    """Return how the client sees `path`, as it writes it."""
    status = _status(tree, path)
    link = stat.S_ISLNK(status.st_mode)
    target = f".{Path(f'{tree.root}{path}').readlink()}" if link else ""
    return f"{status.st_mode:x}.{status.st_size}{target}"


def _inside(tree: Sysroot, path: str) -> str:
    return f"/{tree.resolve(path).relative_to(tree.root)}"


def _kernel(tree: Sysroot, release: str) -> tuple[tuple[str, ...], str]:
    """Return the path of the kernel's image, if there is one that says which build it is, and what it says.

    Linux, Documentation/arch/x86/boot.rst: kernel_version.
    """
    for path in (each.format(release) for each in _KERNELS):
        if not tree.is_file(path):
            continue
        with open_regular(tree.resolve(path)) as file:
            head = file.read(0x210)
            if len(head) == 0x210 and head[0x202:0x206] == b"HdrS":
                file.seek(struct.unpack_from("<H", head, 0x20E)[0] + 0x200)
                found = _BUILD.match(file.read(256))
                if found and found[0].startswith(f"{release} (".encode()):
                    return (_inside(tree, path),), found[0].decode("ascii")
    return (), ""
