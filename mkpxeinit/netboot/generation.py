"""Generations: a kernel, its image and what is said of them, in a folder that is never changed again.

`generations/TREE.NUMBER/` has `vmlinuz`, `pxeinit.img` and `generation.json`. Numbers of a tree are
never used twice: a client that has read of one gets that one, or nothing.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from mkpxeinit.errors import PublishError, ServerError, os_cause, printable
from mkpxeinit.netboot import values
from mkpxeinit.netboot.tftproot import Stored, TftpRoot
from mkpxeinit.sysroot import read_regular

FOLDER = PurePosixPath("generations")
KERNEL, IMAGE, MANIFEST = "vmlinuz", "pxeinit.img", "generation.json"
# In a generation from before the switch to it until after: a killed run is cleared away by it.
UNPUBLISHED = ".unpublished"
FORMAT = 1
_NAME = re.compile(r"(?P<tree>[A-Za-z0-9][A-Za-z0-9_-]{0,30})\.(?P<number>[1-9][0-9]{0,8})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_MANIFEST = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation is: `created` is in seconds since 1970, `version` that of mkpxeinit.

    `cmdline` is what the loader gives the kernel; `options` are those that the image was built with.
    """

    name: str
    tree: str
    sysroot: str
    release: str
    kernel: Stored
    image: Stored
    cmdline: str
    options: Mapping[str, Any]
    created: int
    version: str

    @property
    def folder(self) -> PurePosixPath:
        """Where its files are, below the TFTP root."""
        return FOLDER / self.name

    @property
    def kernel_path(self) -> PurePosixPath:
        """The kernel, below the TFTP root."""
        return self.folder / KERNEL

    @property
    def image_path(self) -> PurePosixPath:
        """The image, below the TFTP root."""
        return self.folder / IMAGE

    def same_content(self, other: "Manifest") -> bool:
        """Say whether clients get the same by `other`: kernel, image, parameters."""
        return (self.kernel, self.image, self.cmdline, self.release, self.tree) == (
            other.kernel,
            other.image,
            other.cmdline,
            other.release,
            other.tree,
        )


def split_name(name: str) -> tuple[str, int]:
    """Return the tree and the number of the generation `name`; PublishError if it is none's name."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise PublishError(
            f"{printable(name)!r} is no generation's name, which is TREE.NUMBER; see mkpxeinit publish --list"
        )
    return match["tree"], int(match["number"])


def names(root: TftpRoot) -> tuple[str, ...]:
    """Return the names of all generations there, by tree, the newest of each first."""
    folder = root.path / FOLDER
    try:
        found = [each.name for each in folder.iterdir() if _NAME.fullmatch(each.name)]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise PublishError(f"{printable(folder)}: {os_cause(error)}") from error
    return tuple(sorted(found, key=lambda name: (split_name(name)[0], -split_name(name)[1])))


def next_name(root: TftpRoot, tree: str, used: int) -> str:
    """Return the name of a new generation of `tree`; `used` is the highest number that was ever given."""
    there = (number for each, number in map(split_name, names(root)) if each == tree)
    return f"{tree}.{max((used, *there), default=0) + 1}"


def as_json(manifest: Manifest) -> bytes:
    """Return the text of generation.json."""
    told = {
        "format": FORMAT,
        "name": manifest.name,
        "tree": manifest.tree,
        "sysroot": manifest.sysroot,
        "release": manifest.release,
        "kernel": {"file": KERNEL, "size": manifest.kernel.size, "sha256": manifest.kernel.sha256},
        "image": {"file": IMAGE, "size": manifest.image.size, "sha256": manifest.image.sha256},
        "cmdline": manifest.cmdline,
        "options": dict(manifest.options),
        "created": manifest.created,
        "mkpxeinit": manifest.version,
    }
    return (json.dumps(told, indent=2) + "\n").encode()


def read(root: TftpRoot, name: str) -> Manifest:
    """Return what generation.json of `name` says; PublishError if there is none, or it is damaged."""
    split_name(name)
    path = FOLDER / name / MANIFEST
    shown = root.show(path)
    try:
        data = json.loads(read_regular(root.place(path), _MAX_MANIFEST))
    except FileNotFoundError as error:
        raise PublishError(f"{shown}: no such generation; see mkpxeinit publish --list") from error
    except OSError as error:
        raise PublishError(f"{shown}: {os_cause(error)}") from error
    except (ValueError, RecursionError) as error:
        raise damaged(shown, "no JSON") from error
    try:
        found = _manifest(data)
    except (KeyError, TypeError, ValueError, AttributeError, ServerError) as error:
        raise damaged(shown, error) from error
    if found.name != name:
        raise damaged(shown, f"it is that of {printable(found.name)}")
    return found


def damaged(shown: str, cause: object) -> PublishError:
    """Return the error for a file of ours that cannot be understood."""
    return PublishError(
        f"{shown}: not as mkpxeinit writes it: {printable(cause)}; move the folder away and publish again"
    )


def _manifest(data: Any) -> Manifest:
    if number(data["format"]) != FORMAT:
        raise ValueError(f"format {data['format']}, which a newer mkpxeinit reads")
    name = string(data["name"])
    return Manifest(
        name=name,
        tree=split_name(name)[0],
        sysroot=string(data["sysroot"]),
        release=values.kernel_release(string(data["release"])),
        kernel=_stored(data["kernel"]),
        image=_stored(data["image"]),
        cmdline=values.cmdline(string(data["cmdline"])),
        options=dict(data["options"]),
        created=number(data["created"]),
        version=string(data["mkpxeinit"]),
    )


def _stored(data: Any) -> Stored:
    digest = string(data["sha256"])
    if not _SHA256.fullmatch(digest):
        raise ValueError("a SHA-256 that is none")
    return Stored(number(data["size"]), digest)


def string(value: object) -> str:
    """Return `value` if it is one printable line; ValueError if not."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{value!r} where a text has to be")
    return value


def number(value: object) -> int:
    """Return `value` if it is a whole number that is not negative; ValueError if not."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} where a number has to be")
    return value
