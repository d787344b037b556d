"""SELinux: NFS keeps no labels, so nothing is relabelled and nothing refused, selinux(8)."""

import re

from mkpxeinit.prepare.change import MARK, Change, Edit, Proposal, Remove, path, write_text
from mkpxeinit.prepare.systemd import mask
from mkpxeinit.prepare.view import View, lines_of

_FILE = "etc/selinux/config"
_UNITS = ("selinux-autorelabel.service", "selinux-autorelabel-mark.service", "selinux-autorelabel.target")


def propose(view: View) -> Proposal:
    """Set permissive where it is enforcing; no relabelling at boot."""
    found = mask(view, _UNITS)
    edits: list[Edit] = list(found.edits)
    edits += [Remove(path(name)) for name in (".autorelabel",) if view.kind(name) == "file"]
    text = view.text(_FILE)
    if text is not None:
        new = "".join(_permissive(line) for line in lines_of(text))
        edits += [write_text(_FILE, new)] if new != text else []
    return Proposal(tuple(edits), found.notes)


def _permissive(line: str) -> str:
    if not re.match(r"\s*SELINUX\s*=\s*enforcing\s*$", line):
        return line
    return f"# {MARK}: NFS keeps no labels: {line.rstrip()}\nSELINUX=permissive\n"


CHANGE = Change(
    "selinux", "files on NFS have no labels: nothing to relabel, and enforcing stops the boot", propose
)
