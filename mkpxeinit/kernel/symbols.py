"""Symbols that modules import from the kernel and from each other: they tell what a module is."""

from collections.abc import Callable, Collection, Iterable

from mkpxeinit import elf
from mkpxeinit.errors import KernelError, MkpxeinitError, os_cause
from mkpxeinit.kernel.index import Module
from mkpxeinit.kernel.modulefile import ModuleFiles
from mkpxeinit.sysroot import Sysroot
from mkpxeinit.workers import side_by_side

Imports = dict[str, frozenset[str] | MkpxeinitError]
ReadImports = Callable[[Iterable[Module], Collection[str]], Imports]


def reader(sysroot: Sysroot, release: str, files: ModuleFiles | None = None) -> ReadImports:
    """Return a function that reads the imported symbols of modules of a release, several side by side.

    It takes the modules and the symbols that matter; of a module that has none of these it returns an
    empty set, and for one that cannot be read the error. `files` keeps what is read.
    """
    kept = files or ModuleFiles()

    def read(modules: Iterable[Module], among: Collection[str]) -> Imports:
        known = {each: each.name for each in modules}

        def one(module: Module) -> frozenset[str] | MkpxeinitError:
            try:
                return _imports(sysroot, release, module, among, kept)
            except MkpxeinitError as error:
                return error

        return dict(zip(known.values(), side_by_side(one, known), strict=True))

    return read


def _imports(
    sysroot: Sysroot, release: str, module: Module, among: Collection[str], files: ModuleFiles
) -> frozenset[str]:
    """Return the imports of a module; SysrootError, KernelError or ProgramError if it cannot be read."""
    inside = module.place(release)
    path, shown = sysroot.resolve(inside), sysroot.show(inside)

    def found(data: bytes) -> Iterable[str]:
        # Names stand in the string table as they are: most modules need no closer look. They have an end,
        # but no beginning: linkers let one name be the tail of another.
        if any(name.encode() + b"\0" in data for name in among):
            return sorted(elf.imports(data, shown))
        return ()

    try:
        file = files.at(path)
        texts = files.findings.of(f"imports, if {' '.join(sorted(among))}:", file, found)
        if not texts:
            file.forget()  # hardly one of the image's
        return frozenset(texts)
    except OSError as error:
        raise KernelError(f"{shown}: {os_cause(error)}") from error
    except ValueError as error:
        raise KernelError(f"{shown}: {error}") from error
