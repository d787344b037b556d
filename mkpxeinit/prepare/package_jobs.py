"""Package managers' jobs: the tree is updated on the server."""

from mkpxeinit.prepare.change import Change, Proposal
from mkpxeinit.prepare.systemd import mask
from mkpxeinit.prepare.view import View

UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "unattended-upgrades.service",
    "apt-news.service",
    "esm-cache.service",
    "ua-timer.timer",
    "apt-listbugs.timer",
    "dnf-makecache.timer",
    "dnf5-makecache.timer",
    "dnf-automatic*.timer",
    "dnf5-automatic.timer",
    "packagekit.service",
    "packagekit-offline-update.service",
    "packagekit-background.timer",
    "transactional-update.timer",
    "backup-rpmdb.timer",
    "backup-sysconfig.timer",
    "pacman-filesdb-refresh.timer",
    "archlinux-keyring-wkd-sync.timer",
    "reflector.timer",
    "man-db.timer",
    "plocate-updatedb.timer",
    "mlocate-updatedb.timer",
    "updatedb.timer",
    "snapd.snap-repair.timer",
    "fwupd-refresh.timer",
)


def propose(view: View) -> Proposal:
    """Mask what would update packages, or read through all of the tree."""
    return mask(view, UNITS)


CHANGE = Change(
    "package-jobs", "clients cannot update a shared tree, and each would read all of it over NFS", propose
)
