"""An NFS server that fails reads on demand: a real one, and before it the relay of spoil.py."""

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import spoil
from .errors import LabError
from .server import Server

if TYPE_CHECKING:
    from .lab import Lab

READY_SECONDS = 10.0
_AT_FDCWD = -100
_HANDLE_BYTES = 128  # MAX_HANDLE_SZ


class _FileHandle(ctypes.Structure):
    _fields_ = (
        ("handle_bytes", ctypes.c_uint),
        ("handle_type", ctypes.c_int),
        ("f_handle", ctypes.c_ubyte * _HANDLE_BYTES),
    )


def kernel_handle(path: Path) -> bytes:
    """Return the bytes by which the kernel knows a file (name_to_handle_at(2)); OSError if it has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = _FileHandle(handle_bytes=_HANDLE_BYTES)
    mount = ctypes.c_int()
    words = (_AT_FDCWD, os.fsencode(path), ctypes.byref(handle), ctypes.byref(mount), 0)
    if libc.name_to_handle_at(*words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    return bytes(handle.f_handle)[: handle.handle_bytes]


class FaultyNfs(Server):
    """A relay on the port that clients know (NFS version 4 alone), whose server listens on another one."""

    def __init__(self, lab: "Lab", server_port: int, port: int = 2049) -> None:
        """Prepare it; nothing fails and nothing runs yet."""
        super().__init__(lab, lab.name("faulty"))
        self._ports = (port, server_port)
        self._rules = self.folder / "rules"
        self._rules.touch()

    def start(self) -> None:
        """Start the relay; return when its port is open."""
        words = [sys.executable, "-I", "-S", spoil.__file__, *self._ports, self._rules]
        with self.log.open("ab") as log:
            self._process = self._lab.space.start(
                self.folder.name, [str(word) for word in words], stdout=log, stderr=log
            )
        end = time.monotonic() + READY_SECONDS
        while not self.has_tcp(self._ports[0]):
            if not self.running or time.monotonic() > end:
                raise LabError(f"the NFS relay does not run: {self.said()}")
            time.sleep(0.02)

    def fail_reads(self, *files: Path) -> None:
        """From now on, reads of these files (paths inside the laboratory) end in EIO; without any, all."""
        rules = [kernel_handle(self._lab.space.path(file)).hex() for file in files] or ["*"]
        self._write(" ".join(rules))

    def mend(self) -> None:
        """From now on, nothing fails."""
        self._write("")

    def _write(self, rules: str) -> None:
        new = self._rules.with_suffix(".new")
        new.write_text(rules)
        new.replace(self._rules)

    @property
    def failed(self) -> int:
        """How many reads have been failed."""
        return self.said().count("EIO")
