"""What a tree says about a release's modules: modules.dep, .softdep, .weakdep, .alias, .builtin, modprobe.d.

Formats: modules.dep(5), modprobe.d(5), and kmod's `tools/depmod.c`. Module names are kept as the
kernel has them, with underscores; paths as modules.dep has them, relative to /lib/modules/RELEASE.

The two long lists are read as a whole if all is as depmod writes it; else line by line, which takes
longer and finds the line that is wrong.
"""

import dataclasses
import fnmatch
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from mkpxeinit.errors import KernelError
from mkpxeinit.kernel.builtin import BuiltIn, parse_modinfo
from mkpxeinit.kernel.circle import find_circle
from mkpxeinit.kernel.modprobed import Settings, normal_name, read_settings
from mkpxeinit.kernel.release import MODULES
from mkpxeinit.sysroot import Sysroot

__all__ = [
    "Alias",
    "Aliases",
    "Module",
    "ModuleIndex",
    "SoftDep",
    "module_name",
    "normal_name",
    "plain_path",
    "read_index",
]

_KO = re.compile(r"(?P<stem>[^/]+)\.ko(?:\.gz|\.xz|\.zst)?")
_LONGEST = 4096  # characters; longer aliases match nothing, as in hardware/modalias.py
_GLOB = re.compile(r"[*?\[]")
_DEP_LINE = re.compile(r"^((?:[^\s:/]+/)*([^\s:/]+)\.ko(?:\.gz|\.xz|\.zst)?):(.*)$", re.MULTILINE)
_BLANKS = "\t\r\v\f\x1c\x1d\x1e\x1f"  # in ASCII, but for those that depmod writes


@dataclass(frozen=True, slots=True)
class Module:
    """A line of modules.dep: `path` is relative to the release's folder, `needs` are names, nearest last.

    `needs` keeps the order of the file: the module that must be loaded first stands last.
    """

    name: str
    path: str
    needs: tuple[str, ...]

    def place(self, release: str) -> str:
        """Return the module's path in the tree."""
        return f"{MODULES}/{release}/{self.path}"

    @property
    def plain_path(self) -> str:
        """The path without the compressor's suffix: what the image carries."""
        return plain_path(self.path)


def module_name(path: str) -> str | None:
    """Return the name of the module in the file `path`, packed or not; None if it is no module's."""
    match = _KO.fullmatch(path.rpartition("/")[2])
    return normal_name(match["stem"]) if match else None


def plain_path(path: str) -> str:
    """Return `path` without .gz, .xz or .zst."""
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and suffix in ("gz", "xz", "zst") else path


class Alias(NamedTuple):
    """A line of modules.alias: devices and requests that match `pattern` (fnmatch(3)) need `module`."""

    pattern: str
    module: str


