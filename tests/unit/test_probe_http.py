"""Files over HTTP: from Python's own server, and from one that says what it likes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mkpxeinit.netboot.probe import http
from mkpxeinit.netboot.probe.wire import ProbeError

HOST = "127.0.0.1"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def right(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer((HOST, 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{HOST}:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file(right: str, tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"x" * 200_000)
    got = http.fetch(f"{right}/a%20b", HOST, keep=10)
    assert (got.size, got.head, got.announced, got.head_refused) == (200_000, b"x" * 10, 200_000, "")


def test_what_is_not_there(right: str, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="answered by 404; is it below"):
        http.fetch(f"{right}/none", HOST)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ProbeError, match="answered by 301; .*does not follow"):
        http.fetch(f"{right}/folder", HOST)


def test_what_is_too_large(right: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 2000)
    with pytest.raises(ProbeError, match="does not end after 1000 bytes"):
        http.fetch(f"{right}/a", HOST, most=1000)


@contextmanager
def saying(*pieces: bytes, pause: float = 0.0, repeat: int = 1) -> Iterator[str]:
    """A server that answers every request by these bytes, with pauses, whatever was asked."""
    listening = socket.create_server((HOST, 0))
    listening.settimeout(0.1)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                wire, _ = listening.accept()
            except TimeoutError:
                continue
            with wire:
                try:
                    wire.recv(4096)
                    for _ in range(repeat):
                        for piece in pieces:
                            wire.sendall(piece)
                            over.wait(pause)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://{HOST}:{listening.getsockname()[1]}/a"
    finally:
        over.set()
        thread.join()
        listening.close()


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "no answer of HTTP"),
        (b"\xff\xfe\0 hello", "no answer of HTTP"),
        (HEAD + b"x: y\r\n" * 5000, "no answer of HTTP"),
        (HEAD + b"x: " + b"y" * 100_000, "no answer of HTTP"),
        (HEAD + b"Content-Length: 50\r\n\r\nabc", "3 bytes came, 50 were announced"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "cut off|no answer of HTTP"),
        (b"HTTP/1.1 403 \x1b[2J\r\n\r\n", "answered by 403; make it readable"),
        (b"HTTP/1.1 302 F\r\nLocation: /\r\n\r\n", "answered by 302"),
    ],
)
def test_bad_servers(answer: bytes, said: str) -> None:
    with saying(answer) as url, pytest.raises(ProbeError, match=said) as caught:
        http.fetch(url, HOST, wait=2, seconds=5)
    assert str(caught.value).isprintable()


def test_a_length_that_is_left_out() -> None:
    with saying(HEAD + b"\r\nabc") as url:
        got = http.fetch(url, HOST)
    assert (got.size, got.announced) == (3, None)
    assert "without Content-Length" in got.head_refused


@pytest.mark.parametrize("answer", [b"H", HEAD + b"\r\n" + b"x"])
def test_a_byte_now_and_then_has_an_end(answer: bytes) -> None:
    """Each byte is in time; the whole never is."""
    dripping = saying(answer, b"x", pause=0.05, repeat=400)
    with dripping as url, pytest.raises(ProbeError, match="not finished after 0 s"):
        http.fetch(url, HOST, wait=5, seconds=0.4)


def test_nobody_listens() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ProbeError, match="refused; does the HTTP server run"):
        http.fetch(f"http://{HOST}:{port}/a", HOST)
