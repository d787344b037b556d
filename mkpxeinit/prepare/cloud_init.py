"""cloud-init: writes no network configuration."""

from mkpxeinit.prepare.change import Change, Proposal, drop_in
from mkpxeinit.prepare.view import View

_FOLDER = "etc/cloud/cloud.cfg.d"


def propose(view: View) -> Proposal:
    """Switch its network configuration off, unless a file of that folder speaks of the network already."""
    if not view.sysroot.is_dir(_FOLDER):
        return Proposal()
    for name in view.names(_FOLDER, "*.cfg"):
        text = view.text(f"{_FOLDER}/{name}") or ""
        if any(line.startswith("network:") for line in text.split("\n")):
            return Proposal()
    lines = ("network: {config: disabled}",)
    return Proposal(
        (drop_in(f"{_FOLDER}/99-mkpxeinit.cfg", lines, "pxeinit has set up the boot interface."),)
    )


CHANGE = Change(
    "cloud-init", "cloud-init would write a network configuration with DHCP at each boot", propose
)
