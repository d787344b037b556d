"""Where in an image the content of each path is: what `mkpxeinit cat` reads."""

from collections.abc import Iterator
from pathlib import Path

from mkpxeinit.errors import ImageError, printable
from mkpxeinit.image.read import Record, open_image
from mkpxeinit.image.tree import Tree


class Catalogue:
    """The entries of an image by what they unpack to."""

    def __init__(self, path: Path) -> None:
        """Read the whole image `path` once, without keeping contents; ImageError if it cannot be read."""
        self._path = path
        self._files = 0
        self._tree = Tree(path, self._count)

    def _count(self, record: Record, content: Iterator[bytes]) -> int:
        self._files += 1
        return self._files

    def locate(self, name: str) -> int:
        """Return the number of the regular file that has the content of `name`, links followed.

        ImageError if there is none, or it is no regular file.
        """
        number = self._tree.taken(self._tree.find(name))
        if number is None:
            raise ImageError(f"{printable(self._path)}: {printable(name)} is not a regular file")
        return number

    def content(self, number: int) -> Iterator[bytes]:
        """Yield in pieces what the regular file `number` of the image holds."""
        with open_image(self._path) as image:
            files = (found for found in image.entries() if found.record.is_file)
            for at, found in enumerate(files, 1):
                if at == number:
                    yield from found.content
                    return
