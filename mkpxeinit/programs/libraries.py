"""The shared libraries of a program as its loader would find them; nothing is executed.

glibc, ld.so(8): an object's DT_RPATH and that of those that brought it, unless it has a DT_RUNPATH; its
DT_RUNPATH; the folders of ld.so.conf (by the cache); those built in. Files for another machine are
passed over. musl: either of the two, also of those that brought it, then its own folders; the first file
is taken. Of several builds in glibc-hwcaps only the plain one counts: it runs on every client.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mkpxeinit.dynamic import Dynamic, dynamic, dynamic_of
from mkpxeinit.errors import ProgramError, SysrootError, os_cause, printable
from mkpxeinit.programs.loader import Loader
from mkpxeinit.sysroot import Sysroot, read_regular

MAX_FILE = 512 << 20  # bytes
_MAX_LIBRARIES = 4096
_MAX_LOOKS = 100_000
_TOKEN = re.compile(r"\$(?:(ORIGIN|LIB|PLATFORM)|\{(ORIGIN|LIB|PLATFORM)\})")
# musl's loader is the C library, whatever part of it a program asks for.
_MUSL_SELF = re.compile(r"lib(?:c|pthread|rt|m|dl|util|xnet)\.")
# What ldconfig puts into the cache.
_CACHED = re.compile(r"(?:lib|ld-|ld\.so|ld64\.so).*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Binary:
    """An ELF file of the tree: `real` is its path in the tree, all links resolved.

    `data` is empty where it was not wanted.
    """

    real: str
    data: bytes = field(repr=False)
    mode: int
    facts: Dynamic


@dataclass(frozen=True, slots=True)
class Library:
    """A library of a program: the path by which its loader opens it.

    `name` is what the object `by` asked for (its name or path as it was asked for or opened; None: the
    program itself). `configured`: only ld.so.conf leads to it.
    """

    name: str
    path: str
    binary: Binary
    by: "Library | None"
    configured: bool


@dataclass(slots=True, eq=False)
class _Object:
    """An object that is loaded, and who brought it."""

    binary: Binary
    origin: str
    by: "_Object | None"
    library: Library | None


class Reader:
    """Reads ELF files of a tree, each once; only what loaders read of them unless `whole`."""

    def __init__(self, tree: Sysroot, whole: bool = True) -> None:
        self.tree = tree
        self._whole = whole
        self._read: dict[str, Binary] = {}

    def read(self, path: str) -> Binary:
        """Return the ELF file at `path`; SysrootError if there is none, ProgramError if it is none."""
        host = self.tree.resolve(path)
        real = "/" + str(host.relative_to(self.tree.root))
        if real not in self._read:
            self._read[real] = self._binary(path, real, host)
        return self._read[real]

    def _binary(self, path: str, real: str, host: Path) -> Binary:
        shown = self.tree.show(path)
        if self._whole:
            data, mode = read_file(self.tree, path)
            return Binary(real, data, mode, dynamic(data, shown))
        try:
            return Binary(real, b"", host.stat().st_mode, dynamic_of(host, shown))
        except OSError as error:
            raise ProgramError(f"{shown}: {os_cause(error)}") from error


def read_file(tree: Sysroot, path: str) -> tuple[bytes, int]:
    """Return the bytes and the mode of the file `path` of the tree; ProgramError if it cannot be read."""
    host = tree.resolve(path)
    try:
        return read_regular(host, MAX_FILE), host.stat().st_mode
    except OSError as error:
        raise ProgramError(f"{tree.show(path)}: {os_cause(error)}") from error


class _Search:
    """One program's search; `shown` is the program in messages."""

    def __init__(self, reader: Reader, program: Binary, loader: Loader, shown: str) -> None:
        self._reader = reader
        self._tree = reader.tree
        self._loader = loader
        self._shown = shown
        # /proc/self/exe names the program by its real path.
        self._main = _Object(program, _folder(program.real), None, None)
        # Of all that is loaded: looked up for each name that an object needs.
        self._names = {loader.path, loader.path.rpartition("/")[2]}
        self._files: set[str] = set()
        for each in (self._main, self._loaded_loader()):
            self._loaded(each)
        self._found: list[Library] = []
        self._looks = 0

    def _loaded_loader(self) -> _Object:
        path = self._loader.path
        return _Object(self._reader.read(path), _folder(path), self._main, None)

    def run(self) -> tuple[Library, ...]:
        """Return the libraries, breadth first, as they are loaded."""
        todo = [self._main]
        for each in todo:
            for name in each.binary.facts.needed:
                found = self._need(each, name)
                if found is not None:
                    todo.append(found)
                if len(self._found) > _MAX_LIBRARIES:
                    raise ProgramError(f"{self._shown}: more than {_MAX_LIBRARIES} libraries")
        return tuple(self._found)

    def _need(self, by: _Object, name: str) -> _Object | None:
        """Return the object that `by` needs as `name`, None if it is loaded already."""
        musl = self._loader.musl
        if musl and _MUSL_SELF.match(name):
            return None
        asked = name if musl else self._expanded(by, name)
        if asked in self._names:
            return None
        path, binary, configured = self._find(by, asked)
        library = Library(asked, path, binary, by.library, configured)
        self._found.append(library)
        self._names.add(asked)
        if binary.real in self._files:
            return None  # the same file by another name is the same object; that name has to be there too
        found = _Object(binary, _folder(path), by, library)
        self._loaded(found)
        return found

    def _loaded(self, each: _Object) -> None:
        """Remember the names by which an object is known from now on."""
        self._files.add(each.binary.real)
        if not self._loader.musl and each.binary.facts.soname is not None:
            self._names.add(each.binary.facts.soname)

    def _expanded(self, by: _Object, text: str) -> str:
        values = {"ORIGIN": by.origin, "LIB": self._loader.lib, "PLATFORM": self._loader.platform}
        return _TOKEN.sub(lambda match: values[match[1] or match[2]], text)

    def _find(self, by: _Object, name: str) -> tuple[str, Binary, bool]:
        """Return path and file of the library `name`, and whether ld.so.conf led there."""
        if "/" in name:
            path = name if name.startswith("/") else f"/{name}"
            binary = self._candidate(path)
            if binary is None or binary.facts.machine != self._main.binary.facts.machine:
                raise self._missing(by, name, [])
            return path, binary, False
        folders = []
        for folder, configured in self._folders(by):
            if configured and not (_CACHED.fullmatch(name) and ".so" in name):
                continue
            folders.append(folder)
            path = f"{folder.rstrip('/')}/{name}"
            try:
                binary = self._candidate(path)
            except ProgramError:
                if not configured:
                    raise
                continue  # ldconfig passes over what is no library
            if binary is None:
                continue
            if binary.facts.machine == self._main.binary.facts.machine:
                return path, binary, configured
            if self._loader.musl:
                raise ProgramError(
                    f"{self._tree.show(path)}: for {binary.facts.machine}, but {self._shown} is for "
                    f"{self._main.binary.facts.machine}, and musl's loader looks no further"
                )
        raise self._missing(by, name, folders)

    def _candidate(self, path: str) -> Binary | None:
        """Return the file that a loader would open, None if there is none; ProgramError if it would stop."""
        self._looks += 1
        if self._looks > _MAX_LOOKS:
            raise ProgramError(f"{self._shown}: its libraries could be in more than {_MAX_LOOKS} places")
        try:
            self._tree.resolve(path)
        except SysrootError:
            return None
        try:
            binary = self._reader.read(path)
        except ProgramError as error:
            raise ProgramError(f"{error}; the loader of {self._shown} would stop there") from error
        if not binary.facts.loadable:
            raise ProgramError(f"{self._tree.show(path)}: no library; {self._shown} would not start")
        return binary

    def _folders(self, by: _Object) -> Iterator[tuple[str, bool]]:
        """Yield the folders in the order of the loader, and whether they are those of ld.so.conf."""
        loader = self._loader
        if loader.musl:
            yield from ((folder, False) for folder in self._musl_paths(by))
        else:
            if by.binary.facts.runpath is None:
                yield from ((folder, False) for folder in self._rpaths(by))
            yield from ((folder, False) for folder in self._split(by, by.binary.facts.runpath))
            # The cache has these, in this order; a built-in one among them needs no cache.
            no_default = by.binary.facts.no_default_folders
            for folder in loader.configured:
                if folder not in loader.default:
                    yield folder, True
                elif not no_default:
                    yield folder, False
            if no_default:
                return
        yield from ((folder, False) for folder in loader.default)

    def _rpaths(self, by: _Object) -> Iterator[str]:
        """Yield the folders of DT_RPATH of `by`, of what brought it, and so on, and of the program."""
        each: _Object | None = by
        while each is not None:
            yield from self._split(each, each.binary.facts.rpath)
            each = each.by

    def _split(self, owner: _Object, text: str | None) -> Iterator[str]:
        """Yield the folders of an RPATH or RUNPATH; relative ones count from `/`, where the client runs."""
        if not text:
            return
        for part in text.split(":"):
            folder = self._expanded(owner, part)
            yield folder if folder.startswith("/") else f"/{folder}".rstrip("/") or "/"

    def _musl_paths(self, by: _Object) -> Iterator[str]:
        each: _Object | None = by
        while each is not None:
            facts = each.binary.facts
            text = facts.runpath if facts.runpath is not None else facts.rpath
            # Other tokens: musl ignores the whole of it.
            if text and not re.search(r"\$(?!ORIGIN|\{ORIGIN\})", text):
                text = text.replace("${ORIGIN}", each.origin).replace("$ORIGIN", each.origin)
                for part in re.split("[:\n]+", text):
                    if part:
                        yield part if part.startswith("/") else f"/{part}"
            each = each.by

    def _missing(self, by: _Object, name: str, folders: list[str]) -> ProgramError:
        chain = [library.name for library in _chain(by.library)]
        through = f" (needed by {', which is needed by '.join(printable(n) for n in chain)})" if chain else ""
        looked = f"; looked in {', '.join(printable(f) for f in dict.fromkeys(folders))}" if folders else ""
        newer = self._newer_only(name, folders)
        return ProgramError(
            f"{self._shown}: needs the library {printable(name) or '(an empty name)'}{through}, which the "
            f"tree lacks{looked}{newer}; install its package into the tree"
        )

    def _newer_only(self, name: str, folders: list[str]) -> str:
        """Return a remark if the tree has `name` for newer processors only."""
        for folder in folders:
            above = f"{folder.rstrip('/')}/glibc-hwcaps"
            if self._tree.is_dir(above):
                for level in self._tree.list(above):
                    if name and self._tree.is_file(f"{above}/{level}/{name}"):
                        return f"; {printable(above)}/{printable(level)} has it for newer processors only"
        return ""


def _chain(library: Library | None) -> Iterator[Library]:
    while library is not None:
        yield library
        library = library.by


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def find_libraries(reader: Reader, program: Binary, loader: Loader, shown: str) -> tuple[Library, ...]:
    """Return the libraries of `program`, breadth first, each under every name by which it is opened.

    The loader itself is not among them. ProgramError if one is missing, or would stop the loader; it
    names the program as `shown`, the library, the chain, and the folders that were looked at.
    """
    return _Search(reader, program, loader, shown).run()
