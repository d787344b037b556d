"""What hooks could not do, kept until it is done: /var/lib/mkpxeinit/hooks.json.

A package manager's messages scroll away; this is what `hook status` and the next run tell.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import HookError, os_cause, printable
from mkpxeinit.image.output import replacing
from mkpxeinit.sysroot import read_regular

FILE = PurePosixPath("/var/lib/mkpxeinit/hooks.json")
_MAX = 1 << 20  # bytes
_LOCK_SECONDS = 10.0  # it is held for milliseconds
_MOST = 100  # failures that are kept, the newest


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed: the action (add, remove, update) for a tree and a release, when (seconds since 1970), why.

    The tree is empty if the configuration itself could not be read, the release if it was an update, the
    configuration's path if it was the one that hooks have.
    """

    action: str
    tree: str
    release: str
    when: int
    cause: str
    config: str = ""

    def __str__(self) -> str:
        what = f"{self.action} {self.release}".strip()
        return printable(f"{what}, tree {self.tree}: {self.cause}" if self.tree else f"{what}: {self.cause}")


def default_file(environment: Mapping[str, str], user: int) -> Path:
    """Return where the user of that number keeps it: root in /var/lib, whatever the environment says.

    One place for the hooks that package managers call and for who looks after them by hand. That of
    others is as the XDG Base Directory Specification says: below `$XDG_STATE_HOME`, or ~/.local/state.
    """
    if user == 0:
        return Path(FILE)
    given = environment.get("XDG_STATE_HOME", "")
    top = Path(given) if given.startswith("/") else Path.home() / ".local/state"
    return top / "mkpxeinit" / FILE.name


def read(path: Path) -> tuple[Failure, ...]:
    """Return the failures kept in the file `path`; HookError if it is not as we write it."""
    try:
        data = json.loads(read_regular(path, _MAX))
        return tuple(
            Failure(
                str(each["action"]),
                str(each["tree"]),
                str(each["release"]),
                int(each["when"]),
                str(each["cause"]),
                str(each.get("config", "")),
            )
            for each in data["failures"]
        )
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise HookError(f"{printable(path)}: {os_cause(error)}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise HookError(f"{printable(path)}: not as mkpxeinit writes it; remove it") from error


def merge(
    old: tuple[Failure, ...], done: tuple[tuple[str, str], ...], new: tuple[Failure, ...], config: str = ""
) -> tuple[Failure, ...]:
    """Return the failures that are open now; `done` are the trees and releases of `config` that went well."""
    gone = {*done, *((each.tree, each.release) for each in new)}
    kept = (each for each in old if each.config != config or (each.tree, each.release) not in gone)
    return (*kept, *new)[-_MOST:]


def write(path: Path, failures: tuple[Failure, ...]) -> None:
    """Keep `failures` in the file `path`, whole; no file if there are none. ImageError or OSError."""
    if not failures:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write((json.dumps({"failures": [asdict(each) for each in failures]}, indent=2) + "\n").encode())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the state at `path`. HookError if another run has it for ten seconds; OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path.with_suffix(".lock"), flags, 0o600)
    try:
        end = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise HookError(f"{printable(path)}: another run holds its lock") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
