"""What goes into an image: its four segments, the one that changes least first.

modules: the kernel's; programs: busybox and the tree's; client: `init/`; configuration: what this build
was told, and the user's files.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mkpxeinit import __version__, treeinit
from mkpxeinit.builtin import Present
from mkpxeinit.busybox import Busybox
from mkpxeinit.elf import Machine
from mkpxeinit.errors import ImageError, KernelError, MkpxeinitError, ProgramError, os_cause, printable
from mkpxeinit.hardware import leftout
from mkpxeinit.image.entry import (
    CMDLINE,
    UNSIGNED,
    VERSION,
    CharDevice,
    Directory,
    File,
    FirmwareFile,
    ModuleFile,
    Symlink,
)
from mkpxeinit.image.plan import Planned, Segment, make_segment
from mkpxeinit.kernel import builtin as builtin_modinfo
from mkpxeinit.kernel import firmware, modprobed
from mkpxeinit.kernel.index import Aliases, Module, ModuleIndex
from mkpxeinit.kernel.modulefile import ModuleFiles, Stored
from mkpxeinit.kernel.strip import Stripper
from mkpxeinit.programs.place import without
from mkpxeinit.reason import Reason
from mkpxeinit.selection import Selected, Selection
from mkpxeinit.sysroot import Sysroot
from mkpxeinit.workers import side_by_side

_SETTINGS = PurePosixPath("etc/modprobe.d/tree.conf")
_BUS = re.compile(r"[a-z][a-z-]*")
_ACPI_ID = re.compile(r"[0-9A-Za-z]+")
_FOLDERS = ("dev", "proc", "sys", "run", "etc", "lib/pxeinit/hooks")


@dataclass(frozen=True, slots=True)
class ReadModule:
    """A selected module, its file, and the firmware that it names."""

    selected: Selected
    path: Path
    shown: str
    firmware: tuple[str, ...]
    stored: Stored


def read_modules(
    sysroot: Sysroot,
    index: ModuleIndex,
    selection: Selection,
    files: ModuleFiles | None = None,
    sparing: bool = False,
) -> tuple[ReadModule, ...]:
    """Return the modules of `selection`, read side by side; KernelError or ImageError if one cannot be.

    `files` has those that were read before. With a cache, whose key needs their digests, all are read here;
    else of plain ones no more than the section that says it. `sparing`: packed ones are not kept unpacked.
    """
    kept = files or ModuleFiles()
    places = {each.module.name: find_module(sysroot, index, each.module) for each in selection.modules}

    def read(each: Selected) -> ReadModule:
        path, shown = places[each.module.name]
        try:
            stored = kept.at(path)
            if path.suffix == ".ko" and not kept.findings.keep:  # read when the image is written
                return ReadModule(each, path, shown, firmware.names_in_file(path, shown), stored)
            names = kept.findings.of("firmware", stored, lambda data: firmware.names_in(data, shown))
            if sparing:
                stored.forget()
            return ReadModule(each, path, shown, names, stored)
        except (ProgramError, ValueError) as error:
            cause = error if isinstance(error, ProgramError) else f"{shown}: {error}"
            raise ImageError(f"{cause}; install its package again") from error
        except OSError as error:
            raise ImageError(f"{shown}: {os_cause(error)}") from error

    def weight(each: Selected) -> int:
        try:
            return places[each.module.name][0].stat().st_size
        except OSError:  # it will be said by who reads it
            return 0

    return tuple(side_by_side(read, selection.modules, weight))


@dataclass(frozen=True, slots=True)
class Asking:
    """A driver, the firmware that it names, and why it is there."""

    driver: str
    firmware: tuple[str, ...]
    reason: Reason


def asking(modules: Iterable[ReadModule], builtins: Iterable[Present]) -> tuple[Asking, ...]:
    """Return who may ask for firmware: the modules of the image, and the built-in drivers."""
    return (
        *(Asking(each.selected.module.name, each.firmware, each.selected.reason) for each in modules),
        *(Asking(each.driver.name, each.driver.firmware, each.reason) for each in builtins),
    )


def firmware_reasons(drivers: Iterable[Asking]) -> dict[str, Reason]:
    """Return each firmware name that `drivers` ask for, and the reason: the first driver that does."""
    reasons: dict[str, Reason] = {}
    for each in drivers:
        for name in each.firmware:
            reasons.setdefault(name, Reason("firmware of", each.driver, each.reason))
    return reasons


def _firmware(found: firmware.Found, reasons: Mapping[str, Reason]) -> Iterator[Planned]:
    """Yield the firmware files, and the links among them."""
    for each in found.files:
        reason = reasons[each.name]
        if each.link is None:
            yield Planned(File(each.path, FirmwareFile(each.source, each.shown, each.unpack)), reason)
        else:
            target = os.path.relpath(each.link, each.path.parent)
            yield Planned(Symlink(each.path, target), reason)


def modules(
    index: ModuleIndex,
    selection: Selection,
    read: Iterable[ReadModule],
    machine: Machine | None,
    found: firmware.Found,
    reasons: Mapping[str, Reason],
    stripper: Stripper | None = None,
) -> Segment:
    """Return the segment of the modules `read`, modprobe's lists cut down to them, and their firmware."""
    folder = PurePosixPath("lib/modules") / index.release
    items = [Planned(Directory(folder), Reason("modules of this kernel")), *_firmware(found, reasons)]
    for each in read:
        source = ModuleFile(each.path, each.shown, machine, each.stored, stripper)
        path = folder / each.selected.module.plain_path
        items.append(Planned(File(path, source), each.selected.reason))
    for name, text in _lists(index, selection):
        data = text.encode("utf-8", "surrogateescape")
        items.append(Planned(File(folder / name, data), Reason("read by modprobe")))
    settings = modprobed.image_text(index.settings, selection.names).encode("utf-8", "surrogateescape")
    if settings:
        items.append(Planned(File(_SETTINGS, settings), Reason("modprobe.d of the tree")))
    for place, text in (
        (leftout.PLACE, leftout.write(index, selection.absent)),
        (firmware.CARRIED, "".join(f"{name}\n" for name in found.carried if name.isprintable())),
    ):
        if text:
            items.append(Planned(File(place, text.encode()), Reason("read by mkpxeinit check")))
    return make_segment("modules", items)


