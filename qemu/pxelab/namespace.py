"""Private namespaces that vanish with their owner, and programs that run inside them."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from . import holder, run
from .errors import DeadlineError, LabError

START_SECONDS = 20.0


class Process:
    """A program that runs inside a namespace."""

    def __init__(self, space: "Namespace", name: str, outer: subprocess.Popen[bytes], pid_file: Path) -> None:
        """Keep what is needed to watch and end it."""
        self.name = name
        self.popen = outer
        self._space = space
        self._pid_file = pid_file

    @property
    def running(self) -> bool:
        """True as long as the program has not ended."""
        return self.popen.poll() is None

    def wait(self, timeout: float) -> int:
        """Return the exit status; raise DeadlineError after `timeout` seconds."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired as late:
            raise DeadlineError(f"{self.name}: still running after {timeout:.0f} s") from late

    def signal(self, name: str) -> None:
        """Send it a signal, such as TERM or STOP (nothing when it has ended)."""
        if self.running and self._pid_file.exists():
            pid = self._pid_file.read_text().strip()
            self._space.run(["kill", f"-{name}", pid], timeout=10, check=False)
            if name in {"CONT", "KILL"} and self.running:
                # nsenter(1) stops itself with its program, and would see nothing of its end.
                self.popen.send_signal(signal.SIGCONT)

    def stop(self, timeout: float = 5.0) -> None:
        """End it with TERM, and with KILL if it does not obey in time."""
        for name in ("TERM", "KILL"):
            if not self.running:
                break
            self.signal(name)
            with contextlib.suppress(DeadlineError):
                self.wait(timeout)


class Namespace:
    """Network, mount and PID namespaces of our own (`share_net` keeps the host's network).

    Nothing has a name outside, so nothing can be left behind: see holder.py.
    """

    def __init__(self, folder: Path, *, share_net: bool = False) -> None:
        """Make the namespaces; `folder` is for the process-id files."""
        if os.geteuid() != 0:
            raise LabError("a laboratory makes network namespaces and exports trees: run it as root")
        self._folder = folder
        self._count = 0
        arguments = [sys.executable, "-I", "-S", str(Path(holder.__file__))]
        run.program("ip")
        self._holder = run.start(
            [*arguments, *(["--share-net"] if share_net else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            self.pid = int(self._read_line())
            self._read_line()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove everything."""
        self.close()

    def _read_line(self) -> bytes:
        """Return one line of the holder's, which says a process id or `ready`."""
        out = self._holder.stdout
        assert out is not None
        line = b""
        end = time.monotonic() + START_SECONDS
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([out], [], [], max(0.0, end - time.monotonic()))
            byte = os.read(out.fileno(), 1) if ready else b""
            if not byte:
                self._holder.kill()
                assert self._holder.stderr is not None
                said = self._holder.stderr.read().decode(errors="replace").strip()
                raise LabError(f"cannot make private namespaces: {said or 'no answer'}")
            line += byte
        return line

    def close(self) -> None:
        """End every process inside; the kernel then removes mounts, links and taps."""
        for stream in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            if stream is not None:
                stream.close()
        try:
            self._holder.wait(10)
        except subprocess.TimeoutExpired:
            self._holder.kill()
            self._holder.wait()

    def path(self, inside: Path) -> Path:
        """Return how a path inside (below a private mount) is reached from outside."""
        return Path(f"/proc/{self.pid}/root") / inside.relative_to("/")

    def _enter(self, argv: Sequence[str | Path]) -> list[str]:
        prefix = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--root", "--wd"]
        return [*prefix, "--", *map(str, argv)]

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        timeout: float = 30.0,
        check: bool = True,
        stdin: bytes | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program inside to its end: see run.run."""
        return run.run(self._enter(argv), timeout=timeout, check=check, stdin=stdin)

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
    ) -> Process:
        """Start a program inside that goes on running, and return it."""
        self._count += 1
        pid_file = self._folder / f"{name}-{self._count}.pid"
        keep_pid = ["/bin/sh", "-c", 'echo $$ >"$0"; exec "$@"', str(pid_file)]
        # Whoever started us in the background made us ignore SIGINT, which would be inherited.
        words = ["env", "--default-signal=INT", run.program(str(argv[0])), *map(str, argv[1:])]
        outer = run.start(
            self._enter([*keep_pid, *words]), stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds
        )
        return Process(self, name, outer, pid_file)
