"""/etc/exports.d/*.exports of the kernel's NFS server: exports(5)."""

from mkpxeinit.netboot.bootfile import head
from mkpxeinit.netboot.exported import options
from mkpxeinit.netboot.nfs import exports
from mkpxeinit.netboot.site import Site


def configuration(site: Site) -> str:
    """Return the exports of `site`; ServerError if it has no subnets. An address counts before a network."""
    lines = []
    for export in exports(site):
        who = []
        for access, clients in (("rw", export.writers), ("ro", export.readers)):
            told = options(access, export.path)  # which looks at the folder
            who += [f"{each}({told})" for each in clients]
        lines.append(f"{export.path} {' '.join(who)}")
    return head("The kernel's NFS server") + "".join(f"{line}\n" for line in lines)
