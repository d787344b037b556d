"""An export by NFS 3 and its MOUNT protocol, without mounting (RFC 1813)."""

import struct
from types import TracebackType
from typing import Self

from mkpxeinit.netboot.probe import rpc
from mkpxeinit.netboot.probe.nfs import LONGEST_LINK, Kind, Node, StatusError, kind_of
from mkpxeinit.netboot.probe.rpc import Connection, Xdr, opaque
from mkpxeinit.netboot.probe.wire import ProbeError, shown

_GETATTR, _LOOKUP, _ACCESS, _READLINK, _READ = 1, 3, 4, 5, 6
_MNT, _UMNT, _EXPORT = 1, 3, 5
_HANDLE = 64
_MOST_EXPORTS = 256


def _attributes(cursor: Xdr) -> tuple[Kind, int, str, int]:
    """Return kind, mode, owner and size of an fattr3."""
    kind, mode, _links, uid, _gid = (cursor.word() for _ in range(5))
    size = cursor.long()
    cursor.take(8 + 8 + 8 + 8 + 24)
    return kind_of(kind), mode & 0o7777, str(uid), size


def _skip_attributes(cursor: Xdr) -> None:
    """Pass over a post_op_attr."""
    if cursor.word():
        _attributes(cursor)


class _Connected:
    """Has a connection, which is closed at its end."""

    _wire: Connection

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._wire.__exit__(kind, error, trace)


class Mount(_Connected):
    """The server's MOUNT service: handles of exports, and their list."""

    def __init__(self, address: str, port: int, seconds: float) -> None:
        """Connect. Raises ProbeError."""
        self._wire = Connection(address, port, rpc.MOUNT, 3, seconds)

    def handle(self, path: str) -> bytes:
        """Return the handle of an export, and take the entry in the server's list back. Raises ProbeError."""
        raw = opaque(path.encode("utf-8", "surrogateescape"))
        cursor = self._wire.call(_MNT, raw)
        status = cursor.word()
        if status:
            raise StatusError(status, f"mount of {shown(path)}")
        found = cursor.opaque(_HANDLE)
        self._wire.call(_UMNT, raw)
        return found

    def exports(self) -> tuple[str, ...]:
        """Return the paths that the server says it exports."""
        cursor = self._wire.call(_EXPORT)
        found: list[str] = []
        while cursor.word() and len(found) < _MOST_EXPORTS:
            found.append(cursor.opaque(1024).decode("utf-8", "replace"))
            groups = 0
            while cursor.word():
                cursor.opaque(255)
                groups += 1
                if groups > 10 * _MOST_EXPORTS:
                    raise ProbeError("the server's list of exports does not end")
        return tuple(found)


class Nfs3(_Connected):
    """An export."""

    def __init__(self, address: str, port: int, handle: bytes, seconds: float) -> None:
        """Connect, and ask what its root is. Raises ProbeError."""
        self._wire = Connection(address, port, rpc.NFS, 3, seconds)
        self.privileged = self._wire.privileged
        try:
            cursor = self._call(_GETATTR, opaque(handle), "its root")
            self.root = Node(handle, *_attributes(cursor))
        except BaseException:
            self._wire.__exit__(None, None, None)
            raise

    def _call(self, procedure: int, arguments: bytes, doing: str) -> Xdr:
        cursor = self._wire.call(procedure, arguments)
        status = cursor.word()
        if status:
            raise StatusError(status, doing)
        return cursor

    def lookup(self, folder: Node, name: str) -> Node:
        """Return what has this name. Raises StatusError."""
        raw = name.encode("utf-8", "surrogateescape")
        cursor = self._call(_LOOKUP, opaque(folder.handle) + opaque(raw), shown(name))
        handle = cursor.opaque(_HANDLE)
        if cursor.word():
            return Node(handle, *_attributes(cursor))
        again = self._call(_GETATTR, opaque(handle), shown(name))
        return Node(handle, *_attributes(again))

    def readlink(self, link: Node) -> str:
        """Return a link's target."""
        cursor = self._call(_READLINK, opaque(link.handle), "a link")
        _skip_attributes(cursor)
        return cursor.opaque(LONGEST_LINK).decode("utf-8", "surrogateescape")

    def read(self, file: Node, count: int) -> bytes:
        """Return the first bytes of a file."""
        cursor = self._call(_READ, opaque(file.handle) + struct.pack(">QI", 0, count), "reading")
        _skip_attributes(cursor)
        cursor.take(8)
        return cursor.opaque(count)

    def access(self, node: Node, wanted: int) -> int:
        """Return which of the wanted rights uid 0 has."""
        cursor = self._call(_ACCESS, opaque(node.handle) + struct.pack(">I", wanted), "access")
        _skip_attributes(cursor)
        return cursor.word() & wanted