class Aliases(Collection[Alias]):
    """The lines of modules.alias, made into objects when they are asked for.

    There are tens of thousands; to make the objects takes longer than to read the file.
    """

    __slots__ = ("_owners", "_patterns")

    def __init__(self, patterns: Sequence[str] = (), owners: Sequence[str] = ()) -> None:
        """Take the patterns, and the module of each."""
        self._patterns = patterns
        self._owners = owners

    @classmethod
    def of(cls, aliases: Collection[Alias]) -> "Aliases":
        """Return `aliases` as such lines."""
        if isinstance(aliases, Aliases):
            return aliases
        return cls([each.pattern for each in aliases], [each.module for each in aliases])

    def extended(self, more: Iterable[tuple[str, str]]) -> "Aliases":
        """Return these and `more`, pattern and module of each, behind them."""
        rest = list(more)
        return Aliases(
            [*self._patterns, *(pattern for pattern, _ in rest)], [*self._owners, *(name for _, name in rest)]
        )

    def __len__(self) -> int:
        return len(self._patterns)

    def __iter__(self) -> Iterator[Alias]:
        return map(Alias._make, zip(self._patterns, self._owners, strict=True))

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield pattern and module of each, without making objects."""
        return zip(self._patterns, self._owners, strict=True)

    def by_module(self) -> dict[str, tuple[str, ...]]:
        """Return the patterns of each module; depmod writes those of a module one after another."""
        found: dict[str, list[str]] = {}
        start = 0
        for owner, lines in itertools.groupby(self._owners):
            end = start + len(list(lines))
            found.setdefault(owner, []).extend(self._patterns[start:end])
            start = end
        return {name: tuple(patterns) for name, patterns in found.items()}

    def __contains__(self, alias: object) -> bool:
        return any(each == alias for each in self)


@dataclass(frozen=True, slots=True)
class SoftDep:
    """A line of modules.softdep or .weakdep: names or aliases that serve `module`, present or not."""

    module: str
    kind: str  # softdep, weakdep
    names: tuple[str, ...]
    line: str


@dataclass(frozen=True)
class ModuleIndex:
    """All that a release, and modprobe.d of its tree, say about its modules.

    `builtin_modules` has what is known of drivers that are no modules.
    """

    release: str
    modules: dict[str, Module]
    builtin: frozenset[str]
    aliases: Collection[Alias]
    soft: dict[str, tuple[SoftDep, ...]]
    builtin_text: str
    builtin_modules: Mapping[str, BuiltIn] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)

    @cached_property
    def aliases_of(self) -> dict[str, tuple[str, ...]]:
        """The alias patterns of each module."""
        return Aliases.of(self.aliases).by_module()

    @cached_property
    def alias_text(self) -> dict[str, str]:
        """The same as one text a module, a newline before each pattern: quick to look through for a word."""
        return {name: "\n".join(("", *patterns)) for name, patterns in self.aliases_of.items()}

    @cached_property
    def _exact(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for pattern, module in Aliases.of(self.aliases).pairs():
            if not ("*" in pattern or "?" in pattern or "[" in pattern):
                found.setdefault(normal_name(pattern), []).append(module)
        return found

    @cached_property
    def _globs(self) -> tuple[tuple[str, str, str], ...]:
        """Aliases with wildcards, each with what stands before its first one."""
        return tuple(
            (pattern[: match.start()], pattern, module)
            for pattern, module in Aliases.of(self.aliases).pairs()
            if len(pattern) <= _LONGEST and (match := _GLOB.search(pattern))
        )

    def lookup(self, name: str) -> tuple[str, ...]:
        """Return the modules that `modprobe NAME` would take: by modprobe.d's aliases, name, built in, alias.

        The first of these that knows `name` decides. A built-in module comes back as its own name.
        Nothing fits, or modprobe.d says `off`: an empty tuple.
        """
        plain = normal_name(name)
        configured = [
            each.module
            for each in self.settings.of_kind("alias")
            if fnmatch.fnmatchcase(plain, normal_name(each.text))
        ]
        if configured:
            return tuple(dict.fromkeys(m for m in configured if m in self.modules or m in self.builtin))
        if plain in self.modules or plain in self.builtin:
            return (plain,)
        found = list(self._exact.get(plain, ()))
        # Only bus aliases have wildcards; others are too many to try in vain.
        if ":" in name and len(name) <= _LONGEST:
            found += [
                module
                for start, pattern, module in self._globs
                if name.startswith(start) and fnmatch.fnmatchcase(name, pattern)
            ]
        return tuple(dict.fromkeys(found))

    def with_builtins(self) -> "ModuleIndex":
        """Return this index for choosing drivers: built-in ones are modules too, which need nothing.

        modprobe.d's aliases are among the others. `builtin` tells all that are no files.
        """
        drivers = {k: each for k, each in self.builtin_modules.items() if k not in self.modules}
        names = self.modules.keys() | drivers.keys()
        more = [(alias, name) for name, each in drivers.items() for alias in each.aliases]
        more += [(text, module) for text, module in self.settings.aliases if module in names]
        return dataclasses.replace(
            self,
            modules=self.modules | {name: Module(name, each.path, ()) for name, each in drivers.items()},
            builtin=self.builtin | drivers.keys(),
            aliases=Aliases.of(self.effective_aliases()).extended(more),
        )

    def effective_aliases(self) -> Collection[Alias]:
        """Return the lines of modules.alias without those that modprobe.d's aliases make void."""
        if not self.settings.aliases:
            return self.aliases
        return tuple(each for each in self.aliases if not self.settings.covers(each.pattern))


