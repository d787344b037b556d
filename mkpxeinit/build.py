"""The whole build as two steps for other programs: `plan` decides everything, `write` makes the image."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mkpxeinit import builtin, busybox, content, dropins, elf, resources, selection, treeinit
from mkpxeinit.cache import Cache
from mkpxeinit.errors import SysrootError, UsageError, printable
from mkpxeinit.files import GivenFile, collect
from mkpxeinit.hardware.network import LeftOut
from mkpxeinit.hardware.pci import PciClass
from mkpxeinit.image import compress
from mkpxeinit.image import reasons as reasons_file
from mkpxeinit.image.output import replacing
from mkpxeinit.image.plan import Plan, Planned, Segment, make_plan, make_segment
from mkpxeinit.kernel import firmware, modprobed, strip, symbols
from mkpxeinit.kernel import index as kernel_index
from mkpxeinit.kernel import release as kernel_release
from mkpxeinit.kernel.modulefile import Findings, ModuleFiles
from mkpxeinit.reason import Reason
from mkpxeinit.sysroot import Sysroot
from mkpxeinit.workers import meanwhile

if TYPE_CHECKING:
    from mkpxeinit.hardware.inventory import Inventory

_FINDINGS = "findings"  # the cache's key of what was found in modules
MAX_CMDLINE = 4096  # bytes; COMMAND_LINE_SIZE is 2048 or 4096


@dataclass(frozen=True, slots=True)
class Options:
    """What a build is told. Classes that are None: 02, or none if there is hardware or a list of buses."""

    sysroot: Path
    output: Path | None = None
    cmdline: str = ""
    kernel_release: str | None = None
    busybox: Path | None = None
    modules: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    pci_classes: tuple[PciClass, ...] | None = None
    buses: tuple[str, ...] | None = None
    hardware: tuple[Path, ...] = ()
    compressor: compress.Compressor | None = None
    strip_modules: bool = False
    programs: tuple[str, ...] = ()
    files: tuple[GivenFile, ...] = ()
    drop_ins: tuple[Path, ...] = ()
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class MissingFirmware:
    """A firmware file that the tree lacks, and the drivers of the image or the kernel that ask for it."""

    name: str
    modules: tuple[str, ...]

    def __str__(self) -> str:
        return f"{printable(self.name)}, asked for by {', '.join(self.modules)}"


@dataclass(frozen=True, slots=True)
class Build:
    """A build that is decided and not yet written; `notes` are remarks for the user.

    `left_out` are the network drivers that were not taken, each with the reason.
    """

    release: str
    output: Path
    plan: Plan
    modules: tuple[selection.Selected, ...]
    compressor: compress.Compressor
    mtime: int
    notes: tuple[str, ...]
    missing_firmware: tuple[MissingFirmware, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    cache: Cache | None = None
    findings: Findings = field(default_factory=Findings)


@dataclass(frozen=True, slots=True)
class Result:
    """What was written: bytes of the image, the seconds that it took, and remarks on the cache."""

    size: int
    seconds: float
    notes: tuple[str, ...] = ()


def plan(options: Options, environment: Mapping[str, str] | None = None) -> Build:
    """Return the complete build for `options`; MkpxeinitError if it cannot work. Nothing is written."""
    mtime = source_date(os.environ if environment is None else environment)
    check_cmdline(options.cmdline)
    tree = Sysroot.open(options.sysroot)
    choice = kernel_release.choose_release(tree, options.kernel_release)
    release = choice.release
    notes = []
    if len(choice.found) > 1 and options.kernel_release is None:
        notes.append(f"kernel releases here: {', '.join(choice.found)}; taking the newest, {release}")
    config = kernel_release.read_config(tree, release)
    compressor = options.compressor or compress.choose(config)
    compress.check_readable(compressor, config, release)
    if config is None:
        notes.append(f"no configuration of kernel {release} in the tree: compressing with {compressor}")

    added = dropins.read_drop_ins(options.drop_ins)
    index = kernel_index.read_index(tree, release)
    cache = Cache(options.cache) if options.cache else None
    files = ModuleFiles(Findings(cache.load(_FINDINGS) if cache else None, keep=cache is not None))
    chosen, present = _choose(tree, index, options, added.modules, files)
    sparing = compress.is_slow(compressor)
    with meanwhile(lambda: content.read_modules(tree, index, chosen, files, sparing)) as reading:
        told = modprobed.remarks(index.settings, chosen.names)
        machine = _machine(tree, index, chosen, files)
        stripper = strip.find(machine) if options.strip_modules and machine else None
        box, remarks = _busybox(tree, options.busybox, machine, config or {})
        known, doubts = treeinit.look(tree, release, machine, config or {})
        read = reading()
    asking = content.asking(read, present)
    reasons = content.firmware_reasons(asking)
    found = firmware.find(tree, release, reasons, config or {})
    wanted = (*((each, Reason("--program")) for each in options.programs), *added.programs)
    gathered, said = _gathered(tree, wanted, machine, config or {}, box)
    loaded = (*options.modules, *(name for name, _ in added.modules))
    named = tuple(dict.fromkeys(n for given in loaded for n in index.lookup(given) if n in chosen.names))
    segments = (
        content.modules(index, chosen, read, machine, found, reasons, stripper),
        content.programs(box, gathered),
        content.client(resources.folder("init")),
        content.configuration(release, options.cmdline, named, stripper is not None, known),
    )
    return Build(
        release=release,
        output=options.output or Path(f"pxeinit-{release}.img"),
        plan=make_plan(map(reasons_file.recorded, _with_files(tree, segments, options.files, added))),
        modules=chosen.modules,
        compressor=compressor,
        mtime=mtime,
        notes=(*notes, *index.settings.notes, *told, *chosen.notes, *remarks, *said, *doubts),
        missing_firmware=_missing(found, asking),
        left_out=chosen.left_out,
        cache=cache,
        findings=files.findings,
    )


def _choose(
    tree: Sysroot,
    index: kernel_index.ModuleIndex,
    options: Options,
    added: tuple[tuple[str, Reason], ...],
    files: ModuleFiles,
) -> tuple[selection.Selection, tuple[builtin.Present, ...]]:
    """Return the modules of the image, and the built-in drivers that its clients use."""
    classes = options.pci_classes
    if classes is None:
        classes = () if options.hardware or options.buses is not None else (PciClass("02"),)
    chosen = selection.select(
        index.with_builtins(),
        classes,
        options.modules,
        _inventories(options.hardware),
        buses=options.buses,
        named=options.drivers,
        added=added,
        read=symbols.reader(tree, index.release, files),
    )
    return builtin.split(index, chosen)


def _inventories(paths: tuple[Path, ...]) -> "tuple[Inventory, ...]":
    """Return what the files say; their readers are imported only if there are any."""
    if not paths:
        return ()
    from mkpxeinit.hardware.inventory import read_inventory

    return tuple(map(read_inventory, paths))


def _busybox(
    tree: Sysroot, given: Path | None, machine: elf.Machine | None, config: Mapping[str, str]
) -> tuple[busybox.Busybox, tuple[str, ...]]:
    """Return the busybox for the image, and remarks on it; ProgramError if the client cannot do with it."""
    box, remarks = busybox.find(tree, given, machine, config)
    lacking = busybox.missing(box, busybox.read_needs(resources.folder("busybox-configs") / "applets.txt"))
    if lacking:
        remarks = (*remarks, f"{box.shown} has no {', '.join(lacking)}: the client does without")
    return box, remarks


def _gathered(
    tree: Sysroot,
    wanted: tuple[tuple[str, Reason], ...],
    machine: elf.Machine | None,
    config: Mapping[str, str],
    box: busybox.Busybox,
) -> tuple[tuple[Planned, ...], tuple[str, ...]]:
    """Return what comes of the tree's programs, and remarks; few builds want any."""
    if not wanted:
        return (), ()
    from mkpxeinit.programs import gather

    found = gather.gather(tree, wanted, gather.Host(machine, config, frozenset(box.applets)))
    return tuple(found.items), tuple(found.notes)


