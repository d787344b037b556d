"""All changes, in the order in which they are listed and made."""

from collections.abc import Sequence

from mkpxeinit.errors import UsageError, printable
from mkpxeinit.meant import close
from mkpxeinit.prepare import (
    boot_databases,
    cloud_init,
    dev_archive,
    dhcpcd,
    fsck,
    fstab,
    hardware,
    identity,
    ifupdown,
    logs,
    machine_id,
    mtab,
    netplan,
    network_root,
    networkd,
    networkmanager,
    nfsmount,
    package_database,
    package_jobs,
    resolv_conf,
    selinux,
    ssh_host_keys,
    timers,
    wicked,
)
from mkpxeinit.prepare.change import Change

CHANGES: tuple[Change, ...] = tuple(
    module.CHANGE
    for module in (
        mtab,
        resolv_conf,
        fstab,
        nfsmount,
        ifupdown,
        networkmanager,
        networkd,
        wicked,
        dhcpcd,
        netplan,
        cloud_init,
        machine_id,
        identity,
        ssh_host_keys,
        fsck,
        hardware,
        network_root,
        package_database,
        package_jobs,
        logs,
        timers,
        selinux,
        dev_archive,
        boot_databases,
    )
)
NAMES = tuple(change.name for change in CHANGES)


def choose(only: Sequence[str], skip: Sequence[str]) -> tuple[Change, ...]:
    """Return the changes named in `only` (if empty, all) without `skip`; UsageError for an unknown name."""
    for name in (*only, *skip):
        if name not in NAMES:
            hint = f"; did you mean {found[0]}?" if (found := close(name, NAMES)) else ""
            raise UsageError(
                f"no change is called {printable(repr(name))}{hint or '; see mkpxeinit prepare --list'}"
            )
    return tuple(c for c in CHANGES if (not only or c.name in only) and c.name not in skip)
