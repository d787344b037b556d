"""systemd's units in a tree: which are there, which are masked or enabled (systemd.unit(5))."""

import fnmatch
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from mkpxeinit.prepare.change import Link, Proposal, path
from mkpxeinit.prepare.view import View

ETC = "etc/systemd/system"
VENDOR = ("usr/lib/systemd/system", "lib/systemd/system", "usr/local/lib/systemd/system")
NULL = "/dev/null"


def has_systemd(view: View) -> bool:
    """Say whether systemd is installed."""
    return view.exists("usr/lib/systemd/systemd", "lib/systemd/systemd")


def units(view: View) -> frozenset[str]:
    """Return the names of all units that packages brought."""
    return frozenset(name for folder in VENDOR for name in view.names(folder))


def is_masked(view: View, unit: str) -> bool:
    """Say whether `unit` is masked: a link to /dev/null, or an empty file."""
    name = f"{ETC}/{unit}"
    return view.target(name) == NULL or (view.kind(name) == "file" and view.data(name) == b"")


def enabled(view: View, suffix: str) -> frozenset[str]:
    """Return the units whose names end with `suffix` and that another unit wants, and is not masked."""
    found: set[str] = set()
    for folder in (ETC, *VENDOR):
        for wants in (*view.names(folder, "*.wants"), *view.names(folder, "*.requires")):
            found.update(view.names(f"{folder}/{wants}", f"*{suffix}"))
    return frozenset(name for name in found if not is_masked(view, name))


def mask(view: View, patterns: Iterable[str]) -> Proposal:
    """Return the links to /dev/null for the units that match `patterns`; what this site made stays."""
    edits, notes = [], []
    there = units(view)
    wanted = {name for pattern in patterns for name in there if fnmatch.fnmatchcase(name, pattern)}
    for name in sorted(wanted):
        place = f"{ETC}/{name}"
        if is_masked(view, name):
            continue
        if view.kind(place) is None:
            edits.append(Link(path(place), NULL))
        else:
            notes.append(f"/{place} is this site's own, and is left alone")
    return Proposal(tuple(edits), tuple(notes))


def settings(view: View, unit: str, section: str) -> dict[str, list[str]]:
    """Return what `unit` and its drop-ins say in `section`, later ones last; an empty value clears a key."""
    folders = (*reversed(VENDOR), ETC)
    files = [name for folder in (ETC, *VENDOR) if view.sysroot.is_file(name := f"{folder}/{unit}")][:1]
    inside = {name: folder for folder in folders for name in view.names(f"{folder}/{unit}.d", "*.conf")}
    files += [f"{inside[name]}/{unit}.d/{name}" for name in sorted(inside)]
    return read_settings((view.text(name) or "" for name in files), section)


def read_settings(texts: Iterable[str], section: str) -> dict[str, list[str]]:
    """Return the keys of `section` in files of systemd.syntax(7)."""
    found: dict[str, list[str]] = {}
    for text in texts:
        here = ""
        for line in re.sub(r"\\\n", " ", text).split("\n"):
            line = line.strip()
            if line.startswith("[") and line.endswith("]"):
                here = line[1:-1]
            elif here == section and "=" in line and line[0] not in "#;":
                key, _, value = line.partition("=")
                values = found.setdefault(key.strip(), [])
                if value.strip():
                    values.append(value.strip())
                else:
                    values.clear()
    return found


def unit_path(unit: str) -> PurePosixPath:
    """Return the path of a unit that this site makes."""
    return PurePosixPath(ETC, unit)
