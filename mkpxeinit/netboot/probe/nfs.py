"""A tree on an NFS server as a client sees it, by any version: its parts, and links followed."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mkpxeinit.netboot.probe.wire import ProbeError, shown

READ, LOOKUP, MODIFY, EXTEND, DELETE, EXECUTE = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20  # ACCESS, RFC 1813, 3.3.4
LONGEST_LINK = 4096
_MOST_LINKS = 40
_MOST_PARTS = 256

# The numbers are those of NFS 3 (RFC 1813, 2.6) and, with others that mean nothing here, 4 (RFC 7530, 13).
NAMES = {
    1: "not permitted",
    2: "not there",
    5: "an I/O error of the server",
    10: "locked",
    13: "access refused",
    20: "not a folder",
    22: "invalid",
    30: "read-only",
    63: "name too long",
    70: "stale",
    10001: "bad handle",
    10006: "a fault of the server",
    10008: "try later",
    10013: "in its grace period",
    10016: "another security flavour is wanted",
    10021: "minor version not served",
}


class Kind(Enum):
    """What a name stands for: ftype3 of NFS 3, nfs_ftype4 of NFS 4, in both the same numbers."""

    FILE, FOLDER, LINK, OTHER = 1, 2, 5, 0


class StatusError(ProbeError):
    """The server says no, by a number."""

    def __init__(self, status: int, doing: str) -> None:
        """Keep the number."""
        super().__init__(f"{doing}: {NAMES.get(status, f'status {status}')}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Node:
    """A file of the tree: its handle, and what the server says it is; the owner as the server writes it."""

    handle: bytes
    kind: Kind
    mode: int
    owner: str
    size: int


def kind_of(number: int) -> Kind:
    """Return the kind that a number of NFS stands for."""
    return Kind(number) if number in (1, 2, 5) else Kind.OTHER


class Tree(Protocol):
    """An export of one version of NFS."""

    root: Node

    def lookup(self, folder: Node, name: str) -> Node:
        """Return what has this name. Raises StatusError (2: not there)."""

    def readlink(self, link: Node) -> str:
        """Return a link's target."""

    def read(self, file: Node, count: int) -> bytes:
        """Return the first bytes of a file."""

    def access(self, node: Node, wanted: int) -> int:
        """Return which of the wanted rights uid 0 has."""


def find(tree: Tree, path: str) -> Node:
    """Return what a path stands for, links followed as if the tree were `/`. Raises ProbeError."""
    parts = [part for part in path.split("/") if part]
    trail = [tree.root]
    links = 0
    while parts:
        if len(parts) > _MOST_PARTS:
            raise ProbeError(f"{shown(path)}: its links lead to a path without end")
        part = parts.pop(0)
        if part == ".":
            continue
        if part == "..":
            trail = trail[:-1] or trail
            continue
        found = tree.lookup(trail[-1], part)
        if found.kind is not Kind.LINK:
            trail.append(found)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise ProbeError(f"{shown(path)}: its links lead round in a circle")
        target = tree.readlink(found)
        if target.startswith("/"):
            trail = [tree.root]
        parts = [piece for piece in target.split("/") if piece] + parts
    return trail[-1]
