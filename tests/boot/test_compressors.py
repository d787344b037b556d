"""Images packed by xz boot, as those by zstd do: the kernel's own decompressor reads what ours wrote."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pxelab import Lab, Tree
from tests.boot.quick import quick_boot

XZ = b"\xfd7zXZ\0"  # the magic of https://tukaani.org/xz/xz-file-format.txt


@pytest.mark.long
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_packed_by_xz(
    lab: Lab, request: pytest.FixtureRequest, build_image: Callable[..., Path], suite: str
) -> None:
    """Debian 12's modules are stored plain, 13's as .ko.xz; in the image both are plain and packed again."""
    tree: Tree = request.getfixturevalue(suite)
    image = build_image(tree, "--compress", "xz:1", "--bus", "virtio")
    assert image.read_bytes().startswith(XZ)
    report = quick_boot(lab, tree, image, commands={"modules": "cat /proc/modules"})
    assert report.state["mode"] == "farm"
    assert "virtio_net" in report.sections["modules"]
    report.machine.forbid(r"rootfs image is not initramfs")
    report.machine.forbid(r"PXE-INIT-")
