"""What distributions script: images planned, built, read and checked. docs/api.md is its description.

These names and types stay; what they are made from may change. Import them from `mkpxeinit` itself, which
loads this module, and the libraries behind it, when the first of them is used. All that goes wrong on
purpose is an MkpxeinitError with one line that says what, where, and the way out; UsageError is one.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path, PurePosixPath

from mkpxeinit import build, check
from mkpxeinit.errors import MkpxeinitError as MkpxeinitError  # of the package, too
from mkpxeinit.errors import UsageError as UsageError
from mkpxeinit.files import parse_file
from mkpxeinit.hardware.network import BUSES
from mkpxeinit.hardware.pci import PciClass
from mkpxeinit.image import read
from mkpxeinit.image.compress import Compressor
from mkpxeinit.image.entry import type_letter
from mkpxeinit.meant import meant

AnyPath = str | PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """What an image is made from; all but `sysroot` may be left out, and mean what build's options mean.

    `hardware` are inventories (a folder with a copy of /sys is one), `files` are `SRC:DST` as --file takes
    them, `buses` and `pci_classes` are None for the defaults. Without `drop_ins`, folders of fragments,
    there are none, and without `cache`, a folder, nothing is kept: unlike the command, which has defaults.
    """

    sysroot: AnyPath
    output: AnyPath | None = None
    kernel_release: str | None = None
    hardware: Sequence[AnyPath] = ()
    pci_classes: Sequence[str] | None = None
    buses: Sequence[str] | None = None
    drivers: Sequence[str] = ()
    modules: Sequence[str] = ()
    programs: Sequence[str] = ()
    files: Sequence[str] = ()
    drop_ins: Sequence[AnyPath] = ()
    busybox: AnyPath | None = None
    cmdline: str = ""
    compressor: str | None = None
    strip_modules: bool = False
    cache: AnyPath | None = None


@dataclass(frozen=True, slots=True)
class PlannedEntry:
    """An entry of an image to come. `kind` is as in ls -l: d, -, l or c; `why`: the nearest reason first."""

    path: PurePosixPath
    kind: str
    mode: int
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """An image that is decided and not yet written.

    `missing_firmware` has the names of the files that the tree lacks, each with the drivers that ask for it;
    `notes` are remarks for whoever reads a log. `write_image` takes it.
    """

    release: str
    output: Path
    modules: tuple[str, ...]
    entries: tuple[PlannedEntry, ...]
    missing_firmware: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[str, ...]
    _build: build.Build = field(repr=False)


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that was written: its file, its size in bytes, the plan that it was written from."""

    path: Path
    size: int
    plan: ImagePlan


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An entry of an image of any tool.

    `kind` is as in ls -l, `mode` without the type, `mtime` in seconds since 1970, `device` the major and
    minor number of c and b, `target` what a link points to.
    """

    path: PurePosixPath
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    device: tuple[int, int] | None
    target: str | None
    _content: Iterator[bytes] = field(repr=False, compare=False)

    def content(self) -> Iterator[bytes]:
        """Return a file's content in pieces; to be read before the next entry is asked for, once."""
        return self._content


@dataclass(frozen=True, slots=True)
class CheckedMachine:
    """A machine of a fleet: its inventory's name, whether the image serves it, and what it lacks, as text."""

    name: str
    covered: bool
    lacking: tuple[str, ...]


def plan_image(options: ImageOptions) -> ImagePlan:
    """Return the complete image for `options`. Nothing is written, and nothing of the tree is executed.

    SOURCE_DATE_EPOCH of the environment is the time of all files in it. Raises MkpxeinitError.
    """
    decided = build.plan(_options(options))
    return ImagePlan(
        release=decided.release,
        output=decided.output,
        modules=tuple(each.module.name for each in decided.modules),
        entries=tuple(
            PlannedEntry(each.entry.path, type_letter(each.entry), each.entry.mode, each.reason.chain())
            for each in decided.plan.items()
        ),
        missing_firmware=tuple((each.name, each.modules) for each in decided.missing_firmware),
        notes=decided.notes,
        _build=decided,
    )


