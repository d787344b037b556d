"""dhcpcd: stays away from wired interfaces, dhcpcd.conf(5)."""

from mkpxeinit.prepare.change import MARK, Change, Proposal, write_text
from mkpxeinit.prepare.view import View

_FILE = "etc/dhcpcd.conf"
_DENY = "denyinterfaces en* eth* bond* vlan*"


def propose(view: View) -> Proposal:
    """Put denyinterfaces on top, unless the file says already which interfaces are dhcpcd's."""
    text = view.text(_FILE)
    if text is None:
        return Proposal()
    words = {line.split()[0] for line in text.split("\n") if line.split()}
    if words & {"denyinterfaces", "allowinterfaces"}:
        return Proposal()
    # On top: what stands behind an `interface` line is for that interface alone.
    return Proposal((write_text(_FILE, f"# {MARK}: the root hangs on one of these\n{_DENY}\n{text}"),))


CHANGE = Change(
    "dhcpcd", "dhcpcd would ask for a second lease and take the address away when it stops", propose
)