def find_module(sysroot: Sysroot, index: ModuleIndex, module: Module) -> tuple[Path, str]:
    """Return the host path of `module` and its name for messages; KernelError if there is no such file."""
    inside = module.place(index.release)
    if not sysroot.is_file(inside):
        raise KernelError(
            f"{sysroot.show(inside)}: listed in modules.dep, but no such file; "
            f"run depmod -b {sysroot.show('/')} {index.release}, or install the kernel's package again"
        )
    return sysroot.resolve(inside), sysroot.show(inside)


def _lists(index: ModuleIndex, selection: Selection) -> Iterator[tuple[str, str]]:
    """Yield name and text of the lists for the image: depmod's, cut down to its modules, all unpacked."""
    paths = {each.module.name: each.module.plain_path for each in selection.modules}
    yield (
        "modules.dep",
        "".join(
            f"{each.module.plain_path}:{''.join(f' {paths[need]}' for need in each.module.needs)}\n"
            for each in selection.modules
        ),
    )
    aliases = [each for each in Aliases.of(index.effective_aliases()).pairs() if each[1] in paths]
    yield "modules.alias", "".join(f"alias {pattern} {name}\n" for pattern, name in aliases)
    # Ours: the client need not look through all of them for it.
    yield "modules.buses", "".join(f"{bus}\n" for bus in alias_buses(pattern for pattern, _ in aliases))
    # busybox reads no weak dependencies; kmod and mkpxeinit check do.
    for kind in ("softdep", "weakdep"):
        yield (
            f"modules.{kind}",
            "".join(
                f"{soft.line}\n" for name in paths for soft in index.soft.get(name, ()) if soft.kind == kind
            ),
        )
    yield "modules.builtin", index.builtin_text
    # Not for busybox: mkpxeinit check judges by it which devices need no module.
    yield "modules.builtin.modinfo", builtin_modinfo.image_text(index.builtin_modules.values())


