"""What cannot work on a network root."""

from mkpxeinit.prepare.change import Change, Edit, Link, Proposal, path
from mkpxeinit.prepare.openrc import switch_off
from mkpxeinit.prepare.systemd import NULL, mask
from mkpxeinit.prepare.view import View

UNITS = (
    "systemd-remount-fs.service",
    "systemd-growfs-root.service",
    "systemd-repart.service",
    "systemd-quotacheck.service",
    "systemd-quotacheck-root.service",
    "quotaon.service",
    "quotaon-root.service",
    "systemd-boot-update.service",
    "systemd-firstboot.service",
    "growpart.service",
    "grub-common.service",
    "grub-initrd-fallback.service",
)
_GENERATORS = ("systemd-gpt-auto-generator", "systemd-hibernate-resume-generator")
_ETC_GENERATORS = "etc/systemd/system-generators"


def propose(view: View) -> Proposal:
    """Mask units and generators (systemd.generator(7)); out of OpenRC's runlevels too."""
    found = mask(view, UNITS)
    edits: list[Edit] = [*found.edits, *switch_off(view, ("root", "swap"))]
    for name in _GENERATORS:
        there = view.exists(
            f"usr/lib/systemd/system-generators/{name}", f"lib/systemd/system-generators/{name}"
        )
        if there and view.kind(f"{_ETC_GENERATORS}/{name}") is None:
            edits.append(Link(path(f"{_ETC_GENERATORS}/{name}"), NULL))
    return Proposal(tuple(edits), found.notes)


CHANGE = Change(
    "network-root", "they look for the root's disk, remount it, let it grow, or ask at the console", propose
)
