"""RPC and NFS: good answers, damaged ones, and servers that do not stop. Real ones are in tests/lab."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

from mkpxeinit.netboot.probe import nfs, nfs3, nfs4, rpc
from mkpxeinit.netboot.probe.rpc import Xdr, opaque
from mkpxeinit.netboot.probe.wire import Deadline, ProbeError, ask_udp
from tests.unit import nfs_replies as made

HOST = "127.0.0.1"


def accepted(xid: int, result: bytes = b"", state: int = 0) -> bytes:
    return struct.pack(">IIIIII", xid, 1, 0, 0, 0, state) + result


def record(message: bytes, pieces: int = 1) -> bytes:
    size = max(1, len(message) // pieces)
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    marks = [len(part) | (0x80000000 if part is parts[-1] else 0) for part in parts]
    return b"".join(struct.pack(">I", mark) + part for mark, part in zip(marks, parts, strict=True))


@contextmanager
def tcp(reply: Callable[[int], bytes], *, stay: bool = True) -> Iterator[int]:
    """Answer each call of one connection by `reply(xid)`; yield the port."""
    listening = socket.create_server((HOST, 0))

    def serve() -> None:
        wire, _ = listening.accept()
        with wire:
            wire.settimeout(5)
            try:
                while True:
                    head = wire.recv(4, socket.MSG_WAITALL)
                    if len(head) < 4:
                        return
                    call = wire.recv(int.from_bytes(head, "big") & 0x7FFFFFFF, socket.MSG_WAITALL)
                    wire.sendall(reply(int.from_bytes(call[:4], "big")))
                    if not stay:
                        return
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()
        thread.join()


def ask(reply: Callable[[int], bytes], *, stay: bool = True, seconds: float = 2.0) -> Xdr:
    with tcp(reply, stay=stay) as port, rpc.Connection(HOST, port, rpc.NFS, 4, seconds) as wire:
        return wire.call(0)


def test_a_record_in_pieces_and_answers_to_others() -> None:
    good = [
        lambda xid: record(accepted(xid, b"abcd")),
        lambda xid: record(accepted(xid, b"abcd"), 7),
        lambda xid: record(accepted(xid + 1, b"xxxx")) + record(b"") + record(accepted(xid, b"abcd")),
    ]
    for reply in good:
        assert ask(reply).take(4) == b"abcd"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (lambda xid: record(accepted(xid, state=1)), "program is not there"),
        (lambda xid: record(accepted(xid, bytes(8), state=2)), "version is not served"),
        (lambda xid: record(accepted(xid, state=77)), "state 77"),
        (
            lambda xid: record(struct.pack(">IIIII", xid, 1, 1, 1, 5)),
            "refuses who we say we are .auth_stat 5",
        ),
        (lambda xid: record(struct.pack(">IIIIII", xid, 1, 1, 0, 2, 2)), "another version of RPC"),
        (lambda xid: record(struct.pack(">III", xid, 1, 0)), "cut off"),
        (lambda xid: record(struct.pack(">IIIII", xid, 1, 0, 0, 1 << 31)), "field of 2147483648 bytes"),
        (lambda xid: b"\x7f\xff\xff\xff", "an answer of 2147483647 bytes"),
        (lambda xid: struct.pack(">I", 0) * 100, "in more than 64 pieces"),
        (
            lambda xid: struct.pack(">I", 1 << 19) + bytes(1 << 19) + struct.pack(">I", 1 << 20),
            "an answer of",
        ),
        (lambda xid: record(accepted(xid + 1)) * 20, "16 answers came, none to our call"),
        (lambda xid: b"\x80\0\0\x20abc", "no whole answer in 0 s"),
        (lambda xid: b"", "no whole answer in 0 s"),
    ],
)
def test_bad_answers(reply: Callable[[int], bytes], said: str) -> None:
    with pytest.raises(ProbeError, match=said):
        ask(reply, seconds=0.4)


def test_a_server_that_closes() -> None:
    with pytest.raises(ProbeError, match="closed the connection|reset by peer"):
        ask(lambda xid: b"\x80\0\0\x20abc", stay=False)


def test_nobody_listens() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ProbeError, match=f"nobody listens on {HOST} TCP port {port}"):
        rpc.Connection(HOST, port, rpc.NFS, 4, 1.0)
    with pytest.raises(ProbeError, match=f"nobody listens on UDP port {port}"):
        ask_udp(HOST, port, b"x", lambda packet: packet, Deadline(0.5))


def test_calls_are_made_as_root() -> None:
    """RFC 5531, 8.2 and appendix A: AUTH_SYS with uid 0; the NULL procedure needs nobody."""
    cursor = Xdr(rpc.call(rpc.NFS, 3, 1, b"args", 7, root=True))
    assert [cursor.word() for _ in range(6)] == [7, 0, 2, 100003, 3, 1]
    assert cursor.word() == 1
    who = Xdr(cursor.opaque())
    assert (who.word(), who.opaque(), who.word(), who.word(), who.word(), who.word()) == (
        0,
        b"mkpxeinit",
        0,
        0,
        1,
        0,
    )
    assert (cursor.word(), cursor.word(), cursor.take(4), cursor.rest) == (0, 0, b"args", 0)
    assert len(rpc.call(rpc.NFS, 3, 0, b"", 7, root=False)) == 40


def test_xdr() -> None:
    assert opaque(b"abcde") == b"\0\0\0\x05abcde\0\0\0"
    assert Xdr(opaque(b"abcde")).opaque() == b"abcde"
    with pytest.raises(ProbeError, match="cut off"):
        Xdr(b"\0\0\0\x05abcd").opaque()
    with pytest.raises(ProbeError, match="5 bytes, 4 at most"):
        Xdr(opaque(b"abcde")).opaque(4)


def look(tree: nfs.Tree) -> None:
    init = nfs.find(tree, "/sbin/init")
    assert (init.handle, init.kind, init.mode, init.owner) == (b"init", nfs.Kind.FILE, 0o755, "0")
    assert tree.read(init, 100) == b"\x7fELF"
    assert tree.access(init, 3) == 3


def test_a_tree_by_version_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfs3, "Connection", made.replaying(made.TREE3))
    look(nfs3.Nfs3(HOST, 0, b"root", 1))


def test_a_tree_by_version_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfs4, "Connection", made.replaying(made.TREE4))
    look(nfs4.Nfs4(HOST, 0, 0, "/x", 1))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (made.compound(made.done(24), status=10016), "another security flavour"),
        (made.compound(made.done(24)), "1 results to 3 operations"),
        (made.compound(made.done(24), made.done(9), made.done(10)), "another order"),
        (made.compound(made.done(24), made.done(10, status=70)), "2 results"),
        (made.node4(24, b"x" * 200, 2, put=False), "field of 200 bytes, 128"),
        (made.compound(made.done(24), made.done(10, opaque(b"h")), made.done(9, b"\0\0\0\1")), "cut off"),
        (made.compound(made.done(24), made.done(10, opaque(b"h")),
                       made.done(9, struct.pack(">II", 1, 1 << 7) + opaque(b"abcd"))), "not asked for"),
    ],
)  # fmt: skip
def test_bad_answers_of_version_4(monkeypatch: pytest.MonkeyPatch, data: bytes, said: str) -> None:
    monkeypatch.setattr(nfs4, "Connection", made.replaying(data))
    with pytest.raises(ProbeError, match=said):
        nfs4.Nfs4(HOST, 0, 0, "/", 1)


class Maze:
    """A tree whose every name is a link to `target`."""

    root = nfs.Node(b"", nfs.Kind.FOLDER, 0o755, "0", 0)

    def __init__(self, target: str) -> None:
        self.target = target

    def lookup(self, folder: nfs.Node, name: str) -> nfs.Node:
        return nfs.Node(name.encode(), nfs.Kind.LINK, 0o777, "0", 0)

    def readlink(self, link: nfs.Node) -> str:
        return self.target

    def read(self, file: nfs.Node, count: int) -> bytes:
        raise AssertionError

    def access(self, node: nfs.Node, wanted: int) -> int:
        raise AssertionError


@pytest.mark.parametrize("target", ["a", "/a", "../a", "a/" * 2000, "./a"])
def test_links_without_end(target: str) -> None:
    with pytest.raises(ProbeError, match="circle|without end"):
        nfs.find(Maze(target), "/sbin/init")


class Named(Maze):
    """A tree by the full names of its files; text is a link's target."""

    names: ClassVar = {
        "/a": None,
        "/a/b": "/c",
        "/a/d": "c",
        "/a/c": None,
        "/c": None,
        "/c/x": None,
        "/a/c/x": None,
    }

    def lookup(self, folder: nfs.Node, name: str) -> nfs.Node:
        path = f"{folder.handle.decode()}/{name}"
        kind = nfs.Kind.LINK if self.names[path] else nfs.Kind.FOLDER
        return nfs.Node(path.encode(), kind, 0o755, "0", 0)

    def readlink(self, link: nfs.Node) -> str:
        return str(self.names[link.handle.decode()])


@pytest.mark.parametrize(
    ("path", "place"), [("/a/b/x", "/c/x"), ("/a/d/x", "/a/c/x"), ("/a/d/../b/x", "/c/x"), ("a/./c", "/a/c")]
)
def test_links_absolute_and_relative(path: str, place: str) -> None:
    assert nfs.find(Named(""), path).handle == place.encode()


def test_links_do_not_leave_the_tree() -> None:
    assert nfs.find(Maze("../../.."), "/x/..").handle == b""


def test_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfs3, "Connection", made.replaying(made.EXPORTS))
    assert nfs3.Mount(HOST, 0, 1).exports() == ("/x", "/y")
    endless = struct.pack(">I", 1) + opaque(b"/x") + (struct.pack(">I", 1) + opaque(b"g")) * 5000
    monkeypatch.setattr(nfs3, "Connection", made.replaying(endless))
    with pytest.raises(ProbeError, match="does not end"):
        nfs3.Mount(HOST, 0, 1).exports()
    many = (struct.pack(">I", 1) + opaque(b"/x") + struct.pack(">I", 0)) * 5000
    monkeypatch.setattr(nfs3, "Connection", made.replaying(many))
    assert len(nfs3.Mount(HOST, 0, 1).exports()) == 256