def _with_files(
    tree: Sysroot, segments: tuple[Segment, ...], files: tuple[GivenFile, ...], added: dropins.DropIns
) -> tuple[Segment, ...]:
    """Return `segments`, the last of them with the hooks of drop-ins and the files that were named."""
    *first, last = segments
    hooks = dropins.plan_hooks(added.hooks)
    planned = {item.entry.path: item for item in (*(i for each in segments for i in each.items), *hooks)}
    given = collect(tree, (*files, *added.files), planned)
    return (*first, make_segment(last.name, (*last.items, *hooks, *given)))


def write(build: Build) -> Result:
    """Write the image of `build`, whole or not at all; MkpxeinitError if that fails."""
    from mkpxeinit.image import assemble  # with libarchive: not for who imports this module

    start = time.monotonic()
    size = 0
    with replacing(build.output) as file:
        for segment in assemble.assemble(build.plan, build.compressor, build.mtime, build.cache):
            file.write(segment)
            size += len(segment)
    if build.cache and (findings := build.findings.dump()) is not None:
        build.cache.store(_FINDINGS, findings)
    notes = tuple(build.cache.notes) if build.cache else ()
    return Result(size, time.monotonic() - start, notes)


def check_cmdline(text: str) -> None:
    """UsageError if `text` cannot be a line of kernel parameters."""
    if not text.isprintable():
        raise UsageError(f"--cmdline {text!r}: one line of printable characters only")
    if len(text.encode("utf-8", "surrogateescape")) > MAX_CMDLINE:
        raise UsageError(f"--cmdline: longer than {MAX_CMDLINE} bytes")


