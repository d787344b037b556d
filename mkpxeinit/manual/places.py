"""Where the pages of docs/ are in the manual: data for the pages, and for links between them."""

from collections.abc import Mapping
from dataclasses import dataclass

# A page, or a part of it: the manual page that has it.
_PLACES = {
    "client.md": "pxeinit(7)",
    "troubleshooting.md": "pxeinit-codes(7)",
    "hardware.md": "mkpxeinit-hardware(7)",
    "drop-ins.md": "mkpxeinit.d(5)",
    "json.md": "mkpxeinit-json(7)",
    "server-config.md#the-description": "mkpxeinit.toml(5)",
    "server-config.md#loaders": "mkpxeinit.toml(5)",
    "hooks.md#configuration": "mkpxeinit.toml(5)",
    "reference.md": "mkpxeinit(8)",
    "kernel.md": "mkpxeinit-build(8)",
    "cache.md": "mkpxeinit-build(8)",
    "images.md": "mkpxeinit-check(8)",
    "prepare.md": "mkpxeinit-prepare(8)",
    "server-config.md": "mkpxeinit-server-config(8)",
    "publish.md": "mkpxeinit-publish(8)",
    "hooks.md": "mkpxeinit-hook(8)",
    "verify-server.md": "mkpxeinit-verify-server(8)",
    "serve.md": "mkpxeinit-serve(8)",
    "busybox.md": "mkpxeinit-busybox(8)",
    "timeline.md": "mkpxeinit-timeline(8)",
}
PAGES = frozenset(name.partition("#")[0] for name in _PLACES)


def place_of(target: str) -> str:
    """Return the manual page that a link in docs/ leads to; empty if none, or the page itself."""
    return _PLACES.get(target) or _PLACES.get(target.partition("#")[0], "")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a manual page takes of a page of docs/: sections by their headings, all if none are named.

    Without `beginning`, not what stands before the first heading. A table of options is left out in any
    case. With `whole` the page becomes one section, under its title.
    """

    page: str
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    beginning: bool = True
    whole: bool = False


# Pages that are one of docs/: name and number, what they are about.
OTHERS: Mapping[tuple[str, int], tuple[str, Taken]] = {
    ("mkpxeinit.d", 5): ("programs, files and hooks for every image", Taken("drop-ins.md")),
    ("mkpxeinit-hardware", 7): (
        "how it is said which drivers an image has",
        Taken("hardware.md", without=("What class 02 takes of Debian 12, and what it leaves out",)),
    ),
    ("mkpxeinit-json", 7): ("what --json prints, field by field", Taken("json.md")),
    ("pxeinit-codes", 7): (
        "the codes of a client that cannot go on, and what to do",
        Taken("troubleshooting.md"),
    ),
}
VERBS: Mapping[str, tuple[Taken, ...]] = {
    "build": (Taken("kernel.md", whole=True), Taken("cache.md", whole=True)),
    "why": (Taken("images.md", ("`why IMAGE [PATH-OR-NAME]...`",), beginning=False),),
    "diff": (Taken("images.md", ("`diff OLD NEW`",), beginning=False),),
    "check": (Taken("images.md", ("`check IMAGE [--hardware FILE]... [FILE]...`",), beginning=False),),
    "prepare": (Taken("prepare.md"),),
    "server-config": (Taken("server-config.md", ("The simple case", "What is checked, and what is not")),),
    "publish": (Taken("publish.md"),),
    "hook": (Taken("hooks.md", without=("Configuration", "A kernel upgrade, from apt to the clients")),),
    "verify-server": (Taken("verify-server.md"),),
    "serve": (Taken("serve.md"),),
    "busybox": (Taken("busybox.md"),),
    "timeline": (Taken("timeline.md"),),
    "doctor": (Taken("reference.md", ("doctor",), beginning=False),),
}
