"""From what the changes propose to steps: real paths, folders that are missing, what is there before."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from mkpxeinit.errors import PrepareError, SysrootError
from mkpxeinit.prepare.change import Change, Edit, Link, Move, Proposal, Write
from mkpxeinit.prepare.record import FOLDER, Step
from mkpxeinit.prepare.view import View
from mkpxeinit.prepare.writer import Seen, Writer

_FOLDER_MODE = 0o755


@dataclass(frozen=True, slots=True)
class Planned:
    """A step, and the content of a file."""

    step: Step
    data: bytes = b""


def plan(view: View, writer: Writer, proposals: Iterable[tuple[Change, Proposal]]) -> tuple[Planned, ...]:
    """Return the steps in their order, numbered from 0; PrepareError if something is in the way."""
    planner = _Planner(view, writer)
    for change, proposal in proposals:
        for edit in proposal.edits:
            planner.add(change.name, edit)
    return tuple(planner.found)


class _Planner:
    """The steps so far, and what the paths are after them."""

    def __init__(self, view: View, writer: Writer) -> None:
        self._view = view
        self._writer = writer
        self._after: dict[PurePosixPath, Seen | None] = {}
        self._moved: set[PurePosixPath] = set()
        self.found: list[Planned] = []

    def add(self, change: str, edit: Edit) -> None:
        """Add the steps of one edit."""
        path = self._locate(change, edit.path, final=isinstance(edit, Write))
        if path in self._after and path not in self._moved:
            raise PrepareError(
                f"{self._show(path)}: two changes want it; are there odd links? --skip {change}"
            )
        before = self._see(change, path)
        if isinstance(edit, Move):
            to = self._locate(change, edit.to, final=False)
            self._add(change, "move", path, before, None, to=to)
            self._moved.add(path)
            return
        if before is not None and before.kind not in ("file", "link"):
            raise PrepareError(f"{self._show(path)}: is no file; mend it, or --skip {change}")
        if isinstance(edit, Write):
            kept = before if before is not None and before.kind == "file" else None
            digest = hashlib.sha256(edit.data).hexdigest()
            after = Seen("file", kept.mode if kept else edit.mode, *_owner(kept), 0, digest)
            self._add(change, "file", path, before, after, data=edit.data)
        elif isinstance(edit, Link):
            self._add(change, "link", path, before, Seen("link", 0, *_owner(None), 0, edit.target))
        elif before is not None:
            self._add(change, "remove", path, before, None)

    def _add(
        self,
        change: str,
        kind: str,
        path: PurePosixPath,
        before: Seen | None,
        after: Seen | None,
        to: PurePosixPath | None = None,
        data: bytes = b"",
    ) -> None:
        """Add a step, and before it those that make the folders that it needs."""
        for folder in (path.parent, *((to.parent,) if to else ())):
            self._make_folders(change, folder)
        step = Step(
            number=len(self.found),
            change=change,
            kind=kind,
            path=path,
            before=before,
            after=after,
            time=self._writer.time_of(path.parent),
            to=to,
            to_time=self._writer.time_of(to.parent) if to else 0,
        )
        self.found.append(Planned(step, data))
        self._after[path] = after

    def _make_folders(self, change: str, folder: PurePosixPath) -> None:
        for path in (*reversed(folder.parents[:-1]), folder):
            if not path.parts or path in self._after or self._see(change, path) is not None:
                continue
            self._add(change, "folder", path, None, Seen("folder", _FOLDER_MODE, *_owner(None), 0))

    def _see(self, change: str, path: PurePosixPath) -> Seen | None:
        if path in self._after:
            return self._after[path]
        try:
            return self._writer.see(path)
        except OSError as error:
            raise PrepareError(
                f"{self._show(path)}: {error.strerror}; changed just now? Try again, or --skip {change}"
            ) from error

    def _locate(self, change: str, path: PurePosixPath, final: bool) -> PurePosixPath:
        """Return the path without links in it; with `final` the last part too, if it leads to a file."""
        sysroot = self._view.sysroot
        missing = [path.name]
        folder = path.parent
        while not sysroot.exists(folder):
            if self._view.kind(folder) is not None or not folder.parts:
                raise PrepareError(f"{self._show(folder)}: leads nowhere; mend it, or --skip {change}")
            missing.append(folder.name)
            folder = folder.parent
        try:
            place = sysroot.resolve(str(folder))
            if final and len(missing) == 1 and sysroot.is_file(path):
                place, missing = sysroot.resolve(str(path)), []
        except SysrootError as error:
            raise PrepareError(f"{error}; was it changed just now? Try again") from error
        real = PurePosixPath(os.path.relpath(place, sysroot.root)).joinpath(*reversed(missing))
        if real.parts[:1] == FOLDER.parts or (folder.parts and not sysroot.is_dir(folder)):
            raise PrepareError(
                f"{self._show(path)}: leads to /{real}, where nothing is to be; --skip {change}"
            )
        return real

    def _show(self, path: PurePosixPath) -> str:
        return self._view.sysroot.show(path)


def _owner(kept: Seen | None) -> tuple[int, int]:
    """Return whose a new file is: the old one's, or root's of the tree; without root one's own."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    return (kept.uid, kept.gid) if kept else (0, 0)
