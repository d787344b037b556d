"""A tree that is one file on an export: what its first bytes say (fs/squashfs/squashfs_fs.h, version 4)."""

import struct

HEAD = 96  # bytes of the superblock
_MAGIC, _MAJOR = b"hsqs", 4
_SMALLEST = HEAD


def fault(head: bytes, size: int) -> str | None:
    """Return what is wrong with a file that begins with `head` and has `size` bytes; None: nothing."""
    if len(head) < HEAD or head[:4] != _MAGIC:
        return "does not begin as a squashfs does (hsqs)"
    (major,) = struct.unpack_from("<H", head, 28)
    (used,) = struct.unpack_from("<Q", head, 40)
    if major != _MAJOR:
        return f"is of version {major}, and kernels read version {_MAJOR}"
    if not _SMALLEST <= used <= size:
        return f"has {size} bytes of its {used}"
    return None
