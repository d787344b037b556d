"""From one state of what is published to the next: prepared completely, then a few renames.

First everything is written beside its place and synced; a full disk fails here, and nothing has
changed. Then published.json is renamed, which is the moment that counts, then each file of a loader. Each of
these names one generation's kernel and image, so a client gets all old or all new, whenever it asks.
What a killed run has left is finished, or cleared away, by the next one that holds the lock.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import PublishError
from mkpxeinit.image.output import sync_folder
from mkpxeinit.netboot import generation, menus, published
from mkpxeinit.netboot.bootfile import MARK
from mkpxeinit.netboot.generation import FOLDER, UNPUBLISHED, Manifest
from mkpxeinit.netboot.published import STATE, Published
from mkpxeinit.netboot.tftproot import Staged, TftpRoot
from mkpxeinit.sysroot import read_regular

BACKUP = ".before-mkpxeinit"
_MAX_TEXT = 16 << 20  # bytes
_MAX_BACKUPS = 1000
_KEPT_DIGESTS = 8


class Switch:
    """Files beside their places that wait for their renames; unlinked if these never come."""

    def __init__(self, root: TftpRoot) -> None:
        """Take the root."""
        self.root = root
        self._cleaning = ExitStack()

    def __enter__(self) -> "Switch":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what did not come to its place."""
        self._cleaning.close()

    def stage(self, name: PurePosixPath, fill: bytes | Path) -> Staged:
        """Write one file: see TftpRoot.stage."""
        staged = self.root.stage(name, fill)
        self.adopt(staged)
        return staged

    def adopt(self, staged: Staged) -> None:
        """Remove `staged` at the end if it is still waiting."""
        self._cleaning.callback(staged.temporary.unlink, missing_ok=True)


def read(root: TftpRoot, new: Mapping[str, Manifest] | None = None) -> Callable[[str], Manifest]:
    """Return a function that reads manifests, each once; `new` are those that are not in their place yet."""
    known = dict(new or {})

    def manifest(name: str) -> Manifest:
        if name not in known:
            known[name] = generation.read(root, name)
        return known[name]

    return manifest


def prepare(
    switch: Switch, old: Published, new: Published, manifest: Callable[[str], Manifest], take_over: bool
) -> Callable[[], Published]:
    """Write all that the change from `old` to `new` needs; return what makes it count and returns the state.

    PublishError if a loader's file there was not written by mkpxeinit, or was changed since; with
    `take_over` it is kept under another name.
    """
    root = switch.root
    files = menus.files(menus.make(new, manifest))
    there = {path: root.digest(path) for path in (*files, *old.written)}
    foreign = [
        path
        for path, data in files.items()
        if (stored := there[path]) is not None
        and stored.sha256 not in (*old.written.get(path, ()), menus.digest(data))
        and not _by_server_config(root, path)
    ]
    if foreign and not take_over:
        raise PublishError(
            f"{root.show(foreign[0])}: not written by mkpxeinit, or changed since; move it away, or give "
            f"--take-over, which keeps it as {foreign[0].name}{BACKUP}"
        )
    for path in foreign:
        _back_up(switch, path)
    allowed = {path: (stored.sha256,) if (stored := there[path]) else () for path in foreign}
    written: dict[PurePosixPath, tuple[str, ...]] = {
        path: _digests(menus.digest(data), *old.written.get(path, ()), *allowed.get(path, ()))
        for path, data in files.items()
    }
    obsolete = [path for path in old.written if path not in files]
    written |= {path: _digests("", *old.written[path]) for path in obsolete}
    staged = [
        switch.stage(path, data)
        for path, data in files.items()
        if (stored := there[path]) is None or stored.sha256 != menus.digest(data)
    ]
    begun = switch.stage(STATE, published.as_json(replace(new, written=written)))
    done = replace(new, written={path: digests[:1] for path, digests in written.items() if path in files})
    ended = switch.stage(STATE, published.as_json(done))
    unlinked = [path for path in obsolete if (s := there[path]) is not None and s.sha256 in written[path]]

    def commit() -> Published:
        root.put(begun)
        for each in staged:
            root.put(each)
        for path in unlinked:
            # A client without a file of its own gets the default.
            with suppress(OSError):
                root.place(path).unlink()
        root.put(ended)
        return done

    return commit


def _by_server_config(root: TftpRoot, path: PurePosixPath) -> bool:
    """Say whether `mkpxeinit server-config` wrote a file: it can write it again."""
    try:
        return MARK.encode() in read_regular(root.place(path), _MAX_TEXT)
    except OSError:
        return False


def _digests(*digests: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(digests))[:_KEPT_DIGESTS]


def _back_up(switch: Switch, path: PurePosixPath) -> None:
    """Keep the file `path` under another name, unless a killed run did so already."""
    root = switch.root
    own = root.digest(path)
    for number in range(_MAX_BACKUPS):
        target = path.with_name(f"{path.name}{BACKUP}{f'.{number}' if number else ''}")
        there = root.digest(target)
        if there == own:
            return
        if there is None:
            root.put(switch.stage(target, root.place(path)))
            return
    raise PublishError(f"{root.show(path)}: {_MAX_BACKUPS} backups of it; move them away")


def recover(root: TftpRoot) -> Published:
    """Finish or clear away what a killed run left; return the state. Only for the holder of the lock."""
    state = published.read(root)
    ours = (PurePosixPath(), FOLDER, *menus.FOLDERS, *(path.parent for path in state.written))
    root.remove_leftovers(dict.fromkeys(ours))
    for name in generation.names(root):
        mark = root.path / FOLDER / name / UNPUBLISHED
        if name in state.uses():
            with suppress(FileNotFoundError):
                mark.unlink()
        elif mark.is_file():
            remove(root, name)
    if any(len(digests) > 1 or not digests[0] for digests in state.written.values()):
        with Switch(root) as switch:
            state = prepare(switch, state, state, read(root), take_over=False)()
    return state


def remove(root: TftpRoot, name: str) -> None:
    """Remove the generation `name`: first out of sight by a rename, so that a killed run leaves no half."""
    with suppress(OSError), root.new_folder(FOLDER) as folder:
        (root.place(FOLDER / name)).rename(folder / name)
        sync_folder(root.path / FOLDER)


def removable(
    root: TftpRoot, state: Published, keep: int, now: int, grace: int
) -> Iterator[tuple[str, bool]]:
    """Yield the generations beyond the newest `keep` of each tree that nobody uses, oldest last.

    True: it can go; False: its use ended less than `grace` seconds ago, a client may be loading it.
    """
    used = state.uses()
    counts: dict[str, int] = {}
    for name in generation.names(root):
        tree = generation.split_name(name)[0]
        counts[tree] = counts.get(tree, 0) + 1
        if counts[tree] > keep and name not in used:
            yield name, not 0 <= now - state.retired.get(name, now - grace) < grace
