"""What was done to a tree, kept in it: /.mkpxeinit/record.json, what was there before: /.mkpxeinit/saved.

At the top of the tree, since clients may copy /var into memory. The folder is 0700. The tree may be hostile,
so what is read back is checked; whatever it says, paths stay in the tree (writer.py).
"""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from mkpxeinit.errors import PrepareError, printable
from mkpxeinit.prepare.writer import Seen, Writer

FOLDER = PurePosixPath(".mkpxeinit")
_FILE = FOLDER / "record.json"
_SAVED = FOLDER / "saved"
_VERSION = 1
_KINDS = ("file", "link", "remove", "folder", "move")
_OURS = Seen("file", 0o600, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done to one path: what was there, and what is there then; None is nothing.

    `to` is where a folder moves; the times are those of the folders around, before, in nanoseconds.
    """

    number: int
    change: str
    kind: str
    path: PurePosixPath
    before: Seen | None
    after: Seen | None
    time: int
    to: PurePosixPath | None = None
    to_time: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """The steps that were made. Those in `open` may be half-made, and are to be taken back first."""

    token: str
    tree_time: int
    steps: tuple[Step, ...] = ()
    open: frozenset[int] = field(default_factory=frozenset)

    def without(self, numbers: Iterable[int]) -> "Record":
        """Return the record without these steps, and nothing open."""
        gone = frozenset(numbers)
        return replace(self, steps=tuple(s for s in self.steps if s.number not in gone), open=frozenset())

    def temporary(self, number: int) -> str:
        """Return the name that a step's new file has until it is whole."""
        return f".mkpxeinit-{self.token}-{number}.tmp"


def saved(number: int) -> PurePosixPath:
    """Return where the file is kept that step `number` replaces or removes."""
    return _SAVED / str(number)


def load(writer: Writer, owner: int) -> Record | None:
    """Return the tree's record, which belongs to `owner`; None if there is none.

    PrepareError if it is not whole, or somebody else's.
    """
    seen = writer.see(FOLDER)
    if seen is None:
        return None
    if seen.kind != "folder" or seen.uid != owner or seen.mode & 0o022:
        raise PrepareError(
            f"/{FOLDER} in the tree is not a folder that only uid {owner} can write to; if mkpxeinit did not "
            "make it, remove it, else work as its owner"
        )
    if writer.see(_FILE) is None:
        return None
    try:
        return _record(json.loads(writer.read(_FILE)))
    except (ValueError, KeyError, TypeError, OSError, AttributeError, RecursionError) as error:
        raise PrepareError(
            f"/{_FILE} in the tree is damaged ({printable(error) or type(error).__name__}): what was done "
            f"can only be taken back by hand, from /{_SAVED}"
        ) from error


def start(writer: Writer, record: Record) -> None:
    """Make the folder, and write the record."""
    writer.make_folder(FOLDER, 0o700)
    writer.make_folder(_SAVED, 0o700)
    store(writer, record)


def store(writer: Writer, record: Record) -> None:
    """Replace the record, whole or not at all."""
    data = {
        "version": _VERSION,
        "token": record.token,
        "tree_time": record.tree_time,
        "open": sorted(record.open),
        "steps": [_plain(step) for step in record.steps],
    }
    put(writer, _FILE, json.dumps(data, indent=1).encode(), {})


def put(writer: Writer, path: PurePosixPath, data: bytes, attributes: dict[str, bytes]) -> None:
    """Write a file of our own, below FOLDER."""
    temporary = f"{path.name}.new"
    with suppress(FileNotFoundError):
        writer.remove(path.parent / temporary)
    seen = writer.see(FOLDER)
    owner = replace(_OURS, uid=seen.uid, gid=seen.gid) if seen else _OURS
    writer.put_file(path, data, owner, temporary, attributes)


def forget(writer: Writer, record: Record) -> None:
    """Write the record; what is saved for no step of it goes, and without steps the record itself."""
    store(writer, record)
    kept = {str(step.number) for step in record.steps}
    clean(writer, kept)
    if not record.steps:
        discard(writer, record.tree_time)


def discard(writer: Writer, tree_time: int) -> None:
    """Remove all that is ours, if it is there; the tree's root gets its time back, unless that is 0."""
    if writer.see(FOLDER) is None:
        return
    clean(writer, set())
    with suppress(FileNotFoundError):
        writer.remove(_FILE)
    writer.remove_folder(FOLDER)
    writer.set_time(PurePosixPath(), tree_time)


def clean(writer: Writer, kept: set[str]) -> None:
    """Remove what is saved for no step, and the folders if nothing is `kept`."""
    with suppress(FileNotFoundError):
        for name in writer.names(_SAVED):
            if name not in kept:
                writer.remove(_SAVED / name)
        if not kept:
            writer.remove_folder(_SAVED)
    with suppress(FileNotFoundError):
        writer.remove(FOLDER / f"{_FILE.name}.new")


def _plain(step: Step) -> dict[str, Any]:
    plain = asdict(step)
    return plain | {"path": str(step.path), "to": None if step.to is None else str(step.to)}


def _record(data: Any) -> Record:
    if data["version"] != _VERSION:
        raise ValueError(f"version {data['version']!r}; another mkpxeinit wrote it")
    if not re.fullmatch(r"[0-9a-f]{16}", data["token"]):
        raise ValueError("no token")
    steps = tuple(_step(each) for each in data["steps"])
    numbers = [step.number for step in steps]
    if sorted(set(numbers)) != numbers:
        raise ValueError("steps out of order")
    return Record(data["token"], _number(data["tree_time"]), steps, frozenset(map(_number, data["open"])))


def _step(data: Any) -> Step:
    if data["kind"] not in _KINDS:
        raise ValueError("an unknown kind of step")
    move = data["kind"] == "move"
    return Step(
        number=_number(data["number"]),
        change=_text(data["change"]),
        kind=data["kind"],
        path=_path(data["path"]),
        before=_seen(data["before"]),
        after=_seen(data["after"]),
        time=_number(data["time"]),
        to=_path(data["to"]) if move else None,
        to_time=_number(data["to_time"]),
    )


def _seen(data: Any) -> Seen | None:
    if data is None:
        return None
    mode, uid, gid, mtime = (_number(data[name]) for name in ("mode", "uid", "gid", "mtime"))
    seen = Seen(_text(data["kind"]), mode, uid, gid, mtime, _text(data["content"]))
    if seen.mode > 0o7777 or seen.kind not in ("file", "link", "folder") or "\0" in seen.content:
        raise ValueError("an unknown kind of entry")
    return seen


def _path(text: Any) -> PurePosixPath:
    path = PurePosixPath(_text(text))
    if (
        path.is_absolute()
        or not path.parts
        or ".." in path.parts
        or "\0" in text
        or path.parts[0] == FOLDER.name
    ):
        raise ValueError("a path that leads out of the tree")
    return path


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("not a number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value
