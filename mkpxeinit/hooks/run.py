"""What the hooks do: images and generations follow the kernels of the trees."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mkpxeinit import build
from mkpxeinit.errors import HookError, KernelError, MkpxeinitError, os_cause, printable
from mkpxeinit.hooks.config import HookConfig, HookTree, Publishing
from mkpxeinit.hooks.state import Failure
from mkpxeinit.image.output import sync_folder
from mkpxeinit.kernel.release import (
    MODULES,
    choose_release,
    find_releases,
    find_vmlinuz,
    read_config,
    version_key,
)
from mkpxeinit.netboot import generation, publish, published
from mkpxeinit.netboot.tftproot import TftpRoot
from mkpxeinit.sysroot import Sysroot

ACTIONS = ("add", "remove", "update")


@dataclass(frozen=True, slots=True)
class Voice:
    """Where lines go: `say` gets what was done, a line or two for each tree.

    What is the same at each run, and would hide what is new, is counted; with `verbose` it is said.
    """

    say: Callable[[str], None]
    verbose: bool = False

    def __call__(self, line: str) -> None:
        """Say it."""
        self.say(line)

    def counted(self, tree: str, remarks: list[str]) -> str:
        """Say the remarks about a tree, or return words about their number for the end of a line."""
        if self.verbose:
            for each in remarks:
                self.say(f"tree {tree}: {each}")
        elif remarks:
            return f" ({len(remarks)} remark{'s' if len(remarks) > 1 else ''}: mkpxeinit hook run update -v)"
        return ""


@dataclass(frozen=True, slots=True)
class Event:
    """What has happened: a kernel was added or removed, or (no release) something else that images have.

    `added` are kernels that have come with something else.
    """

    action: str
    release: str = ""
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: how many trees it was about, what went well (tree, release), and what failed.

    `waiting` are kernels that were passed over, and are for the next run.
    """

    touched: int
    done: tuple[tuple[str, str], ...]
    failed: tuple[Failure, ...]
    waiting: tuple[Failure, ...] = ()

    @property
    def open(self) -> tuple[Failure, ...]:
        """What a later run has to do."""
        return (*self.failed, *self.waiting)

    def failing(self, failure: Failure) -> "Outcome":
        """Return this outcome with another failure."""
        return replace(self, failed=(*self.failed, failure))

    def by(self, config: str) -> "Outcome":
        """Return this outcome as that of a configuration, which is not the one that hooks have."""
        failed, waiting = (
            tuple(replace(each, config=config) for each in found) for found in (self.failed, self.waiting)
        )
        return replace(self, failed=failed, waiting=waiting)

    def cleared(self, config: HookConfig, open_: tuple[Failure, ...], release: str) -> "Outcome":
        """Return this outcome, which has made good failures of no tree, and of trees that are gone."""
        names = {each.name for each in config.trees}
        gone = tuple((each.tree, each.release) for each in open_ if each.tree not in {*names, ""})
        return replace(self, done=(*self.done, ("", ""), ("", release), *gone))


def run(config: HookConfig, event: Event, open_: tuple[Failure, ...], say: Voice) -> Outcome:
    """Do for each tree what `event` asks for; a tree that fails does not keep the others from theirs.

    `open_` is what is open from before, which an update makes good. `say` gets a line for each thing done.
    """
    done: list[tuple[str, str]] = []
    failed: list[Failure] = []
    waiting: list[Failure] = []
    touched = 0
    for tree in config.trees:
        mine = tuple(each.release for each in open_ if each.tree == tree.name)
        try:
            if event.action == "add":
                touched += _add(tree, event.release, say)
            elif event.action == "remove":
                touched += _remove(tree, event.release, say)
            else:
                waiting += _passed_over(tree, say)
                _update(tree, (*mine, *event.added), say)
                touched += 1
                done += [(tree.name, each) for each in mine]
            done.append((tree.name, event.release))
        except Exception as error:  # whatever it is: the other trees are to have theirs
            failed.append(Failure(event.action, tree.name, event.release, int(time.time()), cause_of(error)))
    return Outcome(touched, tuple(done), tuple(failed), tuple(waiting))


def cause_of(error: Exception) -> str:
    """Return one line that says what `error` is."""
    if isinstance(error, MkpxeinitError):
        return str(error)
    if isinstance(error, OSError):
        name = f"{printable(error.filename)}: " if error.filename else ""
        return f"{name}{os_cause(error)}"
    return printable(f"unexpected error: {type(error).__name__}: {error}")


def write_initrd(config: HookConfig, release: str, path: Path, cache: Path | None) -> None:
    """Write an image of this machine's own kernel to `path`, for its own boot entry; MkpxeinitError."""
    root = Path("/")
    own = next((each for each in config.trees if each.build.sysroot == root), None)
    options = own.build if own else build.Options(root, cache=cache)
    decided = build.plan(replace(options, kernel_release=release, output=path))
    if own and own.strict:
        build.check_firmware(decided)
    build.write(decided)


