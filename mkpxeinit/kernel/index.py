"""What depmod(8) wrote about a release: modules.dep, .softdep, .weakdep, .alias and .builtin.

Formats: modules.dep(5), modprobe.d(5), and kmod's `tools/depmod.c`. Module names are kept as the
kernel has them, with underscores; paths as modules.dep has them, relative to /lib/modules/RELEASE.
"""

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mkpxeinit.errors import KernelError
from mkpxeinit.kernel.circle import find_circle
from mkpxeinit.kernel.release import MODULES
from mkpxeinit.sysroot import Sysroot

_KO = re.compile(r"(?P<stem>[^/]+)\.ko(?P<packed>\.gz|\.xz|\.zst)?")
_LONGEST = 4096  # characters; longer aliases match nothing, as in hardware/modalias.py
_GLOB = re.compile(r"[*?\[]")


def normal_name(name: str) -> str:
    """Return a module's name as the kernel has it: dashes are underscores."""
    return name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Module:
    """A line of modules.dep: `path` is relative to the release's folder, `needs` are names, nearest last.

    `needs` keeps the order of the file: the module that must be loaded first stands last.
    """

    name: str
    path: str
    needs: tuple[str, ...]

    @property
    def plain_path(self) -> str:
        """The path without the compressor's suffix: what the image carries."""
        return plain_path(self.path)


def plain_path(path: str) -> str:
    """Return `path` without .gz, .xz or .zst."""
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and suffix in ("gz", "xz", "zst") else path


@dataclass(frozen=True, slots=True)
class Alias:
    """A line of modules.alias: devices and requests that match `pattern` (fnmatch(3)) need `module`."""

    pattern: str
    module: str


@dataclass(frozen=True, slots=True)
class SoftDep:
    """A line of modules.softdep or .weakdep: names or aliases that serve `module`, present or not."""

    module: str
    kind: str  # softdep, weakdep
    names: tuple[str, ...]
    line: str