def write_image(plan: ImagePlan) -> BuiltImage:
    """Write the planned image, whole or not at all: what was there before stays if it fails.

    The file is readable by its owner alone. Raises MkpxeinitError.
    """
    result = build.write(plan._build)
    return BuiltImage(plan.output, result.size, plan)


def build_image(options: ImageOptions) -> BuiltImage:
    """Plan and write in one: `write_image(plan_image(options))`."""
    return write_image(plan_image(options))


@contextmanager
def read_image(path: AnyPath) -> Iterator[Iterator[ImageEntry]]:
    """Open an image of any tool, to be used with `with`: its entries come in its order, once.

    What comes later replaces, for the kernel, what came earlier under the same path. Memory and time are
    bounded whatever the image says. Raises MkpxeinitError, also while the entries are read.
    """
    with read.open_image(Path(path)) as opened:
        yield (_entry(found) for found in opened.entries())


def check_image(
    image: AnyPath, inventories: Iterable[AnyPath], *, release: str | None = None, with_firmware: bool = True
) -> tuple[CheckedMachine, ...]:
    """Return for each machine of the inventories, files or folders of them, whether `image` serves it.

    An inventory that cannot be read is a machine that is not covered. Raises MkpxeinitError if the image
    cannot be judged by.
    """
    report = check.check(Path(image), map(Path, inventories), release, with_firmware)
    return tuple(CheckedMachine(each.name, each.covered, tuple(_lacking(each))) for each in report.machines)


def _options(given: ImageOptions) -> build.Options:
    if not isinstance(given, ImageOptions):
        raise UsageError(f"ImageOptions are needed, not {type(given).__name__}")
    return build.Options(
        sysroot=Path(given.sysroot),
        output=Path(given.output) if given.output is not None else None,
        cmdline=given.cmdline,
        kernel_release=given.kernel_release,
        busybox=Path(given.busybox) if given.busybox is not None else None,
        modules=_texts("modules", given.modules),
        drivers=_texts("drivers", given.drivers),
        pci_classes=_classes(given.pci_classes),
        buses=None if given.buses is None else _buses(given.buses),
        hardware=tuple(map(Path, given.hardware)),
        compressor=Compressor.parse(given.compressor) if given.compressor else None,
        strip_modules=given.strip_modules,
        programs=_texts("programs", given.programs),
        files=tuple(map(parse_file, _texts("files", given.files))),
        drop_ins=tuple(map(Path, given.drop_ins)),
        cache=Path(given.cache) if given.cache is not None else None,
    )


def _classes(given: Sequence[str] | None) -> tuple[PciClass, ...] | None:
    return None if given is None else tuple(map(PciClass.parse, _texts("pci_classes", given)))


def _buses(given: Sequence[str]) -> tuple[str, ...]:
    """Return the buses; UsageError for one that is not known."""
    names = _texts("buses", given)
    for name in names:
        if name not in BUSES:
            raise UsageError(f"buses: no bus is named {name!r}{meant(name, BUSES)}")
    return names


def _texts(name: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return the list as a tuple: a text is a sequence of texts, too, and never what was meant."""
    if isinstance(given, str):
        raise UsageError(f"{name}: a list is needed, [{given!r}]")
    return tuple(given)


def _entry(found: read.Found) -> ImageEntry:
    record = found.record
    return ImageEntry(
        path=record.path,
        kind=record.letter,
        mode=record.mode & 0o7777,
        uid=record.uid,
        gid=record.gid,
        size=record.size,
        mtime=record.mtime,
        device=record.device if record.letter in "cb" else None,
        target=record.target if record.letter == "l" else None,
        _content=found.content,
    )


def _lacking(machine: check.Machine) -> Iterator[str]:
    if machine.error is not None:
        yield machine.error
    for each in machine.findings:
        yield from map(str, each.lacking)
