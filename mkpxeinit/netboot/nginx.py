"""nginx: the TFTP root by HTTP, for UEFI HTTP boot and for iPXE; a file for conf.d."""

from mkpxeinit.errors import ServerError
from mkpxeinit.netboot import values
from mkpxeinit.netboot.bootfile import head
from mkpxeinit.netboot.site import Site


def configuration(site: Site) -> str:
    """Return a `server` block; ServerError if `site` has no http-url."""
    if site.http_url is None:
        raise ServerError("[server]: http-url: is missing; nginx would have nothing to serve")
    host, port, path = values.url_parts(site.http_url)
    listen = f"{host}:{port}" if host == str(site.server) else str(port)
    # Dotted names are files that are being written.
    return head("nginx") + (
        "server {\n"
        f"    listen {listen};\n"
        f"    server_name {host};\n"
        f"    location {path} {{\n"
        f"        alias {str(site.tftp_root).rstrip('/')}/;\n"
        "        default_type application/octet-stream;\n"
        "        types { application/efi efi; text/plain ipxe cfg; }\n"
        "        limit_except GET { deny all; }\n"
        "    }\n"
        "    location ~ /\\. {\n"
        "        deny all;\n"
        "    }\n"
        "}\n"
    )
