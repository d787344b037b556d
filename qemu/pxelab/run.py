"""The one place that starts other programs.

A list of arguments, no shell, a small clean environment, a deadline.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from .errors import DeadlineError, LabError, MissingProgramError

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PACKAGES = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nsenter": "util-linux",
    "qemu-system-x86_64": "qemu-system-x86",
    "ganesha.nfsd": "nfs-ganesha and nfs-ganesha-vfs",
    "rpcbind": "rpcbind",
    "dnsmasq": "dnsmasq-base",
}

_KEPT_VARIABLES = ("TMPDIR", "http_proxy", "https_proxy", "no_proxy", "SOURCE_DATE_EPOCH")


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that every program gets: C locale, system PATH, proxies."""
    env = {"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", "HOME": os.environ.get("HOME", "/root")}
    env.update({key: os.environ[key] for key in _KEPT_VARIABLES if key in os.environ})
    env.update(extra or {})
    return env


def program(name: str) -> str:
    """Return the full path of a program.

    Raises MissingProgramError, which names the Debian package to install.
    """
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        package = _PACKAGES.get(name, name)
        raise MissingProgramError(
            f"{name} is not installed (Debian package {package}: apt-get install {package})"
        )
    return found


def need_file(candidates: Sequence[str], what: str, package: str) -> Path:
    """Return the first of the files that exists, or raise MissingProgramError."""
    for candidate in candidates:
        path = Path(candidate)
        if path.exists():
            return path
    raise MissingProgramError(
        f"{what} not found at {' or '.join(candidates)} (Debian package {package}: apt-get install {package})"
    )


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    stdin: bytes | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end and return its status, stdout and stderr.

    Raises LabError when it fails (unless `check` is false), DeadlineError after
    `timeout` seconds.
    """
    words = [program(str(argv[0])), *map(str, argv[1:])]
    try:
        done = subprocess.run(
            words,
            input=b"" if stdin is None else stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
            env=clean_environment(env),
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as late:
        raise DeadlineError(f"{' '.join(words)}: not finished after {timeout:.0f} s") from late
    if check and done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-2000:]
        raise LabError(f"{' '.join(words)}: exit status {done.returncode}\n{said}")
    return done


def start(
    argv: Sequence[str | Path],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program that goes on running, in a session of its own.

    The session keeps Ctrl-C of the terminal away from it: the caller ends it in order.
    """
    return subprocess.Popen(
        [program(str(argv[0])), *map(str, argv[1:])],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=clean_environment(),
        pass_fds=tuple(pass_fds),
        start_new_session=True,
    )
