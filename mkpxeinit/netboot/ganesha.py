"""NFS-Ganesha: ganesha-config(8), ganesha-export-config(8), ganesha-core-config(8)."""

from mkpxeinit.netboot.bootfile import head
from mkpxeinit.netboot.nfs import Export, exports
from mkpxeinit.netboot.site import Site

# Owners as numbers: a client without idmapd would see all files as nobody's (docs/client.md,
# PXE-INIT-root-owner). Minor version 2 has READ_PLUS, which fails between some kernels and Ganesha 4.
_CORE = """NFS_CORE_PARAM {
    Protocols = 3, 4;
    mount_path_pseudo = true;
}
NFSV4 {
    Minor_Versions = 0, 1;
    Only_Numeric_Owners = true;
    Allow_Numeric_Owners = true;
}
"""


def configuration(site: Site) -> str:
    """Return ganesha.conf; ServerError if `site` has no subnets."""
    blocks = [_export(number, export) for number, export in enumerate(exports(site), 1)]
    return head("NFS-Ganesha") + _CORE + "".join(blocks)


def _export(number: int, export: Export) -> str:
    return (
        "EXPORT {\n"
        f"    Export_Id = {number};\n"
        f'    Path = "{export.path}";\n'
        f'    Pseudo = "{export.path}";\n'
        "    Protocols = 3, 4;\n"
        "    Transports = TCP, UDP;\n"
        "    SecType = sys;\n"
        "    Squash = No_Root_Squash;\n"
        "    Access_Type = NONE;\n"
        f"{_clients(export.writers, 'RW')}{_clients(export.readers, 'RO')}"
        "    FSAL { Name = VFS; }\n"
        "}\n"
    )


def _clients(who: tuple[str, ...], access: str) -> str:
    # The first block that fits counts.
    return f"    CLIENT {{ Clients = {', '.join(who)}; Access_Type = {access}; }}\n" if who else ""
