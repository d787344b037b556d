"""The TFTP root by HTTP, for UEFI HTTP boot and iPXE: Python's own server, which only reads files there."""

import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from mkpxeinit.errors import ServerError, os_cause

_MOST = 64  # connections at once
_SECONDS = 60.0  # for a client that says nothing


class _Handler(SimpleHTTPRequestHandler):
    """Files alone: no lists of folders, nothing whose name begins with a dot (what is being written)."""

    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def __init__(self, *words: Any, heard: Callable[[str, str], None], **named: Any) -> None:
        self._heard = heard
        super().__init__(*words, **named)

    def send_head(self) -> Any:
        """Open the file that was asked for."""
        path = Path(self.translate_path(self.path))
        hidden = any(part.startswith(".") for part in path.relative_to(self.directory).parts)
        if hidden or path.is_dir() or not path.resolve().is_relative_to(Path(self.directory).resolve()):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Tell of a file that was asked for."""
        if self.command == "GET":
            word = "loads" if int(code) == HTTPStatus.OK else "asked in vain for"  # type: ignore[call-overload]
            self._heard(self.client_address[0], f"{word} {self.path[:300]}")

    def log_message(self, format: str, *words: object) -> None:
        """Say nothing: errors are the client's, and it is told."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *words: Any) -> None:
        self._free = threading.BoundedSemaphore(_MOST)
        super().__init__(*words)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, unless there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve it, in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is no error."""


def taken(address: str, port: int, error: OSError) -> ServerError:
    """Return what to say of a port that cannot be listened to."""
    return ServerError(
        f"HTTP on {address} port {port}: {os_cause(error)}; another port with --http-port, 0 for none"
    )


class HttpServer:
    """Serves a folder until it is stopped; `heard` is told the client's address and what it asked for."""

    def __init__(self, address: str, port: int, folder: Path, heard: Callable[[str, str], None]) -> None:
        """Listen. Raises ServerError."""
        try:
            self._server = _Server((address, port), partial(_Handler, directory=str(folder), heard=heard))
        except OSError as error:
            raise taken(address, port, error) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self.stop()
