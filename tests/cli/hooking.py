"""Kernels that come and go in a tree, and a configuration of the hooks that publishes."""

import shutil
from pathlib import Path

from tests.unit.small import RELEASE, Link, kernel_tree

NEW = "6.2.0-1-test"
OLD = "5.9.0-1-test"


def kernel(release: str) -> dict[str, str | bytes | Link | None]:
    """Return the files of another kernel."""
    return {name.replace(RELEASE, release): content for name, content in kernel_tree().items()}


def remove_kernel(root: Path, release: str) -> None:
    (root / f"boot/vmlinuz-{release}").unlink()
    shutil.rmtree(root / f"lib/modules/{release}")


def publishing(config: Path, tftp: Path, more: str = "") -> None:
    config.write_text(
        config.read_text().replace("build =", f'tftp-root = "{tftp}"\nappend = "quiet"\n{more}\nbuild =')
    )


def images(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "boot").glob("pxeinit-*"))
