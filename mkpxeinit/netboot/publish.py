"""A kernel and its image published: built or taken, looked through, put into a generation, switched to."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mkpxeinit import __version__, build
from mkpxeinit.errors import PublishError, ServerError, UsageError, printable
from mkpxeinit.image.output import sync_folder
from mkpxeinit.image.read import open_image, without_usr
from mkpxeinit.kernel.release import choose_release, find_vmlinuz
from mkpxeinit.netboot import generation, loaders, moves, published, secrets, switch, values
from mkpxeinit.netboot.generation import FOLDER, IMAGE, KERNEL, MANIFEST, UNPUBLISHED, Manifest
from mkpxeinit.netboot.parts import Tree
from mkpxeinit.netboot.published import Published
from mkpxeinit.netboot.site import Choice, Site
from mkpxeinit.netboot.tftproot import Staged, TftpRoot, copy, digest_of, write_new, writing
from mkpxeinit.sysroot import Sysroot

GRACE = 900  # seconds that a generation stays after its last use: a client may be loading it
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What is published: `build` tells how the image is made unless `image` is one.

    `told` is what the manifest says of that. With `group` the new generation is that group's alone.
    """

    tftp_root: Path
    build: build.Options
    tree: str
    strict: bool = False
    image: Path | None = None
    cmdline: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)
    group: str | None = None
    clients: tuple[str, ...] = ()
    site: Site | None = None
    default: bool = False
    timeout: int | None = None
    console: str | None = None
    keep: int | None = None
    loaders: tuple[str, ...] = ()
    update_loaders: bool = False
    take_over: bool = False
    allow_secrets: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done: the generation that is served, whether it is new, and those that were removed."""

    manifest: Manifest
    new: bool
    removed: tuple[str, ...]


def tree_name(sysroot: Path) -> str:
    """Return the name of a tree by its folder; UsageError if that cannot be one."""
    name = sysroot.resolve().name
    try:
        return values.name(name)
    except ServerError as error:
        raise UsageError(
            f"--sysroot {printable(sysroot)}: {error}; give the tree a name with --name"
        ) from error


def place_of(sysroot: Path, tree: str, state: Published) -> str:
    """Return where a tree is, for whoever looks later.

    A chroot is its own `/`: then the place that the server has published the tree from before, if it has.
    """
    known = state.trees.get(tree)
    return known.sysroot if sysroot == Path("/") and known and known.sysroot else printable(sysroot)


def described(tree: Tree) -> dict[str, Any]:
    """Return what a description says of a tree's image, named as in build.Options, and nothing else."""
    said = {each.name: getattr(tree.build, each.name) for each in fields(tree.build)}
    said["kernel_release"] = tree.kernel_release
    return {name: value for name, value in said.items() if value not in (None, ())}


def publish(
    options: Options, say: Say, environment: Mapping[str, str] | None = None, *, remark: Say | None = None
) -> Outcome:
    """Publish what `options` tell; `say` gets what happens, a line each.

    `remark` gets what is the same at every run until somebody changes it (`say` does if it is None).
    MkpxeinitError if it cannot be done, and then the TFTP root serves what it served before.
    """
    remark = remark or say
    root = TftpRoot.open(options.tftp_root)
    created = _time(os.environ if environment is None else environment)
    _cmdline(options)  # refused before anything is written
    with root.locked(say):
        state = switch.recover(root)
        with switch.Switch(root) as changes, root.new_folder(FOLDER) as folder:
            made = _fill(folder, options, state, root, created, remark)
            found = loaders.find(Sysroot(Path("/"), ""), Sysroot.open(options.build.sysroot))
            for line in loaders.absent(found, options.loaders, root):
                remark(line)
            files: list[Staged] = []
            for _, staged, line_of_set in loaders.stage(root, found, options.update_loaders):
                for each in staged:
                    changes.adopt(each)
                files += staged
                if line_of_set:
                    remark(line_of_set)
            served = _unchanged(root, state, options, made)
            manifest = served or made
            wanted = _next_state(state, options, manifest, remark)
            wanted = moves.retire(state, wanted, int(time.time()))
            commit = switch.prepare(
                changes, state, wanted, switch.read(root, {manifest.name: manifest}), options.take_over
            )
            if served is None:
                _place(root, folder, manifest)
            try:
                for each in files:
                    root.put(each)
                state = commit()
                (root.path / manifest.folder / UNPUBLISHED).unlink(missing_ok=True)
            except BaseException:
                if served is None and manifest.name not in published.read(root).uses():
                    switch.remove(root, manifest.name)
                raise
        removed = prune(root, state, options.keep, say)
    return Outcome(manifest, served is None, removed)


def change(
    tftp_root: Path, move: Callable[[Published], Published], say: Say, *, keep: int | None = None,
    take_over: bool = False,
) -> tuple[Published, tuple[str, ...]]:  # fmt: skip
    """Change who boots what, by `move`; return the new state and the generations that were removed.

    PublishError if a generation that would be booted is not there, or not whole.
    """
    root = TftpRoot.open(tftp_root)
    with root.locked(say):
        state = switch.recover(root)
        wanted = move(state)
        for name in wanted.booted() - state.booted():
            check_whole(root, generation.read(root, name))
        if wanted != state:
            wanted = moves.retire(state, wanted, int(time.time()))
        with switch.Switch(root) as changes:
            state = switch.prepare(changes, state, wanted, switch.read(root), take_over)()
        return state, prune(root, state, keep, say)


