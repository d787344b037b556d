"""A root shell in the booted system, on the second serial port.

An extra segment of the initrd holds a hook of pxeinit's. It writes a unit for the real
system into /run, which starts a small agent on ttyS1; the tree itself stays untouched.
A request is one line, `ID BASE64`; the answer is one line, `pxelab ID STATUS =OUT =ERR`.
"""

import base64
import binascii
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import cpio
from .errors import DeadlineError, LabError, MachineExitedError

_LOOK_SECONDS = 1.0
HOOK_PATH = "lib/pxeinit/hooks/handoff/50-pxelab"

HOOK = r"""#!/bin/sh
# pxelab's reporter: a shell on the second serial port of the booted system.
# /run of the initrd may be moved into the new root after this hook, or be there already.
install_reporter() {
units=$1/systemd/system
mkdir -p "$units/sysinit.target.wants" "$1/pxelab" || return 1
cat >"$1/pxelab/agent" <<'END'
tries=0
until [ -c /dev/ttyS1 ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || exit 0
    sleep 0.2
done
exec </dev/ttyS1 >/dev/ttyS1 2>/dev/null
stty raw -echo
cd /run/pxelab || exit 0
# A new line first: UEFI firmware writes to this port too, without ending its line.
printf '\npxelab ready\n'
while IFS=' ' read -r id code; do
    printf '%s' "$code" | base64 -d >command || continue
    (cd / && exec /bin/sh /run/pxelab/command </dev/null >/run/pxelab/out 2>/run/pxelab/err)
    status=$?
    printf 'pxelab %s %s =%s =%s\n' "$id" "$status" "$(base64 -w0 out)" "$(base64 -w0 err)"
done
END
cat >"$units/pxelab.service" <<'END'
[Unit]
Description=Shell of the laboratory on the second serial port
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
[Service]
Environment=HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/sh /run/pxelab/agent
END
ln -sf ../pxelab.service "$units/sysinit.target.wants/pxelab.service"
}
# The tree's own may be read-only.
install_reporter "$2/run" 2>/dev/null
install_reporter /run
"""


@dataclass(frozen=True, slots=True)
class GuestResult:
    """What a command in the guest said, and its exit status."""

    stdout: str
    stderr: str
    status: int


def hook_segment() -> bytes:
    """Return the cpio archive to append to an image, so that `guest()` works."""
    return cpio.archive({HOOK_PATH: cpio.Entry(HOOK.encode(), 0o755)})


def _decode(word: str) -> str:
    return base64.b64decode(word.removeprefix("=")).decode("utf-8", "replace")


class Guest:
    """The laboratory's end of the second serial port."""

    def __init__(self, port: socket.socket, watch: Callable[[], None] | None = None) -> None:
        """Take the connected socket; nothing is sent before the guest says it is ready.

        `watch` is called about every second of waiting, and ends it by raising LabError.
        """
        self._port = port
        self._watch = watch
        self._buffer = b""
        self._ready = False
        self._count = 0

    def _line(self, end: float, waiting_for: str) -> str:
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0:
                raise DeadlineError(f"the guest's shell did not answer in time: {waiting_for}")
            self._port.settimeout(min(left, _LOOK_SECONDS))
            try:
                data = self._port.recv(65536)
            except TimeoutError:
                if self._watch is not None:
                    self._watch()
                continue
            except OSError:
                data = b""
            if not data:
                raise MachineExitedError(f"the machine ended: {waiting_for}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("utf-8", "replace").strip("\r\0 ")

    def wait_ready(self, timeout: float) -> None:
        """Return when the booted system's agent has reported."""
        end = time.monotonic() + timeout
        while not self._ready:
            self._ready = self._line(end, "waiting for the booted system") == "pxelab ready"

    def run(self, command: str, timeout: float) -> GuestResult:
        """Run a shell command as root in the guest; waits for the system to be up first."""
        end = time.monotonic() + timeout
        self.wait_ready(timeout)
        self._count += 1
        code = base64.b64encode(command.encode()).decode()
        try:
            self._port.settimeout(max(1.0, end - time.monotonic()))
            self._port.sendall(f"{self._count} {code}\n".encode())
        except OSError as gone:
            raise MachineExitedError(f"the machine ended: {command}") from gone
        while True:
            words = self._line(end, command).split(" ")
            if words[:2] == ["pxelab", "ready"]:
                raise LabError(f"the guest has started again during: {command}")
            if len(words) == 5 and words[:2] == ["pxelab", str(self._count)]:
                break
        try:
            return GuestResult(_decode(words[3]), _decode(words[4]), int(words[2]))
        except (binascii.Error, ValueError) as noise:
            raise LabError(f"the guest's answer is damaged: {words}") from noise

    def close(self) -> None:
        """Hang up."""
        self._port.close()
