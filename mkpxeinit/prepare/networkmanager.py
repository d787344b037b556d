"""NetworkManager: leaves Ethernet alone, NetworkManager.conf(5)."""

from mkpxeinit.prepare.change import Change, Proposal, drop_in
from mkpxeinit.prepare.view import View

_FILE = "etc/NetworkManager/conf.d/90-mkpxeinit.conf"
_KINDS = "type:ethernet,type:bond,type:vlan,type:bridge,type:team"


def propose(view: View) -> Proposal:
    """Make wired interfaces unmanaged, unless a file says something of the kind already."""
    if not view.exists("usr/sbin/NetworkManager", "usr/bin/NetworkManager"):
        return Proposal()
    folder = "etc/NetworkManager/conf.d"
    by_hand = ["etc/NetworkManager/NetworkManager.conf"]
    by_hand += [f"{folder}/{name}" for name in view.names(folder, "*.conf")]
    if any(_says_unmanaged(view.text(name) or "") for name in by_hand):
        return Proposal()
    lines = (
        "[main]",
        "no-auto-default=*",
        "[device-mkpxeinit]",
        f"match-device={_KINDS}",
        "managed=0",
        "[keyfile]",
        f"unmanaged-devices+={_KINDS}",
    )
    return Proposal((drop_in(_FILE, lines, "the root hangs on a wired interface, which pxeinit set up."),))


def _says_unmanaged(text: str) -> bool:
    words = [line.strip() for line in text.split("\n")]
    return any(w.partition("=")[0].rstrip(" +") == "unmanaged-devices" and "=" in w for w in words)


CHANGE = Change(
    "networkmanager", "NetworkManager would ask for a second lease, or take the interface down", propose
)
