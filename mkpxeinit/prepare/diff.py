"""The steps as a patch that `git apply` takes: unified diffs, links as git writes them, binaries by name.

Moves of folders, and what only root may read, are words between the diffs.
"""

import difflib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from mkpxeinit.errors import printable
from mkpxeinit.prepare.plan import Planned
from mkpxeinit.prepare.record import Step
from mkpxeinit.prepare.view import lines_of
from mkpxeinit.prepare.writer import Seen, Writer

_SECRET = 0o004  # without this bit a file's content is not shown


def patch(writer: Writer, steps: Iterable[Planned]) -> Iterator[str]:
    """Yield the lines, without their ends."""
    for each in steps:
        step = each.step
        if step.kind == "folder":
            continue
        if step.kind == "move":
            yield f"folder {printable(step.path)} moves to {printable(step.to)}"
            continue
        old = _content(writer, step)
        if step.before is None or step.after is None or step.before.kind == step.after.kind:
            yield from _one(step.path, step.before, old, step.after, _new(each))
        else:
            # As git writes it: the one goes, the other comes.
            yield from _one(step.path, step.before, old, None, b"")
            yield from _one(step.path, None, b"", step.after, _new(each))


def _content(writer: Writer, step: Step) -> bytes:
    if step.before is None:
        return b""
    if step.before.kind == "link":
        return step.before.content.encode("utf-8", "surrogateescape")
    return writer.read(step.path)


def _new(planned: Planned) -> bytes:
    after = planned.step.after
    if after is not None and after.kind == "link":
        return after.content.encode("utf-8", "surrogateescape")
    return planned.data


def _one(
    path: PurePosixPath, before: Seen | None, old: bytes, after: Seen | None, new: bytes
) -> Iterator[str]:
    name = printable(path)
    yield f"diff --git a/{name} b/{name}"
    if before is None and after is not None:
        yield f"new file mode {_mode(after)}"
    elif after is None and before is not None:
        yield f"deleted file mode {_mode(before)}"
    files = (f"a/{name}" if before else "/dev/null", f"b/{name}" if after else "/dev/null")
    if any(seen and seen.kind == "file" and not seen.mode & _SECRET for seen in (before, after)):
        yield f"Files {files[0]} and {files[1]} differ; not shown: not everybody may read it"
        return
    if b"\0" in old or b"\0" in new or not (_is_text(old) and _is_text(new)):
        yield f"Binary files {files[0]} and {files[1]} differ, {len(old)} and {len(new)} bytes"
        return
    rows = difflib.unified_diff(lines_of(old.decode()), lines_of(new.decode()), *files)
    for row in rows:
        yield _shown(row.rstrip("\n"))
        if not row.endswith("\n") and not row.startswith(("---", "+++", "@@")):
            yield "\\ No newline at end of file"


def _mode(seen: Seen) -> str:
    if seen.kind == "link":
        return "120000"
    return "100755" if seen.mode & 0o100 else "100644"


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shown(line: str) -> str:
    """Return a line without control characters, but with its tabs: it may go to a terminal."""
    return "\t".join(printable(part) for part in line.split("\t"))
