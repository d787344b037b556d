"""Files that appear whole or not at all."""

import os
import stat
import tempfile
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
        fd, name = tempfile.mkstemp(prefix=f".{path.name[:200]}.", suffix=".tmp", dir=path.parent)
    except (OSError, RuntimeError) as error:
        cause = os_cause(error) if isinstance(error, OSError) else "too many symbolic links"
        raise ImageError(f"{printable(target)}: cannot write there: {cause}") from error
    temporary = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise ImageError(f"{printable(target)}: cannot write: {os_cause(error)}") from error
        raise


def _sync_folder(folder: Path) -> None:
    """Make the rename last; some file systems cannot sync a folder, and then nothing is lost but time."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
