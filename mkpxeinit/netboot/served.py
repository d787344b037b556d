"""What is served compared with what it should be: files, permissions, configurations, and the tree itself."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mkpxeinit.dynamic import dynamic
from mkpxeinit.errors import MkpxeinitError, ProgramError, PublishError, SysrootError, os_cause, printable
from mkpxeinit.kernel.release import find_releases
from mkpxeinit.netboot import generation, published, references
from mkpxeinit.netboot.freshness import compare
from mkpxeinit.netboot.generation import MANIFEST, Manifest
from mkpxeinit.netboot.published import Published
from mkpxeinit.netboot.tftproot import TftpRoot
from mkpxeinit.sysroot import Sysroot, read_regular

_MAX_ENTRIES = 200_000
_MAX_CONFIG = 4 << 20  # bytes
_MAX_LOADER = 64 << 20  # bytes
_OLD_PXELINUX = re.compile(rb"PXELINUX [1-4]\.")
_PARTNERS = (
    ("pxelinux.0", "ldlinux.c32", "syslinux-common"),
    ("lpxelinux.0", "ldlinux.c32", "syslinux-common"),
    ("shimx64.efi", "grubx64.efi", "grub-efi-amd64-signed"),
    ("shimaa64.efi", "grubaa64.efi", "grub-efi-arm64-signed"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: where, what, and the way out."""

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Report:
    """What is wrong, the generations that were looked at, and remarks on what is not wrong."""

    findings: tuple[Finding, ...]
    generations: tuple[Manifest, ...]
    notes: tuple[str, ...]


def check(tftp_root: Path, sysroot: Path | None = None, tree: str | None = None) -> Report:
    """Return what is wrong in a TFTP root. `sysroot` is where `tree`, or the only one, is now.

    PublishError if nothing can be said: no such root, nothing published, a damaged published.json.
    """
    root = TftpRoot.open(tftp_root)
    state = published.read(root)
    if not state.trees:
        raise PublishError(
            f"{printable(tftp_root)}: nothing is published here; mkpxeinit publish --sysroot DIR --tftp-root "
            f"{printable(tftp_root)}"
        )
    if sysroot is not None and tree is None:
        if len(state.trees) > 1:
            raise PublishError(f"--sysroot is which of {', '.join(state.trees)}? Say so with --name")
        (tree,) = state.trees
    if tree is not None:
        state.tree(tree)
    findings = [*_permissions(root), *_configurations(root), *_partners(root), *_written(root, state)]
    notes: list[str] = []
    manifests = []
    for name, uses in state.uses().items():
        try:
            manifest = generation.read(root, name)
        except PublishError as error:
            findings.append(
                Finding(f"generation {name}", str(error), f"used by {', '.join(uses)}: --rollback")
            )
            continue
        manifests.append(manifest)
        damaged = list(_damaged(root, manifest))
        findings += damaged
        if all(use.startswith("previous") for use in uses) or damaged:
            continue
        where = sysroot if sysroot is not None and manifest.tree == tree else Path(manifest.sysroot)
        try:
            opened = Sysroot.open(where)
            findings += [Finding(*each) for each in compare(root, manifest, opened)]
            newest = find_releases(opened)[-1:]
        except MkpxeinitError as error:
            findings.append(Finding(f"generation {name}", str(error), "say where the tree is with --sysroot"))
            continue
        if newest and newest[0] != manifest.release and not manifest.options.get("kernel-release"):
            notes.append(
                f"generation {name}: the tree has a newer kernel than {manifest.release}: {newest[0]}"
            )
    return Report(tuple(findings), tuple(manifests), tuple(notes))


def _damaged(root: TftpRoot, manifest: Manifest) -> Iterator[Finding]:
    for path, wanted in ((manifest.kernel_path, manifest.kernel), (manifest.image_path, manifest.image)):
        found = root.digest(path)
        if found != wanted:
            what = "missing" if found is None else f"damaged: not what {MANIFEST} says"
            yield Finding(root.show(path), what, "publish again, or --rollback until then")


def _permissions(root: TftpRoot) -> Iterator[Finding]:
    """Yield what the server's user cannot reach: TFTP servers do not run as root."""
    for above in (*reversed(root.path.parents), root.path):
        if not above.stat().st_mode & stat.S_IXOTH:
            yield Finding(
                printable(above), "a folder that not everybody may enter", f"chmod o+x {printable(above)}"
            )
    count = 0
    for folder, names, files in os.walk(root.path):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in (*names, *sorted(files)):
            count += 1
            if count > _MAX_ENTRIES:
                return
            path = Path(folder, name)
            if name.startswith(".") or path.is_symlink():
                continue
            try:
                mode = path.stat().st_mode
            except OSError as error:
                yield Finding(printable(path), os_cause(error), "look at the file system")
                continue
            wanted = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
            if mode & wanted != wanted:
                right = "o+rx" if stat.S_ISDIR(mode) else "o+r"
                yield Finding(
                    printable(path),
                    f"mode {stat.S_IMODE(mode):04o}: not readable for everybody, TFTP clients are told that "
                    "there is no such file",
                    f"chmod {right} {printable(path)}",
                )


