"""The NFS relay that fails reads: what is a READ for it, what becomes of the answer, and that it carries."""

import os
import socket
import struct
import threading
from pathlib import Path

import pytest

from pxelab import Lab, spoil
from pxelab.faulty import FaultyNfs, kernel_handle

HANDLE = b"ganesha" + b"\1\2\3\4" + b"end"


def opaque(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def put(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


SEQUENCE = put(spoil.SEQUENCE) + bytes(32)
PUTFH = put(spoil.PUTFH) + opaque(HANDLE)
READ = put(spoil.READ) + bytes(28)
READ_PLUS = put(spoil.READ_PLUS) + bytes(28)
LOOKUP = put(15) + opaque(b"init")


def call(*operations: bytes, version: int = 4, minor: int = 2, credentials: bytes = bytes(20)) -> bytes:
    head = put(7, 0, 2, spoil.NFS_PROGRAM, version, spoil.COMPOUND)
    auth = put(1) + opaque(credentials) + put(0) + opaque(b"")
    return head + auth + opaque(b"tag") + put(minor, len(operations)) + b"".join(operations)


def reply(*results: bytes, status: int = 0, accepted: int = 0) -> bytes:
    head = put(7, 1, 0, 0) + opaque(b"") + put(accepted)
    return head + put(status) + opaque(b"tag") + put(len(results)) + b"".join(results)


SEQUENCE_DONE = put(spoil.SEQUENCE, 0) + bytes(36)
PUTFH_DONE = put(spoil.PUTFH, 0)
READ_DONE = put(spoil.READ, 0, 1) + opaque(b"data")
READ_FAILED = put(spoil.READ, spoil.NFS4ERR_IO)


@pytest.mark.parametrize(
    ("message", "handle"),
    [
        (call(SEQUENCE, PUTFH, READ), HANDLE),
        (call(SEQUENCE, PUTFH, READ_PLUS), HANDLE),
        (call(PUTFH, READ, minor=0), HANDLE),
        (call(PUTFH, READ, credentials=b""), HANDLE),
        (call(SEQUENCE, PUTFH, LOOKUP), None),
        (call(SEQUENCE, PUTFH, LOOKUP, READ), None),
        (call(SEQUENCE, PUTFH), None),
        (call(PUTFH, READ, version=3), None),
        (reply(SEQUENCE_DONE, PUTFH_DONE, READ_DONE), None),
        (call(SEQUENCE, PUTFH, READ)[:60], None),
        (b"", None),
    ],
)
def test_which_call_is_a_read(message: bytes, handle: bytes | None) -> None:
    assert spoil.read_handle(message) == handle


def test_an_answer_becomes_eio() -> None:
    spoilt = spoil.spoil(reply(SEQUENCE_DONE, PUTFH_DONE, READ_DONE))
    assert spoilt == reply(SEQUENCE_DONE, PUTFH_DONE, READ_FAILED, status=spoil.NFS4ERR_IO)
    assert spoil.spoil(reply(PUTFH_DONE, READ_DONE)) == reply(
        PUTFH_DONE, READ_FAILED, status=spoil.NFS4ERR_IO
    )


@pytest.mark.parametrize(
    "message",
    [
        reply(put(spoil.SEQUENCE, 10052), status=10052),  # BADSESSION
        reply(SEQUENCE_DONE, put(spoil.PUTFH, 70), status=70),  # STALE
        reply(accepted=5),
    ],
)
def test_other_errors_stay_what_they_are(message: bytes) -> None:
    assert spoil.spoil(message) == message


@pytest.mark.parametrize(
    ("rules", "fails"),
    [("", False), ("*", True), ("01020304", True), ("ff 01020304", True), ("01020305", False)],
)
def test_rules(rules: str, fails: bool) -> None:
    assert spoil.is_to_fail(HANDLE, rules) is fails


def test_records_in_pieces() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(
            put(3) + b"abc" + put(0x80000002) + b"de" + put(0x80000001) + b"x" + put(0x80000009) + b"half"
        )
        ours.shutdown(socket.SHUT_WR)
        assert list(spoil.records(theirs)) == [b"abcde", b"x"]


def test_a_connection_is_carried_and_spoilt(tmp_path: Path) -> None:
    """Both ways, and by the rules of the moment."""
    rules = tmp_path / "rules"
    rules.write_text("")
    client, near = socket.socketpair()
    far, server = socket.socketpair()
    with client, server:
        thread = threading.Thread(target=spoil.Connection(near, far, rules).carry)
        thread.start()
        question, answer = call(SEQUENCE, PUTFH, READ), reply(SEQUENCE_DONE, PUTFH_DONE, READ_DONE)
        calls, answers = spoil.records(server), spoil.records(client)
        for rule in ("", HANDLE.hex(), ""):
            rules.write_text(rule)
            spoil.send(client, question)
            assert next(calls) == question
            spoil.send(server, answer)
            assert next(answers) == (spoil.spoil(answer) if rule else answer)
        client.shutdown(socket.SHUT_WR)
        thread.join(10)
        assert not thread.is_alive()


def test_the_kernels_handle(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.touch()
    second.touch()
    try:
        handle = kernel_handle(first)
    except OSError as error:
        pytest.skip(f"this file system has no handles: {error}")
    assert handle == kernel_handle(first) != kernel_handle(second)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        kernel_handle(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")
def test_the_relay_in_a_laboratory(tmp_path: Path) -> None:
    """The real server answers through it, and its rules are those that were asked for."""
    with Lab.open() as lab:
        relay, server = lab.faulty_nfs({"/x": tmp_path})
        lab.wait_rpc(2049, spoil.NFS_PROGRAM, 4, 5.0)
        relay.fail_reads()
        assert (relay.folder / "rules").read_text() == "*"
        relay.mend()
        assert (relay.folder / "rules").read_text() == ""
        assert relay.failed == 0
        server.stop()
        assert isinstance(relay, FaultyNfs)
        assert relay.running
