"""Kernel releases of a tree: which there are, which is the newest, where its files lie."""

import re
from dataclasses import dataclass
from pathlib import Path

from mkpxeinit.errors import KernelError, SysrootError
from mkpxeinit.meant import close
from mkpxeinit.sysroot import Sysroot

MODULES = "/lib/modules"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~:-]*")
_VMLINUZ = (
    "/boot/vmlinuz-{}",
    "/lib/modules/{}/vmlinuz",
    "/boot/vmlinux-{}",
    "/boot/Image-{}",
    "/boot/kernel-{}",
    "/lib/modules/{}/vmlinux",
    "/lib/modules/{}/Image",
)
_SET = re.compile(r"^CONFIG_([^=\n]*)=(.*)$", re.MULTILINE)
_CONFIG = (
    "/boot/config-{}",
    "/lib/modules/{}/config",
    "/lib/kernel/config-{}",
    "/lib/modules/{}/build/.config",
)


def version_key(release: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts kernel releases by age, numbers as numbers.

    As deb-version(7) and rpm do: digits and the rest compare by turns, `~` sorts before the end, and
    a release candidate's `-rc` as well (6.1-rc3 is older than 6.1.0 and 6.1-1).
    """
    parts: list[tuple[int, int, str]] = []
    for token in re.findall(r"~|[-.]?rc(?=\d)|\d+|[A-Za-z]+|[^A-Za-z0-9~]", release):
        if token == "~" or token.lstrip("-.") == "rc":
            parts.append((0, 0, token))
        elif token.isdigit():
            parts.append((4, int(token), ""))
        elif token.isalpha():
            parts.append((2, 0, token))
        else:
            parts.append((3, 0, token))
    return (*parts, (1, 0, ""))


@dataclass(frozen=True, slots=True)
class Choice:
    """The release that was taken, and all that the tree has, oldest first."""

    release: str
    found: tuple[str, ...]


def find_releases(sysroot: Sysroot) -> tuple[str, ...]:
    """Return the releases under /lib/modules, oldest first.

    A folder counts if it holds modules or their list; removed kernels leave others behind.
    """
    if not sysroot.is_dir(MODULES):
        return ()
    found = [
        name
        for name in sysroot.list(MODULES)
        if _NAME.fullmatch(name)
        and (sysroot.exists(f"{MODULES}/{name}/modules.dep") or sysroot.is_dir(f"{MODULES}/{name}/kernel"))
    ]
    return tuple(sorted(found, key=lambda name: (version_key(name), name)))


def choose_release(sysroot: Sysroot, wanted: str | None = None) -> Choice:
    """Return `wanted`, or the newest release of the tree; KernelError if there is none such."""
    found = find_releases(sysroot)
    if wanted is not None:
        if wanted not in found:
            known = ", ".join(found) or "none"
            likely = close(wanted, found, 1) if len(found) > 1 else []
            hint = f"; did you mean {likely[0]}?" if likely else ""
            raise KernelError(
                f"{sysroot.show(MODULES)}: no kernel release {wanted!r} here; there are: {known}{hint}"
            )
        return Choice(wanted, found)
    if not found:
        raise KernelError(
            f"{sysroot.show(MODULES)}: no kernel here; install one into the tree "
            "(Debian: linux-image-amd64) or check --sysroot"
        )
    return Choice(found[-1], found)


def find_vmlinuz(sysroot: Sysroot, release: str) -> Path:
    """Return the host path of the kernel image of `release`; KernelError if the tree has none."""
    for pattern in _VMLINUZ:
        if sysroot.is_file(pattern.format(release)):
            return sysroot.resolve(pattern.format(release))
    # Alpine's kernels have a name by flavor; which release it is stands in a file of the same package.
    flavor = release.rpartition("-")[2]
    if sysroot.is_file(f"/boot/vmlinuz-{flavor}"):
        told = f"/usr/share/kernel/{flavor}/kernel.release"
        if sysroot.is_file(told) and sysroot.read_text(told).strip() == release:
            return sysroot.resolve(f"/boot/vmlinuz-{flavor}")
    looked = ", ".join(pattern.format(release) for pattern in _VMLINUZ[:2])
    raise KernelError(f"{sysroot.show('/')}: no kernel image of {release}; looked for {looked} and the like")


def read_config(sysroot: Sysroot, release: str) -> dict[str, str] | None:
    """Return the kernel's configuration, CONFIG_ names without prefix to values; None if the tree has none.

    Options that are not set are absent.
    """
    for pattern in _CONFIG:
        try:
            if not sysroot.is_file(pattern.format(release)):
                continue
            text = sysroot.read_text(pattern.format(release))
        except SysrootError:
            continue
        return {name: value.strip() for name, value in _SET.findall(text)}
    return None