def _configurations(root: TftpRoot) -> Iterator[Finding]:
    """Yield the files that a loader is told to load, and that are not there."""
    served = Sysroot(root.path)
    modules: dict[PurePosixPath, str] = {}
    for path in _configuration_files(root):
        shown = root.show(path)
        try:
            text = read_regular(served.resolve(path), _MAX_CONFIG).decode("utf-8", "replace")
        except (OSError, SysrootError) as error:
            cause = os_cause(error) if isinstance(error, OSError) else str(error)
            yield Finding(shown, cause, "publish again, or move it away")
            continue
        for each in references.find(path, text):
            where = f"{shown}:{each.line}"
            missing = _missing(served, root, each.name)
            if missing:
                yield Finding(where, f"names {printable(each.name)}: {missing}", "publish again, or mend it")
            elif each.name.suffix == ".c32":
                modules.setdefault(each.name, where)
    yield from _libraries(served, root, modules)


def _configuration_files(root: TftpRoot) -> Iterator[PurePosixPath]:
    for pattern in ("pxelinux.cfg/*", "grub/grub.cfg*", "boot/grub/grub.cfg*", "*.ipxe"):
        for path in sorted(root.path.glob(pattern)):
            name = PurePosixPath(path.relative_to(root.path))
            if references.kind_of(name) and not path.is_dir():
                yield name


def _missing(served: Sysroot, root: TftpRoot, name: PurePosixPath) -> str | None:
    """Return what is wrong with a file that is named; None if it is there."""
    if served.is_file(name):
        return None
    if (root.path / name).exists():
        return "a link that leads out of the TFTP root, where servers that chroot cannot follow"
    return "no such file"


def _libraries(served: Sysroot, root: TftpRoot, modules: dict[PurePosixPath, str]) -> Iterator[Finding]:
    """Yield the libraries that modules of PXELINUX lack: .c32 files are ELF, and say what they need."""
    todo = dict(modules)
    seen = set(modules)
    while todo:
        name, where = todo.popitem()
        try:
            needed = dynamic(read_regular(served.resolve(name), _MAX_LOADER), root.show(name)).needed
        except (ProgramError, OSError) as error:
            cause = os_cause(error) if isinstance(error, OSError) else str(error)
            yield Finding(where, f"names {printable(name)}: {cause}", "publish with --update-loaders")
            continue
        for library in needed:
            path = name.with_name(library) if PurePosixPath(library).name == library else name
            if path in seen:
                continue
            seen.add(path)
            if served.is_file(path):
                todo[path] = where
            else:
                yield Finding(
                    root.show(path), f"missing, and {printable(name)} needs it ({where})",
                    "publish again (Debian package syslinux-common)",
                )  # fmt: skip


def _partners(root: TftpRoot) -> Iterator[Finding]:
    """Yield loaders that would stop for want of their other half."""
    served = Sysroot(root.path)
    for name, partner, package in _PARTNERS:
        if served.is_file(name) and not served.is_file(partner) and not _is_old(served, name):
            yield Finding(
                root.show(PurePosixPath(partner)),
                f"missing, and {name} loads it",
                f"publish again (Debian package {package})",
            )


def _is_old(served: Sysroot, name: str) -> bool:
    """Say whether a loader is PXELINUX 4 or older, which did without ldlinux.c32."""
    try:
        return bool(_OLD_PXELINUX.search(read_regular(served.resolve(name), _MAX_LOADER)))
    except OSError:
        return False


def _written(root: TftpRoot, state: Published) -> Iterator[Finding]:
    """Yield the configurations that are not as they were written."""
    for path, digests in state.written.items():
        found = root.digest(path)
        if len(digests) > 1 or not digests[0]:
            yield Finding(
                root.show(path), "a publish was interrupted while it switched",
                "any mkpxeinit publish that changes something finishes it, --keep 99 too",
            )  # fmt: skip
        elif found is None:
            yield Finding(root.show(path), "missing", "publish again")
        elif found.sha256 != digests[0]:
            yield Finding(
                root.show(path), "changed since mkpxeinit wrote it",
                "move it away, or publish again with --take-over, which keeps a copy",
            )  # fmt: skip
