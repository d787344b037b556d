"""An export by NFS 4.0, 4.1 and 4.2 (RFC 7530, 8881, 7862), without mounting.

4.0 needs no client's state for what is asked here. 4.1 and 4.2 need a session, which is given back.
"""

import contextlib
import os
import struct
from types import TracebackType
from typing import Self

from mkpxeinit.netboot.probe import rpc
from mkpxeinit.netboot.probe.nfs import LONGEST_LINK, Kind, Node, StatusError, kind_of
from mkpxeinit.netboot.probe.rpc import Connection, Xdr, opaque
from mkpxeinit.netboot.probe.wire import ProbeError, shown

_COMPOUND = 1
_ACCESS, _GETATTR, _GETFH, _LOOKUP, _PUTFH, _PUTROOTFH, _READ, _READLINK = 3, 9, 10, 15, 22, 24, 25, 27
_EXCHANGE_ID, _CREATE_SESSION, _DESTROY_SESSION, _SEQUENCE, _DESTROY_CLIENTID = 42, 43, 44, 53, 57
_HANDLE = 128
# Type, size (of the first word), mode, owner (of the second): RFC 7530, 5.
_ATTRIBUTES = (1 << 1 | 1 << 4, 1 << (33 - 32) | 1 << (36 - 32))
_ASKED = struct.pack(">III", 2, *_ATTRIBUTES)


def _op(number: int, arguments: bytes = b"") -> bytes:
    return struct.pack(">I", number) + arguments


class Nfs4:
    """An export."""

    def __init__(self, address: str, port: int, minor: int, path: str, seconds: float) -> None:
        """Connect, and walk from the server's root to the export. Raises ProbeError."""
        self._minor = minor
        self._session: bytes | None = None
        self._client = b""
        self._turn = 0
        self._wire = Connection(address, port, rpc.NFS, 4, seconds)
        self.privileged = self._wire.privileged
        try:
            if minor:
                self._open_session()
            self.root = self._nodes(_op(_PUTROOTFH), "its root")
            for part in path.split("/"):
                if part:
                    self.root = self.lookup(self.root, part)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the session back, and close the connection."""
        with contextlib.suppress(ProbeError):
            session, self._session = self._session, None
            if session is not None:
                self._compound([_op(_DESTROY_SESSION, session)], "end of the session")
            if self._client:
                self._compound([_op(_DESTROY_CLIENTID, self._client)], "end of the client's state")
        self._wire.__exit__(kind, error, trace)

    def _compound(self, operations: list[bytes], doing: str) -> Xdr:
        """Return the results of a COMPOUND, behind the one of SEQUENCE; each begins with its number.

        Raises StatusError for the first operation that failed.
        """
        session = self._session
        if session is not None:
            self._turn += 1
            operations = [_op(_SEQUENCE, session + struct.pack(">IIII", self._turn, 0, 0, 0)), *operations]
        head = opaque(b"") + struct.pack(">II", self._minor, len(operations))
        cursor = self._wire.call(_COMPOUND, head + b"".join(operations))
        status = cursor.word()
        cursor.opaque(1024)
        count = cursor.word()
        if status:
            raise StatusError(status, doing)
        if count != len(operations):
            raise ProbeError(f"{doing}: {count} results to {len(operations)} operations")
        if session is not None:
            _expect(cursor, _SEQUENCE, doing)
            cursor.take(16 + 5 * 4)
        return cursor

    def _open_session(self) -> None:
        """Tell who we are and open a session with one slot (RFC 8881, 18.35 and 18.36)."""
        # Verifier, name of the owner, flags (not pNFS), no state protection, no implementation's name.
        owner = os.urandom(8) + opaque(b"mkpxeinit " + os.urandom(8).hex().encode())
        asked = owner + struct.pack(">III", 0x00010000, 0, 0)
        cursor = self._compound([_op(_EXCHANGE_ID, asked)], "the client's name")
        _expect(cursor, _EXCHANGE_ID, "the client's name")
        self._client, sequence = cursor.take(8), cursor.take(4)
        # Head padding, request, response, cached response, operations, requests; no RDMA.
        channel = struct.pack(">IIIIIII", 0, 65536, 131072, 4096, 16, 1, 0)
        asked = self._client + sequence + struct.pack(">I", 0) + channel + channel
        # A program for calls back that never come, and their security: none.
        asked += struct.pack(">III", 0x40000000, 1, 0)
        cursor = self._compound([_op(_CREATE_SESSION, asked)], "a session")
        _expect(cursor, _CREATE_SESSION, "a session")
        self._session = cursor.take(16)

    def _nodes(self, operation: bytes, doing: str, folder: bytes | None = None) -> Node:
        """Return the node that an operation makes the current one."""
        first = [] if folder is None else [_op(_PUTFH, opaque(folder))]
        cursor = self._compound([*first, operation, _op(_GETFH), _op(_GETATTR, _ASKED)], doing)
        if folder is not None:
            _expect(cursor, _PUTFH, doing)
        _expect(cursor, int.from_bytes(operation[:4], "big"), doing)
        _expect(cursor, _GETFH, doing)
        handle = cursor.opaque(_HANDLE)
        _expect(cursor, _GETATTR, doing)
        return Node(handle, *_attributes(cursor))

    def lookup(self, folder: Node, name: str) -> Node:
        """Return what has this name. Raises StatusError."""
        raw = opaque(name.encode("utf-8", "surrogateescape"))
        return self._nodes(_op(_LOOKUP, raw), shown(name), folder.handle)

    def _of(self, node: Node, operation: bytes, doing: str) -> Xdr:
        cursor = self._compound([_op(_PUTFH, opaque(node.handle)), operation], doing)
        _expect(cursor, _PUTFH, doing)
        _expect(cursor, int.from_bytes(operation[:4], "big"), doing)
        return cursor

    def readlink(self, link: Node) -> str:
        """Return a link's target."""
        cursor = self._of(link, _op(_READLINK), "a link")
        return cursor.opaque(LONGEST_LINK).decode("utf-8", "surrogateescape")

    def read(self, file: Node, count: int) -> bytes:
        """Return the first bytes of a file, read without opening it (the anonymous stateid)."""
        cursor = self._of(file, _op(_READ, bytes(16) + struct.pack(">QI", 0, count)), "reading")
        cursor.word()
        return cursor.opaque(count)

    def access(self, node: Node, wanted: int) -> int:
        """Return which of the wanted rights uid 0 has."""
        cursor = self._of(node, _op(_ACCESS, struct.pack(">I", wanted)), "access")
        cursor.word()
        return cursor.word() & wanted


