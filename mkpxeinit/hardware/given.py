"""Files that a user names to be read once: regular ones, and pipes, as in `--hardware <(lspci -nn)`."""

import os
import select
import stat
import time
from pathlib import Path

PATIENCE = 300.0  # seconds for a pipe to come to its end; who types a password on the way needs some


def is_pipe(path: Path) -> bool:
    """Say whether `path` is a pipe: a FIFO, what the shell makes of `<(…)`, or /dev/stdin behind `|`."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def read_given(path: Path, limit: int) -> bytes:
    """Return the bytes of the file or pipe `path`.

    OSError if it is neither, has more than `limit` bytes, or is a pipe that does not end within PATIENCE.
    """
    if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISFIFO(mode):
        raise OSError(0, "neither a regular file nor a pipe", str(path))  # not opened: a device may act on it
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.fstat(descriptor).st_size > limit:
            raise OSError(0, f"larger than {limit} bytes", str(path))
        data = _to_the_end(descriptor, limit)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise OSError(0, f"larger than {limit} bytes", str(path))
    return data


def _to_the_end(descriptor: int, limit: int) -> bytes:
    """Return what comes from `descriptor`, at most one byte more than `limit`."""
    data = bytearray()
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    end = time.monotonic() + PATIENCE
    while len(data) <= limit:
        # A FIFO that nobody has opened for writing yet would be read as empty, so wait first.
        if not poller.poll(max(0.0, end - time.monotonic()) * 1000):
            raise OSError(0, f"not at its end after {PATIENCE:.0f} s; is anything written into it?")
        try:
            piece = os.read(descriptor, min(1 << 16, limit + 1 - len(data)))
        except BlockingIOError:
            continue
        if not piece:
            break
        data += piece
    return bytes(data)
