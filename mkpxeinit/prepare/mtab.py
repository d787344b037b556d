"""/etc/mtab: the kernel's list of mounts, mount(8)."""

from mkpxeinit.prepare.change import Change, Link, Proposal, path
from mkpxeinit.prepare.view import View

_KERNELS = ("/proc/mounts", "/proc/self/mounts")


def propose(view: View) -> Proposal:
    """Make it a link to /proc, unless it is one."""
    target = view.target("etc/mtab")
    if target is not None and f"/{target.removeprefix('../').lstrip('/')}" in _KERNELS:
        return Proposal()
    return Proposal((Link(path("etc/mtab"), "../proc/self/mounts"),))


CHANGE = Change("mtab", "a file /etc/mtab would list the mounts of the machine it was written on", propose)
