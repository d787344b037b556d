"""The readers of `publish`: what it wrote itself, configurations by hand, images that are looked through."""

import json
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import MkpxeinitError
from mkpxeinit.netboot import generation, menus, published, references, secrets
from mkpxeinit.netboot.generation import Manifest
from mkpxeinit.netboot.published import GroupState, Published, Slot, TreeState
from mkpxeinit.netboot.tftproot import Stored, TftpRoot
from tests.fuzz.target import Target
from tests.unit.images import TRAILER, entry

_MANIFEST = Manifest(
    "pc.1", "pc", "/t", "6.1", Stored(1, "0" * 64), Stored(2, "f" * 64), "quiet", {"bus": ["pci"]}, 5, "0.1"
)
_PINNED = Slot("a", "b", "pc", None, "pc.1", "c")
_STATE = Published(
    trees={"pc": TreeState("pc.2", "pc.1", 2, "/t")},
    groups={"canary": GroupState("pc", "pc.3", "pc.2")},
    slots=(Slot("pc", "A PC", "pc"), Slot("pc.canary", "x", "pc", "canary"), _PINNED),
    clients=(("52:54:00:00:00:01", "pc.canary"),),
    default="pc",
    console="ttyS0,9600",
    written={PurePosixPath("boot.ipxe"): ("0" * 64, "1" * 64)},
    retired={"pc.1": 7},
)  # fmt: skip
_CONFIGURATIONS = (
    "default a\nui menu.c32\nlabel a\n  kernel g/vmlinuz\n  initrd a,b\n  append initrd=/c x\n",
    "menuentry 'x y' { linux '/k' \"a b\" $bootif\n initrd /i }\nconfigfile (tftp)$prefix/x\n",
    "#!ipxe\nkernel --name k ../k initrd=i || goto x\nchain ${url}/x\ninitrd http://a/b\n",
)


def _manifest(data: bytes, folder: Path) -> None:
    place = folder / "generations/pc.1"
    place.mkdir(parents=True, exist_ok=True)
    (place / "generation.json").write_bytes(data)
    found = generation.read(TftpRoot.open(folder), "pc.1")
    assert json.loads(generation.as_json(found))["name"] == "pc.1"
    assert (found.release + found.cmdline + found.sysroot).isprintable()


def _state(data: bytes, folder: Path) -> None:
    (folder / "generations").mkdir(exist_ok=True)
    (folder / "generations/published.json").write_bytes(data)
    root = TftpRoot.open(folder)
    state = published.read(root)
    for path in state.written:
        root.place(path).relative_to(folder)
    for name in state.uses():
        generation.split_name(name)
    try:
        files = menus.files(menus.make(state, lambda _: _MANIFEST))
    except MkpxeinitError:
        return
    assert all(".." not in path.parts and not path.is_absolute() for path in files)


def _references(data: bytes, _: Path) -> None:
    text = data.decode("utf-8", "replace")
    for name in ("pxelinux.cfg/default", "grub/grub.cfg", "boot.ipxe", "a/b.ipxe"):
        for each in references.find(PurePosixPath(name), text):
            assert not each.name.is_absolute() and ".." not in each.name.parts


def _secrets(data: bytes, folder: Path) -> None:
    (folder / "image").write_bytes(data)
    assert all(str(each).isprintable() for each in secrets.find(folder / "image"))


PUBLISH_TARGETS = (
    Target("manifest", (generation.as_json(_MANIFEST),), _manifest),
    Target("published", (published.as_json(_STATE), published.as_json(Published())), _state),
    Target("references", tuple(text.encode() for text in _CONFIGURATIONS), _references),
    Target(
        "secrets",
        (
            entry(b"d", 0o040700)
            + entry(b"d/x", 0o100644, b"x")
            + entry(b"etc/passwd", 0o100644, b"a:$6$x:0:0::/:\n")
            + entry(b"k", 0o100600, b"-----BEGIN PRIVATE KEY-----")
            + TRAILER,
        ),
        _secrets,
    ),
)
