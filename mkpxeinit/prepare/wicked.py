"""wicked of openSUSE: STARTMODE nfsroot, which never goes down, and no DHCP, ifcfg(5)."""

import re

from mkpxeinit.prepare.change import MARK, Change, Proposal, Write, write_text
from mkpxeinit.prepare.view import View, lines_of

_FOLDER = "etc/sysconfig/network"
_STARTS = ("auto", "onboot", "hotplug", "ifplugd", "on", "boot")
_BACKUPS = ("~", ".bak", ".orig", ".old", ".rpmnew", ".rpmsave", ".swp", ".scpmbackup")
_LINE = re.compile(r"\s*(STARTMODE|BOOTPROTO)=[\"']?([A-Za-z0-9+_-]*)[\"']?\s*(#.*)?$")
_NEW = {"STARTMODE": "STARTMODE='nfsroot'\n", "BOOTPROTO": "BOOTPROTO='none'\n"}


def propose(view: View) -> Proposal:
    """Edit each interface that comes up by itself."""
    edits: list[Write] = []
    for name in view.names(_FOLDER, "ifcfg-*"):
        if name in ("ifcfg-lo", "ifcfg.template") or name.endswith(_BACKUPS):
            continue
        file = f"{_FOLDER}/{name}"
        text = view.text(file)
        if text is not None and (new := as_nfsroot(text)) != text:
            edits.append(write_text(file, new))
    return Proposal(tuple(edits))


def as_nfsroot(text: str) -> str:
    """Return the text of an ifcfg file that leaves the address to whoever set it up."""
    lines = lines_of(text)
    found = [_LINE.match(line.rstrip("\n")) for line in lines]
    values = {match[1]: match[2].lower() for match in found if match}  # the last one counts
    if values.get("STARTMODE", "manual") not in _STARTS:
        return text
    out = []
    for line, match in zip(lines, found, strict=True):
        out.append(f"# {MARK}: the root hangs on it: {line}" if match else line)
    if out and not out[-1].endswith("\n"):
        out[-1] += "\n"
    return "".join(out) + _NEW["BOOTPROTO"] + _NEW["STARTMODE"]


CHANGE = Change("wicked", "wicked would ask for a second lease, and end the first one when it stops", propose)
