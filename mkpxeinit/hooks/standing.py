"""Whether clients have what their trees have: an image of the newest kernel, or a generation with it."""

from dataclasses import dataclass, replace
from pathlib import Path

from mkpxeinit.errors import MkpxeinitError, SysrootError, os_cause, printable
from mkpxeinit.hooks.config import HookConfig, HookTree, Publishing
from mkpxeinit.hooks.run import bootable, image_folder, image_name
from mkpxeinit.kernel.release import find_vmlinuz, version_key
from mkpxeinit.netboot import generation, published
from mkpxeinit.netboot.tftproot import TftpRoot, digest_of
from mkpxeinit.sysroot import Sysroot, open_regular

_AGAIN = "mkpxeinit hook run update"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a tree stands: the kernel that clients are to boot, the one that they boot, and what is wrong.

    Both are None if there is none; `booted` as well if the tree is not published.
    """

    tree: str
    wanted: str | None = None
    booted: str | None = None
    problems: tuple[str, ...] = ()

    def wrong(self, what: str) -> "Standing":
        """Return this with another problem."""
        return replace(self, problems=(*self.problems, what))


def of_all(config: HookConfig, within: Sysroot) -> tuple[Standing, ...]:
    """Return how each tree of `config` stands; its paths are those of the system `within`."""
    found = []
    for tree in config.trees:
        try:
            found.append(_of(tree, within))
        except MkpxeinitError as error:
            found.append(Standing(tree.name).wrong(str(error)))
        except OSError as error:
            name = f"{printable(error.filename)}: " if error.filename else ""
            found.append(Standing(tree.name).wrong(f"{name}{os_cause(error)}"))
    return tuple(found)


def _of(tree: HookTree, within: Sysroot) -> Standing:
    sysroot = Sysroot.open(within.resolve(str(tree.build.sysroot)))
    found = bootable(sysroot)
    wanted = tree.build.kernel_release or max(found, key=version_key, default="")
    if wanted not in found:
        return Standing(tree.name).wrong(
            f"{sysroot.show('/')}: has no kernel{f' {wanted}' if wanted else ''} that boots"
        )
    stands = Standing(tree.name, wanted)
    stands = _with_image(stands, tree, sysroot, within)
    return _with_published(stands, tree.publishing, sysroot, within) if tree.publishing else stands


def _with_image(stands: Standing, tree: HookTree, sysroot: Sysroot, within: Sysroot) -> Standing:
    folder = image_folder(tree, sysroot) if tree.output is None else within.resolve(str(tree.output))
    if folder is None or (folder / image_name(stands.wanted or "")).is_file():
        return stands
    return stands.wrong(f"{printable(folder)}: kernel {stands.wanted} has no image here; {_AGAIN}")


def _with_published(stands: Standing, place: Publishing, sysroot: Sysroot, within: Sysroot) -> Standing:
    try:
        root = TftpRoot.open(within.resolve(str(place.tftp_root)))
        state = published.read(root)
    except SysrootError:
        root, state = TftpRoot(Path(place.tftp_root)), published.Published()
    if place.tree not in state.trees:
        if within.root != Path("/"):
            return stands  # mounted there when packages are installed, and not now
        return stands.wrong(f"{printable(place.tftp_root)}: nothing is published of this tree; {_AGAIN}")
    served = generation.read(root, state.trees[place.tree].generation)
    stands = replace(stands, booted=served.release)
    if served.release != stands.wanted:
        return stands.wrong(
            f"clients boot kernel {served.release} ({served.name}), the tree has {stands.wanted}; {_AGAIN}"
        )
    with open_regular(find_vmlinuz(sysroot, served.release)) as file:
        if digest_of(file) != served.kernel:
            return stands.wrong(
                f"clients boot kernel {served.release} ({served.name}) as it was: the tree's has been "
                f"replaced since; {_AGAIN}"
            )
    return stands
