"""mkpxeinit in a process of its own, without the start of another Python.

An interpreter that has imported all of mkpxeinit waits; for each command it forks, and the child becomes
the command: arguments, folder, environment, output and exit code of its own. The start and the imports,
most of what a small command takes, are paid once for all tests of a run. What Python reads when it starts
is that of the first: a command for which that matters has to be a fresh process.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

LONGEST = 1 << 17  # bytes of a command
SECONDS = 120.0
# Variables that are read when Python starts, or but once.
AT_START = ("PYTHON", "LC_", "LANG", "LOCPATH", "TZ")


class Forked:
    """The interpreter that waits. Not for several threads."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            words = [sys.executable, "-P", __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(
                words, env=dict(environment), stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        ours.settimeout(SECONDS)
        self._control = ours

    def run(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> tuple[int, bytes, bytes]:
        """Return the exit code of a command (a signal's number, negative), its stdout and its stderr."""
        mask = os.umask(0)
        os.umask(mask)
        order = json.dumps([words, str(folder), dict(environment), mask]).encode()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            socket.send_fds(self._control, [order], [out.fileno(), err.fileno()])
            child = int(self._control.recv(32))
            try:
                code = int(self._control.recv(32))
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                raise
            return code, _whole(out), _whole(err)

    def close(self) -> None:
        """End it."""
        self._control.close()
        self._process.wait(SECONDS)


def _whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def fits(environment: Mapping[str, str]) -> bool:
    """Say whether a command with these variables can be a fork."""
    return not any(name.startswith(AT_START) for name in environment)


def _import_all() -> None:
    import mkpxeinit

    for found in pkgutil.walk_packages(mkpxeinit.__path__, "mkpxeinit."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


def _become(order: bytes, descriptors: Sequence[int]) -> None:
    words, folder, environment, mask = json.loads(order)
    for number, descriptor in enumerate(descriptors, 1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = words


def _wait_for_orders(control: socket.socket) -> bool:
    """Return True in a child that is to be the command, False when no more are wanted."""
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, LONGEST, 2)
        if not order:
            return False
        child = os.fork()
        if child == 0:
            control.close()
            _become(order, descriptors)
            return True
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(str(child).encode())
        _, status = os.waitpid(child, 0)
        with contextlib.suppress(BrokenPipeError):
            control.send(str(os.waitstatus_to_exitcode(status)).encode())


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    _import_all()
    gc.freeze()
    if _wait_for_orders(control):
        from mkpxeinit.__main__ import main

        main()


if __name__ == "__main__":
    _main()