def _expect(cursor: Xdr, number: int, doing: str) -> None:
    """Read an operation's number and success."""
    if cursor.word() != number:
        raise ProbeError(f"{doing}: the results are in another order than the operations")
    status = cursor.word()
    if status:
        raise StatusError(status, doing)


def _attributes(cursor: Xdr) -> tuple[Kind, int, str, int]:
    """Return kind, mode, owner and size; what the server does not tell is 0 or empty."""
    words = [cursor.word() for _ in range(min(cursor.word(), 8))]
    values = Xdr(cursor.opaque())
    has = [words[at] if at < len(words) else 0 for at in range(2)]
    if has[0] & ~_ATTRIBUTES[0] or has[1] & ~_ATTRIBUTES[1] or any(words[2:]):
        raise ProbeError("the server tells attributes that were not asked for")
    kind = values.word() if has[0] & 1 << 1 else 0
    size = values.long() if has[0] & 1 << 4 else 0
    mode = values.word() if has[1] & 1 << 1 else 0
    owner = values.opaque(1024).decode("utf-8", "replace") if has[1] & 1 << 4 else ""
    return kind_of(kind), mode & 0o7777, owner, size


def minor_versions(address: str, port: int, seconds: float) -> tuple[int, ...]:
    """Return which minor versions of NFS 4 a server takes, the newest first. Raises ProbeError."""
    found = []
    with Connection(address, port, rpc.NFS, 4, seconds) as wire:
        for minor in (2, 1, 0):
            cursor = wire.call(_COMPOUND, opaque(b"") + struct.pack(">II", minor, 0))
            if cursor.word() == 0:
                found.append(minor)
    return tuple(found)
