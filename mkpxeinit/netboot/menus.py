"""The loaders' configuration for what is published: from the state and the manifests to files."""

import hashlib
from collections.abc import Callable
from pathlib import PurePosixPath

from mkpxeinit.errors import PublishError, ServerError
from mkpxeinit.netboot import grub, ipxe, pxelinux
from mkpxeinit.netboot.bootfile import MARK
from mkpxeinit.netboot.generation import Manifest
from mkpxeinit.netboot.menu import BootEntry, Menu
from mkpxeinit.netboot.published import Published, Slot

# Another mark than that of `server-config`, which replaces its own files without asking.
OURS = "Written by mkpxeinit publish"
FOLDERS = (pxelinux.FOLDER, grub.FILE.parent, ipxe.FILE.parent)
_MAX_TITLE = 200  # characters; values.text


def make(state: Published, manifest: Callable[[str], Manifest]) -> Menu | None:
    """Return the menu of what is published, None if nothing is; `manifest` reads that of a generation.

    PublishError if a loader could not pass on what an entry says.
    """
    if state.default is None:
        return None
    try:
        return Menu(
            entries=tuple(_entry(slot, manifest(state.generation_of(slot))) for slot in state.slots),
            default=state.default,
            clients=state.clients,
            timeout=state.timeout,
            console=state.console,
        )
    except ServerError as error:
        raise PublishError(str(error)) from error


def _entry(slot: Slot, generation: Manifest) -> BootEntry:
    detail = f" [{generation.name}, kernel {generation.release}]"
    return BootEntry(
        label=slot.label,
        title=f"{slot.title[: max(1, _MAX_TITLE - len(detail))]}{detail}",
        kernel=generation.kernel_path,
        initrds=(generation.image_path,),
        cmdline=generation.cmdline if slot.cmdline is None else slot.cmdline,
    )


def files(menu: Menu | None) -> dict[PurePosixPath, bytes]:
    """Return the files of all loaders, by their paths below the TFTP root."""
    if menu is None:
        return {}
    found = {**pxelinux.configuration(menu), **grub.configuration(menu), **ipxe.configuration(menu)}
    return {path: text.replace(MARK, OURS).encode() for path, text in found.items()}


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
