"""What a change is: a name, a reason, and a function that reads a tree and says what should become of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from mkpxeinit.prepare.view import View

MARK = "mkpxeinit"  # in names of files that are ours, and in comments
HEADER = "# Written by mkpxeinit prepare"


@dataclass(frozen=True, slots=True)
class Write:
    """A file with this content; one that is there keeps its mode and its owner."""

    path: PurePosixPath
    data: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, in place of the file or the link of this name, if there is one."""

    path: PurePosixPath
    target: str


@dataclass(frozen=True, slots=True)
class Remove:
    """A file or a link that goes."""

    path: PurePosixPath


@dataclass(frozen=True, slots=True)
class Move:
    """A folder that goes to another place, with all that is in it."""

    path: PurePosixPath
    to: PurePosixPath


Edit = Write | Link | Remove | Move


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one change would do: edits, each path at most once, and words for whoever prepares the tree."""

    edits: tuple[Edit, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `propose` reads the tree and writes nothing. Where nothing is to do, it has no edits."""

    name: str
    reason: str
    propose: Callable[[View], Proposal]


def path(text: str) -> PurePosixPath:
    """Return a path in the tree, relative to its root."""
    return PurePosixPath(text)


def write_text(name: str, text: str, mode: int = 0o644) -> Write:
    """Return a file with this text; surrogates become the bytes that they were."""
    return Write(path(name), text.encode("utf-8", "surrogateescape"), mode)


def drop_in(name: str, lines: tuple[str, ...], because: str) -> Write:
    """Return a configuration file of our own, with its reason on top."""
    return write_text(name, "\n".join((f"{HEADER}: {because}", *lines, "")))
