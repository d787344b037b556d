"""What can be the value of an option: asked by the shell at a press of Tab, so errors mean "nothing".

What a value depends on (the tree of --sysroot, say) may stand before or behind it on the line, or in the
site's description.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mkpxeinit import parameters
from mkpxeinit.errors import MkpxeinitError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mkpxeinit.netboot.published import Published
    from mkpxeinit.sysroot import Sysroot

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem] | list[str]"]
Values = Iterable[str] | Mapping[str, str]  # or with a line about each
_CONFIG = Path("/etc/mkpxeinit.toml")
_BINS = ("usr/sbin", "usr/bin", "sbin", "bin")


def _some(find: Callable[[click.Context], Values]) -> Completer:
    """Return the completer for the values that `find` finds; whatever fails, there are none."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        given = ctx.params.get(str(parameter.name))
        before = given if isinstance(given, tuple) else ()
        try:
            found = find(ctx)
            texts = found if isinstance(found, Mapping) else {}
            return [
                CompletionItem(value, help=texts.get(value))
                for value in found
                if value.startswith(incomplete) and value not in before
            ]
        except (MkpxeinitError, OSError, ValueError, StopIteration):
            return []

    return complete


def _given(ctx: click.Context, name: str) -> Path | None:
    """Return the path of an option, wherever it stands on the line, of a command above this one, too."""
    at: click.Context | None = ctx
    while at is not None:
        if isinstance(value := at.params.get(name), Path):
            return value
        at = at.parent
    option = f"--{name.replace('_', '-')}"
    words = iter(ctx.obj if isinstance(ctx.obj, tuple) else ())  # all of the line: completion.py
    for word in words:
        if word == option:
            return Path(next(words, ""))
        if word.startswith(f"{option}="):
            return Path(word.removeprefix(f"{option}="))
    return None


def _trees(ctx: click.Context) -> Iterator["Sysroot"]:
    """Yield the tree of --sysroot, or those that the description has, and the hooks' configuration."""
    from mkpxeinit.hooks import config
    from mkpxeinit.netboot import description
    from mkpxeinit.sysroot import Sysroot

    if given := _given(ctx, "sysroot"):
        yield Sysroot.open(given)
        return
    path = _given(ctx, "config") or _CONFIG
    places = [each.build.sysroot for each in config.read(path).trees]
    with contextlib.suppress(MkpxeinitError):  # a file with [hook] alone is no description
        places += [Path(each.path) for each in description.read(path).trees]
    for place in dict.fromkeys(places):
        try:
            yield Sysroot.open(place)
        except MkpxeinitError:  # the others may be there
            continue


def _releases(ctx: click.Context) -> Iterable[str]:
    from mkpxeinit.kernel.release import find_releases

    return dict.fromkeys(release for tree in _trees(ctx) for release in find_releases(tree))


def _hooked(ctx: click.Context) -> Iterable[str]:
    """Return the releases that the hooks' trees have, and those of which an image is left."""
    from mkpxeinit.hooks import config, run

    found = config.read(_given(ctx, "config") or _CONFIG)
    return dict.fromkeys((*run.releases(found), *run.imaged(found)))


def _modules(ctx: click.Context) -> Iterable[str]:
    """Return the names of the modules that the kernel has, those of modules.dep."""
    from mkpxeinit.kernel.index import module_name
    from mkpxeinit.kernel.release import choose_release

    names: set[str | None] = set()
    for tree in _trees(ctx):
        release = choose_release(tree, ctx.params.get("kernel_release")).release
        text = tree.read_text(f"lib/modules/{release}/modules.dep")
        names.update(module_name(line.partition(":")[0]) for line in text.splitlines())
    return sorted({name for name in names if name and re.fullmatch(r"[\w-]+", name)})


def _programs(ctx: click.Context) -> Iterable[str]:
    """Return the names in the tree's bin folders, and the paths."""
    names: dict[str, None] = {}
    for tree in _trees(ctx):
        for folder in _BINS:
            if tree.is_dir(folder):
                found = sorted(tree.list(folder))
                names |= dict.fromkeys(found) | dict.fromkeys(f"/{folder}/{name}" for name in found)
    return names