def read_index(sysroot: Sysroot, release: str) -> ModuleIndex:
    """Read what depmod wrote for `release`, and modprobe.d; KernelError names the file and line at fault."""
    folder = f"{MODULES}/{release}"
    if not sysroot.is_file(f"{folder}/modules.dep"):
        raise KernelError(
            f"{sysroot.show(folder + '/modules.dep')}: missing; "
            f"make it with: depmod -b {sysroot.show('/')} {release}"
        )

    def text(name: str) -> str:
        return sysroot.read_text(f"{folder}/{name}") if sysroot.exists(f"{folder}/{name}") else ""

    def lines(name: str, content: str) -> Iterator[tuple[str, str]]:
        """Yield each line that says something, and where it stands."""
        shown = sysroot.show(f"{folder}/{name}")
        for number, line in enumerate(content.splitlines(), 1):
            if line and not line.isspace() and not line.startswith("#"):
                yield f"{shown}:{number}", line

    dep, alias, builtin = (text(f"modules.{name}") for name in ("dep", "alias", "builtin"))
    modules = _quick_dep(dep)
    paths = {_name_of(line.strip(), where): line.strip() for where, line in lines("modules.builtin", builtin)}
    settings = read_settings(sysroot)
    softdeps = (*_configured(settings), *lines("modules.softdep", text("modules.softdep")))
    modinfo = "modules.builtin.modinfo"
    return ModuleIndex(
        release=release,
        modules=_parse_dep(lines("modules.dep", dep)) if modules is None else modules,
        builtin=frozenset(paths),
        aliases=_quick_alias(alias) or _parse_alias(lines("modules.alias", alias)),
        soft=_parse_soft((*softdeps, *lines("modules.weakdep", text("modules.weakdep")))),
        builtin_text=builtin,
        builtin_modules=parse_modinfo(text(modinfo), sysroot.show(f"{folder}/{modinfo}"), paths),
        settings=settings,
    )


def _configured(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the soft dependencies of modprobe.d as lines of modules.softdep."""
    for each in settings.of_kind("softdep"):
        yield each.where, f"softdep {each.module} {each.text}"


def _quick_dep(text: str) -> dict[str, Module] | None:
    """Return what `_parse_dep` returns, None if there is anything to look at more closely."""
    rows = _DEP_LINE.findall(text)
    whole = len(rows) == text.count("\n") and text.endswith("\n")
    if not whole or "../" in text or not text.replace("\n", "").isprintable():
        return None
    names = {path: stem.replace("-", "_") for path, stem, _ in rows}
    try:
        found = {
            (name := names[path]): Module(name, path, tuple([names[need] for need in needs.split()]))
            for path, _, needs in rows
        }
    except KeyError:
        return None
    # depmod lists all that is needed, also by what is needed, and so each has fewer than what needs it.
    counts = {name: len(module.needs) for name, module in found.items()}
    falling = all(counts[need] < counts[name] for name, module in found.items() for need in module.needs)
    return found if falling and len(found) == len(rows) else None


def _quick_alias(text: str) -> Aliases | None:
    """Return what `_parse_alias` returns, None if there is anything to look at more closely.

    Each line begins with `alias`, there are no more such words than lines, and each is the first of three:
    so no line has more or fewer.
    """
    if not text.isascii() or any(blank in text for blank in _BLANKS):
        return None  # also in a comment: some of these end a line
    while text.startswith("#"):
        text = text.partition("\n")[2]
    lines = text.count("\n")
    words = text.split()
    modules = words[2::3]
    if (
        not text.endswith("\n")
        or f"\n{text}".count("\nalias ") != lines
        or words.count("alias") != lines
        or words[::3].count("alias") != lines
        or len(words) != 3 * lines
        or "-" in "".join(modules)
    ):
        return None
    return Aliases(words[1::3], modules)


def _name_of(path: str, where: str) -> str:
    """Return the name of the module at `path`; KernelError if that is no module's path."""
    parts = path.split("/")
    name = module_name(path)
    if name is None or path.startswith("/") or ".." in parts or not path.isprintable():
        raise KernelError(f"{where}: {path!r} is not the path of a module; run depmod again")
    return name


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


def _parse_alias(lines: Iterator[tuple[str, str]]) -> Aliases:
    """Return the lines `alias PATTERN MODULE`; patterns of some modules hold blanks, names never do."""
    patterns, owners = [], []
    for where, line in lines:
        fields = line.split()
        if len(fields) < 3 or fields[0] != "alias":
            raise KernelError(f"{where}: not an alias: {line!r}; run depmod again")
        patterns.append(" ".join(fields[1:-1]))
        owners.append(normal_name(fields[-1]))
    return Aliases(patterns, owners)


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
