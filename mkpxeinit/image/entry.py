"""What an image holds. Paths inside it are relative and clean; files of the host are `Path`."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mkpxeinit.elf import Machine
from mkpxeinit.kernel.modulefile import Stored
from mkpxeinit.kernel.strip import Stripper

# What an image of ours says of itself.
CMDLINE = PurePosixPath("etc/cmdline")
VERSION = PurePosixPath("etc/pxeinit/version")
UNSIGNED = PurePosixPath("etc/pxeinit/unsigned")


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """A kernel module whose bytes are read from `path` when the image is written.

    It is unpacked if its name ends in .gz, .xz or .zst, and must be for `machine` (None: any). `shown`
    is what messages call it, `stored` the same file, perhaps read already. With a `stripper` it is stripped.
    """

    path: Path
    shown: str
    machine: Machine | None
    stored: Stored | None = field(default=None, repr=False)
    stripper: Stripper | None = None


@dataclass(frozen=True, slots=True)
class FirmwareFile:
    """A firmware file whose bytes are read from `path` when the image is written, unpacked if `unpack`."""

    path: Path
    shown: str
    unpack: bool


@dataclass(frozen=True, slots=True)
class Directory:
    """A folder."""

    path: PurePosixPath
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class File:
    """A regular file."""

    path: PurePosixPath
    source: bytes | ModuleFile | FirmwareFile
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link to `target`, kept as it is."""

    path: PurePosixPath
    target: str
    mode: int = 0o777


@dataclass(frozen=True, slots=True)
class CharDevice:
    """A character device."""

    path: PurePosixPath
    major: int
    minor: int
    mode: int = 0o600


Entry = Directory | File | Symlink | CharDevice


def type_letter(entry: Entry) -> str:
    """Return what `ls -l` shows for the type of `entry`."""
    return {Directory: "d", File: "-", Symlink: "l", CharDevice: "c"}[type(entry)]
