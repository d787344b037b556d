"""The busybox of an image: where it comes from, whether it can run there, what it can do.

Nothing is executed: the tree may be another machine's, or hostile.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mkpxeinit import elf
from mkpxeinit.errors import MkpxeinitError, ProgramError, SysrootError, os_cause, printable
from mkpxeinit.sysroot import Sysroot, read_regular

PLACES = (
    "/bin/busybox",
    "/usr/bin/busybox",
    "/sbin/busybox",
    "/bin/busybox.static",
    "/usr/lib/busybox/busybox",
)
GIVEN = "--busybox"
# Where `mkpxeinit busybox` puts its own, and where a package would.
OWN = (Path("/usr/local/lib/mkpxeinit/busybox"), Path("/usr/lib/mkpxeinit/busybox"))
_HOST = Path("/bin/busybox")
_MAX = 64 << 20  # bytes
_TABLE = 64 << 10  # bytes; the table of all applets has 4,000
_HINT = "install busybox-static into the tree or on this machine, or give one with --busybox"

# libbb's applet_names: names in the order of strcmp(3), each ended by a NUL, an empty one at the end
# (include/applet_tables.h, made by applets/applet_tables.c).
_NAME = re.compile(rb"[a-z0-9\[][a-z0-9_.+\[-]{0,31}")
_RUN = re.compile(rb"(?:[a-z0-9\[][a-z0-9_.+\[-]{0,31}\0)+")


@dataclass(frozen=True, slots=True)
class Busybox:
    """A static busybox: its bytes, the names of its applets, and where it was found, for messages.

    `origin` says the latter without a path of this machine, the same wherever the tree lies.
    """

    data: bytes
    applets: tuple[str, ...]
    shown: str
    origin: str = GIVEN


@dataclass(frozen=True, slots=True)
class Needs:
    """Applets that the client uses; without a required one it cannot boot."""

    required: tuple[str, ...]
    optional: tuple[str, ...]


def read_needs(path: Path) -> Needs:
    """Return the list in `path`: a name a line, `?` in front of one that the client can do without."""
    try:
        lines = [line.partition("#")[0].strip() for line in path.read_text("ascii").splitlines()]
    except OSError as error:
        raise MkpxeinitError(f"{path}: {os_cause(error)}; mkpxeinit is not installed completely") from error
    names = [name for line in lines for name in line.split()]
    return Needs(
        tuple(name for name in names if not name.startswith("?")),
        tuple(name[1:] for name in names if name.startswith("?")),
    )


def applet_names(data: bytes) -> tuple[str, ...]:
    """Return the applets named in the busybox program `data`; empty if it has no table of them.

    Of all runs of NUL-ended names, the longest sorted stretch that has `mount` is taken: the table of
    a busybox with a hundred applets stands out from all other strings.
    """
    best: list[bytes] = []
    for run in (run for start, end in _around(data, b"mount\0") for run in _RUN.finditer(data, start, end)):
        if b"mount\0" not in run[0]:
            continue
        stretch: list[bytes] = []
        for name in itertools.chain(run[0].split(b"\0")[:-1], [b""]):
            if stretch and name <= stretch[-1]:
                if b"mount" in stretch and len(stretch) > len(best):
                    best = stretch
                stretch = []
            stretch.append(name)
    return tuple(name.decode("ascii") for name in best)


def _around(data: bytes, text: bytes) -> Iterator[tuple[int, int]]:
    """Yield the stretches of `data` that may hold a table with `text`; they do not overlap."""
    start = end = 0
    at = data.find(text)
    while at >= 0:
        if at - _TABLE > end:
            yield start, end
            start = at - _TABLE
        end = at + _TABLE
        at = data.find(text, at + 1)
    yield start, end


def check(
    data: bytes, shown: str, machine: elf.Machine | None, config: Mapping[str, str], origin: str = GIVEN
) -> Busybox:
    """Return the program `data` as Busybox; ProgramError if it is dynamic, of another machine, or none.

    `machine` is the kernel's (None: unknown), `config` its configuration.
    """
    facts = elf.inspect(data, shown)
    if facts.interpreter is not None:
        raise ProgramError(f"{shown}: dynamic, needs {printable(facts.interpreter)}")
    if machine is not None and not elf.runs_on(facts.machine, machine, config):
        raise ProgramError(f"{shown}: for {facts.machine}, but the kernel is for {machine}")
    applets = applet_names(data)
    if not applets:
        raise ProgramError(f"{shown}: no table of applets in it, so it is no busybox")
    return Busybox(data, applets, shown, origin)


def find(
    sysroot: Sysroot,
    given: Path | None,
    machine: elf.Machine | None,
    config: Mapping[str, str],
    host: Path = _HOST,
    own: Sequence[Path] = OWN,
) -> tuple[Busybox, tuple[str, ...]]:
    """Return the busybox `given`, else our `own`, the tree's, this machine's; and remarks for the user.

    ProgramError if there is none that can run under the tree's kernel.
    """
    if given is not None:
        try:
            return _checked(given, str(given), machine, config, GIVEN), ()
        except ProgramError as error:
            raise ProgramError(f"{error}; {_HINT}") from error
    seen: list[str] = []
    for path in own:
        if not path.exists():
            continue
        try:
            return _checked(path, str(path), machine, config, "mkpxeinit busybox"), ()
        except ProgramError as error:
            seen.append(str(error))
    for place in PLACES:
        if not sysroot.exists(place):
            continue
        try:
            found = _checked(
                sysroot.resolve(place), sysroot.show(place), machine, config, f"the tree's {place}"
            )
        except (ProgramError, SysrootError) as error:
            seen.append(str(error))
        else:
            return found, tuple(seen)
    if host.exists():
        try:
            found = _checked(host, str(host), machine, config, f"this machine's {host}")
        except ProgramError as error:
            seen.append(str(error))
        else:
            return found, (*seen, f"the tree has no static busybox: taking this machine's {host}")
    seen_text = f" ({'; '.join(seen)})" if seen else ""
    raise ProgramError(
        f"{sysroot.show(PLACES[0])}: no static busybox in the tree or here{seen_text}; {_HINT}"
    )


def _checked(
    path: Path, shown: str, machine: elf.Machine | None, config: Mapping[str, str], origin: str
) -> Busybox:
    shown = printable(shown)
    try:
        data = read_regular(path.resolve(), _MAX)
    except OSError as error:
        raise ProgramError(f"{shown}: {os_cause(error)}") from error
    return check(data, shown, machine, config, origin)


def missing(busybox: Busybox, needs: Needs) -> tuple[str, ...]:
    """Return the optional applets that `busybox` lacks; ProgramError if it lacks a required one."""
    lacking = [name for name in needs.required if name not in busybox.applets]
    if lacking:
        raise ProgramError(
            f"{busybox.shown}: lacks applets that the client needs: {', '.join(lacking)}; "
            "take Debian's busybox-static, or build one anew: mkpxeinit busybox"
        )
    return tuple(name for name in needs.optional if name not in busybox.applets)
