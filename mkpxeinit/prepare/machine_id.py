"""/etc/machine-id: one a machine, not one a tree, machine-id(5)."""

from mkpxeinit.prepare.change import Change, Edit, Link, Proposal, Remove, path, write_text
from mkpxeinit.prepare.systemd import has_systemd
from mkpxeinit.prepare.view import View

_ID = "etc/machine-id"
_DBUS = "var/lib/dbus/machine-id"


def propose(view: View) -> Proposal:
    """Empty it where systemd is; elsewhere remove it, since an empty one is an error for dbus."""
    edits: list[Edit] = []
    text = view.text(_ID)
    if has_systemd(view):
        # It must be there: on a read-only root systemd can only mount over it.
        if text is None and view.kind(_ID) is None:
            edits.append(write_text(_ID, "", 0o444))
        elif text is not None and text.strip() not in ("", "uninitialized"):
            edits.append(write_text(_ID, ""))
        if view.kind(_DBUS) == "file":
            edits.append(Link(path(_DBUS), "/etc/machine-id"))
        return Proposal(tuple(edits))
    if text is not None and view.kind(_ID) == "file":
        edits.append(Remove(path(_ID)))
    if view.kind(_DBUS) == "file":
        edits.append(Remove(path(_DBUS)))
    return Proposal(tuple(edits))


CHANGE = Change("machine-id", "all clients would be one machine: to DHCP servers, the journal, dbus", propose)
