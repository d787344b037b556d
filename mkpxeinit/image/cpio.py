"""Archives in the newc format of cpio, written by libarchive; its only importer.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel. libarchive-c's own
writer is not used: it loses the target of symlinks (Changaco/python-libarchive-c#143), and names
depend on the locale. Through its ffi both are given as bytes.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ctypes import CDLL, addressof, c_char, c_char_p, c_int, c_int64, c_uint, c_void_p
from pathlib import PurePosixPath
from typing import Any

from mkpxeinit.errors import ImageError, printable
from mkpxeinit.image.entry import CharDevice, Directory, Entry, File, Symlink

_LIBRARY = "libarchive.so.13"  # since 2013


@contextmanager
def _known_library() -> Iterator[None]:
    """Name the library to libarchive-c, which would start ldconfig to find it: that takes 10 ms."""
    try:
        known = "LIBARCHIVE" not in os.environ and CDLL(_LIBRARY)
    except OSError:
        known = False  # it has another name here
    if known:
        os.environ["LIBARCHIVE"] = _LIBRARY
    try:
        yield
    finally:
        if known:
            del os.environ["LIBARCHIVE"]


with _known_library():
    from libarchive import ffi
    from libarchive.exception import ArchiveError

_NO_OPEN = ffi.OPEN_CALLBACK()  # a NULL; libarchive-c 2.9 has no name for it
_NO_CLOSE = ffi.CLOSE_CALLBACK()
_HEADER = 110  # bytes
_TRAILER = "TRAILER!!!"
_FATAL = -30  # ARCHIVE_FATAL of archive.h
_MAX = 0xFFFFFFFF  # sizes and times are eight hexadecimal digits
_TYPES = {Directory: 0o040000, File: 0o100000, Symlink: 0o120000, CharDevice: 0o020000}


def _entry_function(name: str, *arguments: type) -> ffi.ffi:
    """Return libarchive's archive_entry_`name`, which libarchive-c 2.9 does not declare."""
    function = getattr(ffi.libarchive, f"archive_entry_{name}")
    function.argtypes = [c_void_p, *arguments]
    function.restype = None
    return function


_set_pathname = _entry_function("set_pathname", c_char_p)
_set_symlink = _entry_function("set_symlink", c_char_p)
_set_mode = _entry_function("set_mode", c_uint)
_set_size = _entry_function("set_size", c_int64)
_set_ino = _entry_function("set_ino64", c_int64)
_set_nlink = _entry_function("set_nlink", c_uint)
_set_mtime = _entry_function("set_mtime", c_int64, c_int)
_set_rdevmajor = _entry_function("set_rdevmajor", c_uint)
_set_rdevminor = _entry_function("set_rdevminor", c_uint)


def write(items: Iterable[tuple[Entry, bytes]], mtime: int, put: Callable[[memoryview], object]) -> None:
    """Give the archive of `items`, entries with contents (empty but for files), piece by piece to `put`.

    Each is asked for when those before it have been given; `put` must not keep the memory that it is shown.
    All belong to root and have the time `mtime`, seconds of the epoch; inode numbers count from 1.
    ImageError if an entry does not fit the format or libarchive wrote another number of bytes.
    """
    if not 0 <= mtime <= _MAX:
        raise ImageError(f"the time {mtime} does not fit into a cpio archive")
    size = _aligned(_HEADER + len(_TRAILER) + 1)
    output = _Output(put)
    try:
        with _writer() as archive:
            ffi.write_open(archive, None, _NO_OPEN, output.callback, _NO_CLOSE)
            with output.no_more_after_an_error(), output.signals():
                for number, (entry, body) in enumerate(items, 1):
                    size += _packed_size(entry, body)
                    _write(archive, entry, body, number, mtime)
                ffi.write_close(archive)
    except ArchiveError as error:
        if output.error is not None:
            raise output.error from None
        raise ImageError(f"libarchive cannot write the archive: {error}") from error
    if output.error is not None:
        raise output.error
    if output.size != size:
        raise ImageError(f"libarchive wrote {output.size} bytes where {size} belong")


