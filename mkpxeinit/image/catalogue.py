"""The last word of an image about each path, as the kernel sees it when all is unpacked."""

import difflib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import ImageError, printable
from mkpxeinit.image.read import Record, open_image

_MAX_LINKS = 40  # as the kernel


class Catalogue:
    """Where in an image the content of each path is."""

    def __init__(self, path: Path) -> None:
        """Read the whole image `path` once, without keeping contents; ImageError if it cannot be read."""
        self._path = path
        self._records: dict[PurePosixPath, Record] = {}
        self._number: dict[PurePosixPath, int] = {}
        # Content of hard links is with one of them: the last that has any, for all.
        self._shared: dict[tuple[int, tuple[int, int, int]], int] = {}
        with open_image(path) as image:
            for number, found in enumerate(image.entries()):
                record = found.record
                self._records[record.path] = record
                self._number[record.path] = number
                if record.is_file and record.links > 1 and record.size:
                    self._shared[record.archive, record.inode] = number

    def locate(self, name: str) -> int:
        """Return the number of the entry that has the content of the file `name`, links followed.

        ImageError if there is none, or it is no regular file.
        """
        record = self._records.get(path := self._resolve(name))
        if record is None:
            close = difflib.get_close_matches(str(path), map(str, self._records), 3)
            hint = f"close to it: {', '.join(map(printable, close))}" if close else "see mkpxeinit list"
            raise ImageError(f"{printable(self._path)}: has no {printable(name)}; {hint}")
        if not record.is_file:
            raise ImageError(f"{printable(self._path)}: {printable(name)} is not a regular file")
        if record.links > 1:
            return self._shared.get((record.archive, record.inode), self._number[path])
        return self._number[path]

    def _resolve(self, name: str) -> PurePosixPath:
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
            record = self._records.get(there)
            if record is None or record.letter != "l":
                here = there
                continue
            links += 1
            if links > _MAX_LINKS:
                raise ImageError(f"{printable(self._path)}: {printable(name)}: too many symbolic links")
            if record.target.startswith("/"):
                here = PurePosixPath()
            todo.extend(reversed(PurePosixPath(record.target.lstrip("/")).parts))
        return here

    def content(self, number: int) -> Iterator[bytes]:
        """Yield in pieces what the entry `number` holds."""
        with open_image(self._path) as image:
            for at, found in enumerate(image.entries()):
                if at == number:
                    yield from found.content
                    return
