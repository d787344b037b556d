"""Why something is in an image, from the reasons that travel in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import ImageError, printable
from mkpxeinit.image import reasons
from mkpxeinit.image.entry import VERSION
from mkpxeinit.image.read import Record
from mkpxeinit.image.tree import Tree
from mkpxeinit.kernel.index import module_name, normal_name, plain_path
from mkpxeinit.meant import close

_MAX_READ = 64 << 20  # bytes of all files that are read


@dataclass(frozen=True, slots=True)
class Answer:
    """A path of the image, and the steps that led to it, the nearest first."""

    path: PurePosixPath
    chain: tuple[str, ...]


class _Reader:
    """Takes the contents of what `why` reads, and of the other files nothing; memory stays bounded."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._left = _MAX_READ

    def take(self, record: Record, content: Iterator[bytes]) -> bytes:
        path = record.path
        if path.parent != reasons.FOLDER and path.name != "modules.builtin":
            return b""
        self._left -= record.size
        if self._left < 0:
            raise ImageError(
                f"{self._shown}: reasons and lists of more than {_MAX_READ} bytes; no such image is made"
            )
        return b"".join(content)


class Explained:
    """An image with its reasons."""

    def __init__(self, path: Path) -> None:
        """Read the image `path` once; ImageError if it has no reasons, or what it has cannot be read."""
        self._name = printable(path)
        self._tree = Tree(path, _Reader(self._name).take)
        records = self._tree.records
        found: dict[PurePosixPath, reasons.Chain] = {}
        files = [each for each in sorted(records) if each.parent == reasons.FOLDER and records[each].is_file]
        if not files:
            by = "an older mkpxeinit made it" if VERSION in records else "another program made it"
            raise ImageError(f"{self._name}: no reasons in it, {by}; mkpxeinit list shows what it has")
        for file in files:
            data = self._tree.taken(file) or b""
            found |= reasons.parse(data, f"{self._name}: {printable(file)}")
        self._reasons = reasons.Reasons(found)

    def all(self) -> Iterator[Answer]:
        """Yield everything in the image, sorted by path."""
        for path in sorted(self._tree.records):
            if path.parts:
                yield Answer(path, self._chain(path))

    def ask(self, name: str) -> tuple[Answer, ...]:
        """Return what `name` means: a path, else every module, firmware or other file of that name.

        Modules go by their names, with dashes or underscores and without `.ko`; firmware goes by the name
        that drivers use. ImageError if there is nothing such, with what is close to it.
        """
        paths = self._by_path(name) or self._by_name(name)
        if not paths:
            raise ImageError(self._nothing(name))
        return tuple(Answer(path, self._chain(path)) for path in paths)

    def _chain(self, path: PurePosixPath) -> tuple[str, ...]:
        return self._reasons.of(path) or ("no reason is recorded",)

    def _by_path(self, name: str) -> list[PurePosixPath]:
        """Return the entry of that path, itself even if it is a link, or what is behind links on the way."""
        plain = PurePosixPath(name.lstrip("/"))
        if not plain.parts or ".." in plain.parts:
            return []
        path = self._tree.resolve(str(plain.parent)) / plain.name
        return [path] if path in self._tree.records else []

    def _by_name(self, name: str) -> list[PurePosixPath]:
        tail = f"/{name.strip('/')}"
        module = _module_meant(name)
        return [
            path
            for path, record in sorted(self._tree.records.items())
            if record.letter != "d"
            and (
                f"/{path}".endswith(tail)
                or plain_path(f"/{path}").endswith(tail)
                or module_name(path.name) == module
            )
        ]

    def _nothing(self, name: str) -> str:
        """Return the message for a name that nothing in the image has."""
        plain = _module_meant(name)
        for release, builtin in self._builtin():
            if plain in builtin:
                return f"{self._name}: has no {printable(name)}: kernel {release} has it built in"
        names = {path.name: path for path in self._tree.records if path.parts}
        stems = {stem: each for each in names if (stem := module_name(each))}
        found = close(plain, stems) or close(PurePosixPath(name).name, names)
        hint = f"close to it: {', '.join(map(printable, found))}" if found else "see mkpxeinit list"
        return f"{self._name}: has no {printable(name)}; {hint}"

    def _builtin(self) -> Iterator[tuple[str, set[str]]]:
        """Yield each kernel release with the names of what is built into it."""
        for path in self._tree.records:
            if path.name == "modules.builtin" and (data := self._tree.taken(path)):
                lines = data.decode("utf-8", "surrogateescape").split()
                names = {found for line in lines if (found := module_name(line))}
                yield printable(path.parent.name), names


def _module_meant(name: str) -> str:
    """Return the module that `name` may mean, as the kernel has it; a path means no other file."""
    return (None if "/" in name else module_name(name)) or normal_name(name)
