"""All that an image will hold, complete before the first byte is written."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from mkpxeinit.errors import ImageError, printable
from mkpxeinit.image.entry import Directory, Entry
from mkpxeinit.reason import Reason

HOLDS = "holds"  # the reason of a folder that is there for what is in it


@dataclass(frozen=True, slots=True)
class Planned:
    """An entry and the reason why it is there."""

    entry: Entry
    reason: Reason


@dataclass(frozen=True, slots=True)
class Segment:
    """One archive of the image: entries sorted by path, each folder before what is in it."""

    name: str
    items: tuple[Planned, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The segments in the order of the image, the one that changes least first."""

    segments: tuple[Segment, ...]

    def items(self) -> Iterable[Planned]:
        """Yield all entries in the order of the image."""
        for segment in self.segments:
            yield from segment.items


def make_segment(name: str, items: Iterable[Planned]) -> Segment:
    """Return `items` sorted and with the folders that they need; ImageError if two have the same path."""
    found: dict[PurePosixPath, Planned] = {}
    for item in items:
        path = item.entry.path
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ImageError(f"{path!r} cannot be a path in an image")
        if path in found:
            raise ImageError(f"{printable(path)} is planned twice: {found[path].reason}; {item.reason}")
        found[path] = item
    for path in sorted(found, key=lambda path: path.parts):
        holds = Reason(HOLDS, path.name, found[path].reason)
        parent = path.parent
        while parent.parts:
            above = found.get(parent)
            if above is None:
                found[parent] = Planned(Directory(parent), holds)
                parent = parent.parent
                continue
            if not isinstance(above.entry, Directory):
                raise ImageError(f"{printable(parent)} is no folder, but {printable(path)} is planned in it")
            break  # folders come before what is in them: those above this one have been seen to
    return Segment(name, tuple(sorted(found.values(), key=lambda item: item.entry.path.parts)))


def make_plan(segments: Iterable[Segment]) -> Plan:
    """Return the plan of `segments`; ImageError if two of them disagree about a path.

    Folders may come in several: each segment is an archive that can be unpacked alone.
    """
    plan = Plan(tuple(segments))
    seen: dict[PurePosixPath, Entry] = {}
    for item in plan.items():
        entry = item.entry
        other = seen.setdefault(entry.path, entry)
        both_folders = isinstance(other, Directory) and isinstance(entry, Directory)
        if other is not entry and not both_folders:
            raise ImageError(f"{printable(entry.path)} is planned in two segments")
    return plan
