"""Images read back, of any tool: what is in them, in the order of the image, content included.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel, and its
`init/initramfs.c`: newc archives one after another, zeros between them, each plain or compressed on
its own; what is compressed may hold several. An archive's trailer is optional. Memory and time are
bounded whatever the image says. What the kernel ignores (checksums of the crc variant) is ignored.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mkpxeinit.errors import ImageError, os_cause, printable
from mkpxeinit.image.unpack import LONGEST_MAGIC, kind_of, unpack

MAX_UNPACKED = 4 << 30  # bytes of the image, and of all that it unpacks to
MAX_ENTRIES = 500_000
MAX_SEGMENTS = 10_000
MAX_NAMES = 64 << 20  # bytes of all names and links; they stay in memory
_MAX_NAME = 4096  # bytes, PATH_MAX: the kernel drops what is longer
_PIECE = 1 << 20  # bytes
_HEADER = 110  # bytes
_HEAD = re.compile(rb"07070[12]([0-9A-Fa-f]{104})")
_AGAIN = "the image is damaged or was not copied whole; copy or make it again"
_LETTERS = {
    stat.S_IFDIR: "d",
    stat.S_IFREG: "-",
    stat.S_IFLNK: "l",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
    stat.S_IFIFO: "p",
    stat.S_IFSOCK: "s",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the image: one plain archive, or one compressed part with its archives.

    Offset and sizes are bytes of the image; `unpacked` is what the kernel sees.
    """

    offset: int
    compression: str
    packed: int
    unpacked: int
    entries: int


@dataclass(frozen=True, slots=True)
class Record:
    """What an archive says of one entry. `mode` includes the type, as in inode(7); `mtime` is in seconds.

    `links` is the number of hard links, `inode` what is the same for all of them within `archive`;
    the content may be with any one of them.
    """

    path: PurePosixPath
    mode: int
    uid: int
    gid: int
    links: int
    mtime: int
    size: int
    inode: tuple[int, int, int]
    device: tuple[int, int]
    target: str
    archive: int

    @property
    def letter(self) -> str:
        """What `ls -l` shows for the type."""
        return _LETTERS[stat.S_IFMT(self.mode)]

    @property
    def is_file(self) -> bool:
        """Whether this is a regular file."""
        return stat.S_ISREG(self.mode)


def without_usr(path: PurePosixPath) -> tuple[str, ...]:
    """Return the parts of `path`, without `usr` in front: images of merged trees have /usr/lib for /lib."""
    return path.parts[1:] if path.parts[:1] == ("usr",) else path.parts


@dataclass(frozen=True, slots=True)
class Found:
    """A record and its content in pieces, which can be read until the next record is asked for."""

    record: Record
    content: Iterator[bytes]


class Stream:
    """Bytes in their order. `offset` is how many have been taken."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more = more
        self._held = b""
        self._at = 0
        self.offset = 0

    def some(self, limit: int) -> bytes:
        """Return at least one byte and at most `limit`, none at the end."""
        if self._at == len(self._held):
            self._held, self._at = self._more(), 0
        piece = self._held[self._at : self._at + limit]
        self._at += len(piece)
        self.offset += len(piece)
        return piece

    def push_back(self, data: bytes) -> None:
        """Give back what was taken last."""
        self.offset -= len(data)
        if self._held.endswith(data, 0, self._at):
            self._at -= len(data)
        else:
            self._held, self._at = data + self._held[self._at :], 0

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end, without taking them."""
        data = b""
        while len(data) < size and (piece := self.some(size - len(data))):
            data += piece
        self.push_back(data)
        return data

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes; EOFError if there are fewer."""
        while size:
            piece = self.some(min(size, _PIECE))
            if not piece:
                raise EOFError(f"{size} bytes are missing at the end")
            size -= len(piece)
            yield piece

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes; EOFError if there are fewer."""
        return b"".join(self.pieces(size))

    def skip_zeros(self) -> bool:
        """Skip zeros; return whether anything comes after them."""
        size = 64  # few at first: what is given back would be copied before every entry
        while piece := self.some(size):
            if rest := piece.lstrip(b"\0"):
                self.push_back(rest)
                return True
            size = min(size * 2, _PIECE)
        return False