def alias_buses(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the buses that these aliases of modules are of, and `acpi=ID` for each ACPI device among them.

    The client's drivers.sh makes the same of modules.alias where this list is missing.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        bus, colon, device = pattern.partition(":")
        bus = bus.removesuffix("*")
        if not colon or _BUS.fullmatch(bus) is None:
            continue
        if bus == "acpi":
            device = device.split(":", 1)[0]
            bus = f"acpi={device}" if _ACPI_ID.fullmatch(device) else ""
        if bus:
            found[bus] = None
    return tuple(found)


def programs(busybox: Busybox, gathered: Iterable[Planned] = ()) -> Segment:
    """Return the segment of busybox, a link for each of its applets, and the programs `gathered`.

    A program whose path is that of such a link takes its place.
    """
    reason = Reason(busybox.origin)
    binary = PurePosixPath("bin/busybox")
    items = [
        Planned(File(binary, busybox.data, 0o755), reason),
        # The kernel calls /sbin/modprobe.
        Planned(Symlink(PurePosixPath("sbin"), "bin"), Reason("the kernel calls /sbin/modprobe")),
    ]
    applet = Reason("applet of", "busybox", reason)
    for name in busybox.applets:
        if name != binary.name:
            items.append(Planned(Symlink(binary.with_name(name), binary.name), applet))
    more = tuple(gathered)
    return make_segment("programs", (*without(items, more), *more))


def client(init: Path) -> Segment:
    """Return the segment of the client in the folder `init`, and of the folders that it needs."""
    items = [
        Planned(Directory(PurePosixPath(name)), Reason("mount point or folder of the client"))
        for name in _FOLDERS
    ]
    items += [
        Planned(Directory(PurePosixPath("tmp"), 0o1777), Reason("folder of the client")),
        Planned(Directory(PurePosixPath("root"), 0o700), Reason("folder of the client")),
        Planned(CharDevice(PurePosixPath("dev/console"), 5, 1, 0o600), Reason("standard streams of init")),
        Planned(CharDevice(PurePosixPath("dev/null"), 1, 3, 0o666), Reason("needed before devtmpfs")),
    ]
    library = PurePosixPath("lib/pxeinit")
    try:
        for path in sorted(init.iterdir()):
            if not path.is_file() or path.name.startswith("."):
                continue
            data = path.read_bytes()
            # A wheel may lose the mode, not the first line.
            if path.name == "init":
                items.append(
                    Planned(File(PurePosixPath("init"), data, 0o755), Reason("started by the kernel"))
                )
            elif data.startswith(b"#!"):
                items.append(Planned(File(library / path.name, data, 0o755), Reason("program of the client")))
        for path in sorted(init.glob("lib/*.sh")):
            items.append(Planned(File(library / path.name, path.read_bytes()), Reason("part of init")))
    except OSError as error:
        raise MkpxeinitError(
            f"{printable(init)}: {os_cause(error)}; mkpxeinit is not installed completely"
        ) from error
    if not any(item.entry.path == PurePosixPath("init") for item in items):
        raise MkpxeinitError(f"{printable(init / 'init')}: missing; mkpxeinit is not installed completely")
    return make_segment("client", items)


def configuration(
    release: str, cmdline: str, extra_modules: Iterable[str], stripped: bool = False, known: str = ""
) -> Segment:
    """Return the segment of what this build was told, which the client reads.

    `known` is what treeinit.look saw of the tree's init.
    """
    texts = {
        CMDLINE: (f"{cmdline}\n" if cmdline else "", "--cmdline"),
        PurePosixPath("etc/pxeinit/release"): (f"{release}\n", "the kernel that this image is for"),
        VERSION: (f"{__version__}\n", "the mkpxeinit that made this image"),
        PurePosixPath("etc/pxeinit/modules"): ("".join(f"{name}\n" for name in extra_modules), "--module"),
        PurePosixPath("etc/hosts"): ("127.0.0.1 localhost\n::1 localhost\n", "names without a DNS server"),
        PurePosixPath("etc/passwd"): ("root:x:0:0:root:/root:/bin/sh\n", "names in listings"),
        PurePosixPath("etc/group"): ("root:x:0:\n", "names in listings"),
    }
    if known:
        texts[treeinit.PLACE] = (known, "how the client knows the tree's init again")
    if stripped:
        texts[UNSIGNED] = ("", "--strip-modules")
    items = (
        Planned(File(path, text.encode("utf-8", "surrogateescape")), Reason(reason))
        for path, (text, reason) in texts.items()
    )
    return make_segment("configuration", items)
