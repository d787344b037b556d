"""`mkpxeinit build`."""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mkpxeinit import build, cache, parameters
from mkpxeinit.cli import complete
from mkpxeinit.cli.forms import DIR, FILE, WORD, Checked, GroupedCommand, shown
from mkpxeinit.cli.say import log as _log
from mkpxeinit.cli.say import warn, working
from mkpxeinit.dropins import DEFAULT as DROP_INS
from mkpxeinit.errors import UsageError, printable
from mkpxeinit.files import parse_file
from mkpxeinit.hardware.network import BUSES, LeftOut
from mkpxeinit.hardware.pci import PciClass
from mkpxeinit.image.compress import Compressor
from mkpxeinit.image.entry import CharDevice, File, Symlink, type_letter
from mkpxeinit.image.plan import Planned
from mkpxeinit.meant import meant
from mkpxeinit.selection import VIRTUAL_BUSES


def _buses(text: str) -> tuple[str, ...]:
    """Return the buses of a list with commas; UsageError if one is unknown."""
    if text == "none":
        return ()
    names = text.split(",")
    for name in names:
        if name == "none":
            raise UsageError("none and other buses: one of them only")
        if name not in BUSES:
            raise UsageError(f"no bus is named {shown(name)}{meant(name, (*BUSES, 'none'))}")
    return tuple(names)


def _checked_cmdline(text: str) -> str:
    build.check_cmdline(text)
    return text


# PCI classes of network devices: pci.ids of the PCI ID project.
_CLASSES = {
    "02": "wired networks",
    "0200": "Ethernet",
    "0207": "InfiniBand",
    "0208": "fabrics",
    "0280": "wireless networks and others",
}
# Under these headings the help lists the options.
GROUPS = {
    "Tree and image": (
        "sysroot",
        "output",
        "kernel_release",
        "compressor",
        "strip_modules",
        "strict",
        "cache",
        "no_cache",
    ),
    "What the clients have, mkpxeinit-hardware(7)": (
        "classes",
        "buses",
        "hardware",
        "hostonly",
        "drivers",
        "modules",
    ),
    "More in the image, mkpxeinit.d(5)": (
        "programs",
        "files",
        "drop_ins",
        "no_drop_ins",
        "busybox",
        "cmdline",
    ),
    "What is said": ("dry_run", "as_json", "verbose", "quiet"),
}


cache_option = click.option(
    "--cache",
    type=DIR,
    metavar="DIR",
    help="Where packed parts of images are kept for the next build. "
    "[default: /var/cache/mkpxeinit for root, else $XDG_CACHE_HOME/mkpxeinit/build]",
)
no_cache_option = click.option("--no-cache", is_flag=True, help="Keep and take nothing.")


class _Build(GroupedCommand):
    groups = GROUPS


