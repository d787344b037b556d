"""All that programs of the tree need in the image: libraries, loader, interpreters, links."""

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from mkpxeinit import elf
from mkpxeinit.errors import ProgramError, SysrootError, printable
from mkpxeinit.image.entry import Entry, File, Symlink
from mkpxeinit.image.plan import Planned
from mkpxeinit.programs.cache import pack_cache
from mkpxeinit.programs.libraries import Binary, Library, Reader, find_libraries, read_file
from mkpxeinit.programs.loader import Loader, read_loader, usual_loader
from mkpxeinit.programs.place import kept_mode, place, shown
from mkpxeinit.programs.script import read_shebang
from mkpxeinit.reason import Reason
from mkpxeinit.sysroot import Sysroot

# Where a program is looked for by its name alone.
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_CACHE = PurePosixPath("etc/ld.so.cache")
_MAX_SCRIPTS = 4  # interpreters that are scripts themselves, as the kernel allows
_SETID = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, slots=True)
class Host:
    """What programs run on and beside: kernel (None: unknown), its configuration, busybox's applets."""

    machine: elf.Machine | None
    config: Mapping[str, str]
    applets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The entries for the image, and remarks for the user."""

    items: tuple[Planned, ...]
    notes: tuple[str, ...]


class _Gathering:
    def __init__(self, tree: Sysroot, host: Host) -> None:
        self.tree = tree
        self.host = host
        self.reader = Reader(tree)
        self.items: dict[PurePosixPath, Planned] = {}
        self.notes: list[str] = []
        self.names: dict[str, tuple[PurePosixPath, Reason]] = {}
        self._loaders: dict[tuple[str, elf.Machine], Loader] = {}
        self._cached: dict[tuple[str, elf.Machine], str] = {}
        self._cache_reason: Reason | None = None
        self._done: set[str] = set()

    def add_program(self, text: str, reason: Reason) -> None:
        """Add the program that the user calls `text`."""
        path = self._looked_up(text, reason) if "/" not in text else f"/{text.strip('/')}"
        name = _own_name(path)
        if name == "busybox":
            self.notes.append(f"{printable(path)}: every image has its busybox there")
            return
        if name in self.host.applets:
            self.notes.append(f"{shown(path)} replaces busybox's {name} in the image, for pxeinit too")
        self._add(path, reason, ())

    def _looked_up(self, name: str, reason: Reason) -> str:
        for folder in FOLDERS:
            if name and self.tree.is_file(f"{folder}/{name}"):
                return f"{folder}/{name}"
        raise ProgramError(
            f"{self.tree.show('/')}: no program {printable(name)!r} in {', '.join(FOLDERS)} ({reason}); "
            "install it into the tree, or give its path there"
        )

    def _add(self, path: str, reason: Reason, scripts: tuple[str, ...]) -> None:
        """Add the program `path`; `scripts` are those whose interpreter it is, the first one first."""
        try:
            real = str(self.tree.resolve(path))
        except SysrootError as error:
            by = f", the interpreter of {printable(scripts[-1])}" if scripts else ""
            raise ProgramError(
                f"{error} ({reason}){by}; install its package into the tree, or leave it out"
            ) from error
        if real in scripts or len(scripts) > _MAX_SCRIPTS:
            raise ProgramError(
                f"{self.tree.show(path)}: scripts whose interpreters are scripts go round in circles"
            )
        data, mode = read_file(self.tree, path)
        self._put(path, data, mode, reason)
        if mode & 0o111:
            self.names.setdefault(path.rpartition("/")[2], (place(self.tree, path)[0], reason))
        if real in self._done:
            return
        if data.startswith(b"#!"):
            self._check_mode(path, mode)
            self._add_interpreter(path, data, reason, (*scripts, real))
        elif data.startswith(b"\x7fELF"):
            self._add_elf(path, mode, reason)
        else:
            raise ProgramError(
                f"{self.tree.show(path)}: neither an ELF program nor a script; --file takes any file"
            )
        self._done.add(real)

    def _check_mode(self, path: str, mode: int) -> None:
        if not mode & 0o111:
            raise ProgramError(f"{self.tree.show(path)}: not executable (mode {mode & 0o7777:04o})")

    def _add_interpreter(self, path: str, data: bytes, reason: Reason, scripts: tuple[str, ...]) -> None:
        asked = read_shebang(data, self.tree.show(path))
        why = Reason("interpreter of", shown(path), reason)
        if not self._is_applet(asked.interpreter):
            self._add(asked.interpreter, why, scripts)
        name = asked.looked_up
        if name and name not in self.host.applets:
            self._add(self._looked_up(name, why) if "/" not in name else name, why, scripts)

    def _is_applet(self, path: str) -> bool:
        name = _own_name(path)
        return name is not None and (name in self.host.applets or name == "busybox")

    def _add_elf(self, path: str, mode: int, reason: Reason) -> None:
        binary = self.reader.read(path)
        facts, name = binary.facts, self.tree.show(path)
        kernel = self.host.machine
        if kernel is not None and not elf.runs_on(facts.machine, kernel, self.host.config):
            raise ProgramError(f"{name}: for {facts.machine}, but the kernel is for {kernel}")
        if not facts.loadable:
            raise ProgramError(f"{name}: an ELF file that is neither a program nor a library")
        interpreter = facts.interpreter
        if facts.soname is None:
            self._check_mode(path, mode)
        if interpreter is None:
            if not facts.needed:
                return  # static, or a library without needs
            interpreter = usual_loader(self.tree, facts.machine)
            if interpreter is None:
                raise ProgramError(f"{name}: a library, and the tree has no loader for {facts.machine}")
        loader = self._loader(interpreter, binary, name)
        libraries = find_libraries(self.reader, binary, loader, name)
        self._put_binary(interpreter, self.reader.read(interpreter), Reason("loader of", shown(path), reason))
        if loader.file is not None:
            text, _ = read_file(self.tree, loader.file)
            target = PurePosixPath(loader.file.lstrip("/"))
            self._keep(File(target, text), Reason("folders of the loader of", shown(path), reason))
        reasons: dict[int, Reason] = {}
        for each in libraries:
            by = reasons[id(each.by)] if each.by else reason
            because = Reason("library of", printable(each.by.name) if each.by else shown(path), by)
            reasons[id(each)] = because
            self._put_library(each, because)

    def _loader(self, interpreter: str, binary: Binary, name: str) -> Loader:
        key = (interpreter, binary.facts.machine)
        if key not in self._loaders:
            if not interpreter.startswith("/"):
                raise ProgramError(f"{name}: its loader {printable(interpreter)!r} is no absolute path")
            self._loaders[key] = read_loader(self.tree, interpreter, binary.facts.machine)
        loader = self.reader.read(interpreter)
        if loader.facts.machine != binary.facts.machine:
            raise ProgramError(
                f"{name}: for {binary.facts.machine}, but its loader {self.tree.show(interpreter)} is for "
                f"{loader.facts.machine}"
            )
        return self._loaders[key]

    def _put_library(self, library: Library, reason: Reason) -> None:
        self._put_binary(library.path, library.binary, reason)
        if not library.configured:
            return
        key = (library.name, library.binary.facts.machine)
        self._cached.setdefault(key, library.path)
        if self._cache_reason is None:
            self._cache_reason = Reason("folders of ld.so.conf for", printable(library.name), reason)

    def add_cache(self) -> None:
        """Make the ld.so.cache of the libraries that only ld.so.conf leads to."""
        if self._cache_reason is not None:
            self.items[_CACHE] = Planned(File(_CACHE, pack_cache(self._cached)), self._cache_reason)

    def _put_binary(self, path: str, binary: Binary, reason: Reason) -> None:
        self._put(path, binary.data, binary.mode, reason)

    def _put(self, path: str, data: bytes, mode: int, reason: Reason) -> None:
        """Put the file `path` of the tree into its place, and the links that lead there."""
        real, extra = place(self.tree, path)
        if mode & _SETID and real not in self.items:
            self.notes.append(
                f"{shown(path)}: its set-id bit is left out, programs of the image run as root anyway"
            )
        self._keep(File(real, data, kept_mode(mode)), reason)
        for entry in extra:
            self._keep(entry, reason)

    def _keep(self, entry: Entry, reason: Reason) -> None:
        there = self.items.setdefault(entry.path, Planned(entry, reason))
        if there.entry != entry:
            raise ProgramError(
                f"/{printable(entry.path)}: two different files of the tree want this place in the image: "
                f"{there.reason}; {reason}"
            )

    def add_names(self) -> None:
        """Make all programs callable by name: a link in /bin, the client's PATH, where none is taken."""
        for name, (target, reason) in sorted(self.names.items()):
            link = PurePosixPath("bin", name)
            if link in self.items or name in self.host.applets or name == "busybox":
                continue
            self._keep(Symlink(link, f"../{target}"), Reason("by name:", f"/{printable(target)}", reason))


def _own_name(path: str) -> str | None:
    """Return the name of a program that is asked for in /bin or /sbin, where busybox's applets are."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return parts[1] if len(parts) == 2 and parts[0] in ("bin", "sbin") else None


def gather(tree: Sysroot, wanted: Iterable[tuple[str, Reason]], host: Host) -> Gathered:
    """Return the entries for the programs `wanted`, each with its reason.

    A program is a path in the tree, or a name that is looked up in FOLDERS. It keeps its place, and gets
    a link in /bin if no other program of the image has that name. ProgramError if one is missing, cannot
    run on the kernel, or lacks a library or an interpreter.
    """
    state = _Gathering(tree, host)
    for text, reason in wanted:
        state.add_program(text, reason)
    state.add_cache()
    state.add_names()
    return Gathered(tuple(state.items.values()), tuple(dict.fromkeys(state.notes)))