class _Output:
    """Where libarchive writes to: an exception cannot pass through its code, and waits here."""

    def __init__(self, put: Callable[[memoryview], object]) -> None:
        self._put = put
        self.size = 0
        self.error: BaseException | None = None
        self.callback = ffi.WRITE_CALLBACK(self._take)

    @contextmanager
    def no_more_after_an_error(self) -> Iterator[None]:
        """Take nothing of what libarchive writes when it is freed half way."""
        try:
            yield
        except BaseException as error:
            self.error = self.error or error
            raise

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Keep what a signal's handler raises at the very edge of `_take`, which ctypes would only print.

        Handlers run in the main thread alone.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        usual = sys.unraisablehook

        def hook(told: "sys.UnraisableHookArgs") -> None:
            if told.exc_value is None or isinstance(told.exc_value, Exception):
                usual(told)
            else:
                self.error = self.error or told.exc_value

        sys.unraisablehook = hook
        try:
            yield
        finally:
            sys.unraisablehook = usual

    def _take(self, _archive: object, _data: object, buffer: Any, length: int) -> int:
        if self.error is not None:
            return _FATAL
        try:
            self._put(memoryview((c_char * length).from_address(addressof(buffer.contents))).cast("B"))
        except BaseException as error:  # a signal's too
            self.error = error
            return _FATAL
        self.size += length
        return length


def version() -> str:
    """Return what makes the archives, for keys of caches."""
    return f"newc libarchive {ffi.version_number()}"


@contextmanager
def _writer() -> Iterator[c_void_p]:
    archive = ffi.write_new()
    try:
        ffi.write_set_format_cpio_newc(archive)
        ffi.write_set_bytes_per_block(archive, 0)  # no buffering, no padding at the end
        yield archive
    finally:
        ffi.write_free(archive)


def _write(archive: c_void_p, entry: Entry, body: bytes, number: int, mtime: int) -> None:
    head = ffi.entry_new()
    try:
        _set_pathname(head, _bytes(entry.path))
        _set_mode(head, _TYPES[type(entry)] | entry.mode)
        _set_ino(head, number)
        _set_nlink(head, 2 if isinstance(entry, Directory) else 1)
        _set_mtime(head, mtime, 0)
        _set_size(head, len(body))
        if isinstance(entry, Symlink):
            _set_symlink(head, _bytes(entry.target))
        if isinstance(entry, CharDevice):
            _set_rdevmajor(head, entry.major)
            _set_rdevminor(head, entry.minor)
        ffi.write_header(archive, head)
    finally:
        ffi.entry_free(head)
    # libarchive fills a body that is too short with zeros and cuts one that is too long: count.
    written = ffi.write_data(archive, body, len(body)) if body else 0
    if written != len(body):
        raise ImageError(f"{printable(entry.path)}: libarchive took {written} of {len(body)} bytes")
    ffi.write_finish_entry(archive)


def _packed_size(entry: Entry, body: bytes) -> int:
    """Return the bytes of `entry` in the archive: header and name, and content, each padded to 4."""
    if body and not isinstance(entry, File):
        raise ImageError(f"{printable(entry.path)}: only files have content")
    content = len(_bytes(entry.target)) if isinstance(entry, Symlink) else len(body)
    if content > _MAX:
        raise ImageError(f"{printable(entry.path)}: {content} bytes do not fit into a cpio archive")
    name = _bytes(entry.path)
    if b"\0" in name or not name:
        raise ImageError(f"{printable(entry.path)!r} cannot be a name in a cpio archive")
    return _aligned(_HEADER + len(name) + 1) + _aligned(content)


def _aligned(size: int) -> int:
    return size + -size % 4


def _bytes(path: PurePosixPath | str) -> bytes:
    """Return the bytes of a name, in UTF-8 whatever the locale."""
    return str(path).encode("utf-8", "surrogateescape")