def prune(root: TftpRoot, state: Published, keep: int | None, say: Say) -> tuple[str, ...]:
    """Remove the generations beyond the newest `keep` of each tree that nobody boots; return their names."""
    removed = []
    if keep is None:
        return ()
    for name, can_go in switch.removable(root, state, keep, int(time.time()), GRACE):
        if can_go:
            switch.remove(root, name)
            removed.append(name)
        else:
            say(f"{name}: kept, clients may still be loading it ({GRACE // 60} minutes after its last use)")
    return tuple(removed)


def check_whole(root: TftpRoot, manifest: Manifest) -> None:
    """PublishError if kernel or image of a generation are not what its manifest says."""
    for path, wanted in ((manifest.kernel_path, manifest.kernel), (manifest.image_path, manifest.image)):
        if root.digest(path) != wanted:
            raise PublishError(
                f"{root.show(path)}: missing or damaged, not what {MANIFEST} says; publish again instead"
            )


def _fill(
    folder: Path, options: Options, state: Published, root: TftpRoot, created: int, say: Say
) -> Manifest:
    """Put kernel, image and manifest into `folder`; return the manifest."""
    tree = Sysroot.open(options.build.sysroot)
    image = folder / IMAGE
    if options.image is None:
        decided = build.plan(replace(options.build, output=image))
        for note in decided.notes:
            say(note)
        if options.strict:
            build.check_firmware(decided)
        if lacking := build.firmware_remark(decided):
            say(f"{lacking}; build -v lists them")
        for note in build.write(decided).notes:
            say(note)
        image.chmod(0o644)
        release = decided.release
        with image.open("rb") as file:
            stored = digest_of(file)
    else:
        stored = copy(options.image, image, printable(options.image))
        release = _release_for(tree, options)
    if not options.allow_secrets:
        shown = "the image" if options.image is None else printable(options.image)
        secrets.refuse(secrets.find(image), shown)
    vmlinuz = find_vmlinuz(tree, release)
    kernel = copy(vmlinuz, folder / KERNEL, printable(vmlinuz))
    used = state.trees[options.tree].number if options.tree in state.trees else 0
    manifest = Manifest(
        name=generation.next_name(root, options.tree, used),
        tree=options.tree,
        sysroot=place_of(tree.root, options.tree, state),
        release=values.kernel_release(release),
        kernel=kernel,
        image=stored,
        cmdline=_cmdline(options),
        options=options.told,
        created=created,
        version=__version__,
    )
    write_new(folder / MANIFEST, generation.as_json(manifest))
    write_new(folder / UNPUBLISHED, b"")
    folder.chmod(0o755)
    return manifest


def _cmdline(options: Options) -> str:
    if options.site is not None:
        site = options.site
        tree = site.tree(options.tree)
        return site.cmdline(Choice(tree, tree.mode, tree.cmdline))
    try:
        return values.cmdline(options.cmdline)
    except ServerError as error:
        raise UsageError(f"--append: {error}") from error


def _release_for(tree: Sysroot, options: Options) -> str:
    """Return the kernel release for a given image; ImageError or KernelError if the tree has it not."""
    assert options.image is not None
    shown = printable(options.image)
    releases: set[str] = set()
    with open_image(options.image) as image:
        for each in image.entries():
            parts = without_usr(each.record.path)
            if parts[:2] == ("lib", "modules") and len(parts) > 2:
                releases.add(parts[2])
    wanted = options.build.kernel_release
    if wanted is None and len(releases) == 1:
        (wanted,) = releases
    release = choose_release(tree, wanted).release
    if releases and release not in releases:
        known = ", ".join(sorted(map(printable, releases)))
        raise PublishError(
            f"{shown}: has modules of {known}, not of the kernel {release}; choose with --kernel-release, or "
            "build the image again"
        )
    return release


def _unchanged(root: TftpRoot, state: Published, options: Options, made: Manifest) -> Manifest | None:
    """Return the generation that is served already, if `made` is the same and it is whole."""
    if options.group is not None:
        group = state.groups.get(options.group)
        name = group.generation if group else None
    else:
        name = state.trees[options.tree].generation if options.tree in state.trees else None
    if name is None:
        return None
    try:
        served = generation.read(root, name)
        check_whole(root, served)
    except PublishError:
        return None
    return served if served.same_content(made) else None


def _next_state(state: Published, options: Options, manifest: Manifest, say: Say) -> Published:
    if options.group is None:
        state = moves.to_tree(state, manifest.name, manifest.sysroot)
    else:
        if options.tree not in state.trees:
            raise PublishError(f"tree {options.tree} is not published yet; publish it without --group first")
        state = moves.with_clients(state, options.group, options.tree, options.clients)
        state = moves.with_number(state, manifest.name, manifest.sysroot)
        state = moves.to_group(state, options.group, manifest.name)
    if options.site is not None:
        state, notes = moves.to_site(state, options.site)
        for note in notes:
            say(note)
    if options.default:
        state = replace(state, default=options.tree)
    if options.timeout is not None:
        state = replace(state, timeout=options.timeout)
    if options.console is not None:
        state = replace(state, console=options.console)
    return state


def _place(root: TftpRoot, folder: Path, manifest: Manifest) -> None:
    target = root.place(manifest.folder)
    with writing(target):
        sync_folder(folder)
        folder.rename(target)
        sync_folder(target.parent)


def _time(environment: Mapping[str, str]) -> int:
    """Return seconds since 1970: SOURCE_DATE_EPOCH, or now."""
    return build.source_date(environment) if environment.get("SOURCE_DATE_EPOCH") else int(time.time())