def _image_releases(ctx: click.Context) -> Iterable[str]:
    """Return the releases whose modules the image has."""
    found = (re.match(r"(?:usr/)?lib/modules/([^/]+)/", path) for path in _paths(ctx))
    return dict.fromkeys(match[1] for match in found if match)


def _tftp_root(ctx: click.Context) -> Path:
    """Return the TFTP root: that of the option, or of the description."""
    from mkpxeinit.netboot import description

    given = _given(ctx, "tftp_root")
    return given or Path(description.read(_given(ctx, "config") or _CONFIG).tftp_root)


def _generations(ctx: click.Context) -> Iterable[str]:
    from mkpxeinit.netboot import generation
    from mkpxeinit.netboot.tftproot import TftpRoot

    return generation.names(TftpRoot.open(_tftp_root(ctx)))


def _state(ctx: click.Context) -> "Published":
    from mkpxeinit.netboot import published
    from mkpxeinit.netboot.tftproot import TftpRoot

    return published.read(TftpRoot.open(_tftp_root(ctx)))


def _published(ctx: click.Context) -> Iterable[str]:
    """Return the names of trees: of those that are published, and of those that the description has."""
    from mkpxeinit.netboot import description

    config = _given(ctx, "config")
    described = [each.name for each in description.read(config).trees] if config else []
    try:
        return dict.fromkeys((*described, *_state(ctx).trees))
    except MkpxeinitError:
        return described


def _interfaces(ctx: click.Context) -> Iterable[str]:
    return sorted(each.name for each in Path("/sys/class/net").iterdir())


def _paths(ctx: click.Context) -> Iterable[str]:
    """Return the files and links of the image that is on the line already."""
    from mkpxeinit.image.read import open_image

    image = ctx.params.get("image")
    if not isinstance(image, Path):  # behind an option that lacks its value, click reads no arguments
        words = ctx.obj if isinstance(ctx.obj, tuple) else ()
        image = next(path for word in words if (path := Path(word)).is_file())
    with open_image(image) as opened:
        return [str(f.record.path) for f in opened.entries() if f.record.letter in "-l"]


def _names(ctx: click.Context) -> Iterable[str]:
    """Return the modules of the image, as `why` takes them, and its paths."""
    from mkpxeinit.kernel.index import module_name

    paths = list(_paths(ctx))
    modules = {name for path in paths if (name := module_name(path.rpartition("/")[2]))}
    return [*sorted(modules), *paths]


def _parameters() -> Iterable[str]:
    """Return the client's parameters, each with its values where they are few."""
    for each in parameters.read():
        yield from (f"{each.name}={value}" for value in each.values)
        if not each.values:
            yield each.name if each.is_flag else f"{each.name}="


def _parameter(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the last word's completions: a value is a whole command line, with blanks in it."""
    before, blank, last = incomplete.rpartition(" ")
    try:
        return [f"{before}{blank}{each}" for each in _parameters() if each.startswith(last)]
    except (MkpxeinitError, OSError):
        return []


def words(values: Values) -> Completer:
    """Return the completer for these values."""
    return _some(lambda ctx: values)


def commas(values: Values, *alone: str) -> Completer:
    """Return the completer for a list of these values with commas; `alone` stand without one.

    Each is there once; of KEY=VALUE, each key.
    """

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        before, comma, last = incomplete.rpartition(",")
        texts = values if isinstance(values, Mapping) else {}
        there = {each.partition("=")[0] for each in before.split(",")}
        return [
            CompletionItem(f"{before}{comma}{each}", help=texts.get(each))
            for each in (*values, *(() if comma else alone))
            if each.startswith(last) and each.partition("=")[0] not in there
        ]

    return complete


def folders(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Return that the shell is to complete folders."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def files(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Return that the shell is to complete files."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


RELEASES = _some(_releases)
HOOKED = _some(_hooked)
MODULES = _some(_modules)
PROGRAMS = _some(_programs)
IMAGE_RELEASES = _some(_image_releases)
GENERATIONS = _some(_generations)
PUBLISHED = _some(_published)
GROUPS = _some(lambda ctx: _state(ctx).groups)
INTERFACES = _some(_interfaces)
PATHS = _some(_paths)
NAMES = _some(_names)
CONSOLES = words(("ttyS0", "ttyS0,115200", "ttyS1", "ttyS1,115200"))
PARAMETERS: Completer = _parameter
