"""Reads a tree, says what it lacks for a shared root, and does it."""

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mkpxeinit.errors import PrepareError
from mkpxeinit.prepare import apply as applying
from mkpxeinit.prepare import record as records
from mkpxeinit.prepare.apply import Say
from mkpxeinit.prepare.change import Change, Proposal
from mkpxeinit.prepare.chroot import runner
from mkpxeinit.prepare.diff import patch
from mkpxeinit.prepare.plan import plan
from mkpxeinit.prepare.view import View
from mkpxeinit.prepare.writer import Writer
from mkpxeinit.sysroot import Sysroot

Proposals = tuple[tuple[Change, Proposal], ...]


@dataclass(frozen=True, slots=True)
class State:
    """A change in a tree: `to do`, `done` by us, or `nothing` to be done."""

    change: Change
    state: str


def open_tree(path: Path) -> Sysroot:
    """Return the tree; SysrootError or PrepareError if it is none that can be prepared."""
    sysroot = Sysroot.open(path)
    if not sysroot.is_dir("etc"):
        raise PrepareError(f"{sysroot.show('etc')}: no such folder; is --sysroot an installed system?")
    if os.path.samestat(sysroot.root.stat(), Path("/").stat()):
        raise PrepareError("this machine's own root cannot be prepared; give a copy of it")
    return sysroot


def propose(sysroot: Sysroot, changes: Sequence[Change], chroot: bool) -> Proposals:
    """Return what each change would do; `chroot`: the tree's programs may run."""
    names = frozenset(change.name for change in changes)
    view = View(sysroot, names, runner(sysroot.root) if chroot else None)
    return tuple((change, change.propose(view)) for change in changes)


def states(sysroot: Sysroot, changes: Sequence[Change]) -> tuple[State, ...]:
    """Return how far each change is; nothing is written."""
    with closing(Writer(sysroot.root)) as writer:
        record = records.load(writer, os.geteuid())
    done = {step.change for step in record.steps if step.number not in record.open} if record else set()
    return tuple(
        State(change, "to do" if proposal.edits else "done" if change.name in done else "nothing")
        for change, proposal in propose(sysroot, changes, chroot=False)
    )


def is_interrupted(sysroot: Sysroot) -> bool:
    """Say whether a run was killed in this tree, and nobody has mended that yet."""
    with closing(Writer(sysroot.root)) as writer:
        record = records.load(writer, os.geteuid())
    return record is not None and bool(record.open)


def preview(sysroot: Sysroot, proposals: Proposals) -> tuple[str, ...]:
    """Return the patch that the proposals are; PrepareError after a run that was interrupted."""
    with closing(Writer(sysroot.root)) as writer:
        record = records.load(writer, os.geteuid())
        if record is not None and record.open:
            raise PrepareError(
                f"{sysroot.show('')}: an earlier run was interrupted; run prepare once more, or --undo"
            )
        return tuple(patch(writer, plan(View(sysroot), writer, proposals)))


def prepare(
    sysroot: Sysroot, changes: Sequence[Change], skip: frozenset[str], chroot: bool, say: Say
) -> Proposals:
    """Make the changes, all or none; return what they were. What a killed run left is taken back first."""
    with applying.opened(sysroot.root, sysroot.show("")) as tree:
        tree = applying.recover(tree, skip, say)
        # Read anew: what was taken back may have led elsewhere.
        fresh = Sysroot.open(sysroot.root)
        proposals = propose(fresh, changes, chroot)
        applying.apply(tree, plan(View(fresh), tree.writer, proposals), say)
    return proposals


def undo(sysroot: Sysroot, names: frozenset[str], skip: frozenset[str], say: Say) -> int:
    """Take back what was made of the changes `names`; return the number of steps."""
    with applying.opened(sysroot.root, sysroot.show("")) as tree:
        interrupted = tree.record is not None and bool(tree.record.open)
        tree = applying.recover(tree, skip, say)
        return applying.undo(tree, names, say) + interrupted
