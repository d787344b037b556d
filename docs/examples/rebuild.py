#!/usr/bin/env python3
"""Rebuilds the image of a tree, and refuses one that would leave machines of the fleet behind.

usage: rebuild.py SYSROOT IMAGE INVENTORY...
"""

import sys
from pathlib import Path

from mkpxeinit import ImageOptions, MkpxeinitError, build_image, check_image, plan_image, read_image


def files_in(image: Path) -> dict[str, int]:
    """Return the sizes of the files of an image that is there, in bytes."""
    if not image.exists():
        return {}
    with read_image(image) as entries:
        return {str(each.path): each.size for each in entries if each.kind == "-"}


def rebuild(sysroot: Path, image: Path, inventories: list[str]) -> int:
    """Build beside the old image, look at what came out, and only then take its place."""
    new = image.with_name(f"{image.name}.new")
    options = ImageOptions(sysroot=sysroot, output=new, hardware=inventories, cmdline="panic=60")
    plan = plan_image(options)
    for name, drivers in plan.missing_firmware:
        print(f"firmware {name} is missing, asked for by {', '.join(drivers)}")
    built = build_image(options)
    left = [each for each in check_image(new, inventories) if not each.covered]
    for machine in left:
        print(f"{machine.name} would not boot: {'; '.join(machine.lacking)}")
    if left:
        new.unlink()
        return 1
    changed = files_in(new).items() ^ files_in(image).items()
    new.rename(image)
    count = len({path for path, _ in changed})
    print(f"{image}: kernel {plan.release}, {built.size} bytes, {count} files differ")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    try:
        sys.exit(rebuild(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
    except MkpxeinitError as error:
        sys.exit(f"rebuild: {error}")
