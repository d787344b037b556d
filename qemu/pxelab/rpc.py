"""Ask an ONC RPC service for its NULL procedure (RFC 5531), to see whether it answers.

Also a small program (`python3 -I -S rpc.py HOST PORT PROGRAM VERSION SECONDS`), because the
question must be asked from within the laboratory's network namespace.
"""

import os
import socket
import struct
import sys
import time

NFS_PROGRAM = 100003
PORTMAP_PROGRAM = 100000
_ACCEPTED = 0


def null_call(host: str, port: int, program: int, version: int, timeout: float) -> bool:
    """Return True if the TCP service answered the NULL call with success."""
    call_id = int.from_bytes(os.urandom(4), "big")
    # xid, CALL, RPC version 2, program, version, procedure 0, no credentials, no verifier
    body = struct.pack(">10I", call_id, 0, 2, program, version, 0, 0, 0, 0, 0)
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(struct.pack(">I", 0x80000000 | len(body)) + body)
            answer = b""
            while len(answer) < 28:
                piece = connection.recv(512)
                if not piece:
                    return False
                answer += piece
    except OSError:
        return False
    _mark, xid, kind, state, _flavour, _length, accepted = struct.unpack(">7I", answer[:28])
    return (xid, kind, state, accepted) == (call_id, 1, 0, _ACCEPTED)


def wait_for_null(host: str, port: int, program: int, version: int, seconds: float) -> bool:
    """Return True as soon as the service answers, False if it has not after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        if null_call(host, port, program, version, timeout=2.0):
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.05)


def main(arguments: list[str]) -> int:
    """Return 0 if the service answered in time, else 1."""
    host, port, program, version, seconds = arguments
    answered = wait_for_null(host, int(port), int(program), int(version), float(seconds))
    return 0 if answered else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
