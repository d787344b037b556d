"""Checks and care of disks."""

from mkpxeinit.prepare.change import Change, Proposal
from mkpxeinit.prepare.openrc import switch_off
from mkpxeinit.prepare.systemd import mask
from mkpxeinit.prepare.view import View

UNITS = (
    "systemd-fsck-root.service",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "xfs_scrub_all.timer",
    "fstrim.timer",
    "mdcheck_*.timer",
    "raid-check.timer",
    "mdmonitor-oneshot.timer",
    "btrfs-*.timer",
    "btrfsmaintenance-refresh.path",
    "snapper-*.timer",
    "fsck_tools.service",
)


def propose(view: View) -> Proposal:
    """Mask what checks, trims or scrubs disks; out of OpenRC's runlevels too."""
    found = mask(view, UNITS)
    return Proposal((*found.edits, *switch_off(view, ("fsck",))), found.notes)


CHANGE = Change("fsck", "there is no disk to check, trim or scrub, and on NFS it fails", propose)
