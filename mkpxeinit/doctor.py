"""What is missing on this machine for each part of the work, and the packages that bring it here."""

import importlib
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mkpxeinit import elf
from mkpxeinit.doctor_needs import PARTS, Need
from mkpxeinit.errors import MkpxeinitError
from mkpxeinit.netboot import serve_nfs
from mkpxeinit.sysroot import read_regular

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")  # os-release(5)
# What distributions call themselves, in ID or ID_LIKE.
_FAMILY = {
    **dict.fromkeys(("debian", "ubuntu"), "debian"),
    **dict.fromkeys(("fedora", "rhel", "centos"), "fedora"),
    **dict.fromkeys(("suse", "opensuse", "sles"), "suse"),
    "arch": "arch",
    "alpine": "alpine",
}
_INSTALL = {
    "debian": "apt-get install",
    "fedora": "dnf install",
    "suse": "zypper install",
    "arch": "pacman -S",
    "alpine": "apk add",
}
_KERNEL_NFS = ("exportfs", "rpc.nfsd", "rpc.mountd")
_MAX_PROGRAM = 64 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Host:
    """How to ask a machine; tests ask others than this one."""

    search: Callable[[str], str | None]
    is_file: Callable[[str], bool]
    is_static: Callable[[str], bool]
    imports: Callable[[str], bool]
    has_nfsd: Callable[[], bool]
    uid: int
    os_release: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is needed (or only useful) for the parts, whether it is there, and its packages here."""

    name: str
    why: str
    parts: tuple[str, ...]
    present: bool
    optional: bool
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What was found; `install` brings what is missing and needed, empty if no package is known or wanted."""

    family: str
    findings: tuple[Finding, ...]
    install: str

    @property
    def healthy(self) -> bool:
        """Whether all that is needed is there."""
        return all(each.present or each.optional for each in self.findings)


def this_host() -> Host:
    """Return the machine that we run on."""
    return Host(
        search=lambda name: shutil.which(name, path=_PATH),
        is_file=lambda path: Path(path).exists(),
        is_static=_is_static,
        imports=_imports,
        has_nfsd=serve_nfs.kernel_has_nfsd,
        uid=os.geteuid(),
        os_release=_os_release(),
    )


def examine(parts: Iterable[str], host: Host) -> Report:
    """Return what `parts`, names of PARTS, lack on `host`, each thing once."""
    family = family_of(host.os_release)
    wanted: dict[str, tuple[Need, list[str]]] = {}
    for part in parts:
        for need in PARTS[part]:
            # Root is needed for another reason each time.
            key = f"{need.name} {need.why}" if need.special == "root" else need.name
            wanted.setdefault(key, (need, []))[1].append(part)
    found = tuple(_finding(need, tuple(for_), family, host) for need, for_ in wanted.values())
    lacking = [name for each in found if not (each.present or each.optional) for name in each.packages]
    command = _INSTALL.get(family)
    install = f"{command} {' '.join(dict.fromkeys(lacking))}" if command and lacking else ""
    return Report(family, found, install)


def family_of(os_release: str) -> str:
    """Return which of the families a distribution belongs to, by os-release(5); empty if to none of them."""
    said: dict[str, str] = {}
    for line in os_release.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and key in ("ID", "ID_LIKE"):
            said[key] = value.strip("\"'").lower()
    for word in f"{said.get('ID', '')} {said.get('ID_LIKE', '')}".split():
        for name in (word, word.partition("-")[0]):  # opensuse-leap
            if name in _FAMILY:
                return _FAMILY[name]
    return ""


def _finding(need: Need, parts: tuple[str, ...], family: str, host: Host) -> Finding:
    packages = tuple((need.packages.get(family) or "").split())
    return Finding(need.name, need.why, parts, _is_there(need, host), need.optional, packages)


def _is_there(need: Need, host: Host) -> bool:
    if need.special == "root":
        return host.uid == 0
    if need.special == "busybox":
        return any(host.is_static(path) for (path,) in need.places)
    if need.special == "nfs":
        kernel = host.has_nfsd() and all(host.search(name) for name in _KERNEL_NFS)
        return kernel or host.search("ganesha.nfsd") is not None
    if need.programs:
        return all(host.search(name) for name in need.programs)
    if need.modules:
        return all(host.imports(name) for name in need.modules)
    return any(all(host.is_file(path) for path in place) for place in need.places)


def _imports(name: str) -> bool:
    """Say whether a Python module is there and loads: libarchive's needs a library of the system."""
    try:
        importlib.import_module(name)
    except (ImportError, OSError, AttributeError, TypeError):  # ctypes raises what it likes
        return False
    return True


def _is_static(path: str) -> bool:
    try:
        data = read_regular(Path(path).resolve(), _MAX_PROGRAM)
        return elf.inspect(data, path).interpreter is None
    except (OSError, MkpxeinitError, RuntimeError):
        return False


def _os_release() -> str:
    for name in _OS_RELEASE:
        try:
            return Path(name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
    return ""
