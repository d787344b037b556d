"""The HTTP server of `mkpxeinit serve`: nginx, with the generated configuration, where it is installed."""

import contextlib
import socket
import time
from pathlib import Path

from mkpxeinit.errors import ServerError
from mkpxeinit.netboot import nginx
from mkpxeinit.netboot.serve_http import taken
from mkpxeinit.netboot.serve_process import Guard, Server, search
from mkpxeinit.netboot.site import Site

KINDS = ("auto", "nginx", "python")
_READY_SECONDS = 10.0
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
# Lines that serve_reports.py reads. What is not printable in them nginx writes as \xNN itself.
_LOG = "log_format heard '$remote_addr $status $request_method $request_uri';"


def choose(wanted: str) -> str:
    """Return which server it is: `auto` is nginx if it is installed."""
    if wanted != "auto":
        return wanted
    return "nginx" if search("nginx") else "python"


def frame(site: Site, folder: Path) -> str:
    """Return a whole nginx.conf around the generated server: in the foreground, all its files in `folder`."""
    places = [f"    {name}_temp_path {folder / name};" for name in _TEMPORARY]
    lines = [
        "daemon off;",
        "user nobody nogroup;" if _has_nogroup() else "user nobody;",
        f"pid {folder / 'nginx.pid'};",
        "error_log stderr;",
        "events { worker_connections 256; }",
        "http {",
        *places,
        f"    {_LOG}",
        "    access_log /dev/stdout heard;",
        "    server_tokens off;",
    ]
    return "\n".join(lines) + "\n" + nginx.configuration(site) + "}\n"


def _has_nogroup() -> bool:
    """Say whether nobody's group is called nogroup, as on Debian; elsewhere it is called nobody, too."""
    with contextlib.suppress(OSError):
        return any(line.startswith("nogroup:") for line in Path("/etc/group").read_text().splitlines())
    return False


def start(site: Site, port: int, folder: Path, guard: Guard) -> Server:
    """Start nginx and return it when it listens; `folder` is for its files. Raises ServerError."""
    address = str(site.server)
    with contextlib.closing(socket.socket()) as free:
        # nginx would try for seconds, and meanwhile whoever has the port would be taken for it.
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind((address, port))
        except OSError as error:
            raise taken(address, port, error) from None
    own = folder / "nginx"
    own.mkdir(mode=0o711)
    config = own / "nginx.conf"
    config.write_text(frame(site, own), encoding="utf-8")
    server = guard.start(["nginx", "-e", "stderr", "-p", str(own), "-c", str(config)], folder / "nginx.log")
    end = time.monotonic() + _READY_SECONDS
    while not _listens(address, port):
        if not server.running or time.monotonic() > end:
            said = server.last_words()
            server.stop()
            raise ServerError(f"nginx does not run: {said}; --http python does without it")
        time.sleep(0.05)
    return server


def _listens(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), 1.0):
        return True
    return False
