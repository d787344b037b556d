"""The hook scripts, in a tree: put there, looked for, taken away. Their sources are in packaging/hooks."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from mkpxeinit import resources
from mkpxeinit.errors import HookError, SysrootError, os_cause
from mkpxeinit.prepare.writer import Seen, Writer
from mkpxeinit.sysroot import Sysroot, read_regular

MARK = b"# Part of mkpxeinit"
_MAX = 1 << 20  # bytes of a script that is there
# Kind of hooks: a file or folder that such a system has, or in it (`*-*`) something of such a name.
KINDS = {
    "debian": ("var/lib/dpkg/status",),
    # A package that pacman has installed: Debian has the program, too, which makes an empty database.
    "arch": ("var/lib/pacman/local/*-*",),
    "alpine": ("etc/apk/world", "sbin/apk", "usr/sbin/apk"),
    "kernel-install": ("usr/bin/kernel-install", "bin/kernel-install"),
    "systemd": ("run/systemd/system",),  # it runs here, sd_booted(3): units are of use
}
_PACMAN = "var/lib/pacman/local"
_TEMPORARY = ".mkpxeinit-hook.tmp"


@dataclass(frozen=True, slots=True)
class Script:
    """A file of a kind of hooks: where it belongs in the tree, and what is in it."""

    kind: str
    path: PurePosixPath
    data: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Found:
    """A script and what the tree has in its place: installed, absent, changed (ours), or foreign."""

    script: Script
    state: str
    shown: str


def kinds_of(sysroot: Sysroot) -> tuple[str, ...]:
    """Return the kinds of hooks that the system in `sysroot` would run."""
    return tuple(kind for kind, signs in KINDS.items() if any(_has(sysroot, each) for each in signs))


def _has(sysroot: Sysroot, sign: str) -> bool:
    folder, _, pattern = sign.rpartition("/")
    if "*" not in pattern:
        return sysroot.exists(sign)
    return sysroot.is_dir(folder) and any(fnmatchcase(name, pattern) for name in sysroot.list(folder))


def scripts(kinds: tuple[str, ...]) -> tuple[Script, ...]:
    """Return the files of these kinds; MkpxeinitError if the installation is incomplete."""
    top = resources.folder("packaging/hooks")
    found = []
    for kind in kinds:
        for path in sorted((top / kind).rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                # By its first line: not every way of installing keeps modes.
                mode = 0o755 if data.startswith(b"#!") else 0o644
                found.append(Script(kind, PurePosixPath(path.relative_to(top / kind)), data, mode))
    return tuple(found)


def look(sysroot: Sysroot, wanted: tuple[Script, ...]) -> tuple[Found, ...]:
    """Return for each script what the tree has in its place; SysrootError if that cannot be told."""
    return tuple(Found(each, _state(sysroot, each), sysroot.show(str(each.path))) for each in wanted)


def install(sysroot: Sysroot, wanted: tuple[Script, ...], force: bool) -> tuple[Found, ...]:
    """Put the scripts into the tree; return those that were not there so already.

    HookError if a file in the place of one is not ours (unless `force`); then nothing is written.
    """
    found = look(sysroot, wanted)
    if foreign := [each for each in found if each.state == "foreign" and not force]:
        raise HookError(
            f"{foreign[0].shown}: is there already, and is not part of mkpxeinit; look at it, then "
            "move it away or give --force"
        )
    todo = tuple(each for each in found if each.state != "installed")
    with _writing(sysroot) as writer:
        for each in todo:
            try:
                _put(sysroot, writer, each.script)
            except OSError as error:
                raise HookError(f"{each.shown}: cannot be written: {os_cause(error)}") from error
    return todo


def remove(sysroot: Sysroot, wanted: tuple[Script, ...]) -> tuple[Found, ...]:
    """Take away the scripts that are ours, changed or not; return those that were there."""
    todo = tuple(each for each in look(sysroot, wanted) if each.state in ("installed", "changed"))
    with _writing(sysroot) as writer:
        for each in todo:
            try:
                writer.remove(_place(sysroot, each.script.path))
            except OSError as error:
                raise HookError(f"{each.shown}: cannot be removed: {os_cause(error)}") from error
    return todo


def packaged(sysroot: Sysroot) -> frozenset[PurePosixPath]:
    """Return which of our files are a package's as dpkg and pacman tell; rpm's database is no text."""
    lists = ["var/lib/dpkg/info/mkpxeinit.list"]
    if sysroot.is_dir(_PACMAN):
        found = (name for name in sysroot.list(_PACMAN) if fnmatchcase(name, "mkpxeinit-[0-9]*"))
        lists += [f"{_PACMAN}/{name}/files" for name in found]
    lines: set[str] = set()
    for name in lists:
        with suppress(SysrootError):
            lines.update(line.strip("/") for line in sysroot.read_text(name).splitlines())
    paths = (each.path for each in scripts(tuple(KINDS)))
    # Debian 12's packages have /lib/systemd, which is /usr/lib/systemd.
    return frozenset(path for path in paths if lines & {str(path), str(path).removeprefix("usr/")})


class _writing:
    """A writer of the tree that is closed at the end."""

    def __init__(self, sysroot: Sysroot) -> None:
        self._writer = Writer(sysroot.root)

    def __enter__(self) -> Writer:
        return self._writer

    def __exit__(self, *_: object) -> None:
        self._writer.close()


def _state(sysroot: Sysroot, script: Script) -> str:
    try:
        host = sysroot.root / _place(sysroot, script.path)
        status = host.lstat()
        data = read_regular(host, _MAX)
    except FileNotFoundError:
        return "absent"
    except OSError:
        return "foreign"  # a link, a device, a folder
    if MARK not in data:
        return "foreign"
    return "installed" if data == script.data and status.st_mode & 0o777 == script.mode else "changed"


def _place(sysroot: Sysroot, path: PurePosixPath) -> PurePosixPath:
    """Return where `path` is in the tree, links of its folders followed inside it; those may be missing."""
    missing: list[str] = []
    for folder in (path.parent, *path.parent.parents):
        if sysroot.exists(str(folder)):
            real = PurePosixPath(sysroot.resolve(str(folder)).relative_to(sysroot.root))
            return real.joinpath(*reversed(missing), path.name)
        missing.append(folder.name)
    raise SysrootError(f"{sysroot.show(str(path))}: no such folder")


def _folders(path: PurePosixPath) -> Iterator[PurePosixPath]:
    yield from reversed(path.parents[:-1])


def _put(sysroot: Sysroot, writer: Writer, script: Script) -> None:
    place = _place(sysroot, script.path)
    for folder in _folders(place):
        if writer.see(folder) is None:
            writer.make_folder(folder, 0o755)
    owner = sysroot.root.stat()
    seen = Seen("file", script.mode, owner.st_uid, owner.st_gid, 0)
    temporary = PurePosixPath(place.parent, _TEMPORARY)
    if writer.see(temporary) is not None:  # of a run that was killed
        writer.remove(temporary)
    writer.put_file(place, script.data, seen, _TEMPORARY, {})
