"""Write a small newc archive (kernel: Documentation/driver-api/early-userspace/buffer-format.rst).

Independent of mkpxeinit on purpose: what tests add to an image must not depend on the
code under test. The kernel unpacks concatenated archives one after another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive."""

    data: bytes
    mode: int = 0o644


def _record(number: int, name: str, mode: int, data: bytes) -> bytes:
    raw = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def archive(files: Mapping[str, Entry | str | bytes]) -> bytes:
    """Return a newc archive of regular files and their parent folders, padded to 512 bytes.

    Text and bytes become files of mode 0644; keys are relative paths.
    """
    entries: dict[str, tuple[int, bytes]] = {}
    for name, given in files.items():
        entry = (
            given if isinstance(given, Entry) else Entry(given.encode() if isinstance(given, str) else given)
        )
        for parent in reversed(PurePosixPath(name).parents):
            if str(parent) != ".":
                entries.setdefault(str(parent), (0o040755, b""))
        entries[name] = (0o100000 | entry.mode, entry.data)
    records = [
        _record(number, name, mode, data)
        for number, (name, (mode, data)) in enumerate(sorted(entries.items()), start=1)
    ]
    packed = b"".join([*records, _record(0, "TRAILER!!!", 0, b"")])
    return packed + b"\0" * (-len(packed) % 512)


def concatenate(parts: Sequence[Path | bytes], target: Path) -> Path:
    """Write archives one after another into `target`, each padded to 4 bytes; return it."""
    with target.open("wb") as out:
        for part in parts:
            data = part if isinstance(part, bytes) else part.read_bytes()
            out.write(data + b"\0" * (-len(data) % 4))
    return target
