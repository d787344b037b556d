"""Firmware that modules ask for, and where a tree has it.

A module names its files in `.modinfo` (`firmware=`, MODULE_FIRMWARE() of include/linux/module.h); some
names are patterns. The search is that of the kernel's drivers/base/firmware_loader/main.c: the plain
name in all folders first, then .zst, then .xz. The command line's `firmware_class.path` is unknown here.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mkpxeinit import elf
from mkpxeinit.errors import SysrootError, printable
from mkpxeinit.sysroot import Sysroot, open_regular

FOLDER = PurePosixPath("lib/firmware")
# In an image: the names that the kernel carries itself, one a line, for mkpxeinit check.
CARRIED = PurePosixPath("lib/pxeinit/carried-firmware")
_OPTION = "EXTRA_FIRMWARE"
_SEARCH = (
    "/lib/firmware/updates/{}",
    "/lib/firmware/updates",
    "/lib/firmware/{}",
    "/lib/firmware",
)
_PACKED = {".zst": "FW_LOADER_COMPRESS_ZSTD", ".xz": "FW_LOADER_COMPRESS_XZ"}
_MAX_PLACES = 2_000  # folders that fit a pattern; links in circles make more of them with each `*`
_MAX_NAME, _MAX_PART = 4096, 255  # bytes: PATH_MAX and NAME_MAX, limits.h
_GLOB = re.compile(r"[*?\[]")
_KEY = b"firmware="


@dataclass(frozen=True, slots=True)
class Firmware:
    """A file to put at `path` in the image: the host's `source`, unpacked first if `unpack` says so.

    `link`, if there is one, is another path of the image that holds the same file. `shown` is what
    messages call the source, `name` what a driver asked for.
    """

    name: str
    path: PurePosixPath
    source: Path
    shown: str
    unpack: bool
    link: PurePosixPath | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The files that the tree has, sorted by path in the image, and the names that it lacks, sorted.

    `carried` are the names that the kernel carries itself.
    """

    files: tuple[Firmware, ...]
    missing: tuple[str, ...]
    carried: tuple[str, ...] = ()


def names_in(module: bytes, shown: str) -> tuple[str, ...]:
    """Return the firmware that a plain module names, in its order; ProgramError if its ELF is damaged."""
    if _KEY not in module:
        return ()  # most modules: the sections need not be looked at
    return _names_of(elf.section(module, ".modinfo", shown))


def names_in_file(path: Path, shown: str) -> tuple[str, ...]:
    """Return the firmware that the plain module at `path`, a host path, names, without reading all of it.

    ProgramError if its ELF is damaged, OSError if it cannot be read.
    """
    with open_regular(path) as file:
        return _names_of(elf.section_of(file, ".modinfo", shown))


def _names_of(modinfo: bytes) -> tuple[str, ...]:
    names = (line.removeprefix(_KEY) for line in modinfo.split(b"\0") if line.startswith(_KEY))
    return tuple(dict.fromkeys(name.decode("utf-8", "surrogateescape") for name in names))


def find(sysroot: Sysroot, release: str, names: Iterable[str], config: Mapping[str, str]) -> Found:
    """Return where the tree has the firmware `names`; nothing outside of it is looked at.

    A packed file stays so only if a kernel with `config` can load it. Names that the kernel carries itself
    (CONFIG_EXTRA_FIRMWARE) are neither looked for nor missing. Of a link and the file that it
    leads to, both come into the image, if that file lies in a firmware folder; else only the file's
    content, under the name of the link.
    """
    every = (folder.format(release) for folder in _SEARCH)
    folders = tuple(folder for folder in every if sysroot.is_dir(folder))
    kept = {suffix for suffix, option in _PACKED.items() if config.get(option) == "y"}
    carried = set(names).intersection(config.get(_OPTION, "").strip('"').split())
    files: dict[PurePosixPath, Firmware] = {}
    missing = []
    for name in sorted(set(names) - carried):
        exact = _expand(sysroot, folders, name) if _GLOB.search(name) else (name,)
        looked = (_look(sysroot, folders, one, kept) for one in exact)
        found = [replace(each, name=name) for each in looked if each]  # a pattern is what was asked for
        if not found:
            missing.append(name)
        for each in found:
            files.setdefault(each.path, each)
    bases = [str(sysroot.resolve(each)) for each in folders]
    placed = _with_targets(files, bases)
    return Found(tuple(placed[path] for path in sorted(placed)), tuple(missing), tuple(sorted(carried)))


