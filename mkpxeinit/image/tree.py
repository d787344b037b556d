"""What an image unpacks to: the last word on each path, as the kernel's `init/initramfs.c` leaves it.

An entry whose folder is a link by then lands where the link leads, inside the image. Contents are not
kept: whoever reads the image takes from each file what is wanted.
"""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from mkpxeinit.errors import ImageError, printable
from mkpxeinit.image.read import Record, Segment, open_image
from mkpxeinit.meant import close

_MAX_LINKS = 40  # as the kernel
T = TypeVar("T")
_Key = tuple[int, tuple[int, int, int]]


class Tree(Generic[T]):
    """The unpacked image: `records` by path, without links in the folders above."""

    def __init__(self, path: Path, take: Callable[[Record, Iterator[bytes]], T]) -> None:
        """Read the image `path` once; `take` makes of a regular file and its content what is to be kept.

        ImageError if the image cannot be read.
        """
        self._name = printable(path)
        self.records: dict[PurePosixPath, Record] = {}
        self._taken: dict[PurePosixPath, T] = {}
        # Links as they are written in paths, and how long such paths are: where folders may be links.
        self._links: set[str] = set()
        self._lengths: set[int] = set()
        # Content of hard links is with one of them: the last that has any, for all.
        self._shared: dict[_Key, T] = {}
        with open_image(path) as image:
            for found in image.entries():
                self._add(found.record, take(found.record, found.content) if found.record.is_file else None)
            self.segments: tuple[Segment, ...] = tuple(image.segments)

    def _add(self, record: Record, taken: T | None) -> None:
        path = record.path
        if self._below_link(str(path)):
            path = self.resolve(str(path.parent)) / path.name
        self.records[path] = record
        if record.letter == "l":
            self._links.add(str(path))
            self._lengths.add(len(str(path)))
        self._taken.pop(path, None)
        if taken is not None:
            self._taken[path] = taken
            if record.links > 1 and record.size:
                self._shared[record.archive, record.inode] = taken

    def _below_link(self, path: str) -> bool:
        """Say whether a folder of `path` is a link, or was one: paths may have thousands of folders."""
        return any(path[n : n + 1] == "/" and path[:n] in self._links for n in self._lengths)

    def taken(self, path: PurePosixPath) -> T | None:
        """Return what was taken of the regular file at `path`; None if there is none such."""
        own = self._taken.get(path)
        record = self.records.get(path)
        if own is None or record is None or record.links < 2:
            return own
        return self._shared.get((record.archive, record.inode), own)

    def find(self, name: str) -> PurePosixPath:
        """Return the path of what `name` leads to, links followed; ImageError with close names if nothing."""
        path = self.resolve(name)
        if path not in self.records:
            found = close(str(path), map(str, self.records))
            hint = f"close to it: {', '.join(map(printable, found))}" if found else "see mkpxeinit list"
            raise ImageError(f"{self._name}: has no {printable(name)}; {hint}")
        return path

    def resolve(self, name: str) -> PurePosixPath:
        """Return `name` with every link in it replaced, all within the image."""
        here = PurePosixPath()
        todo = list(reversed(PurePosixPath(name.lstrip("/")).parts))
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                here = here.parent
                continue
            there = here / part
            record = self.records.get(there)
            if record is None or record.letter != "l":
                here = there
                continue
            links += 1
            if links > _MAX_LINKS:
                raise ImageError(f"{self._name}: {printable(name)}: too many symbolic links")
            if record.target.startswith("/"):
                here = PurePosixPath()
            todo.extend(reversed(PurePosixPath(record.target.lstrip("/")).parts))
        return here
