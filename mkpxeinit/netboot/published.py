"""What is published: which generation is whose. The one file `generations/published.json` says it.

Its rename is the moment in which a publish counts; the loaders' files are written from it, and a run
that was killed between the two is finished by the next.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from mkpxeinit.errors import PublishError, ServerError, os_cause
from mkpxeinit.meant import meant
from mkpxeinit.netboot import values
from mkpxeinit.netboot.generation import FOLDER, damaged, number, split_name, string
from mkpxeinit.netboot.tftproot import TftpRoot
from mkpxeinit.sysroot import read_regular

STATE = FOLDER / "published.json"
FORMAT = 1
_MAX_STATE = 64 << 20  # bytes; some hundred for each client


@dataclass(frozen=True, slots=True)
class TreeState:
    """A tree: the generation that is its own, the one before, the highest number that was given."""

    generation: str
    previous: str | None
    number: int
    sysroot: str


@dataclass(frozen=True, slots=True)
class GroupState:
    """Clients with a generation of their own; None: that of the tree."""

    tree: str
    generation: str | None
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """An entry of the menu. None: `cmdline` is the generation's, `generation` the group's or the tree's."""

    label: str
    title: str
    tree: str
    group: str | None = None
    generation: str | None = None
    cmdline: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """All of it: who boots what, and what was written for that.

    `written` has the digests that a loader's file of ours may have, the wanted one first (empty: the
    file is to go); `retired` when a generation's last use ended, in seconds since 1970.
    """

    trees: Mapping[str, TreeState] = field(default_factory=dict)
    groups: Mapping[str, GroupState] = field(default_factory=dict)
    slots: tuple[Slot, ...] = ()
    clients: tuple[tuple[str, str], ...] = ()
    default: str | None = None
    timeout: int = 0
    console: str | None = None
    written: Mapping[PurePosixPath, tuple[str, ...]] = field(default_factory=dict)
    retired: Mapping[str, int] = field(default_factory=dict)

    def tree(self, name: str) -> TreeState:
        """Return the tree `name`; PublishError with those that there are if it was never published."""
        if name not in self.trees:
            raise PublishError(f"no tree {name!r} is published here{meant(name, self.trees)}")
        return self.trees[name]

    def group(self, name: str) -> GroupState:
        """Return the group `name`; PublishError with those that there are if there is none such."""
        if name not in self.groups:
            there = meant(name, self.groups)
            raise PublishError(f"no group {name!r} here{there}; --group NAME --mac makes one")
        return self.groups[name]

    def generation_of(self, slot: Slot) -> str:
        """Return the generation that an entry boots."""
        group = self.groups.get(slot.group) if slot.group else None
        return slot.generation or (group.generation if group else None) or self.tree(slot.tree).generation

    def booted(self) -> set[str]:
        """Return the generations that clients boot."""
        groups = (each.generation for each in self.groups.values())
        return {*map(self.generation_of, self.slots), *(each for each in groups if each)}

    def uses(self) -> dict[str, list[str]]:
        """Return the generations that something refers to, and what that is."""
        found: dict[str, list[str]] = {}

        def add(name: str | None, use: str) -> None:
            if name is not None and use not in found.setdefault(name, []):
                found[name].append(use)

        for name, tree in self.trees.items():
            add(tree.generation, f"tree {name}")
        for name, group in self.groups.items():
            add(group.generation, f"group {name}")
        labels = [label for _, label in self.clients]
        for slot in self.slots:
            if slot.generation:
                add(slot.generation, f"entry {slot.label} ({labels.count(slot.label)} clients)")
        for name, tree in self.trees.items():
            add(tree.previous, f"previous of tree {name}")
        for name, group in self.groups.items():
            add(group.previous, f"previous of group {name}")
        return found


def read(root: TftpRoot) -> Published:
    """Return what is published in `root`, nothing if nothing was; PublishError if the file is damaged."""
    shown = root.show(STATE)
    try:
        data = json.loads(read_regular(root.place(STATE), _MAX_STATE))
    except FileNotFoundError:
        return Published()
    except OSError as error:
        raise PublishError(f"{shown}: {os_cause(error)}") from error
    except (ValueError, RecursionError) as error:
        raise damaged(shown, "no JSON") from error
    try:
        return _published(data)
    except (KeyError, TypeError, ValueError, AttributeError, ServerError, PublishError) as error:
        raise damaged(shown, error) from error


def as_json(state: Published) -> bytes:
    """Return the text of published.json."""
    told = {
        "format": FORMAT,
        "default": state.default,
        "timeout": state.timeout,
        "console": state.console,
        "trees": {
            name: {
                "generation": each.generation,
                "previous": each.previous,
                "number": each.number,
                "sysroot": each.sysroot,
            }
            for name, each in state.trees.items()
        },
        "groups": {
            name: {"tree": each.tree, "generation": each.generation, "previous": each.previous}
            for name, each in state.groups.items()
        },
        "entries": [
            {
                "label": each.label,
                "title": each.title,
                "tree": each.tree,
                "group": each.group,
                "generation": each.generation,
                "cmdline": each.cmdline,
            }
            for each in state.slots
        ],
        "clients": dict(state.clients),
        "written": {str(path): list(digests) for path, digests in state.written.items()},
        "retired": dict(state.retired),
    }
    return (json.dumps(told, indent=1) + "\n").encode()


def _published(data: Any) -> Published:
    if number(data["format"]) != FORMAT:
        raise ValueError(f"format {data['format']}, which a newer mkpxeinit reads")
    slots = tuple(_slot(each) for each in data["entries"])
    labels = {slot.label for slot in slots}
    trees = {values.name(name): _tree(each) for name, each in data["trees"].items()}
    groups = {values.name(name): _group(each) for name, each in data["groups"].items()}
    clients = tuple((values.mac(mac), string(label)) for mac, label in data["clients"].items())
    default = None if data["default"] is None else string(data["default"])
    if not {slot.tree for slot in slots} <= set(trees) or not {g.tree for g in groups.values()} <= set(trees):
        raise ValueError("an entry or a group of a tree that is not there")
    if not {label for _, label in clients} | ({default} - {None}) <= labels:
        raise ValueError("a client of an entry that is not there")
    return Published(
        trees=trees,
        groups=groups,
        slots=slots,
        clients=clients,
        default=default,
        timeout=number(data["timeout"]),
        console=None if data["console"] is None else values.console(string(data["console"])),
        written={
            values.relative(string(path)): tuple(string(digest) for digest in digests)
            for path, digests in data["written"].items()
        },
        retired={_generation(name): number(when) for name, when in data["retired"].items()},
    )


def _tree(data: Any) -> TreeState:
    return TreeState(
        _generation(data["generation"]),
        _optional(data["previous"]),
        number(data["number"]),
        string(data["sysroot"]),
    )


def _group(data: Any) -> GroupState:
    return GroupState(
        values.name(string(data["tree"])), _optional(data["generation"]), _optional(data["previous"])
    )


def _slot(data: Any) -> Slot:
    return Slot(
        label=values.label(string(data["label"])),
        title=values.text(string(data["title"])),
        tree=values.name(string(data["tree"])),
        group=None if data["group"] is None else values.name(string(data["group"])),
        generation=_optional(data["generation"]),
        cmdline=None if data["cmdline"] is None else values.cmdline(string(data["cmdline"])),
    )


def _optional(value: object) -> str | None:
    return None if value is None else _generation(value)


def _generation(value: object) -> str:
    name = string(value)
    split_name(name)
    return name
