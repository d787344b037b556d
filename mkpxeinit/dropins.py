"""Drop-ins: TOML fragments that add modules, programs, files and hooks to every image: docs/drop-ins.md."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mkpxeinit.errors import ProgramError, UsageError, os_cause, printable
from mkpxeinit.files import GivenFile, check_target, resolve_host
from mkpxeinit.image.entry import File
from mkpxeinit.image.plan import Planned
from mkpxeinit.meant import close
from mkpxeinit.reason import Reason
from mkpxeinit.sysroot import read_regular

DEFAULT = Path("/etc/mkpxeinit.d")
PHASES = ("early", "drivers", "network", "lease", "root", "writable", "tree", "handoff", "switch")
HOOKS = PurePosixPath("lib/pxeinit/hooks")
_MAX_FRAGMENT = 64 << 10  # bytes; what tomllib needs for dotted keys grows with their square
_MAX_SCRIPT = 16 << 20  # bytes
_SEE = "see mkpxeinit.d(5)"


@dataclass(frozen=True, slots=True)
class Hook:
    """A script for lib/pxeinit/hooks, and where it goes."""

    path: PurePosixPath
    data: bytes
    reason: Reason


@dataclass(frozen=True, slots=True)
class DropIns:
    """What all fragments add, each with the reason that names its fragment."""

    modules: tuple[tuple[str, Reason], ...] = ()
    programs: tuple[tuple[str, Reason], ...] = ()
    files: tuple[GivenFile, ...] = ()
    hooks: tuple[Hook, ...] = ()


class _Fragment:
    """One file; all errors name it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        import tomllib  # few builds have fragments

        self.reason = Reason("drop-in", printable(path.name))
        try:
            text = read_regular(resolve_host(path, self.reason), _MAX_FRAGMENT).decode("utf-8")
            self.table = tomllib.loads(text)
        except OSError as error:
            raise ProgramError(f"{printable(path)}: {os_cause(error)}") from error
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise ProgramError(f"{printable(path)}:{line}: not UTF-8, as TOML must be") from error
        except tomllib.TOMLDecodeError as error:
            match = re.search(r" \(at line (\d+), column \d+\)$", str(error))
            line_text = f":{match[1]}" if match else ""
            cause = str(error)[: match.start()] if match else str(error)
            raise ProgramError(f"{printable(path)}{line_text}: {printable(cause)}; {_SEE}") from error
        except RecursionError as error:
            raise ProgramError(f"{printable(path)}: nested too deeply") from error
        except ValueError as error:  # a number of thousands of digits
            raise ProgramError(f"{printable(path)}: {printable(error)}; {_SEE}") from error

    def fail(self, key: str, cause: str) -> ProgramError:
        return ProgramError(f"{printable(self.path)}: {printable(key)}: {cause}; {_SEE}")

    def check_keys(self, table: dict[str, Any], known: Iterable[str], where: str) -> None:
        """Refuse what nobody reads: a key with a typing error would be ignored in silence."""
        known = tuple(known)
        for key in table:
            if key not in known:
                likely = close(key, known, 1)
                hint = f"; did you mean {likely[0]}?" if likely else ""
                raise self.fail(f"{where}{key}", f"unknown key; known: {', '.join(known)}{hint}")

    def names(self, key: str) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self.table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
            raise self.fail(key, 'not a list of names, such as ["a", "b"]')
        return tuple(value)

    def tables(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        """Return an array of tables, each with its name for messages."""
        value = self.table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.fail(key, f"not an array of tables: [[{key}]]")
        return [(f"[[{key}]] {number}, ", each) for number, each in enumerate(value, 1)]

    def text(self, table: dict[str, Any], key: str, where: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value:
            raise self.fail(f"{where}{key}", "missing" if key not in table else "not a text")
        return value

    def check_exists(self, path: Path, key: str) -> Path:
        """Return `path` with links resolved; an error that names `key` if it is not there."""
        try:
            return resolve_host(path, self.reason)
        except ProgramError as error:
            raise self.fail(key, str(error)) from error

    def beside(self, text: str) -> Path:
        """Return the host path `text`, which counts from the fragment's folder."""
        return self.path.parent / text


def _file(fragment: _Fragment, where: str, table: dict[str, Any]) -> GivenFile:
    fragment.check_keys(table, ("source", "sysroot", "target"), where)
    if ("source" in table) == ("sysroot" in table):
        raise fragment.fail(f"{where}source", "either `source`, of this machine, or `sysroot`, of the tree")
    source = fragment.beside(fragment.text(table, "source", where)) if "source" in table else None
    tree = fragment.text(table, "sysroot", where) if "sysroot" in table else None
    target = tree if tree is not None and "target" not in table else fragment.text(table, "target", where)
    if source is not None and target.endswith("/"):
        target += source.name
    try:
        path = check_target(target, f"{where}target")
    except UsageError as error:
        raise ProgramError(f"{printable(fragment.path)}: {error}; {_SEE}") from error
    if source is not None:
        fragment.check_exists(source, f"{where}source")
    return GivenFile(source, tree, path, fragment.reason)


def _hooks(fragment: _Fragment, where: str, table: dict[str, Any]) -> list[Hook]:
    fragment.check_keys(table, ("phase", "script", "when", "order"), where)
    phases = table.get("phase")
    phases = [phases] if isinstance(phases, str) else phases
    if not isinstance(phases, list) or not phases:
        raise fragment.fail(f"{where}phase", "missing, or neither a name nor a list of names")
    order = table.get("order", 50)
    if not isinstance(order, int) or isinstance(order, bool) or not 0 <= order <= 99:
        raise fragment.fail(f"{where}order", "not a number from 0 to 99")
    script = fragment.beside(fragment.text(table, "script", where))
    if not re.fullmatch(r"[\w.-]+", script.name):
        raise fragment.fail(f"{where}script", "a name of letters, digits, `.`, `_` and `-` only")
    data = _script(fragment, script, f"{where}script")
    found = []
    for phase in phases:
        when = table.get("when", "before" if phase == "switch" else "after")
        folder = _hook_folder(fragment, where, phase, when)
        found.append(Hook(HOOKS / folder / f"{order:02}-{script.name}", data, fragment.reason))
    return found


def _script(fragment: _Fragment, path: Path, key: str) -> bytes:
    try:
        data = read_regular(fragment.check_exists(path, key), _MAX_SCRIPT)
    except OSError as error:
        raise fragment.fail(key, f"{printable(path)}: {os_cause(error)}") from error
    if not data.startswith((b"#!", b"\x7fELF")):
        raise fragment.fail(key, f"{printable(path)}: does not begin with #!, such as #!/bin/sh")
    return data


def _hook_folder(fragment: _Fragment, where: str, phase: object, when: object) -> str:
    """Return the folder of hooks, as run_phase in init/lib/phase.sh has them."""
    if phase not in PHASES:
        raise fragment.fail(f"{where}phase", f"unknown phase {phase!r}; the phases: {', '.join(PHASES)}")
    if when not in ("before", "after"):
        raise fragment.fail(f"{where}when", 'neither "before" nor "after"')
    if (phase, when) in (("switch", "after"), ("early", "before")):
        raise fragment.fail(f"{where}when", f"no hook can run {when} phase {phase}")
    return f"{phase}.before" if when == "before" and phase != "switch" else str(phase)


def read_drop_ins(folders: Sequence[Path]) -> DropIns:
    """Return what the fragments in `folders` add, folder by folder, sorted by their names.

    The default folder need not be there. ProgramError if another one is missing, or a fragment is wrong.
    """
    fragments = [_Fragment(path) for folder in folders for path in _fragments(folder)]
    modules: list[tuple[str, Reason]] = []
    programs: list[tuple[str, Reason]] = []
    files: list[GivenFile] = []
    hooks: list[Hook] = []
    for each in fragments:
        each.check_keys(each.table, ("modules", "programs", "files", "hooks"), "")
        modules += [(name, each.reason) for name in each.names("modules")]
        programs += [(name, each.reason) for name in each.names("programs")]
        files += [_file(each, where, table) for where, table in each.tables("files")]
        hooks += [hook for where, table in each.tables("hooks") for hook in _hooks(each, where, table)]
    return DropIns(tuple(modules), tuple(programs), tuple(files), tuple(hooks))


def _fragments(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml" and path.name[0] != ".")
    except FileNotFoundError as error:
        if folder == DEFAULT:
            return []
        raise ProgramError(f"{printable(folder)}: {os_cause(error)}; a folder with fragments") from error
    except OSError as error:
        raise ProgramError(f"{printable(folder)}: {os_cause(error)}") from error


def plan_hooks(hooks: Iterable[Hook]) -> tuple[Planned, ...]:
    """Return the entries for `hooks`; ProgramError if two want the same name."""
    found: dict[PurePosixPath, Hook] = {}
    for each in hooks:
        other = found.setdefault(each.path, each)
        if other is not each:
            raise ProgramError(
                f"{each.reason}: the hook /{each.path} is there already, by {other.reason}; "
                "give its script another name or `order`"
            )
    return tuple(Planned(File(h.path, h.data, 0o755), h.reason) for h in found.values())
