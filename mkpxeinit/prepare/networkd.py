"""systemd-networkd: of Ethernet only what pxeinit says of the boot interface, systemd.network(5)."""

from mkpxeinit.prepare.change import Change, Proposal, drop_in
from mkpxeinit.prepare.systemd import ETC, is_masked
from mkpxeinit.prepare.view import View

# After 0-pxeinit-*.network of init/lib/stay.sh, before everything else: the first that matches counts.
_FILE = "etc/systemd/network/05-mkpxeinit.network"
_UNITS = ("systemd-networkd.service", "systemd-networkd.socket")


def is_enabled(view: View) -> bool:
    """Say whether networkd starts: by a link that systemctl enable makes."""
    if is_masked(view, _UNITS[0]):
        return False
    if view.kind(f"{ETC}/dbus-org.freedesktop.network1.service") is not None:
        return True
    wants = [f"{ETC}/{name}" for name in view.names(ETC, "*.wants")]
    return any(view.kind(f"{folder}/{unit}") for folder in wants for unit in _UNITS)


def propose(view: View) -> Proposal:
    """Make wired interfaces unmanaged where networkd is in use."""
    if not is_enabled(view) or view.exists(_FILE):
        return Proposal()
    lines = ("[Match]", "Type=ether", "Kind=!*", "[Link]", "Unmanaged=yes")
    return Proposal((drop_in(_FILE, lines, "pxeinit describes the boot interface in /run/systemd/network."),))


CHANGE = Change(
    "networkd",
    "networkd would ask for leases on all wired interfaces, with another client id",
    propose,
)