@dataclass(frozen=True)
class ModuleIndex:
    """All that a release says about its modules."""

    release: str
    modules: dict[str, Module]
    builtin: frozenset[str]
    aliases: tuple[Alias, ...]
    soft: dict[str, tuple[SoftDep, ...]]
    builtin_text: str

    @cached_property
    def aliases_of(self) -> dict[str, tuple[str, ...]]:
        """The alias patterns of each module."""
        found: dict[str, list[str]] = {}
        for alias in self.aliases:
            found.setdefault(alias.module, []).append(alias.pattern)
        return {name: tuple(patterns) for name, patterns in found.items()}

    @cached_property
    def _exact(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for alias in self.aliases:
            if not _GLOB.search(alias.pattern):
                found.setdefault(normal_name(alias.pattern), []).append(alias.module)
        return found

    @cached_property
    def _globs(self) -> tuple[tuple[str, Alias], ...]:
        """Aliases with wildcards, each with what stands before its first one."""
        return tuple(
            (alias.pattern[: match.start()], alias)
            for alias in self.aliases
            if len(alias.pattern) <= _LONGEST and (match := _GLOB.search(alias.pattern))
        )

    def lookup(self, name: str) -> tuple[str, ...]:
        """Return the modules that `modprobe NAME` would take: by name, else built in, else by alias.

        A built-in module comes back as its own name. Nothing fits: an empty tuple.
        """
        plain = normal_name(name)
        if plain in self.modules or plain in self.builtin:
            return (plain,)
        found = list(self._exact.get(plain, ()))
        if (
            ":" in name and len(name) <= _LONGEST
        ):  # only bus aliases have wildcards; others are too many to try in vain
            found += [
                alias.module
                for start, alias in self._globs
                if name.startswith(start) and fnmatch.fnmatchcase(name, alias.pattern)
            ]
        return tuple(dict.fromkeys(found))


def read_index(sysroot: Sysroot, release: str) -> ModuleIndex:
    """Read what depmod wrote for `release`; KernelError names the file and line that is wrong."""
    folder = f"{MODULES}/{release}"
    if not sysroot.is_file(f"{folder}/modules.dep"):
        raise KernelError(
            f"{sysroot.show(folder + '/modules.dep')}: missing; "
            f"make it with: depmod -b {sysroot.show('/')} {release}"
        )

    def lines(name: str) -> Iterator[tuple[str, str]]:
        """Yield each line that says something, and where it stands."""
        path = f"{folder}/{name}"
        if not sysroot.exists(path):
            return
        shown = sysroot.show(path)
        for number, line in enumerate(sysroot.read_text(path).splitlines(), 1):
            if line and not line.isspace() and not line.startswith("#"):
                yield f"{shown}:{number}", line

    builtin_path = f"{folder}/modules.builtin"
    return ModuleIndex(
        release=release,
        modules=_parse_dep(lines("modules.dep")),
        builtin=frozenset(_name_of(line.strip(), where) for where, line in lines("modules.builtin")),
        aliases=_parse_alias(lines("modules.alias")),
        soft=_parse_soft((*lines("modules.softdep"), *lines("modules.weakdep"))),
        builtin_text=sysroot.read_text(builtin_path) if sysroot.exists(builtin_path) else "",
    )


def _name_of(path: str, where: str) -> str:
    """Return the name of the module at `path`; KernelError if that is no module's path."""
    parts = path.split("/")
    match = _KO.fullmatch(parts[-1])
    if match is None or path.startswith("/") or ".." in parts or not path.isprintable():
        raise KernelError(f"{where}: {path!r} is not the path of a module; run depmod again")
    return normal_name(match["stem"])


def _parse_dep(lines: Iterator[tuple[str, str]]) -> dict[str, Module]:
    """Return the modules of modules.dep in its order, dependencies checked to be listed too."""
    found: dict[str, Module] = {}
    wheres: dict[str, str] = {}
    names: dict[str, str] = {}  # by path; most are asked for many times
    for where, line in lines:
        path, colon, needs = line.partition(":")
        if not colon:
            raise KernelError(f"{where}: no colon in {line!r}; run depmod again")
        paths = [path, *needs.split()]
        for each in paths:
            if each not in names:
                names[each] = _name_of(each, where)
        name = names[path]
        if name in found:
            raise KernelError(f"{where}: module {name} is listed twice; run depmod again")
        found[name] = Module(name, path, tuple(names[each] for each in paths[1:]))
        wheres[name] = where
    for module in found.values():
        for need in module.needs:
            if need not in found:
                raise KernelError(
                    f"{wheres[module.name]}: {module.name} needs {need}, which has no line; run depmod again"
                )
    if circle := find_circle({module.name: module.needs for module in found.values()}):
        chain = " needs ".join(circle[:10])
        raise KernelError(f"{wheres[circle[0]]}: a circle: {chain}; run depmod again")
    return found


def _parse_alias(lines: Iterator[tuple[str, str]]) -> tuple[Alias, ...]:
    """Return the lines `alias PATTERN MODULE`; patterns of some modules hold blanks, names never do."""
    found = []
    for where, line in lines:
        fields = line.split()
        if len(fields) < 3 or fields[0] != "alias":
            raise KernelError(f"{where}: not an alias: {line!r}; run depmod again")
        found.append(Alias(" ".join(fields[1:-1]), normal_name(fields[-1])))
    return tuple(found)


def _parse_soft(lines: tuple[tuple[str, str], ...]) -> dict[str, tuple[SoftDep, ...]]:
    """Return the soft and weak dependencies by module.

    `softdep M pre: a b post: c` counts a, b and c; words before `pre:` or `post:` mean nothing to
    modprobe(8), and some modules have them (`softdep cifs gcm`). `weakdep M a b` counts all.
    """
    found: dict[str, list[SoftDep]] = {}
    for where, line in lines:
        kind, *fields = line.split()
        if kind not in ("softdep", "weakdep") or not fields:
            raise KernelError(f"{where}: not a soft dependency: {line!r}; run depmod again")
        module, *words = fields
        names = []
        counts = kind == "weakdep"
        for word in words:
            if word in ("pre:", "post:"):
                counts = True
            elif counts:
                names.append(word)
        if names:
            name = normal_name(module)
            found.setdefault(name, []).append(SoftDep(name, kind, tuple(names), line))
    return {name: tuple(softs) for name, softs in found.items()}
