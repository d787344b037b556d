"""What tests of prepare share: a tree's whole state, and prepare and undo as the command calls them."""

import os
import stat
from pathlib import Path

from mkpxeinit.prepare import prepare
from mkpxeinit.prepare.catalogue import choose
from tests.unit.small import Tree, make_tree

Entry = tuple[int, int, int, int, bytes]


def snapshot(root: Path, times: bool = True, ours: bool = True) -> dict[str, Entry]:
    """Return mode, owner, group, time and content of all that is in the tree; `ours`: /.mkpxeinit too."""
    found = {}
    for folder, folders, files in os.walk(root):
        inside = Path(folder).relative_to(root)
        if inside.parts[:1] == (".mkpxeinit",) and not ours:
            continue
        for name in (".", *folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            content = b""
            if stat.S_ISLNK(status.st_mode):
                content = os.fsencode(path.readlink())
            elif stat.S_ISREG(status.st_mode) and path.name != "record.json":
                content = path.read_bytes()
            if not ours and path.name == ".mkpxeinit":
                continue
            time = status.st_mtime_ns if times else 0
            found[str(inside / name)] = (status.st_mode, status.st_uid, status.st_gid, time, content)
    return found


def do(root: Path, *only: str, skip: tuple[str, ...] = (), chroot: bool = False) -> dict[str, list[str]]:
    """Prepare the tree; return the paths that each change touched."""
    done = prepare.prepare(
        prepare.open_tree(root), choose(only, skip), frozenset(skip), chroot, lambda text: None
    )
    return {change.name: [str(e.path) for e in proposal.edits] for change, proposal in done if proposal.edits}


def notes(root: Path, *only: str) -> list[str]:
    """Return the words of changes, without making them."""
    proposals = prepare.propose(prepare.open_tree(root), choose(only, ()), chroot=False)
    return [note for _, proposal in proposals for note in proposal.notes]


def undo(root: Path, *only: str, skip: tuple[str, ...] = ()) -> int:
    """Take it back."""
    names = frozenset(change.name for change in choose(only, skip))
    return prepare.undo(prepare.open_tree(root), names, frozenset(skip), lambda text: None)


def after(tmp_path: Path, tree: Tree, *only: str) -> Path:
    """Make the tree and these changes; return the tree."""
    root = make_tree(tmp_path / "tree", {"etc/os-release": "", **tree})
    do(root, *only)
    return root


def untouched(tmp_path: Path, tree: Tree, *only: str) -> bool:
    """Say whether these changes leave the tree alone."""
    root = make_tree(tmp_path / "tree", {"etc/os-release": "", **tree})
    return do(root, *only) == {}