@click.command(
    name="build",
    cls=_Build,
    short_help="Make an initrd from an installed system tree.",
    epilog="""\b
Examples:
  mkpxeinit build --sysroot /netboot/pxeclient
  mkpxeinit build --sysroot / --output /srv/tftp/office.img --cmdline 'panic=30'
  mkpxeinit build --sysroot DIR --bus pci,virtio,usb               (USB network cards too)
  mkpxeinit build --sysroot DIR --hardware office.lspci            (just these machines' drivers)
  mkpxeinit build --sysroot DIR --program iscsistart --file motd:/etc/motd
  mkpxeinit build --sysroot DIR --dry-run -v                       (what would go in, and why)
""",
)
@click.option(
    "--sysroot",
    type=DIR,
    required=True,
    metavar="DIR",
    help="The installed system, a folder: its kernel's modules go into the image.",
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="FILE",
    help="The image. [default: ./pxeinit-RELEASE.img]",
)
@click.option(
    "--kernel-release",
    type=WORD,
    metavar="RELEASE",
    shell_complete=complete.RELEASES,
    help="Kernel to take. [default: the newest of the tree]",
)
@click.option(
    "--pci-class",
    "classes",
    multiple=True,
    metavar="CC[SS]",
    type=Checked(PciClass.parse),
    shell_complete=complete.words(_CLASSES),
    help="For machines that nobody has looked at: all drivers for a PCI class or subclass, in hexadecimal; "
    "repeatable. 02: wired networks; 0280: wireless. [default: 02, but none with --hardware, --hostonly or "
    "--bus]",
)
@click.option(
    "--hardware",
    multiple=True,
    type=FILE,
    metavar="FILE",
    help="Only the drivers of the network devices in this inventory, one file a machine: lspci -nn (-n, "
    "-nmm, -nnk), lshw -json -numeric, modaliases a line each, or a folder with a copy of /sys; repeatable.",
)
@click.option("--hostonly", is_flag=True, help="Only the drivers of this machine's network devices.")
@click.option(
    "--bus",
    "buses",
    multiple=True,
    metavar="LIST",
    type=Checked(_buses),
    shell_complete=complete.commas(BUSES, "none"),
    help=f"The same for buses, with commas: {', '.join(BUSES)}, or none. pci means --pci-class 02, mdio all "
    "PHYs. What carries a bus comes along. "
    f"[default: pci,{','.join(VIRTUAL_BUSES)}, but none with --hardware or --hostonly]",
)
@click.option(
    "--driver",
    "drivers",
    type=WORD,
    multiple=True,
    metavar="NAME",
    shell_complete=complete.MODULES,
    help="Take this driver too, with what carries its bus; it is loaded if its device is there; repeatable.",
)
@click.option(
    "--module",
    "modules",
    type=WORD,
    multiple=True,
    metavar="NAME",
    shell_complete=complete.MODULES,
    help="Take this module too, and load it at boot by its name; repeatable.",
)
@click.option(
    "--program",
    "programs",
    type=WORD,
    multiple=True,
    metavar="PATH",
    shell_complete=complete.PROGRAMS,
    help="Take this program of the tree too, with its libraries or its interpreter: a path in the tree, or a "
    "name in its bin folders; repeatable.",
)
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="SRC:DST",
    type=Checked(parse_file),
    shell_complete=complete.files,
    help="Put SRC, a file or folder of this machine, into the image as DST; without a colon, a path of the "
    r"tree, at the same place. A colon in a name is written \:. Repeatable.",
)
@click.option(
    "--drop-in-dir",
    "drop_ins",
    multiple=True,
    type=DIR,
    metavar="DIR",
    help=f"Folder of fragments (*.toml) that add modules, programs, files and hooks; repeatable. "
    f"[default: {DROP_INS}]",
)
@click.option("--no-drop-ins", is_flag=True, help="Take no fragments.")
@click.option(
    "--busybox",
    type=FILE,
    metavar="FILE",
    help="A static busybox for the image. [default: that of mkpxeinit busybox, the tree's, this machine's]",
)
@click.option(
    "--cmdline",
    default="",
    metavar="PARAMETERS",
    type=Checked(_checked_cmdline),
    shell_complete=complete.PARAMETERS,
    help="Kernel parameters that the client reads before those of the loader.",
)
@click.option(
    "--compress",
    "compressor",
    metavar="zstd|gzip|xz|none[:LEVEL]",
    type=Checked(Compressor.parse),
    shell_complete=complete.words(("zstd", "gzip", "xz", "none")),
    help="Compressor. [default: zstd if that kernel can unpack it, else gzip]",
)
@click.option(
    "--strip-modules",
    is_flag=True,
    help="Leave debug data and signatures out of the modules: the image is a fifth smaller and boots "
    "sooner, but not under Secure Boot. Needs strip, of binutils.",
)
@click.option(
    "--strict", is_flag=True, help="Fail if the tree lacks firmware that a driver of the image names."
)
@cache_option
@no_cache_option
@click.option("--dry-run", is_flag=True, help="Print what the image would hold, and write nothing.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print on stdout what was made, or with --dry-run what would be, as one JSON object.",
)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Say more; with --dry-run, the reason of each entry and of each driver left out.",
)
def command(strict: bool, dry_run: bool, verbose: bool, as_json: bool, **given: object) -> None:
    """Make an initrd from the installed system in --sysroot.

    The image holds the drivers and the NFS client of the tree's kernel, busybox and the program that
    finds, checks and starts the tree over the network. It appears whole or not at all.
    """
    start = time.monotonic()
    with working("reading the tree"):
        decided = build.plan(chosen(click.get_current_context().params))
    for note in decided.notes:
        _log(note)
    for doubt in parameters.doubts(str(given["cmdline"])):
        warn(f"--cmdline: {doubt}")
    _log_missing(decided.missing_firmware, every=verbose or strict)
    if strict:
        build.check_firmware(decided)
    if verbose:
        _log(f"kernel {decided.release}, compressor {decided.compressor}")
        _log_left_out(decided.left_out, every=dry_run)
    size = None if dry_run else _write(decided, start, verbose)
    if as_json:
        click.echo(json.dumps(_object(decided, size), indent=2))
    elif dry_run:
        for item in decided.plan.items():
            click.echo(_line(item, verbose))


