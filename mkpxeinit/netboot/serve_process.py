"""The servers that `mkpxeinit serve` starts: found, started, watched, ended. Programs are run here alone."""

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from mkpxeinit.errors import ServerError, os_cause, printable

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {"PATH": _PATH, "LC_ALL": "C"}
_PACKAGES = {
    "sh": "dash",
    "dnsmasq": "dnsmasq-base",
    "nginx": "nginx-light",
    "ganesha.nfsd": "nfs-ganesha and nfs-ganesha-vfs",
    "rpcbind": "rpcbind",
    "ip": "iproute2",
    "exportfs": "nfs-kernel-server",
    "rpc.nfsd": "nfs-kernel-server",
    "rpc.mountd": "nfs-kernel-server",
    "umount": "mount",
}
_GUARD = 'all=; while read -r pid; do all="$all $pid"; done; [ -z "$all" ] || kill $all'
_STOP_SECONDS = 5.0
_LONGEST_LINE = 4096  # bytes of what a server says
_WORST = 3  # lines, the first: the cause comes before what follows from it
_NEVER = re.compile("(?!)()")


def search(name: str) -> str | None:
    """Return where a program is, None if it is not installed."""
    return shutil.which(name, path=_PATH)


def program(name: str) -> str:
    """Return where a program is. Raises ServerError that names its package."""
    found = search(name)
    if found is None:
        raise ServerError(f"{name} is not installed; on Debian: apt-get install {_PACKAGES.get(name, name)}")
    return found


def run(words: Sequence[str], seconds: float = 20.0) -> None:
    """Run a program to its end. Raises ServerError with its last line if it fails, or takes longer."""
    argv = [program(words[0]), *words[1:]]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env=_ENVIRONMENT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServerError(f"{' '.join(words)}: not finished after {seconds:.0f} s") from None
    except OSError as error:
        raise ServerError(f"{words[0]}: {os_cause(error)}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise ServerError(printable(f"{' '.join(words)}: {said[-1] if said else f'exit {done.returncode}'}"))


class Server:
    """A server in the foreground of its own session: Ctrl-C of our terminal does not reach it."""

    def __init__(self, words: Sequence[str], log: Path) -> None:
        """Start it. What it says goes to us, by `lines`, and to the file."""
        self.name = words[0]
        self.own_log: Path | None = None  # the file that it keeps itself
        self.worst = _NEVER  # what its worst lines are; the group is what they say
        self._said = log
        self._rest = b""
        self._log = log.open("ab", buffering=0)
        try:
            self._process = subprocess.Popen(
                [program(words[0]), *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            self._log.close()
            raise ServerError(f"{self.name}: {os_cause(error)}") from None
        assert self._process.stdout is not None
        self._out = self._process.stdout
        os.set_blocking(self._out.fileno(), False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Return what to wait at for lines."""
        return self._out.fileno()

    @property
    def running(self) -> bool:
        """True as long as it has not ended."""
        return self._process.poll() is None

    def lines(self) -> list[str]:
        """Return what it has said since the last time, whole lines only; never waits."""
        found: list[str] = []
        while True:
            try:
                piece = self._out.read(65536)
            except (BlockingIOError, ValueError):
                piece = None
            if not piece:
                return found
            self._log.write(piece)
            *whole, self._rest = (self._rest + piece).split(b"\n")
            self._rest = self._rest[-_LONGEST_LINE:]
            found += [printable(line[:_LONGEST_LINE].decode(errors="replace")) for line in whole]

    def last_words(self) -> str:
        """Return what its worst lines say, or its last line, for an error."""
        self.lines()
        lines: list[str] = []
        for path in (self._said, self.own_log):
            if path and path.exists():
                lines += path.read_text(errors="replace").strip().splitlines()
        worst = [found[1] for line in lines if (found := self.worst.search(line))]
        shown = worst[:_WORST] or lines[-1:]
        return printable("; ".join(line[:300] for line in shown)) or "it said nothing"

    def stop(self) -> None:
        """End it: TERM, and KILL if it does not obey in time."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.running:
                break
            self._process.send_signal(number)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()
        # It is the first of its own group: whom it has started, such as nginx's workers, goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.lines()
        self._out.close()
        self._log.close()


class Guard:
    """Ends the servers when this process is killed outright: else they would serve for ever.

    A shell that reads their process ids from a pipe whose other end is ours alone. (The kernel's own signal
    at the death of a parent, PR_SET_PDEATHSIG, is forgotten by servers that change their user.)
    """

    def __init__(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [program("sh"), "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )

    def start(self, words: Sequence[str], log: Path) -> Server:
        """Start a server that is guarded. Raises ServerError."""
        server = Server(words, log)
        assert self._process.stdin is not None
        self._process.stdin.write(b"%d\n" % server.pid)
        self._process.stdin.flush()
        return server

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it before its pipe ends: the servers have ended, their process ids may be others'."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


def wait_readable(files: Sequence[object], seconds: float) -> list[object]:
    """Return those of the files (with `fileno`) that can be read, none after `seconds`."""
    with selectors.DefaultSelector() as selector:
        for each in files:
            selector.register(each, selectors.EVENT_READ)  # type: ignore[arg-type]
        return [key.fileobj for key, _ in selector.select(seconds)]
