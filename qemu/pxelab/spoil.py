"""An NFS server whose disk fails: a relay before it that turns the answers to READ into EIO.

A program of its own (`python3 -I -S spoil.py PORT SERVER-PORT RULES`), because it has to run within the
laboratory's network namespace. RULES is a file, looked at anew for each READ: a line for each file, its
kernel's handle in hexadecimal digits, or `*` for all files. See `faulty.FaultyNfs`. NFS 4.0 to 4.2 over TCP
(RFC 7530, 8881, 7862); each answer that it spoils is a line on stdout.
"""

import contextlib
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

NFS_PROGRAM, COMPOUND = 100003, 1
PUTFH, READ, SEQUENCE, READ_PLUS = 22, 25, 53, 68
NFS4ERR_IO = 5
_LAST = 0x80000000
_SEQUENCE_ARGUMENTS, _SEQUENCE_RESULT = 32, 36


class Words:
    """Reads XDR (RFC 4506) from a message, from its beginning on."""

    def __init__(self, data: bytes) -> None:
        """Begin at the first byte."""
        self.data = data
        self.at = 0

    def number(self) -> int:
        """Return the next four bytes; raises struct.error at the end."""
        (value,) = struct.unpack_from(">I", self.data, self.at)
        self.at += 4
        return int(value)

    def opaque(self) -> bytes:
        """Return the bytes of a variable length that come next."""
        length = self.number()
        value = self.data[self.at : self.at + length]
        self.at += (length + 3) // 4 * 4
        return value


def read_handle(call: bytes) -> bytes | None:
    """Return the file handle that an RPC message reads from, None if it is no READ of NFS version 4."""
    words = Words(call)
    try:
        _xid, kind, _rpc, program, version, procedure = (words.number() for _ in range(6))
        if (kind, program, version, procedure) != (0, NFS_PROGRAM, 4, COMPOUND):
            return None
        for _ in range(2):  # credentials, verifier
            words.number()
            words.opaque()
        words.opaque()  # tag
        words.number()  # minor version
        handle = b""
        for _ in range(words.number()):
            operation = words.number()
            if operation == SEQUENCE:
                words.at += _SEQUENCE_ARGUMENTS
            elif operation == PUTFH:
                handle = words.opaque()
            else:
                return handle if operation in (READ, READ_PLUS) else None
    except struct.error:
        pass
    return None


def spoil(reply: bytes) -> bytes:
    """Return the answer to a READ with NFS4ERR_IO in the place of what was read; other errors stay."""
    words = Words(reply)
    for _ in range(3):  # xid, REPLY, accepted
        words.number()
    words.number()
    words.opaque()  # verifier
    if words.number() != 0:
        return reply
    status_at = words.at
    words.number()
    words.opaque()  # tag
    count_at = words.at
    for done in range(words.number()):
        operation = words.number()
        if operation in (READ, READ_PLUS):
            head = bytearray(reply[: words.at])
            struct.pack_into(">I", head, status_at, NFS4ERR_IO)
            struct.pack_into(">I", head, count_at, done + 1)
            return bytes(head) + struct.pack(">I", NFS4ERR_IO)
        if words.number() != 0:
            break
        if operation == SEQUENCE:
            words.at += _SEQUENCE_RESULT
    return reply


def is_to_fail(handle: bytes, rules: str) -> bool:
    """Return whether one of the rules is about the file; a server's handle has the kernel's in it."""
    return any(rule == "*" or bytes.fromhex(rule) in handle for rule in rules.split())


def records(stream: socket.socket) -> Iterator[bytes]:
    """Yield the messages of a connection (RFC 5531, record marking) until it ends."""
    reader = stream.makefile("rb")
    message = b""
    while len(mark := reader.read(4)) == 4:
        (size,) = struct.unpack(">I", mark)
        fragment = reader.read(size & ~_LAST)
        if len(fragment) < size & ~_LAST:
            return
        message += fragment
        if size & _LAST:
            yield message
            message = b""


def send(stream: socket.socket, message: bytes) -> None:
    """Send a message as one record."""
    stream.sendall(struct.pack(">I", _LAST | len(message)) + message)


class Connection:
    """A client's connection and ours to the server."""

    def __init__(self, client: socket.socket, server: socket.socket, rules: Path) -> None:
        """Take both; `carry` begins."""
        self._client, self._server, self._rules = client, server, rules
        self._failing: set[bytes] = set()

    def carry(self) -> None:
        """Pass messages on in both directions, until one side hangs up."""
        back = threading.Thread(target=self._guarded, args=(self._answers,), daemon=True)
        back.start()
        self._guarded(self._calls)
        back.join()

    def _guarded(self, what: object) -> None:
        assert callable(what)
        with contextlib.suppress(OSError):
            what()
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _calls(self) -> None:
        for call in records(self._client):
            handle = read_handle(call)
            if handle is not None and is_to_fail(handle, self._rules.read_text()):
                self._failing.add(call[:4])
            send(self._server, call)

    def _answers(self) -> None:
        for reply in records(self._server):
            if reply[:4] in self._failing:
                self._failing.discard(reply[:4])
                reply = spoil(reply)
                print("EIO", flush=True)
            send(self._client, reply)


def main(arguments: list[str]) -> None:
    """Serve for ever."""
    port, server_port, rules = arguments
    with socket.create_server(("0.0.0.0", int(port))) as listener:
        while True:
            client, _ = listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", int(server_port)), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            connection = Connection(client, server, Path(rules))
            threading.Thread(target=connection.carry, daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1:])