def chosen(given: Mapping[str, Any]) -> build.Options:
    """Return what the command line's options, by their names in Python, say about a build."""
    buses = tuple(dict.fromkeys(bus for each in given["buses"] for bus in each)) if given["buses"] else None
    return build.Options(
        sysroot=given["sysroot"],
        output=given.get("output"),
        cmdline=given["cmdline"],
        kernel_release=given["kernel_release"],
        busybox=given["busybox"],
        modules=given["modules"],
        drivers=given["drivers"],
        pci_classes=given["classes"] or None,
        buses=buses,
        hardware=(*given["hardware"], *((Path("/sys"),) if given["hostonly"] else ())),
        compressor=given["compressor"],
        strip_modules=given["strip_modules"],
        programs=given["programs"],
        files=given["files"],
        drop_ins=_folders(given["drop_ins"], given["no_drop_ins"]),
        cache=cache_folder(given["cache"], given["no_cache"]),
    )


def cache_folder(given: Path | None, none: bool) -> Path | None:
    """Return the folder of the cache, `given` or the user's own, None if there is to be none."""
    if none and given:
        raise UsageError("--no-cache and --cache: one of them only")
    return None if none else given or cache.default_folder(os.environ, os.geteuid())


def _write(decided: build.Build, start: float, verbose: bool) -> int:
    """Write the image; say how long it took since `start`, time.monotonic. Return the bytes of the image."""
    if verbose:
        for selected in decided.modules:
            _log(f"module {selected.module.name}: {selected.reason}")
    count = sum(isinstance(item.entry, File) for item in decided.plan.items())
    with working(f"packing {count} files by {decided.compressor}"):
        result = build.write(decided)
    for note in result.notes:
        _log(note)
    seconds = time.monotonic() - start
    _log(
        f"{printable(decided.output)}: {len(decided.modules)} modules, {count} files, "
        f"{result.size} bytes, {seconds:.1f} s"
    )
    return result.size


def _object(decided: build.Build, size: int | None) -> dict[str, object]:
    """Return what docs/json.md describes; `size` of the image in bytes is None if none was written."""
    return {
        "image": printable(decided.output),
        "size": size,
        "release": decided.release,
        "compressor": str(decided.compressor),
        "modules": [each.module.name for each in decided.modules],
        "missing-firmware": [
            {"name": each.name, "modules": each.modules} for each in decided.missing_firmware
        ],
        "entries": [
            {
                "path": str(item.entry.path),
                "type": type_letter(item.entry),
                "mode": f"{item.entry.mode:04o}",
                "reason": item.reason.chain(),
            }
            for item in decided.plan.items()
        ],
        "notes": decided.notes,
    }


def _folders(given: tuple[Path, ...], none: bool) -> tuple[Path, ...]:
    """Return the folders of drop-ins: those `given`, else the default, or none."""
    if none and given:
        raise UsageError("--no-drop-ins and --drop-in-dir: one of them only")
    return () if none else given or (DROP_INS,)


def _log_missing(missing: tuple[build.MissingFirmware, ...], every: bool) -> None:
    """Print the firmware that the tree lacks: `every` file, or how many."""
    if every:
        for each in missing:
            _log(f"firmware missing: {each}")
    elif missing:
        count = len(missing)
        files = f"{count} firmware file" + ("s" if count > 1 else "")
        _log(f"the tree lacks {files} that drivers of this image name; -v lists them")


def _log_left_out(left_out: tuple[LeftOut, ...], every: bool) -> None:
    """Print the network drivers that were not taken: `every` one with the reason, and how many for each."""
    for each in left_out if every else ():
        _log(f"left out: {each}")
    if left_out:
        counts = Counter(each.reason for each in left_out).most_common()
        listed = ", ".join(f"{reason} {count}" for reason, count in counts)
        hint = "" if every else "; --dry-run -v lists them"
        _log(f"{len(left_out)} network drivers left out: {listed}{hint}")


def _line(item: Planned, verbose: bool) -> str:
    """Return a line of the plan: type and mode, path, what it points to, and the reason if `verbose`."""
    entry = item.entry
    line = f"{type_letter(entry)}{entry.mode:04o} {printable(entry.path)}"
    if isinstance(entry, Symlink):
        line += f" -> {printable(entry.target)}"
    elif isinstance(entry, CharDevice):
        line += f" {entry.major},{entry.minor}"
    return f"{line}\t{item.reason}" if verbose else line
