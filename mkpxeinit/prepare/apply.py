"""Makes the steps, or takes them back: all of them, whatever happens on the way.

Before the first step all that it replaces is saved, and all steps are recorded as open. A run that is
killed leaves them open; the next one takes them back first. So does a run that fails.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import PrepareError, os_cause, printable
from mkpxeinit.prepare import record as records
from mkpxeinit.prepare.plan import Planned
from mkpxeinit.prepare.record import Record, Step
from mkpxeinit.prepare.writer import Seen, Writer

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree that is open for writing, and for nobody else of us."""

    writer: Writer
    name: str
    record: Record | None

    def show(self, path: PurePosixPath) -> str:
        """Return a path as messages name it."""
        inside = "" if path == PurePosixPath() else path
        return printable(f"{self.name.rstrip('/')}/{inside}")


@contextmanager
def opened(root: Path, name: str) -> Iterator[Tree]:
    """Yield the tree at `root`, a host path without links; PrepareError if somebody else is at work in it."""
    writer = Writer(root)
    try:
        try:
            fcntl.flock(writer.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PrepareError(f"{printable(name)}: another mkpxeinit prepare is at work in it") from error
        yield Tree(writer, name, records.load(writer, os.geteuid()))
    finally:
        writer.close()


def recover(tree: Tree, leave: frozenset[str], say: Say) -> Tree:
    """Take back what a killed run left open, but the changes `leave`; return the tree as it is then."""
    record = tree.record
    if record is None:
        if tree.writer.see(records.FOLDER) is not None:
            # Killed before the first step, or after the last one.
            try:
                records.discard(tree.writer, 0)
            except OSError as error:
                raise PrepareError(
                    f"{tree.show(records.FOLDER)}: {os_cause(error)}, and no record in it: remove it"
                ) from error
        return tree
    if not record.open:
        if record.steps:
            # Killed while it saved what it would have replaced.
            records.clean(tree.writer, {str(step.number) for step in record.steps})
            return tree
        records.forget(tree.writer, record)
        return replace(tree, record=None)
    say(f"an earlier run was interrupted: its {len(record.open)} steps are taken back first")
    numbers = _with_folders(record, lambda step: step.number in record.open and step.change not in leave)
    return replace(tree, record=_take_back(tree, record, numbers, numbers, say))


def apply(tree: Tree, steps: Sequence[Planned], say: Say) -> None:
    """Make the steps; if one fails, those before it are taken back, and PrepareError says why."""
    if not steps:
        return
    writer = tree.writer
    old = tree.record
    base = old or Record(secrets.token_hex(8), writer.time_of(PurePosixPath()))
    first = max((step.number for step in base.steps), default=-1) + 1
    numbered = [replace(each, step=replace(each.step, number=first + each.step.number)) for each in steps]
    mine = tuple(each.step for each in numbered)
    opened_record = replace(base, steps=(*base.steps, *mine), open=frozenset(step.number for step in mine))
    reached: set[int] = set()
    stage = base
    try:
        if old is None:
            records.start(writer, base)
        for step in mine:
            if step.before is not None and step.before.kind == "file":
                data, attributes = writer.read(step.path), writer.attributes(step.path)
                records.put(writer, records.saved(step.number), data, attributes)
        stage = opened_record
        records.store(writer, opened_record)
        for each in numbered:
            _expect(tree, each.step)
            reached.add(each.step.number)
            _make(tree, opened_record, each)
        records.store(writer, replace(opened_record, open=frozenset()))
    except BaseException as error:
        _abandon(tree, stage, frozenset(reached), say)
        if isinstance(error, OSError):
            where = tree.show(PurePosixPath())
            raise PrepareError(f"{where}: {os_cause(error)}; nothing was changed") from error
        raise


def _abandon(tree: Tree, record: Record, reached: frozenset[int], say: Say) -> None:
    """Take back the steps that were reached, and what was prepared for the others."""
    try:
        if tree.record is None and not reached:
            records.discard(tree.writer, record.tree_time)
        else:
            _take_back(tree, record, reached, record.open, say)
    except OSError as error:
        raise PrepareError(
            f"{tree.show(PurePosixPath())}: {os_cause(error)}, and what was done could not be taken back; "
            "mend this and run mkpxeinit prepare --undo"
        ) from error


def _expect(tree: Tree, step: Step) -> None:
    """Raise PrepareError if what the step replaces is not what it was when the step was planned."""
    now = tree.writer.see(step.path)
    if now != step.before and not (now and now.kind == "folder" and now.is_like(step.before)):
        raise PrepareError(f"{tree.show(step.path)}: changed meanwhile by somebody else; try again")


def _make(tree: Tree, record: Record, planned: Planned) -> None:
    """Make one step."""
    step, writer = planned.step, tree.writer
    temporary = record.temporary(step.number)
    try:
        if step.kind == "file" and step.after:
            kept = step.before is not None and step.before.kind == "file"
            attributes = writer.attributes(step.path) if kept else {}
            writer.put_file(step.path, planned.data, step.after, temporary, attributes)
        elif step.kind == "link" and step.after:
            writer.put_link(step.path, step.after, temporary)
        elif step.kind == "remove":
            writer.remove(step.path)
        elif step.kind == "folder" and step.after:
            writer.make_folder(step.path, step.after.mode)
        elif step.to:
            writer.move(step.path, step.to)
    except OSError as error:
        raise PrepareError(f"{tree.show(step.path)}: {os_cause(error)}; nothing was changed") from error


def undo(tree: Tree, changes: frozenset[str], say: Say) -> int:
    """Take back all steps of `changes`; return how many. PrepareError, with nothing done, if they cannot."""
    if tree.record is None:
        return 0
    numbers = _with_folders(tree.record, lambda step: step.change in changes)
    if numbers:
        _take_back(tree, tree.record, numbers, numbers, say)
    return len(numbers)


def _with_folders(record: Record, chosen: Callable[[Step], bool]) -> frozenset[int]:
    """Return the steps that are `chosen`, and the folders made for them, unless others are in these."""
    files = [step for step in record.steps if step.kind != "folder"]
    numbers = {step.number for step in files if chosen(step)}
    for folder in record.steps:
        if folder.kind == "folder":
            inside = {step.number for step in files if _is_in(step, folder.path)}
            if inside <= numbers and (inside or chosen(folder)):
                numbers.add(folder.number)
    return frozenset(numbers)


def _is_in(step: Step, folder: PurePosixPath) -> bool:
    return step.path.is_relative_to(folder) or (step.to is not None and step.to.is_relative_to(folder))


def _take_back(
    tree: Tree, record: Record, numbers: frozenset[int], gone: frozenset[int], say: Say
) -> Record | None:
    """Put back what was before `numbers`, last first; forget the steps `gone`; return what is left."""
    steps = [step for step in reversed(record.steps) if step.number in numbers]
    _check(tree, record, steps)
    records.store(tree.writer, replace(record, open=numbers | gone))
    for step in steps:
        try:
            _revert(tree, record, step, say)
        except OSError as error:
            raise PrepareError(
                f"{tree.show(step.path)}: {os_cause(error)}; what was there is kept in "
                f"/{records.FOLDER}, mend this and run --undo again"
            ) from error
    left = record.without(gone)
    records.forget(tree.writer, left)
    return left if left.steps else None


def _check(tree: Tree, record: Record, steps: Sequence[Step]) -> None:
    """Raise PrepareError if what a step made has been changed since: then nothing is taken back."""
    now: dict[PurePosixPath, Seen | None] = {}

    def see(path: PurePosixPath) -> Seen | None:
        if path not in now:
            now[path] = tree.writer.see(path)
        return now[path]

    for step in steps:
        if step.kind == "move" and step.to:
            here, there = see(step.path), see(step.to)
            fits = (here is None) != (there is None)
            now[step.path], now[step.to] = here or there, None
        elif step.kind == "folder":
            fits = _kind(see(step.path)) in (None, "folder")
        else:
            seen = see(step.path)
            fits = _same(seen, step.after)
            if fits:
                now[step.path] = step.before
            else:
                # Taken back already, by a run that was killed; perhaps with steps before it.
                fits = any(_same(seen, s.before) for s in steps if s.path == step.path)
        if not fits:
            raise PrepareError(
                f"{tree.show(step.path)}: changed since it was prepared; put it back, or leave it as it is: "
                f"--undo --skip {printable(step.change)}"
            )


def _kind(seen: Seen | None) -> str | None:
    return seen.kind if seen else None


def _same(one: Seen | None, other: Seen | None) -> bool:
    return one.is_like(other) if one else other is None


def _revert(tree: Tree, record: Record, step: Step, say: Say) -> None:
    """Put back what was before one step, if it was made."""
    writer = tree.writer
    temporary = record.temporary(step.number)
    with suppress(FileNotFoundError):
        writer.remove(step.path.parent / temporary)
    now = writer.see(step.path)
    if step.kind == "move" and step.to:
        if now is None:
            writer.move(step.to, step.path)
        if step.before:
            writer.set_time(step.path, step.before.mtime)
        writer.set_time(step.to.parent, step.to_time)
    elif step.kind == "folder":
        _remove_folder(tree, step, say)
    elif _same(now, step.after):
        before = step.before
        if before is None:
            writer.remove(step.path)
        elif before.kind == "link":
            writer.put_link(step.path, before, temporary)
        else:
            kept = records.saved(step.number)
            data, attributes = writer.read(kept), writer.attributes(kept)
            if hashlib.sha256(data).hexdigest() != before.content:
                raise PrepareError(
                    f"{tree.show(kept)}: damaged, so that {tree.show(step.path)} cannot go back; mend it, "
                    f"or leave it as it is: --undo --skip {printable(step.change)}"
                )
            writer.put_file(step.path, data, before, temporary, attributes)
    writer.set_time(step.path.parent, step.time)


def _remove_folder(tree: Tree, step: Step, say: Say) -> None:
    try:
        tree.writer.remove_folder(step.path)
    except FileNotFoundError:
        pass
    except OSError as error:
        say(f"{tree.show(step.path)} stays: {os_cause(error)}")
