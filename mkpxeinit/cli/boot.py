"""`mkpxeinit boot`: the smoke test of an image, in QEMU."""

import importlib.util
from pathlib import Path

import click

from mkpxeinit.errors import MkpxeinitError, printable
from mkpxeinit.kernel.release import choose_release, find_vmlinuz
from mkpxeinit.sysroot import Sysroot


@click.command(
    name="boot",
    short_help="Boot an image in QEMU, by PXE, from the tree as NFS root.",
    epilog="""\b
Examples:
  mkpxeinit boot pxeinit-6.1.0-56-amd64.img --sysroot /netboot/pxeclient
  mkpxeinit boot IMAGE --sysroot DIR --nic e1000 --append 'pxeinit.debug' --log console.log
""",
)
@click.argument("image", type=click.Path(path_type=Path))
@click.option(
    "--sysroot",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Tree that the image was built from; it becomes the client's root and is only read. "
    "[default: a Debian 12 made by mmdebstrap and cached]",
)
@click.option("--kernel-release", metavar="RELEASE", help="Kernel to boot. [default: the newest of the tree]")
@click.option("--nic", default="virtio-net-pci", show_default=True, help="Network card, as QEMU names it.")
@click.option(
    "--memory",
    type=click.IntRange(64),
    default=1024,
    show_default=True,
    metavar="MB",
    help="Memory of the client.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up after this time.",
)
@click.option("--append", default="", metavar="PARAMETERS", help="Further kernel parameters.")
@click.option("--uefi", is_flag=True, help="UEFI firmware and GRUB instead of BIOS and pxelinux.")
@click.option(
    "--log", type=click.Path(path_type=Path), metavar="FILE", help="Console log. [default: ./IMAGE.console]"
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
) -> None:
    """Boot IMAGE in QEMU as a client would: network ROM, loader, TFTP, NFS root, the tree's own init.

    Prints the phases with their times as they pass, keeps the console's log, and succeeds only when
    the booted system says from inside that it is running. Needs root, QEMU and NFS-Ganesha; leaves
    nothing behind.
    """
    if importlib.util.find_spec("pxelab") is None:
        raise MkpxeinitError("the Python package pxelab is missing; mkpxeinit is not installed completely")
    from pxelab.errors import LabError
    from pxelab.smoke import report, run_smoke

    if not image.is_file():
        raise MkpxeinitError(f"{printable(image)}: no such image; make one with: mkpxeinit build")
    console = log or Path(f"{image.name}.console")
    try:
        tree = Sysroot.open(sysroot or _default_tree())
        kernel = find_vmlinuz(tree, choose_release(tree, kernel_release).release)
        result = run_smoke(
            image,
            kernel,
            tree.root,
            log=console,
            memory=memory,
            nic=nic,
            timeout=timeout,
            append=append,
            uefi=uefi,
            emit=click.echo,
        )
    except LabError as error:
        raise MkpxeinitError(str(error)) from error
    for line in report(result):
        click.echo(line)
    if not result.ok:
        first, *rest = result.reason.splitlines()
        for line in rest:
            click.echo(line, err=True)
        raise MkpxeinitError(f"{printable(image)}: {first}; the console's log: {printable(console)}")


def _default_tree() -> Path:
    from pxelab import trees

    return Path(trees.debian("bookworm"))
