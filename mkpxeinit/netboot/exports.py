"""/etc/exports.d/*.exports of the kernel's NFS server: exports(5)."""

from mkpxeinit.netboot.bootfile import head
from mkpxeinit.netboot.exported import options
from mkpxeinit.netboot.nfs import exports
from mkpxeinit.netboot.site import Site


def configuration(site: Site) -> str:
    """Return the exports of `site`; ServerError if it has no subnets. An address counts before a network."""
    lines = []
    for export in exports(site):
        who = [
            *(f"{each}({options('rw', export.path)})" for each in export.writers),
            *(f"{each}({options('ro', export.path)})" for each in export.readers),
        ]
        lines.append(f"{export.path} {' '.join(who)}")
    return head("The kernel's NFS server") + "".join(f"{line}\n" for line in lines)
