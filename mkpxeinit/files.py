"""Files for the image: `--file SRC:DST`, of the machine that builds, or of the tree at the same place."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import ProgramError, SysrootError, UsageError, os_cause, printable
from mkpxeinit.image.entry import Directory, Entry, File, Symlink
from mkpxeinit.image.plan import Planned
from mkpxeinit.programs.place import COVERED, kept_mode
from mkpxeinit.reason import Reason
from mkpxeinit.sysroot import Sysroot, read_regular

_MAX_FILE = 512 << 20  # bytes
_MAX_ENTRIES = 100_000
_MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file or folder for the image: `source` on this machine, or `tree`, a path in the sysroot.

    `target` is where it goes, without a leading `/`.
    """

    source: Path | None
    tree: str | None
    target: PurePosixPath
    reason: Reason


def parse_file(text: str) -> GivenFile:
    r"""Return what `--file` says: SRC:DST, or a path of the tree; UsageError if it makes no sense.

    A colon in a name is written `\:`, a backslash in front of one `\\`.
    """
    shown = f"--file {printable(text)}"
    parts = [""]
    for token in re.findall(r"\\[\\:]|.", text, re.DOTALL):
        if token == ":":
            parts.append("")
        else:
            parts[-1] += token[-1] if len(token) == 2 else token
    if len(parts) > 2:
        raise UsageError(rf"{shown}: more than one colon; write \: for one in a name")
    if len(parts) == 1:
        return GivenFile(None, parts[0], check_target(parts[0], shown), Reason("--file"))
    source, target = parts
    if not source or not target:
        raise UsageError(f"{shown}: is not SRC:DST, nor the path of a file in the tree")
    if target.endswith("/"):
        target += Path(source).name
    return GivenFile(Path(source), None, check_target(target, shown), Reason("--file"))


def check_target(text: str, shown: str) -> PurePosixPath:
    """Return `text` as a path in the image; UsageError, naming the option as `shown`, if it cannot be one."""
    path = PurePosixPath(text.lstrip("/"))
    if not path.parts or not text.isprintable() or ".." in path.parts:
        raise UsageError(f"{shown}: {text!r} is no path in the image; no `..`, no control characters")
    if path.parts[0] in COVERED:
        raise UsageError(f"{shown}: /{path.parts[0]} is covered by a mount when the client runs")
    return path


def collect(
    tree: Sysroot, given: tuple[GivenFile, ...], planned: Mapping[PurePosixPath, Planned]
) -> tuple[Planned, ...]:
    """Return the entries for the files `given`; `planned` are those that the image has without them.

    ProgramError if one cannot be read, or its place is taken.
    """
    links = {path: item.entry.target for path, item in planned.items() if isinstance(item.entry, Symlink)}
    found: dict[PurePosixPath, Planned] = {}
    for each in given:
        host, shown = _host_path(tree, each)
        target = _through(each.target, links)
        for entry in _entries(host, target, shown):
            there = planned.get(entry.path) or found.get(entry.path)
            if there is None:
                found[entry.path] = Planned(entry, each.reason)
            elif not (isinstance(entry, Directory) and isinstance(there.entry, Directory)):
                raise ProgramError(
                    f"{shown} ({each.reason}): /{printable(entry.path)} is in the image already: "
                    f"{there.reason}; choose another place"
                )
    _check_parents(found, planned)
    return tuple(found.values())


def _check_parents(found: Mapping[PurePosixPath, Planned], planned: Mapping[PurePosixPath, Planned]) -> None:
    for path, item in found.items():
        for parent in path.parents[:-1]:
            above = planned.get(parent) or found.get(parent)
            if above is not None and not isinstance(above.entry, Directory):
                raise ProgramError(
                    f"/{printable(path)} ({item.reason}): /{printable(parent)} is no folder in the image: "
                    f"{above.reason}"
                )


def _host_path(tree: Sysroot, given: GivenFile) -> tuple[Path, str]:
    """Return the host path of a file, links resolved, and its name for messages."""
    if given.source is None:
        path = given.tree or "/"
        try:
            return tree.resolve(path), tree.show(path)
        except SysrootError as error:
            raise SysrootError(f"{error} ({given.reason}); SRC:DST takes a file of this machine") from error
    return resolve_host(given.source, given.reason), printable(given.source)


def resolve_host(path: Path, reason: Reason) -> Path:
    """Return `path` of this machine, links resolved; ProgramError if there is no such file."""
    try:
        return path.resolve(strict=True)
    except OSError as error:
        cause = os_cause(error)
    except (RuntimeError, ValueError) as error:  # links in circles, a NUL
        cause = printable(str(error))
    raise ProgramError(f"{printable(path)}: {cause} ({reason})")


def _through(path: PurePosixPath, links: Mapping[PurePosixPath, str]) -> PurePosixPath:
    """Return `path` with the image's own links in its folders followed: sbin/x is bin/x."""
    for _ in range(_MAX_LINKS):
        above = next((parent for parent in reversed(path.parents) if parent in links), None)
        if above is None:
            return path
        target = PurePosixPath(os.path.normpath(f"/{above.parent}/{links[above]}").lstrip("/"))
        path = target / path.relative_to(above)
    raise ProgramError(f"/{printable(path)}: too many symbolic links in the image")


def _entries(top: Path, target: PurePosixPath, shown: str) -> Iterator[Entry]:
    """Yield the entries for the file or folder `top`, sorted, without following links in it."""
    todo = [PurePosixPath()]
    count = 0
    while todo:
        inside = todo.pop()
        count += 1
        if count > _MAX_ENTRIES:
            raise ProgramError(f"{shown}: more than {_MAX_ENTRIES} files")
        name = shown if not inside.parts else f"{shown.rstrip('/')}/{printable(inside)}"
        host, path = top / inside, target / inside
        try:
            status = host.lstat()
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFDIR:
                yield Directory(path, status.st_mode & 0o755 | 0o700)
                todo += [inside / each.name for each in sorted(host.iterdir(), reverse=True)]
            elif kind == stat.S_IFREG:
                yield File(path, read_regular(host, _MAX_FILE), kept_mode(status.st_mode))
            elif kind == stat.S_IFLNK:
                yield Symlink(path, _kept_link(str(host.readlink()), inside, name))
            else:
                raise ProgramError(f"{name}: neither a file nor a folder nor a symbolic link")
        except OSError as error:
            raise ProgramError(f"{name}: {os_cause(error)}") from error


def _kept_link(target: str, inside: PurePosixPath, shown: str) -> str:
    """Return the target of a link in a folder; ProgramError if it leads out of it."""
    leads = os.path.normpath(os.path.join(*inside.parent.parts, target))  # noqa: PTH118  (text, not a file)
    if leads == ".." or leads.startswith(("/", "../")):
        raise ProgramError(
            f"{shown}: a link out of its folder, to {printable(target)}; give what it means with a --file of "
            "its own, or take the link away"
        )
    return target
