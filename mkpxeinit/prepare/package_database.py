"""Package databases and caches: not in the /var that each client copies into memory."""

from mkpxeinit.prepare.change import Change, Edit, Link, Move, Proposal, Remove, path
from mkpxeinit.prepare.view import View

ASIDE = "usr/lib/mkpxeinit/var"
# What the client leaves where it is, and links to: package_folders of init/lib/tree.sh.
CLIENT_LINKS = (
    *("lib/dpkg", "lib/apt", "lib/rpm", "lib/pacman", "lib/dnf", "cache/apt", "cache/pacman", "cache/dnf"),
    *("cache/zypp", "cache/debconf"),
)
FOLDERS = (
    "lib/PackageKit",
    "lib/zypp",
    "lib/yum",
    "lib/selinux",
    "lib/mlocate",
    "lib/plocate",
    "lib/command-not-found",
    "lib/swcatalog",
    "lib/app-info",
    "lib/xbps",
    "db/pkg",
    "db/repos",
    "db/xbps",
    "cache/libdnf5",
    "cache/yum",
    "cache/PackageKit",
    "cache/apk",
    "cache/swcatalog",
    "cache/app-info",
    "cache/pkgfile",
    "cache/edb",
    "cache/distfiles",
    "cache/binpkgs",
    "cache/man",
    "cache/fontconfig",
)
_LOCKS = ("var/lib/pacman/db.lck", "var/lib/rpm/.rpm.lock", "var/cache/apk/.lock")
_TMPFILES = ("usr/lib/tmpfiles.d", "lib/tmpfiles.d", "etc/tmpfiles.d")


def propose(view: View) -> Proposal:
    """Move each folder to /usr and link to it, unless something else may want it to be a folder."""
    edits: list[Edit] = [Remove(path(name)) for name in _locks(view)]
    notes = []
    guarded = _tmpfiles(view)
    for name in FOLDERS:
        source, target = f"var/{name}", f"{ASIDE}/{name}"
        if view.kind(source) != "folder" or not view.names(source):
            continue
        if f"/{source}" in guarded:
            notes.append(f"/{source} stays, and is copied by clients: systemd-tmpfiles wants a folder there")
        elif view.kind(target) is not None:
            notes.append(f"/{source} stays: /{target} is there already")
        elif not view.can_move(source, "usr/lib"):
            notes.append(f"/{source} stays: it cannot be moved to /usr, another file system or an overlay")
        else:
            edits += [Move(path(source), path(target)), Link(path(source), f"/{target}")]
    return Proposal(tuple(edits), tuple(notes))


def _locks(view: View) -> list[str]:
    """Return what a package manager that was killed left."""
    found = [*_LOCKS, *(f"var/lib/rpm/{name}" for name in view.names("var/lib/rpm", "__db.*"))]
    return [name for name in found if view.kind(name) == "file"]


def _tmpfiles(view: View) -> frozenset[str]:
    """Return the paths that tmpfiles.d(5) names."""
    files = (f"{folder}/{name}" for folder in _TMPFILES for name in view.names(folder, "*.conf"))
    lines = (line.split() for file in files for line in (view.text(file) or "").split("\n"))
    return frozenset(words[1].rstrip("/") for words in lines if len(words) > 1 and words[0][0] != "#")


CHANGE = Change(
    "package-database",
    "where /var is copied into memory, what only the server changes would be, too",
    propose,
)
