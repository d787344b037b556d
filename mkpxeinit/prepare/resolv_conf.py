"""/etc/resolv.conf: the name servers of the client's own lease, which pxeinit leaves in /run."""

import posixpath

from mkpxeinit.prepare.change import Change, Link, Proposal, path
from mkpxeinit.prepare.view import View

TARGET = "/run/pxeinit/resolv.conf"  # init/lib/handoff.sh
# Who fills these knows nothing of the boot interface's lease; by hand, others in /run and /var are in use.
_MANAGERS = ("systemd/resolve", "resolvconf", "NetworkManager", "netconfig", "connman")


def propose(view: View) -> Proposal:
    """Make it a link to pxeinit's, unless somebody has led it to another file of the client's own."""
    target = view.target("etc/resolv.conf")
    if target is not None:
        inside = posixpath.normpath(posixpath.join("/etc", target)).replace("/var/run/", "/run/", 1)
        managed = any(inside.startswith(f"/run/{name}/") for name in _MANAGERS)
        if inside.startswith(("/run/", "/var/")) and not managed:
            return Proposal()
    return Proposal((Link(path("etc/resolv.conf"), TARGET),))


CHANGE = Change(
    "resolv.conf",
    "the name servers are those of each client's lease",
    propose,
)
