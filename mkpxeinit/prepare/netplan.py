"""netplan: descriptions of wired networks are set aside, netplan(5)."""

import re

from mkpxeinit.prepare.change import Change, Proposal, Remove, path
from mkpxeinit.prepare.view import View

_FOLDER = "etc/netplan"
_WIRED = re.compile(
    r"""(?m)^[ \t{,]*["']?(ethernets|bonds|bridges|vlans)["']?[ \t]*:|\{[^}\n]*\bethernets\b"""
)


def propose(view: View) -> Proposal:
    """Remove the files that describe wired networks; --undo brings them back."""
    edits: list[Remove] = []
    notes = []
    for name in view.names(_FOLDER, "*.yaml"):
        file = f"{_FOLDER}/{name}"
        if _WIRED.search(view.text(file) or ""):
            edits.append(Remove(path(file)))
            notes.append(f"/{file} described wired networks, and is removed whole")
    return Proposal(tuple(edits), tuple(notes))


CHANGE = Change(
    "netplan", "netplan would have the boot interface configured again, and wait for others", propose
)
