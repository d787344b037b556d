"""/etc/nfsmount.conf: the clients' other NFS mounts wait as the root does, nfsmount.conf(5)."""

from mkpxeinit.prepare.change import HEADER, Change, Proposal, write_text
from mkpxeinit.prepare.view import View

_FILE = "etc/nfsmount.conf"
_LINES = (
    f"{HEADER}: a server that is away for a while is waited for, as with the root.\n"
    "[ NFSMount_Global_Options ]\nHard=True\n"
)


def propose(view: View) -> Proposal:
    """Add the option, unless the file has settings already."""
    if not view.exists("sbin/mount.nfs", "usr/sbin/mount.nfs", "usr/bin/mount.nfs"):
        return Proposal()
    text = view.text(_FILE) or ""
    lines = [line.strip() for line in text.split("\n")]
    if any("=" in line and line[0] not in "#;" for line in lines):
        return Proposal()
    end = "" if not text or text.endswith("\n") else "\n"
    return Proposal((write_text(_FILE, f"{text}{end}{_LINES}"),))


CHANGE = Change("nfsmount.conf", "a mount that gives up breaks what runs, one that waits does not", propose)
