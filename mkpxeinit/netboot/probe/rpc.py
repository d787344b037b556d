"""Calls of ONC RPC over TCP and UDP (RFC 5531), their data in XDR (RFC 4506)."""

import os
import struct
from types import TracebackType
from typing import Self

from mkpxeinit.netboot.probe.wire import Cursor, Deadline, ProbeError, Stream, ask_udp

PORTMAP, NFS, MOUNT = 100000, 100003, 100005
PORTMAP_PORT, NFS_PORT = 111, 2049
_TCP = 6
_MOST = 1 << 20  # bytes of an answer
_MOST_PIECES = 64
_MOST_OTHERS = 16  # answers to other calls that are passed over
_NONE, _SYS = 0, 1
_STATES = {
    1: "the program is not there",
    2: "this version is not served",
    3: "the procedure is not there",
    4: "it could not read our call",
    5: "an error of its system",
}


def opaque(data: bytes) -> bytes:
    """Return bytes as XDR packs them: length, bytes, zeros to a multiple of four."""
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


class Xdr(Cursor):
    """Reads XDR."""

    def word(self) -> int:
        """Return an unsigned number of 32 bits."""
        return self.number(4)

    def long(self) -> int:
        """Return an unsigned number of 64 bits."""
        return self.number(8)

    def opaque(self, most: int = 1 << 16) -> bytes:
        """Return bytes of a length that is told, at most `most`. Raises ProbeError."""
        size = self.word()
        if size > most:
            raise ProbeError(f"the answer has a field of {size} bytes, {most} at most can be right")
        data = self.take(size)
        self.take(-size % 4)
        return data


def call(program: int, version: int, procedure: int, arguments: bytes, xid: int, *, root: bool) -> bytes:
    """Return the message of a call, as root (AUTH_SYS, uid 0) or as nobody in particular (AUTH_NONE)."""
    body = struct.pack(">IIIIII", xid, 0, 2, program, version, procedure)
    if root:
        who = struct.pack(">I", 0) + opaque(b"mkpxeinit") + struct.pack(">IIII", 0, 0, 1, 0)
        body += struct.pack(">I", _SYS) + opaque(who)
    else:
        body += struct.pack(">II", _NONE, 0)
    return body + struct.pack(">II", _NONE, 0) + arguments


def result(message: bytes, xid: int) -> Xdr | None:
    """Return the results in a reply, None if it is one to another call. Raises ProbeError."""
    cursor = Xdr(message)
    if cursor.rest < 8 or cursor.word() != xid or cursor.word() != 1:
        return None
    if cursor.word() != 0:
        if cursor.word() == 0:
            raise ProbeError("the server speaks another version of RPC")
        raise ProbeError(
            f"the server refuses who we say we are (auth_stat {cursor.word()})",
            "the export must allow sec=sys",
        )
    cursor.word()
    cursor.opaque(400)
    state = cursor.word()
    if state:
        raise ProbeError(f"the server refuses the call: {_STATES.get(state, f'state {state}')}")
    return cursor


def _xid() -> int:
    return int.from_bytes(os.urandom(4), "big")


class Connection:
    """Calls of one program over TCP, from a privileged port if we may."""

    def __init__(self, address: str, port: int, program: int, version: int, seconds: float) -> None:
        """Connect. Raises ProbeError."""
        self._seconds = seconds
        self._program, self._version = program, version
        self._stream = Stream(address, port, Deadline(seconds), privileged=True)
        self.privileged = self._stream.privileged

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._stream.close()

    def call(self, procedure: int, arguments: bytes = b"") -> Xdr:
        """Return the results of a procedure; each call has the whole time. Raises ProbeError."""
        xid = _xid()
        self._stream.deadline = Deadline(self._seconds)
        message = call(self._program, self._version, procedure, arguments, xid, root=procedure != 0)
        self._stream.send(struct.pack(">I", 0x80000000 | len(message)) + message)
        for _ in range(_MOST_OTHERS):
            found = result(self._record(), xid)
            if found is not None:
                return found
        raise ProbeError(f"{self._stream.where}: {_MOST_OTHERS} answers came, none to our call")

    def _record(self) -> bytes:
        """Return a record, put together from its pieces (RFC 5531, 11)."""
        data = bytearray()
        for _ in range(_MOST_PIECES):
            mark = int.from_bytes(self._stream.read(4), "big")
            size = mark & 0x7FFFFFFF
            if len(data) + size > _MOST:
                raise ProbeError(f"{self._stream.where}: an answer of {len(data) + size} bytes")
            data += self._stream.read(size)
            if mark & 0x80000000:
                return bytes(data)
        raise ProbeError(f"{self._stream.where}: an answer in more than {_MOST_PIECES} pieces")


def port_of(address: str, program: int, version: int, seconds: float, port: int = PORTMAP_PORT) -> int:
    """Return a program's TCP port by the portmapper, version 2 (RFC 1833), or 0. Raises ProbeError."""
    xid = _xid()
    asked = call(PORTMAP, 2, 3, struct.pack(">IIII", program, version, _TCP, 0), xid, root=False)
    cursor = ask_udp(address, port, asked, lambda packet: result(packet, xid), Deadline(seconds))
    found = cursor.word()
    if not 0 <= found <= 65535:
        raise ProbeError(f"the portmapper of {address} names port {found}")
    return found
