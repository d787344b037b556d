"""/etc/fstab: no disks, no swap, no other root, fstab(5)."""

from mkpxeinit.prepare.change import MARK, Change, Proposal, write_text
from mkpxeinit.prepare.view import View, lines_of

_FILE = "etc/fstab"
_DISKS = ("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID=")
_MEMORY = ("/dev/zram", "/dev/ram", "/dev/shm")
_DISK_TYPES = ("zfs",)  # by name, without a device
# A root of one of these is what somebody wrote for a network root.
_NETWORK_ROOTS = ("nfs", "nfs4", "tmpfs", "overlay", "rootfs", "none")
# Nothing waits for these, and nothing fails without them.
_OPTIONAL = {"noauto", "nofail", "_netdev"}


def reason_against(line: str) -> str | None:
    """Return why a line of fstab goes; None if it stays."""
    fields = line.split()
    if len(fields) < 3 or fields[0].startswith("#"):
        return None
    spec, where, kind, *rest = fields
    spec = spec.replace('"', "")
    options = set(rest[0].split(",")) if rest else set()
    if where == "/":
        return None if kind in _NETWORK_ROOTS else "the root comes from the network"
    if options & _OPTIONAL or spec.startswith(_MEMORY):
        return None
    if kind == "swap":
        return "no disk to swap to"
    if spec.startswith(_DISKS) or kind in _DISK_TYPES:
        return "a disk of the machine installed on"
    return None


def propose(view: View) -> Proposal:
    """Comment out what no client has."""
    text = view.text(_FILE)
    if text is None:
        return Proposal()
    out = []
    for line in lines_of(text):
        reason = reason_against(line)
        out.append(line if reason is None else f"# {MARK}: {reason}: {line}")
    new = "".join(out)
    return Proposal() if new == text else Proposal((write_text(_FILE, new),))


CHANGE = Change(
    "fstab", "clients would wait for the disks, the swap and the root of the machine installed on", propose
)