def image_name(release: str) -> str:
    """Return the file name of a release's image."""
    return f"pxeinit-{release}.img"


def bootable(sysroot: Sysroot) -> tuple[str, ...]:
    """Return the releases of which both modules and the kernel itself are in the tree, oldest first.

    Without depmod's list the modules may be half unpacked: the package manager is still at it. Kernels that
    take no initrd are left out.
    """
    return tuple(
        release
        for release in find_releases(sysroot)
        if _has_list(sysroot, release) and _has_vmlinuz(sysroot, release) and _takes_initrd(sysroot, release)
    )


def _takes_initrd(sysroot: Sysroot, release: str) -> bool:
    """Return whether the kernel unpacks one: CONFIG_BLK_DEV_INITRD, on which all CONFIG_RD_ depend."""
    config = read_config(sysroot, release)
    return config is None or any(name == "BLK_DEV_INITRD" or name.startswith("RD_") for name in config)


def _has_list(sysroot: Sysroot, release: str) -> bool:
    return sysroot.is_file(f"{MODULES}/{release}/modules.dep")


def _has_vmlinuz(sysroot: Sysroot, release: str) -> bool:
    try:
        find_vmlinuz(sysroot, release)
    except KernelError:
        return False
    return True


def releases(config: HookConfig) -> tuple[str, ...]:
    """Return the kernel releases of all trees, each once; a tree that cannot be read has none."""
    found: dict[str, None] = {}
    for tree in config.trees:
        try:
            found |= dict.fromkeys(find_releases(Sysroot.open(tree.build.sysroot)))
        except (MkpxeinitError, OSError):
            continue
    return tuple(found)


def imaged(config: HookConfig) -> tuple[str, ...]:
    """Return the kernel releases of which there are images in the trees' folders, each once."""
    before, after = image_name("/").split("/")
    found: dict[str, None] = {}
    for tree in config.trees:
        try:
            folder = image_folder(tree, Sysroot.open(tree.build.sysroot))
            names = sorted(each.name for each in folder.glob(image_name("*"))) if folder else []
        except (MkpxeinitError, OSError):
            continue
        found |= dict.fromkeys(name.removeprefix(before).removesuffix(after) for name in names)
    return tuple(found)


def _add(tree: HookTree, release: str, say: Voice) -> bool:
    """Make what `release` needs; return False if the tree has no such kernel."""
    sysroot = Sysroot.open(tree.build.sysroot)
    if release not in find_releases(sysroot):
        return False
    if not _takes_initrd(sysroot, release):
        say(f"tree {tree.name}: kernel {release} takes no initrd (CONFIG_BLK_DEV_INITRD): it gets none")
        return True
    image = _image(tree, sysroot, release, say)
    if tree.publishing:
        # If it is the newest it is wanted, and that it cannot be booted is a failure.
        wanted = tree.build.kernel_release or max((*bootable(sysroot), release), key=version_key)
        if wanted == release:
            _publish(tree, tree.publishing, release, image, say)
        else:
            say(f"tree {tree.name}: kernel {release} is not published: clients boot {wanted}")
    return True


def half(sysroot: Sysroot) -> tuple[str, ...]:
    """Return the releases whose kernel is there, and not depmod's list: the package is not configured."""
    return tuple(
        release
        for release in find_releases(sysroot)
        if not _has_list(sysroot, release) and _has_vmlinuz(sysroot, release)
    )


def _passed_over(tree: HookTree, say: Voice) -> Iterator[Failure]:
    """Say of which kernels there can be no image yet; yield each as something to be done."""
    sysroot = Sysroot.open(tree.build.sysroot)
    for release in half(sysroot):
        missing = sysroot.show(f"{MODULES}/{release}/modules.dep")
        cause = f"{missing}: missing; is the kernel's package configured?"
        say(f"tree {tree.name}: kernel {release} is passed over: {cause}")
        yield Failure("add", tree.name, release, int(time.time()), cause)


def _update(tree: HookTree, also: tuple[str, ...], say: Voice) -> None:
    """Make anew the image of the kernel that clients boot, those that are there, and those of `also`."""
    sysroot = Sysroot.open(tree.build.sysroot)
    whole = max(bootable(sysroot), key=version_key, default=None)
    newest = choose_release(sysroot, tree.build.kernel_release or whole).release
    if not _takes_initrd(sysroot, newest):
        raise HookError(
            f"kernel {newest} takes no initrd (CONFIG_BLK_DEV_INITRD); the tree needs another one"
        )
    image = _image(tree, sysroot, newest, say)
    if tree.publishing:
        _publish(tree, tree.publishing, newest, image, say)
    folder = image_folder(tree, sysroot)
    for release in find_releases(sysroot):
        if release == newest or not _has_list(sysroot, release):
            continue
        if release in also:
            _add(tree, release, say)
        elif folder is not None and (folder / image_name(release)).is_file():
            _image(tree, sysroot, release, say)


