"""Results of NFS servers as bytes (RFC 1813, RFC 7530), and a connection that hands them out in turn."""

import struct
from types import TracebackType
from typing import Any, Self

from mkpxeinit.netboot.probe.rpc import Xdr, opaque

FILE, FOLDER, LINK = 1, 2, 5


def fattr3(kind: int, mode: int = 0o755, uid: int = 0) -> bytes:
    return struct.pack(">IIIIIQQ", kind, mode, 1, uid, 0, 100, 512) + bytes(48)


def getattr3(kind: int, **more: int) -> bytes:
    return struct.pack(">I", 0) + fattr3(kind, **more)


def lookup3(handle: bytes, kind: int, **more: int) -> bytes:
    return struct.pack(">I", 0) + opaque(handle) + struct.pack(">I", 1) + fattr3(kind, **more)


def readlink3(target: bytes) -> bytes:
    return struct.pack(">II", 0, 0) + opaque(target)


def read3(content: bytes) -> bytes:
    return struct.pack(">IIII", 0, 0, len(content), 1) + opaque(content)


def access3(granted: int) -> bytes:
    return struct.pack(">III", 0, 0, granted)


def compound(*results: bytes, status: int = 0) -> bytes:
    return struct.pack(">I", status) + opaque(b"") + struct.pack(">I", len(results)) + b"".join(results)


def done(operation: int, result: bytes = b"", status: int = 0) -> bytes:
    return struct.pack(">II", operation, status) + result


def fattr4(kind: int, mode: int = 0o755, owner: bytes = b"0") -> bytes:
    values = struct.pack(">IQI", kind, 100, mode) + opaque(owner)
    return struct.pack(">III", 2, 1 << 1 | 1 << 4, 1 << 1 | 1 << 4) + opaque(values)


def node4(operation: int, handle: bytes, kind: int, *, put: bool = True, **more: Any) -> bytes:
    first = (done(22),) if put else ()
    return compound(*first, done(operation), done(10, opaque(handle)), done(9, fattr4(kind, **more)))


class Replay:
    """In the place of a Connection: its calls' results stand one after another in `data`."""

    data = b""
    privileged = True

    def __init__(self, *_: object) -> None:
        self.cursor = Xdr(self.data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def call(self, procedure: int, arguments: bytes = b"") -> Xdr:
        return self.cursor


def replaying(data: bytes) -> type[Replay]:
    return type("Replaying", (Replay,), {"data": data})


# What a client sees on its way to /sbin/init, where /sbin is a link, and what it then asks.
TREE3 = (
    getattr3(FOLDER)
    + lookup3(b"sbin", LINK) + readlink3(b"/usr/sbin") + lookup3(b"usr", FOLDER) + lookup3(b"usrsbin", FOLDER)
    + lookup3(b"init", FILE) + read3(b"\x7fELF") + access3(3)
)  # fmt: skip
TREE4 = (
    node4(24, b"root", FOLDER, put=False) + node4(15, b"x", FOLDER)
    + node4(15, b"sbin", LINK) + compound(done(22), done(27, opaque(b"usr/sbin")))
    + node4(15, b"usr", FOLDER) + node4(15, b"usrsbin", FOLDER) + node4(15, b"init", FILE)
    + compound(done(22), done(25, struct.pack(">I", 1) + opaque(b"\x7fELF")))
    + compound(done(22), done(3, struct.pack(">II", 63, 3)))
)  # fmt: skip
EXPORTS = (
    struct.pack(">I", 1) + opaque(b"/x") + struct.pack(">I", 1) + opaque(b"*") + struct.pack(">I", 0)
    + struct.pack(">I", 1) + opaque(b"/y") + struct.pack(">II", 0, 0)
)  # fmt: skip
