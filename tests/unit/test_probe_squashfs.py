"""What verify-server says of a file's first bytes; with a real server: tests/lab/test_verify_server.py."""

import pytest

from mkpxeinit.netboot.probe import squashfs
from tests.unit.small import superblock


@pytest.mark.parametrize(
    ("head", "size", "said"),
    [
        (superblock(used=4096), 4096, None),
        (superblock(used=4096), 5000, None),
        (superblock(used=4096), 4095, "has 4095 bytes of its 4096"),
        (superblock(used=95), 4096, "has 4096 bytes of its 95"),
        (superblock(major=3), 4096, "is of version 3, and kernels read version 4"),
        (superblock(magic=b"sqsh"), 4096, "does not begin as a squashfs does (hsqs)"),
        (superblock()[:95], 95, "does not begin as a squashfs does (hsqs)"),
        (b"", 0, "does not begin as a squashfs does (hsqs)"),
    ],
)
def test_the_head_of_a_squashfs(head: bytes, size: int, said: str | None) -> None:
    assert squashfs.fault(head, size) == said
