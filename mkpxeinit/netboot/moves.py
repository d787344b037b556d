"""How what is published changes: pure functions from one state to the next."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from mkpxeinit.errors import PublishError
from mkpxeinit.netboot import values
from mkpxeinit.netboot.entries import Place, make_menu
from mkpxeinit.netboot.generation import split_name
from mkpxeinit.netboot.parts import Tree
from mkpxeinit.netboot.published import GroupState, Published, Slot, TreeState
from mkpxeinit.netboot.site import Site


def to_tree(state: Published, generation: str, sysroot: str | None = None) -> Published:
    """Return `state` with `generation` for all clients of its tree that have no other of their own.

    A tree without an entry in the menu gets one, and is the default if it is the first.
    """
    name, number = split_name(generation)
    old = state.trees.get(name)
    if old is None:
        new = TreeState(generation, None, number, sysroot or "")
    else:
        previous = old.previous if old.generation == generation else old.generation
        new = TreeState(generation, previous, max(old.number, number), sysroot or old.sysroot)
    if not any(slot.tree == name for slot in state.slots):
        state = replace(state, slots=(*state.slots, Slot(name, name, name)), default=state.default or name)
    return replace(state, trees={**state.trees, name: new})


def to_group(state: Published, group: str, generation: str | None) -> Published:
    """Return `state` with `generation` for the clients of `group`; None: that of the tree.

    PublishError if the group has another tree.
    """
    old = state.group(group)
    if generation is not None and split_name(generation)[0] != old.tree:
        raise PublishError(f"{generation} is of another tree than group {group}, which has {old.tree}")
    if generation == old.generation:
        return state
    new = GroupState(old.tree, generation, old.generation or state.tree(old.tree).generation)
    return replace(state, groups={**state.groups, group: new})


def with_number(state: Published, generation: str, sysroot: str) -> Published:
    """Return `state` that knows of a generation of one of its trees, which nobody boots yet."""
    name, number = split_name(generation)
    tree = replace(state.tree(name), number=number, sysroot=sysroot)
    return replace(state, trees={**state.trees, name: tree})


def with_clients(state: Published, group: str, tree: str, addresses: tuple[str, ...]) -> Published:
    """Return `state` with these clients, by hardware address, in `group`, which is made if it is new."""
    values.name(group)
    state.tree(tree)
    old = state.groups.get(group)
    if old is None:
        if not addresses:
            state.group(group)
        slot = Slot(f"{tree}.{group}", f"{tree} ({group})", tree, group)
        others = tuple(each for each in state.slots if each.label != slot.label)
        state = replace(state, groups={**state.groups, group: GroupState(tree, None)}, slots=(*others, slot))
    elif old.tree != tree:
        raise PublishError(f"group {group} is of the tree {old.tree}, not of {tree}")
    label = next(each.label for each in state.slots if each.group == group)
    clients = dict(state.clients) | {values.mac(each): label for each in addresses}
    return replace(state, clients=tuple(clients.items()))


def without_group(state: Published, group: str) -> Published:
    """Return `state` without `group`: its clients boot what everybody boots."""
    state.group(group)
    gone = {each.label for each in state.slots if each.group == group}
    return replace(
        state,
        groups={name: each for name, each in state.groups.items() if name != group},
        slots=tuple(each for each in state.slots if each.label not in gone),
        clients=tuple((mac, label) for mac, label in state.clients if label not in gone),
    )


def back(state: Published, tree: str, group: str | None) -> tuple[Published, str]:
    """Return `state` with the previous generation of a group, or else of a tree, and which it is."""
    if group is not None:
        previous = state.group(group).previous
        if previous is None:
            raise PublishError(f"group {group} has had no other generation; name one with --generation")
        return to_group(state, group, previous), previous
    previous = state.tree(tree).previous
    if previous is None:
        raise PublishError(f"tree {tree} has no previous generation; see mkpxeinit publish --list")
    return to_tree(state, previous), previous


def to_site(state: Published, site: Site) -> tuple[Published, tuple[str, ...]]:
    """Return `state` with the menu, groups and clients of a description, and remarks.

    Trees that are not published yet are left out, with whoever boots them.
    """
    notes = [f"tree {each.name} is not published yet, and not in the menu" for each in site.trees
             if each.name not in state.trees]  # fmt: skip
    site = _published_part(site, state.trees)
    groups = {}
    for each in site.groups:
        old = state.groups.get(each.name)
        group = old if old is not None and old.tree == each.tree else GroupState(each.tree, None)
        groups[each.name] = group
    state = replace(state, groups=groups)
    for each in site.groups:
        if each.generation is not None:
            state = to_group(state, each.name, each.generation)
    booted: list[tuple[str, str | None]] = []

    def place(tree: Tree, generation: str | None) -> Place:
        booted.append((tree.name, generation))
        return Place(PurePosixPath(f"entry/{len(booted)}"), ())

    # The menu asks for each entry's files in turn; a group says its name instead of a generation.
    marked = replace(site, groups=tuple(replace(each, generation=f"@{each.name}") for each in site.groups))
    menu = make_menu(marked, place)
    slots = tuple(
        Slot(
            label=entry.label,
            title=entry.title,
            tree=tree,
            group=generation[1:] if generation and generation.startswith("@") else None,
            generation=None if generation is None or generation.startswith("@") else generation,
            cmdline=entry.cmdline,
        )
        for entry, (tree, generation) in zip(menu.entries, booted, strict=True)
    )
    state = replace(
        state, slots=slots, clients=menu.clients, default=menu.default,
        timeout=site.timeout, console=site.console,
    )  # fmt: skip
    return state, tuple(notes)


def _published_part(site: Site, trees: Mapping[str, TreeState]) -> Site:
    """Return `site` without the trees that are not in `trees`; PublishError if none is left."""
    kept = tuple(each for each in site.trees if each.name in trees)
    if not kept:
        raise PublishError("no tree of the description is published; publish --config FILE --name TREE does")
    groups = tuple(each for each in site.groups if each.tree in trees)
    names = {each.name for each in groups}
    all_groups = {each.name for each in site.groups}
    clients = tuple(
        each
        for each in site.clients
        if (each.group is None or each.group in names or each.group not in all_groups)
        and (each.tree or (site.default if each.group is None else None) or kept[0].name) in trees
    )
    default = site.default if site.default in trees else None
    return replace(site, trees=kept, groups=groups, clients=clients, default=default)


def retire(old: Published, new: Published, now: int) -> Published:
    """Return `new`, in which the generations that nobody uses any more since `old` have the time `now`."""
    used = new.uses()
    retired = {name: when for name, when in new.retired.items() if name not in used}
    retired |= {name: now for name in old.uses() if name not in used}
    return replace(new, retired=retired)
