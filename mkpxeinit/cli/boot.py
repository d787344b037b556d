"""`mkpxeinit boot`: the smoke test of an image, in QEMU."""

import importlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click

from mkpxeinit.cli import complete, say
from mkpxeinit.cli import timeline as plot
from mkpxeinit.cli.forms import DIR, FILE, WORD, Seconds, Whole
from mkpxeinit.errors import MkpxeinitError, UsageError, printable
from mkpxeinit.kernel.release import choose_release, find_vmlinuz
from mkpxeinit.sysroot import Sysroot
from mkpxeinit.timeline import Step, Timeline

if TYPE_CHECKING:
    from pxelab.smoke import SmokeResult

_NICS = ("virtio-net-pci", "e1000", "e1000e", "igb", "rtl8139", "vmxnet3", "i82559er", "pcnet", "tulip")


@click.command(
    name="boot",
    short_help="Boot an image in QEMU, by PXE, from the tree as NFS root.",
    epilog="""\b
Examples:
  mkpxeinit boot pxeinit-6.1.0-56-amd64.img --sysroot /netboot/pxeclient
  mkpxeinit boot IMAGE --sysroot DIR --nic e1000 --append 'pxeinit.debug' --log console.log
""",
)
@click.argument("image", type=FILE)
@click.option(
    "--sysroot",
    type=DIR,
    metavar="DIR",
    help="Tree that the image was built from; it becomes the client's root and is only read; "
    "what is mounted in it (a chroot's /proc) is left out. "
    "[default: a Debian 12 made by mmdebstrap and cached]",
)
@click.option(
    "--kernel-release",
    type=WORD,
    metavar="RELEASE",
    shell_complete=complete.RELEASES,
    help="Kernel to boot. [default: the newest of the tree]",
)
@click.option(
    "--nic",
    type=WORD,
    default="virtio-net-pci",
    show_default=True,
    help="Network card, as QEMU names it.",
    shell_complete=complete.words(_NICS),
)
@click.option(
    "--memory",
    type=Whole(64),
    default=1024,
    show_default=True,
    metavar="MB",
    help="Memory of the client.",
)
@click.option(
    "--timeout",
    type=Seconds(1),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up after this time.",
)
@click.option(
    "--append",
    default="",
    metavar="PARAMETERS",
    shell_complete=complete.PARAMETERS,
    help="Further kernel parameters.",
)
@click.option("--uefi", is_flag=True, help="UEFI firmware and GRUB instead of BIOS and pxelinux.")
@click.option("--log", type=FILE, metavar="FILE", help="Console log. [default: ./IMAGE.console]")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="At the end one JSON object: phases, seconds, the end. What passes goes to stderr.",
)
@click.option(
    "--timeline",
    type=FILE,
    metavar="FILE",
    help="Draw the phases as an SVG, also of a boot that failed.",
)
def command(
    image: Path,
    sysroot: Path | None,
    kernel_release: str | None,
    nic: str,
    memory: int,
    timeout: float,
    append: str,
    uefi: bool,
    log: Path | None,
    timeline: Path | None,
    as_json: bool,
) -> None:
    """Boot IMAGE in QEMU as a client would: network ROM, loader, TFTP, NFS root, the tree's own init.

    Prints the phases with their times as they pass, keeps the console's log, and succeeds only when
    the booted system says from inside that it is running. Needs root, QEMU and NFS-Ganesha; leaves
    nothing behind.
    """
    smoke, errors = _laboratory("smoke"), _laboratory("errors")
    if not image.is_file():
        raise MkpxeinitError(f"{printable(image)}: no such image; make one with: mkpxeinit build")
    if timeline is not None and not timeline.parent.is_dir():
        raise UsageError(f"--timeline {printable(timeline)}: its folder is not there")
    console = log or Path(f"{image.name}.console")
    try:
        tree = Sysroot.open(sysroot or _default_tree())
        kernel = find_vmlinuz(tree, choose_release(tree, kernel_release).release)
        result: SmokeResult = smoke.run_smoke(
            image,
            kernel,
            tree.root,
            log=console,
            memory=memory,
            nic=nic,
            timeout=timeout,
            append=append,
            uefi=uefi,
            emit=say.log if as_json else click.echo,
        )
    except errors.LabError as error:
        raise MkpxeinitError(str(error)) from error
    if as_json:
        click.echo(json.dumps(as_object(result), indent=2))
    else:
        for line in smoke.report(result):
            click.echo(line)
    if timeline is not None and result.phases:
        plot.write(steps(image, [(phase.name, phase.time) for phase in result.phases]), timeline)
    if not result.ok:
        first, *rest = result.reason.splitlines()
        for line in rest:
            click.echo(line, err=True)
        raise MkpxeinitError(f"{printable(image)}: {first}; the console's log: {printable(console)}")


def steps(image: Path, seen: Sequence[tuple[str, float]]) -> Timeline:
    """Return the timeline of a boot of `image`, of what was `seen`: names, and seconds since power-on."""
    ordered = sorted(seen, key=lambda each: each[1])
    ends: list[float | None] = [*(moment for _, moment in ordered[1:]), None]
    kind = "before"
    made = []
    for (name, begin), end in zip(ordered, ends, strict=True):
        if name.startswith("pxeinit "):
            kind = "client"
        elif kind == "client":
            kind = "after"
        made.append(Step(name, begin, end, kind))
    total = f"{ordered[-1][1]:.1f} s from power-on to: {ordered[-1][0]}"
    return Timeline(f"boot of {image.name}", total, tuple(made))


def as_object(result: "SmokeResult") -> dict[str, object]:
    """Return what docs/json.md describes: all that the smoke test has seen."""
    phases = [{"name": each.name, "seconds": round(each.time, 3)} for each in result.phases]
    return {**asdict(result), "phases": phases, "log": None if result.log is None else str(result.log)}


def _default_tree() -> Path:
    """Return a Debian 12 of the cache, which it is made for if need be."""
    return Path(_laboratory("trees").debian("bookworm"))


def _laboratory(name: str) -> ModuleType:
    """Return the module `name` of pxelab: an installed mkpxeinit has it inside, a checkout beside itself.

    MkpxeinitError if it is in neither place.
    """
    for package in ("mkpxeinit.pxelab", "pxelab"):
        if importlib.util.find_spec(package) is not None:
            return importlib.import_module(f"{package}.{name}")
    raise MkpxeinitError("mkpxeinit.pxelab: missing; mkpxeinit is not installed completely")
