"""Two images compared by what they unpack to. Contents are compared by their digests and never kept.

Times and numbers of hard links are not compared: the one are no content, the other are how it is packed.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import ImageError, os_cause, printable
from mkpxeinit.image.entry import CMDLINE, VERSION
from mkpxeinit.image.read import Record, without_usr
from mkpxeinit.image.tree import Tree

_MAX_TEXT = 4096  # bytes
TYPES = {
    "d": "folder",
    "-": "file",
    "l": "link",
    "c": "character device",
    "b": "block device",
    "p": "FIFO",
    "s": "socket",
}


@dataclass(frozen=True, slots=True)
class State:
    """What one path is: `mode` are the permission bits, `size` bytes; `digest` is SHA-256 in hexadecimal.

    Only files have a digest, only links a target, only devices a device. `weight` are the bytes that are
    there because of this path: of several hard links the first has them all.
    """

    type: str
    mode: int
    owner: tuple[int, int]
    size: int = 0
    digest: str | None = None
    target: str | None = None
    device: tuple[int, int] | None = None
    weight: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Change:
    """A path that differs; `old` or `new` is None where an image does not have it."""

    path: PurePosixPath
    old: State | None
    new: State | None

    @property
    def kind(self) -> str:
        """One of: added, removed, changed."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"

    @property
    def growth(self) -> int:
        """Bytes of content that are more in the new image; negative if there are fewer."""
        return (self.new.weight if self.new else 0) - (self.old.weight if self.old else 0)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the images: sizes are bytes of the file and of all contents; None is unknown."""

    name: str
    packed: int
    unpacked: int
    releases: tuple[str, ...]
    version: str | None
    cmdline: str | None
    states: dict[PurePosixPath, State]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two images, sorted by path."""

    old: Side
    new: Side
    changes: tuple[Change, ...]


def compare(old: Path, new: Path, across_releases: bool = False) -> Comparison:
    """Return what differs; ImageError if one of the images cannot be read.

    With `across_releases`, lib/modules/RELEASE is `lib/modules/*` in both, which must have one release each.
    """
    sides = read_side(old), read_side(new)
    first, second = (_one_release(side) if across_releases else side.states for side in sides)
    changes = (
        Change(path, first.get(path), second.get(path))
        for path in sorted(first.keys() | second.keys())
        if first.get(path) != second.get(path)
    )
    return Comparison(*sides, tuple(changes))


def read_side(path: Path) -> Side:
    """Return what the image `path` unpacks to; ImageError if it cannot be read."""
    tree = Tree(path, _take)
    states: dict[PurePosixPath, State] = {}
    weighed: set[object] = set()
    for each in sorted(tree.records):
        if each.parts:
            states[each] = _state(tree, each, weighed)
    releases = {name for each in states if (name := _release(each)) is not None}
    try:
        packed = path.stat().st_size
    except OSError as error:
        raise ImageError(f"{printable(path)}: {os_cause(error)}") from error
    return Side(
        name=printable(path),
        packed=packed,
        unpacked=sum(state.weight for state in states.values()),
        releases=tuple(sorted(releases)),
        version=_text(tree, VERSION),
        cmdline=_text(tree, CMDLINE),
        states=states,
    )


@dataclass(frozen=True, slots=True)
class _Content:
    size: int
    digest: str
    text: str | None


def _take(record: Record, content: Iterator[bytes]) -> _Content:
    digest, size, text = hashlib.sha256(), 0, b""
    wanted = record.path in (CMDLINE, VERSION)
    for piece in content:
        digest.update(piece)
        size += len(piece)
        if wanted:
            text = (text + piece)[:_MAX_TEXT]
    decoded = text.decode("utf-8", "surrogateescape").rstrip("\n") if wanted else None
    return _Content(size, digest.hexdigest(), decoded)


def _text(tree: Tree[_Content], path: PurePosixPath) -> str | None:
    found = tree.taken(path)
    return found.text if found else None


def _state(tree: Tree[_Content], path: PurePosixPath, weighed: set[object]) -> State:
    """Return what `path` is; `weighed` are the hard-linked files that have been counted."""
    record = tree.records[path]
    content = tree.taken(path)
    key = (record.archive, record.inode)
    again = record.links > 1 and key in weighed
    if record.links > 1:
        weighed.add(key)
    return State(
        type=TYPES[record.letter],
        mode=record.mode & 0o7777,
        owner=(record.uid, record.gid),
        size=content.size if content else 0,
        digest=content.digest if content else None,
        target=record.target if record.letter == "l" else None,
        device=record.device if record.letter in "cb" else None,
        weight=content.size if content and not again else 0,
    )


def _release(path: PurePosixPath) -> str | None:
    """Return the kernel release whose modules are at `path`, None if there are none."""
    parts = without_usr(path)
    return parts[2] if parts[:2] == ("lib", "modules") and len(parts) > 3 else None


def _one_release(side: Side) -> dict[PurePosixPath, State]:
    """Return the states of `side` with `*` for its kernel release."""
    if len(side.releases) != 1:
        found = f"modules of {', '.join(map(printable, side.releases))}" if side.releases else "no modules"
        raise ImageError(f"{side.name}: {found} in it; --across-releases wants those of one kernel")
    return {
        PurePosixPath(*("*" if part == side.releases[0] else part for part in path.parts))
        if "modules" in path.parts
        else path: state
        for path, state in side.states.items()
    }
