"""What ldconfig, systemd-hwdb and journalctl would make at each boot: made once, by the tree's programs."""

from dataclasses import dataclass

from mkpxeinit.errors import SysrootError
from mkpxeinit.prepare.change import Change, Edit, Proposal, Write, path
from mkpxeinit.prepare.view import View


@dataclass(frozen=True, slots=True)
class _Database:
    """A file, the program that writes it, and what it is made from: files, and the files in folders."""

    file: str
    others: tuple[str, ...]  # where it may be instead
    program: tuple[str, ...]
    sources: tuple[str, ...]


_ALL = (
    _Database(
        "etc/ld.so.cache",
        (),
        ("sbin/ldconfig",),
        ("etc/ld.so.conf", "etc/ld.so.conf.d"),
    ),
    _Database(
        "etc/udev/hwdb.bin",
        ("usr/lib/udev/hwdb.bin", "lib/udev/hwdb.bin"),
        ("usr/bin/systemd-hwdb", "update"),
        ("usr/lib/udev/hwdb.d", "etc/udev/hwdb.d"),
    ),
    _Database(
        "var/lib/systemd/catalog/database",
        (),
        ("usr/bin/journalctl", "--update-catalog"),
        ("usr/lib/systemd/catalog",),
    ),
)


def propose(view: View) -> Proposal:
    """Make those that are missing or older than what they are made from, if programs may run."""
    edits: list[Edit] = []
    notes = []
    for each in _ALL:
        if not view.exists(each.program[0]) or not _is_stale(view, each):
            continue
        if view.run is None:
            notes.append(
                f"/{each.file} is missing or old: --chroot lets the tree's {each.program[0]} make it"
            )
            continue
        data = view.run(each.program, each.file)
        edits.append(Write(path(each.file), data))
    return Proposal(tuple(edits), tuple(notes))


def _is_stale(view: View, database: _Database) -> bool:
    """Say whether the database is older than its sources; without sources there need be none."""
    sources = [time for name in database.sources for time in _times(view, name)]
    if not sources:
        return False
    made = max((_time(view, name) for name in (database.file, *database.others)), default=0)
    return made < max(sources)


def _times(view: View, name: str) -> list[int]:
    found = [_time(view, f"{name}/{each}") for each in view.names(name)]
    return found if view.sysroot.is_dir(name) else [_time(view, name)] if view.exists(name) else []


def _time(view: View, name: str) -> int:
    """Return when `name` was written, in nanoseconds; 0 if it is not there."""
    try:
        return view.sysroot.resolve(name).lstat().st_mtime_ns
    except (OSError, SysrootError):
        return 0


CHANGE = Change(
    "boot-databases",
    "made once by the tree's programs (--chroot), not by each client at boot",
    propose,
)
