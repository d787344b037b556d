"""What can be the value of an option: asked by the shell at a press of Tab, so errors mean "nothing"."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mkpxeinit import parameters
from mkpxeinit.errors import MkpxeinitError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem] | list[str]"]


def _some(find: Callable[[click.Context], Iterable[str]]) -> Completer:
    """Return the completer for the values that `find` finds; whatever fails, there are none."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            return [value for value in find(ctx) if value.startswith(incomplete)]
        except (MkpxeinitError, OSError, ValueError):
            return []

    return complete


def _sysroot(ctx: click.Context) -> Path:
    """Return the --sysroot that is on the line already."""
    given = ctx.params.get("sysroot")
    if not isinstance(given, Path):
        raise ValueError("no --sysroot yet")
    return given


def _releases(ctx: click.Context) -> Iterable[str]:
    from mkpxeinit.kernel.release import find_releases
    from mkpxeinit.sysroot import Sysroot

    return find_releases(Sysroot.open(_sysroot(ctx)))


def _modules(ctx: click.Context) -> Iterable[str]:
    """Return the names of the modules that the kernel has, those of modules.dep."""
    from mkpxeinit.kernel.index import module_name
    from mkpxeinit.kernel.release import choose_release
    from mkpxeinit.sysroot import Sysroot

    tree = Sysroot.open(_sysroot(ctx))
    release = choose_release(tree, ctx.params.get("kernel_release")).release
    text = tree.read_text(f"lib/modules/{release}/modules.dep")
    names = (module_name(line.partition(":")[0]) for line in text.splitlines())
    return sorted({name for name in names if name and re.fullmatch(r"[\w-]+", name)})


def _generations(ctx: click.Context) -> Iterable[str]:
    from mkpxeinit.netboot import generation
    from mkpxeinit.netboot.tftproot import TftpRoot

    root = ctx.params.get("tftp_root")
    return list(generation.names(TftpRoot.open(root))) if isinstance(root, Path) else []


def _interfaces(ctx: click.Context) -> Iterable[str]:
    return sorted(each.name for each in Path("/sys/class/net").iterdir())


def _paths(ctx: click.Context) -> Iterable[str]:
    """Return the files and links of the image that is on the line already."""
    from mkpxeinit.image.read import open_image

    image = ctx.params.get("image")
    if not isinstance(image, Path):
        return []
    with open_image(image) as opened:
        return [str(f.record.path) for f in opened.entries() if f.record.letter in "-l"]


def _names(ctx: click.Context) -> Iterable[str]:
    """Return the modules of the image, as `why` takes them, and its paths."""
    from mkpxeinit.kernel.index import module_name

    paths = list(_paths(ctx))
    modules = {name for path in paths if (name := module_name(path.rpartition("/")[2]))}
    return [*sorted(modules), *paths]


def _parameters(ctx: click.Context) -> Iterable[str]:
    """Return the client's parameters, each with its values where they are few."""
    for each in parameters.read():
        yield from (f"{each.name}={value}" for value in each.values)
        if not each.values:
            yield each.name if each.is_flag else f"{each.name}="


def words(*values: str) -> Completer:
    """Return the completer for these values."""
    return _some(lambda ctx: values)


def commas(*values: str) -> Completer:
    """Return the completer for a list of these values with commas."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{each}" for each in values if each.startswith(last)]

    return complete


RELEASES = _some(_releases)
MODULES = _some(_modules)
GENERATIONS = _some(_generations)
INTERFACES = _some(_interfaces)
PATHS = _some(_paths)
NAMES = _some(_names)
PARAMETERS = _some(_parameters)