def read_carried(image: Sysroot) -> dict[str, str]:
    """Return as much of the kernel's configuration as an unpacked image has: the firmware that it carries."""
    return {_OPTION: image.read_text(CARRIED)} if image.is_file(CARRIED) else {}


def _clean(name: str) -> bool:
    """Say whether `name` can be a path below a firmware folder."""
    if len(name) > _MAX_NAME or not name.isprintable():
        return False
    return not any(part in ("", ".", "..") or len(part) > _MAX_PART for part in name.split("/"))


def _look(sysroot: Sysroot, folders: tuple[str, ...], name: str, kept: set[str]) -> Firmware | None:
    """Return the file that the kernel would load for `name`, or None."""
    if not _clean(name):
        return None
    for suffix in ("", *_PACKED):
        for folder in folders:
            inside = f"{folder}/{name}{suffix}"
            if sysroot.is_file(inside):
                unpack = bool(suffix) and suffix not in kept
                path = FOLDER / (name if unpack else name + suffix)
                return Firmware(name, path, sysroot.resolve(inside), sysroot.show(inside), unpack)
    return None


def _with_targets(files: Mapping[PurePosixPath, Firmware], bases: list[str]) -> dict[PurePosixPath, Firmware]:
    """Return `files` by path, links to files of a firmware folder as links, and these files too.

    The image has one folder where the tree may have four: where a link's target cannot have its place, since
    another file has it, or it would be both file and folder, the link is the file.
    """
    placed = dict(files)
    folders = {parent for path in files for parent in path.parents}
    for each in files.values():
        target = _place(each, bases)
        if target is None or target == each.path:
            continue
        there = placed.get(target)
        if target in folders or any(parent in placed for parent in target.parents):
            continue
        if there is not None and there.source != each.source:
            continue
        placed[each.path] = replace(each, link=target)
        if there is None:
            placed[target] = replace(each, path=target)
            folders.update(target.parents)
    return placed


def _place(each: Firmware, bases: list[str]) -> PurePosixPath | None:
    """Return where the file behind `each` belongs in the image, None if it lies in no firmware folder."""
    source = str(each.source)
    for base in bases:
        if source.startswith(f"{base}/"):
            inside = source.removeprefix(f"{base}/")
            suffix = PurePosixPath(inside).suffix
            if each.unpack:
                if suffix not in _PACKED:
                    return None
                inside = inside.removesuffix(suffix)
            return FOLDER / inside if _clean(inside) else None
    return None


def _expand(sysroot: Sysroot, folders: tuple[str, ...], pattern: str) -> tuple[str, ...]:
    """Return the names in the tree that fit `pattern`, without a packed file's suffix, sorted.

    As for a shell, a wildcard stands for no slash.
    """
    if not _clean(pattern):
        return ()
    *parents, last = pattern.split("/")
    found: set[str] = set()
    for folder in folders:
        places = [""]
        for part in parents:
            places = [
                f"{place}{name}/"
                for place in places
                for name in _names(sysroot, f"{folder}/{place}")
                if fnmatch.fnmatchcase(name, part) and sysroot.is_dir(f"{folder}/{place}{name}")
            ]
            if len(places) > _MAX_PLACES:
                raise SysrootError(
                    f"{sysroot.show(folder)}: more than {_MAX_PLACES} folders fit {printable(pattern)!r}, "
                    "firmware that a module names; there are links in circles in the tree"
                )
        for place in places:
            for name in _names(sysroot, f"{folder}/{place}"):
                plain = name.removesuffix(".zst").removesuffix(".xz")
                if fnmatch.fnmatchcase(plain, last):
                    found.add(f"{place}{plain}")
    return tuple(sorted(found))


def _names(sysroot: Sysroot, folder: str) -> tuple[str, ...]:
    try:
        return sysroot.list(folder) if sysroot.is_dir(folder) else ()
    except SysrootError:
        return ()
