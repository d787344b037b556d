"""Symbols that modules import from the kernel and from each other: they tell what a module is."""

from collections.abc import Callable, Collection, Iterable

from mkpxeinit import elf
from mkpxeinit.errors import KernelError, MkpxeinitError, os_cause
from mkpxeinit.image import compress
from mkpxeinit.kernel.index import Module
from mkpxeinit.sysroot import Sysroot, read_regular
from mkpxeinit.workers import workers

MAX_MODULE = 128 << 20  # bytes, also unpacked; the largest of Debian 13 has 30 MB
Imports = dict[str, frozenset[str] | MkpxeinitError]
ReadImports = Callable[[Iterable[Module], Collection[str]], Imports]


def reader(sysroot: Sysroot, release: str) -> ReadImports:
    """Return a function that reads the imported symbols of modules of a release, several side by side.

    It takes the modules and the symbols that matter; of a module that has none of these it returns an
    empty set, and for one that cannot be read the error.
    """

    def read(modules: Iterable[Module], among: Collection[str]) -> Imports:
        known = {each: each.name for each in modules}
        # An end, but no beginning: linkers let one name be the tail of another.
        needles = [name.encode() + b"\0" for name in among]

        def one(module: Module) -> frozenset[str] | MkpxeinitError:
            try:
                return _imports(sysroot, release, module, needles)
            except MkpxeinitError as error:
                return error

        with workers() as pool:
            return dict(zip(known.values(), pool.map(one, known), strict=True))

    return read


def _imports(sysroot: Sysroot, release: str, module: Module, needles: Iterable[bytes]) -> frozenset[str]:
    """Return the imports of a module; SysrootError, KernelError or ProgramError if it cannot be read."""
    inside = module.place(release)
    path, shown = sysroot.resolve(inside), sysroot.show(inside)
    try:
        data = compress.unpack_module(read_regular(path, MAX_MODULE), path.name, MAX_MODULE)
    except OSError as error:
        raise KernelError(f"{shown}: {os_cause(error)}") from error
    except ValueError as error:
        raise KernelError(f"{shown}: {error}") from error
    # Names stand in the string table as they are: most modules need no closer look.
    return elf.imports(data, shown) if any(each in data for each in needles) else frozenset()