def source_date(environment: Mapping[str, str]) -> int:
    """Return the time for all files in the image (https://reproducible-builds.org/specs/source-date-epoch/)."""
    text = environment.get("SOURCE_DATE_EPOCH") or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= 0xFFFFFFFF):
        raise UsageError(f"SOURCE_DATE_EPOCH {text!r} is not a number of seconds up to {0xFFFFFFFF}")
    return int(text)


def check_firmware(build: Build) -> None:
    """SysrootError if the tree lacks firmware that modules of `build` ask for."""
    if build.missing_firmware:
        count = len(build.missing_firmware)
        raise SysrootError(
            f"--strict: the tree lacks {count} firmware file{'s' if count > 1 else ''}; "
            "install the firmware packages into it (Debian: firmware-* of non-free-firmware), "
            "take fewer drivers, or leave --strict out"
        )


def firmware_remark(build: Build) -> str:
    """Return a line about the firmware that the tree lacks for `build`, empty if there is all."""
    count = len(build.missing_firmware)
    return f"the tree lacks {count} firmware files that drivers of the image name" if count else ""


def _machine(
    tree: Sysroot, index: kernel_index.ModuleIndex, chosen: selection.Selection, files: ModuleFiles
) -> elf.Machine | None:
    """Return the machine of the kernel, as its first module says; None if all is built in."""
    from mkpxeinit.image import assemble  # with libarchive, while the modules are read

    if not chosen.modules:
        return None
    path, shown = content.find_module(tree, index, chosen.modules[0].module)
    return assemble.module_machine(files.at(path), shown)


def _missing(found: firmware.Found, asking: tuple[content.Asking, ...]) -> tuple[MissingFirmware, ...]:
    """Return the missing firmware, sorted, with the drivers that name it."""
    return tuple(
        MissingFirmware(name, tuple(each.driver for each in asking if name in each.firmware))
        for name in found.missing
    )
