"""Files that appear whole or not at all."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mkpxeinit.errors import ImageError, os_cause, printable


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Yield a file that becomes `target` when the block ends, and vanishes when it fails.

    It is a temporary one in the same folder, mode 0600, synced before it is renamed: whatever
    happens, `target` is the old file or the whole new one. If `target` is a link, what it points to
    is replaced. ImageError names the file and the cause.
    """
    try:
        path = target.resolve()
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise ImageError(
                f"{printable(target)}: exists and is not a regular file; choose another --output"
            )
    except (OSError, RuntimeError) as error:
        cause = os_cause(error) if isinstance(error, OSError) else "too many symbolic links"
        raise ImageError(f"{printable(target)}: cannot write there: {cause}") from error
    temporary = path.with_name(f".{path.name[:200]}.{os.urandom(8).hex()}.tmp")
    doing = "cannot write there"
    try:
        # Within the block, since a signal may come as soon as the file is there.
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
        ) as file:
            doing = "cannot write"
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise ImageError(f"{printable(target)}: {doing}: {os_cause(error)}") from error
        raise


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` last; some file systems cannot sync one: nothing is lost then but time."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
