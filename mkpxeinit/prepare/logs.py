"""Logs in memory, journald.conf(5)."""

from mkpxeinit.prepare.change import Change, Edit, Move, Proposal, drop_in, path
from mkpxeinit.prepare.package_database import ASIDE
from mkpxeinit.prepare.systemd import has_systemd, read_settings
from mkpxeinit.prepare.view import View

_FILE = "etc/systemd/journald.conf.d/50-mkpxeinit.conf"
_JOURNAL = "var/log/journal"
_DAEMONS = {"rsyslogd": "rsyslog", "syslog-ng": "syslog-ng"}


def propose(view: View) -> Proposal:
    """Keep the journal in /run, and the old one out of the /var that clients copy."""
    notes = tuple(
        f"{name} writes to /var/log, which is lost at power-off: let it send to a log host"
        for program, name in _DAEMONS.items()
        if view.exists(f"usr/sbin/{program}", f"usr/bin/{program}")
    )
    if not has_systemd(view):
        return Proposal((), notes)
    edits: list[Edit] = []
    if not _in_memory(view):
        lines = ("[Journal]", "Storage=volatile", "RuntimeMaxUse=32M")
        edits.append(drop_in(_FILE, lines, "a client has no disk for a journal."))
    aside = f"{ASIDE}/log/journal"
    if view.kind(_JOURNAL) == "folder" and view.names(_JOURNAL) and view.kind(aside) is None:
        if view.can_move(_JOURNAL, "usr/lib"):
            edits.append(Move(path(_JOURNAL), path(aside)))
        else:
            notes += (f"/{_JOURNAL} stays, and is copied by clients: another file system, or an overlay",)
    return Proposal(tuple(edits), notes)


def _in_memory(view: View) -> bool:
    folder = "etc/systemd/journald.conf.d"
    names = ["etc/systemd/journald.conf", *(f"{folder}/{name}" for name in view.names(folder, "*.conf"))]
    said = read_settings((view.text(name) or "" for name in names), "Journal").get("Storage", [])
    return said[-1:] in (["volatile"], ["none"])


CHANGE = Change(
    "logs", "a journal on a shared or copied /var costs memory, or is written to by all at once", propose
)
