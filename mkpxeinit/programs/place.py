"""Where a path of the tree is in the image: at the same place, as far as the image's own folders allow.

A file goes where it really lies in the tree (a merged /usr: usr/lib), and each link on the way to it is
made, so that all paths that lead to it in the tree do so in the image. Some folders are the image's own:
`lib` and `bin` are folders there, also where the tree has links, and `sbin` is a link to `bin`. What lies
below such a link of the tree gets a link of its own: /lib/x, in the tree usr/lib/x, is lib/x -> ../usr/lib/x.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from mkpxeinit.errors import ProgramError, printable
from mkpxeinit.image.entry import Directory, Symlink
from mkpxeinit.image.plan import Planned
from mkpxeinit.sysroot import Sysroot

# Folders of the image at its top, whatever they are in the tree.
OWN = frozenset({"bin", "sbin", "lib", "etc", "dev", "proc", "sys", "run", "tmp", "root"})
# What is mounted over when the client runs.
COVERED = frozenset({"dev", "proc", "sys", "run"})

Parts = tuple[str, ...]


def kept_mode(mode: int) -> int:
    """Return the mode of a file in the image: no set-id bits, written to by root alone."""
    return mode & 0o755 | 0o400


def without(items: Sequence[Planned], replaced: Iterable[Planned]) -> list[Planned]:
    """Return `items` but for those whose place one of `replaced` takes."""
    taken = {item.entry.path for item in replaced}
    return [item for item in items if item.entry.path not in taken]


def in_image(parts: Parts) -> PurePosixPath:
    """Return the image's path for a path without links of the tree."""
    return PurePosixPath("bin", *parts[1:]) if parts[:1] == ("sbin",) else PurePosixPath(*parts)


def real_parts(tree: Sysroot, path: str) -> Parts:
    """Return the components of what `path` leads to in the tree; SysrootError if nowhere."""
    return tree.resolve(path).relative_to(tree.root).parts


def place(tree: Sysroot, path: str) -> tuple[PurePosixPath, tuple[Symlink | Directory, ...]]:
    """Return the image's path for the file `path` of the tree, and the links that `path` needs to get there.

    ProgramError if the image cannot have it there; SysrootError if it does not exist.
    """
    real = in_image(real_parts(tree, path))
    extra = tuple(_walk(tree, [part for part in path.split("/") if part not in ("", ".")]))
    for used in (real, *(each.path for each in extra)):
        if used.parts[0] in COVERED:
            raise ProgramError(
                f"{tree.show(path)}: /{used.parts[0]} is covered by a mount when the client runs; "
                "take it from another place in the tree"
            )
    return real, extra


def _walk(tree: Sysroot, todo: list[str]) -> Iterator[Symlink | Directory]:
    """Yield the links that a walk along the components `todo` needs, each straight to its target."""
    here: Parts = ()  # in the tree, without links
    there: PurePosixPath = PurePosixPath()  # the same in the image
    for part in todo:
        if part == "..":
            if there != in_image(here):
                raise ProgramError(
                    f"{tree.show('/'.join(('', *todo)))}: `..` behind the link /{there} of the tree, "
                    "which is a folder in the image; name it without `..`"
                )
            if there.parts:
                yield Directory(there)  # to walk through
            here = here[:-1]
            there = in_image(here)
            continue
        real = real_parts(tree, "/".join(("", *here, part)))
        at, target = there / part, in_image(real)
        here = real
        if len(at.parts) == 1 and part in OWN:
            there = PurePosixPath("bin") if part == "sbin" else at
        else:
            if at != target:
                yield Symlink(at, os.path.relpath(target, at.parent))
            there = target


def shown(path: str) -> str:
    """Return a path of the tree as reasons name it: absolute, on one line, without the tree's folder."""
    return printable("/" + path.strip("/"))