def _remove(tree: HookTree, release: str, say: Voice) -> bool:
    """Take away what was made for `release`, as far as clients can do without; return if there was any."""
    sysroot = Sysroot.open(tree.build.sysroot)
    if _stays(sysroot, release):
        say(f"tree {tree.name}: has kernel {release} still: what was made for it stays")
        return True
    others = tuple(each for each in bootable(sysroot) if each != release)
    folder = image_folder(tree, sysroot)
    touched = False
    if tree.publishing:
        touched = _replace_published(tree, tree.publishing, release, others, say)
    if folder is not None and (image := folder / image_name(release)).is_file():
        touched = True
        if not others:
            say(
                f"tree {tree.name}: no other kernel is there: {printable(image)} is the last one, and is kept"
            )
            return touched
        if not any((folder / image_name(each)).is_file() for each in others):
            _image(tree, sysroot, others[-1], say)
        image.unlink()
        sync_folder(folder)
        say(f"tree {tree.name}: {printable(image)} is removed")
    return touched


def _stays(sysroot: Sysroot, release: str) -> bool:
    """Return whether it was another system's kernel of that name that went: the server's, say.

    In this machine's own tree the one that goes may be there still: kernel-install(8) calls its plugins
    before the files go.
    """
    if sysroot.root.samefile("/"):
        return False
    return release in find_releases(sysroot) and _has_vmlinuz(sysroot, release)


def image_folder(tree: HookTree, sysroot: Sysroot) -> Path | None:
    """Return the folder of the tree's images; links of `boot` in the tree lead nowhere else."""
    if tree.inside is not None:
        return sysroot.resolve(tree.inside)
    return tree.output


def _image(tree: HookTree, sysroot: Sysroot, release: str, say: Voice) -> Path | None:
    """Build the image of `release` if the tree is to have one in a folder; return it."""
    folder = image_folder(tree, sysroot)
    if folder is None:
        return None
    target = folder / image_name(release)
    if target.is_symlink():
        raise HookError(f"{printable(target)}: a symbolic link, where our image has to be; move it away")
    start = time.monotonic()
    decided = build.plan(replace(tree.build, kernel_release=release, output=target))
    if tree.strict:
        build.check_firmware(decided)
    result = build.write(decided)
    remarks = list(decided.notes)
    if lacking := build.firmware_remark(decided):
        remarks.append(lacking)
    more = say.counted(tree.name, remarks)
    say(
        f"tree {tree.name}: {printable(target)}: image of kernel {release}, {result.size} bytes, "
        f"{time.monotonic() - start:.1f} s{more}"
    )
    return target


def _publish(tree: HookTree, place: Publishing, release: str, image: Path | None, say: Voice) -> None:
    options = publish.Options(
        tftp_root=place.tftp_root,
        build=replace(tree.build, kernel_release=release),
        tree=place.tree,
        strict=tree.strict,
        image=image,
        cmdline=place.append,
        told=place.told,
        site=place.site,
        keep=place.keep,
    )
    remarks: list[str] = []
    try:
        outcome = publish.publish(
            options, lambda line: say(f"tree {tree.name}: {line}"), remark=remarks.append
        )
    except BaseException:
        replace(say, verbose=True).counted(tree.name, remarks)  # they may be about the cause
        raise
    more = say.counted(tree.name, remarks)
    what = "is published" if outcome.new else "is served already"
    shown = printable(place.tftp_root)
    say(f"tree {tree.name}: {shown}: {outcome.manifest.name} {what}: kernel {release}{more}")
    if outcome.removed:
        say(f"tree {tree.name}: removed: {', '.join(outcome.removed)}")


def _replace_published(
    tree: HookTree, place: Publishing, release: str, others: tuple[str, ...], say: Voice
) -> bool:
    """Publish another kernel if clients boot `release`, which goes; return whether they did."""
    root = TftpRoot.open(place.tftp_root)
    state = published.read(root)
    if place.tree not in state.trees:
        return False
    for name, group in state.groups.items():
        if group.tree == place.tree and group.generation:
            found = generation.read(root, group.generation).release
            if found == release:
                say(f"tree {tree.name}: group {name} boots {group.generation}, whose kernel leaves the tree")
    served = generation.read(root, state.trees[place.tree].generation)
    if served.release != release:
        return False
    if not others:
        say(f"tree {tree.name}: no other kernel is there: {served.name} is served as before")
    elif tree.build.kernel_release == release:
        raise HookError(f"kernel {release} is the tree's kernel-release; name another one that is there")
    else:
        _publish(
            tree, place, others[-1], _image(tree, Sysroot.open(tree.build.sysroot), others[-1], say), say
        )
    return True