class Image:
    """An open image. `segments` has those that were read to their end."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._name = printable(path)
        self._raw = Stream(lambda: file.read(_PIECE))
        self._left = MAX_UNPACKED
        self._entries = 0
        self._names = 0
        self._archives = 0
        self.segments: list[Segment] = []

    def entries(self) -> Iterator[Found]:
        """Yield all entries in the order of the image, once.

        What comes later replaces, for the kernel, what came earlier under the same path. ImageError
        names the image, the place and the cause: cut short, damaged, a path that leads out of it, or
        more than the limits of this module.
        """
        while self._raw.skip_zeros():
            start, before = self._raw.offset, self._entries
            head = self._raw.peek(LONGEST_MAGIC)
            kind = "none" if head.startswith(b"0707") else kind_of(head)
            if len(self.segments) == MAX_SEGMENTS:
                raise ImageError(f"{self._name}: more than {MAX_SEGMENTS} archives; no initrd has so many")
            if kind is None:
                raise ImageError(
                    f"{self._name}: byte {start}: neither a cpio archive nor compressed as kernels "
                    "can read it; this is no initrd, or it is damaged"
                )
            if kind == "none":
                yield from self._archive(self._raw, partial(_place, self._name, ""))
                unpacked = self._raw.offset - start
            else:
                stream = self._unpacked(kind)
                inside = f" of the {kind} at byte {start}"
                while stream.skip_zeros():
                    yield from self._archive(stream, partial(_place, self._name, inside))
                unpacked = stream.offset
            packed = self._raw.offset - start
            self.segments.append(Segment(start, kind, packed, unpacked, self._entries - before))
        if not self.segments:
            raise ImageError(f"{self._name}: empty, there is no archive in it; {_AGAIN}")

    def _unpacked(self, kind: str) -> Stream:
        """Return what the compressed part that comes next holds; the raw stream goes on behind it."""
        start = self._raw.offset

        def pieces() -> Iterator[bytes]:
            try:
                unused = yield from unpack(kind, self._raw.some)
            except (EOFError, ValueError) as error:
                raise ImageError(f"{self._name}: {kind} at byte {start}: {error}; {_AGAIN}") from error
            self._raw.push_back(unused)

        def more() -> bytes:
            piece = next(source, b"")
            self._left -= len(piece)
            if self._left < 0:
                raise ImageError(
                    f"{self._name}: {kind} at byte {start}: the image unpacks to more than "
                    f"{MAX_UNPACKED} bytes; no kernel could boot that"
                )
            return piece

        source = pieces()
        return Stream(more)

    def _archive(self, stream: Stream, place: Callable[[int], str]) -> Iterator[Found]:
        """Yield the entries up to the trailer, or to what is no entry."""
        self._archives += 1
        first = True
        while stream.skip_zeros():
            where = place(stream.offset)
            if stream.peek(4) != b"0707":
                if first:
                    raise ImageError(f"{where}: neither a cpio archive nor zeros; {_AGAIN}")
                return
            first = False
            try:
                record, unread = self._entry(stream, where)
                if record is None:
                    return
                self._entries += 1
                if self._entries > MAX_ENTRIES:
                    raise ImageError(f"{where}: more than {MAX_ENTRIES} entries; no initrd has so many")
                content = _content(stream, unread, where)
                yield Found(record, content)
                for _ in content:
                    pass
                stream.take(min(-record.size % 4, len(stream.peek(3))))
            except EOFError as error:
                raise _cut_short(where) from error

    def _entry(self, stream: Stream, where: str) -> tuple[Record | None, int]:
        """Return what a header says and the bytes of content that follow it; None for the trailer."""
        match = _HEAD.fullmatch(stream.take(_HEADER))
        if match is None:
            raise ImageError(
                f"{where}: not a header of the cpio format newc, the one that kernels read; {_AGAIN}"
            )
        inode, mode, uid, gid, links, mtime, size, major, minor, rmajor, rminor, length, _ = (
            int(match[1][at : at + 8], 16) for at in range(0, 104, 8)
        )
        if not 0 < length <= _MAX_NAME:
            raise ImageError(f"{where}: a name of {length} bytes, where 1 to {_MAX_NAME} can be; {_AGAIN}")
        name = _text(stream.take(length + -(_HEADER + length) % 4)[:length])
        if name == "TRAILER!!!":
            for _ in stream.pieces(size):
                pass
            return None, 0
        path = PurePosixPath(name.lstrip("/"))
        if ".." in path.parts:
            raise ImageError(
                f"{where}: the name {printable(name)} leads out of the image; do not use this image"
            )
        if stat.S_IFMT(mode) not in _LETTERS:
            raise ImageError(
                f"{where}: {printable(name)} has mode {mode:o}, which is no type of file; {_AGAIN}"
            )
        target = b""
        if stat.S_ISLNK(mode):
            if size > _MAX_NAME:
                raise ImageError(f"{where}: {printable(name)} is a link of {size} bytes; {_AGAIN}")
            target = stream.take(size)
        self._names += length + len(target)
        if self._names > MAX_NAMES:
            raise ImageError(f"{where}: names of more than {MAX_NAMES} bytes in all; no initrd has so many")
        key = (major, minor, inode)
        record = Record(
            path, mode, uid, gid, links, mtime, size, key, (rmajor, rminor),
            _text(target), self._archives,
        )  # fmt: skip
        return record, size - len(target)


def _place(name: str, inside: str, at: int) -> str:
    return f"{name}: byte {at}{inside}"


def _cut_short(where: str) -> ImageError:
    return ImageError(f"{where}: an entry is cut short; {_AGAIN}")


def _content(stream: Stream, size: int, where: str) -> Iterator[bytes]:
    try:
        yield from stream.pieces(size)
    except EOFError as error:
        raise _cut_short(where) from error


def _text(data: bytes) -> str:
    """Return the text before the first NUL, whatever the locale."""
    return data.split(b"\0")[0].decode("utf-8", "surrogateescape")


@contextmanager
def open_image(path: Path) -> Iterator[Image]:
    """Yield the image in the file `path`, to be read once; ImageError if it cannot be read at all."""
    shown = printable(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ImageError(f"{shown}: {os_cause(error)}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ImageError(f"{shown}: not a regular file; give the file of an image")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > MAX_UNPACKED:
            raise ImageError(f"{shown}: larger than {MAX_UNPACKED} bytes; this is no initrd")
        yield Image(path, file)
