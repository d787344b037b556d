"""Probing for the hardware of one machine."""

from mkpxeinit.prepare.change import Change, Proposal
from mkpxeinit.prepare.openrc import switch_off
from mkpxeinit.prepare.systemd import mask
from mkpxeinit.prepare.view import View

UNITS = (
    "kudzu.service",
    "hwscan*.service",
    "lvm2-monitor.service",
    "lvm2-lvmetad.*",
    "blk-availability.service",
    "mdmonitor.service",
    "dmraid-activation.service",
    "smartd.service",
    "smartmontools.service",
    "hddtemp.service",
    # What these make is in the tree, made once, on the server.
    "systemd-hwdb-update.service",
    "ldconfig.service",
    "systemd-journal-catalog-update.service",
    "systemd-update-done.service",
)


def propose(view: View) -> Proposal:
    """Mask what looks for disks, or rebuilds databases at each boot."""
    found = mask(view, UNITS)
    return Proposal((*found.edits, *switch_off(view, ("lvm", "mdadm", "mdadm-raid", "smartd"))), found.notes)


CHANGE = Change(
    "hardware", "each client would look for disks, and rebuild databases that the tree has", propose
)
