"""QEMU's machine protocol: just enough to pull cables and cut the power."""

import json
import socket
from collections.abc import Mapping
from typing import Any

from .errors import LabError


class Qmp:
    """A conversation over an already connected socket (qemu: docs/interop/qmp-spec.rst)."""

    def __init__(self, connection: socket.socket, timeout: float = 20.0) -> None:
        """Take the greeting and enter command mode."""
        connection.settimeout(timeout)
        self._socket = connection
        self._file = connection.makefile("rwb")
        self._receive()
        self.command("qmp_capabilities")

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._file.readline()
        except OSError as late:
            raise LabError(f"QEMU does not answer on its control socket: {late}") from late
        if not line:
            raise LabError("QEMU closed its control socket")
        message: dict[str, Any] = json.loads(line)
        return message

    def command(self, name: str, arguments: Mapping[str, object] | None = None) -> Any:
        """Run one command and return its result; events in between are dropped."""
        request: dict[str, object] = {"execute": name}
        if arguments:
            request["arguments"] = dict(arguments)
        try:
            self._file.write(json.dumps(request).encode() + b"\n")
            self._file.flush()
        except OSError as gone:
            raise LabError(f"QEMU has ended ({name} not sent)") from gone
        while True:
            message = self._receive()
            if "error" in message:
                raise LabError(f"QEMU refused {name}: {message['error'].get('desc')}")
            if "return" in message:
                return message["return"]

    def close(self) -> None:
        """End the conversation."""
        self._file.close()
        self._socket.close()
