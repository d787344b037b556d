"""Seeds, secrets and leases that belong to one machine."""

from mkpxeinit.prepare.change import Change, Edit, Proposal, Remove, path
from mkpxeinit.prepare.view import View

_FILES = (
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "var/lib/urandom/random-seed",
    "var/lib/misc/random-seed",
    "var/lib/seedrng/seed.credit",
    "var/lib/seedrng/seed.no-credit",
    "var/lib/NetworkManager/secret_key",
    "var/lib/dhcpcd/duid",
    "var/lib/dhcpcd/secret",
    "etc/nvme/hostid",
    "etc/nvme/hostnqn",
    "etc/hostid",
    # Rules that udev once wrote for the hardware addresses of one machine.
    "etc/udev/rules.d/70-persistent-net.rules",
    "etc/udev/rules.d/70-persistent-cd.rules",
)
_FOLDERS = ("var/lib/dhcp", "var/lib/dhclient", "var/lib/NetworkManager", "var/lib/dhcpcd", "var/lib/wicked")


def propose(view: View) -> Proposal:
    """Remove them; what is missing is made anew at boot."""
    files = [name for name in _FILES if view.kind(name) == "file"]
    for folder in _FOLDERS:
        files += [f"{folder}/{name}" for name in view.names(folder, "*lease*")]
    edits: list[Edit] = [Remove(path(name)) for name in files if view.kind(name) == "file"]
    return Proposal(tuple(edits))


CHANGE = Change(
    "identity", "clients would share random seeds, leases and names of devices of one machine", propose
)
