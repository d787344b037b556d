"""A generation compared with the tree that it was made for: kernel, release, modules."""

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from mkpxeinit import elf
from mkpxeinit.errors import ImageError, KernelError, ProgramError, printable
from mkpxeinit.image import compress
from mkpxeinit.image.assemble import read_plain
from mkpxeinit.image.read import Record, open_image, without_usr
from mkpxeinit.kernel.index import plain_path
from mkpxeinit.kernel.modulefile import MAX_FILE
from mkpxeinit.kernel.release import MODULES, find_releases, find_vmlinuz
from mkpxeinit.netboot.generation import Manifest
from mkpxeinit.netboot.tftproot import TftpRoot, digest_of
from mkpxeinit.sysroot import Sysroot, open_regular

_SUFFIXES = ("", ".xz", ".zst", ".gz")
_SHOWN = 3
_AGAIN = "publish again"


def compare(root: TftpRoot, manifest: Manifest, tree: Sysroot) -> Iterator[tuple[str, str, str]]:
    """Yield what of a generation is not the tree's any more: where, what, the way out.

    MkpxeinitError if the image cannot be read.
    """
    where = f"generation {manifest.name}"
    releases = find_releases(tree)
    if manifest.release not in releases:
        known = ", ".join(releases) or "none"
        yield (
            where,
            f"{tree.show(MODULES)} has no modules of the served kernel {manifest.release}; there are: "
            f"{known}",
            _AGAIN,
        )
        return
    try:
        vmlinuz = find_vmlinuz(tree, manifest.release)
        with open_regular(vmlinuz) as file:
            stale = digest_of(file) != manifest.kernel
        if stale:
            yield where, f"its kernel is stale: not the tree's {printable(vmlinuz)} any more", _AGAIN
    except KernelError as error:
        yield where, str(error), "install the kernel's package into the tree again"
    yield from _modules(root, manifest, tree, where)


def _modules(root: TftpRoot, manifest: Manifest, tree: Sysroot, where: str) -> Iterator[tuple[str, str, str]]:
    lacking, differing, others = [], [], set()
    with open_image(root.place(manifest.image_path)) as image:
        for found in image.entries():
            parts = without_usr(found.record.path)
            if parts[:2] != ("lib", "modules") or len(parts) < 4 or not _is_module(found.record):
                continue
            if parts[2] != manifest.release:
                others.add(parts[2])
                continue
            name = str(PurePosixPath(*parts[3:]))
            data = _plain(b"".join(found.content), found.record, manifest)
            own = _in_tree(tree, manifest.release, plain_path(name))
            if own is None:
                lacking.append(name)
            elif hashlib.sha256(own).digest() != hashlib.sha256(data).digest():
                differing.append(f"{name}{_vermagics(data, own)}")
    if others:
        known = ", ".join(sorted(map(printable, others)))
        yield where, f"its image has modules of {known}, its kernel is {manifest.release}", _AGAIN
    if lacking:
        yield where, f"its image has modules that the tree has not: {_some(lacking)}", _AGAIN
    if differing:
        yield where, f"modules of its image are not the tree's: {_some(differing)}", _AGAIN


def _is_module(record: Record) -> bool:
    return record.is_file and plain_path(record.path.name).endswith(".ko")


def _plain(data: bytes, record: Record, manifest: Manifest) -> bytes:
    try:
        return compress.unpack_module(data, record.path.name, MAX_FILE)
    except ValueError as error:
        raise ImageError(
            f"{manifest.image_path}: {printable(record.path)}: {error}; publish again"
        ) from error


def _in_tree(tree: Sysroot, release: str, name: str) -> bytes | None:
    for suffix in _SUFFIXES:
        path = f"{MODULES}/{release}/{name}{suffix}"
        if tree.is_file(path):
            return read_plain(tree.resolve(path), tree.show(path))
    return None


def _vermagics(served: bytes, own: bytes) -> str:
    """Return the versions that two modules are for, if they differ; what is no module has none."""
    found = []
    for data in (served, own):
        try:
            fields = elf.section(data, ".modinfo", "").split(b"\0")
        except ProgramError:
            return ""
        magic = next((each[9:] for each in fields if each.startswith(b"vermagic=")), b"")
        found.append(printable(magic.decode("utf-8", "replace").strip()))
    return f" (vermagic {found[0]}, the tree's {found[1]})" if found[0] != found[1] else ""


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(printable, names[:_SHOWN])) + more
