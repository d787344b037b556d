"""Package managers at work in a tree: whether one is, and when one was last.

Each has a database that it writes when packages are installed or removed, and a lock meanwhile.
Seen from outside that is all there is: the tree's own hooks run in its chroot, or not at all.
"""

import fcntl
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from mkpxeinit.errors import SysrootError
from mkpxeinit.sysroot import Sysroot, open_regular

# mkpxeinit-hook@.path watches them, too: dpkg, rpm in its new and its old places, pacman, apk.
DATABASES = (
    "var/lib/dpkg/status",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/Packages.db",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages.db",
    "var/lib/rpm/Packages",
    "var/lib/pacman/local",
    "lib/apk/db/installed",
)
# Locked by fcntl(2) from the first package to the last: by apt, dpkg, rpm. apk's flock(2) cannot be looked
# at without being taken.
_LOCKS = (
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/lock",
    "usr/lib/sysimage/rpm/.rpm.lock",
    "var/lib/rpm/.rpm.lock",
)
_PRESENT = "var/lib/pacman/db.lck"  # there as long as pacman runs
# struct flock of fcntl(2): type, whence, start, length, process.
_FLOCK = "hhqqi"
QUIET = 3.0  # seconds without a change; apt runs dpkg several times, and others have no lock
LIMIT = 3600.0  # seconds; a lock that is held for longer is not waited for
_PAUSE = 0.5  # seconds from look to look

Seen = tuple[tuple[int, int, int] | None, ...]


def look(sysroot: Sysroot) -> Seen:
    """Return something that is another one after each transaction."""
    found: list[tuple[int, int, int] | None] = []
    for name in DATABASES:
        try:
            status = sysroot.resolve(name).lstat()
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
        except (SysrootError, OSError):
            found.append(None)
    return tuple(found)


def running(sysroot: Sysroot) -> str | None:
    """Return the lock that a package manager of the tree holds, as messages name it; None if none does."""
    for name in _LOCKS:
        with suppress(SysrootError, OSError), open_regular(sysroot.resolve(name)) as file:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0)
            if struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK:
                return sysroot.show(name)
    return sysroot.show(_PRESENT) if sysroot.exists(_PRESENT) else None


def wait(sysroot: Sysroot, say: Callable[[str], None], pause: Callable[[float], None] = time.sleep) -> Seen:
    """Wait until no package manager has been at work in the tree for some seconds; return how it looks then.

    `say` hears what is waited for, and that it is not waited for any longer.
    """
    waited = since = 0.0
    seen, told = look(sysroot), False
    while waited < LIMIT:
        lock, here = running(sysroot), look(sysroot)
        if lock or here != seen:
            seen, since = here, waited
        elif waited - since >= QUIET:
            return seen
        if lock and not told:
            say(f"{lock}: held by a package manager; waiting until it is done")
            told = True
        pause(_PAUSE)
        waited += _PAUSE
    say(f"{sysroot.show('/')}: a package manager is at work for {LIMIT / 60:.0f} minutes; going on")
    return seen
