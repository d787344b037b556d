"""What every fake root shares: the two shells, the spoilt busybox, and the way in."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from mkpxeinit import busybox as bb
from mkpxeinit import elf

SHELLS = ("ash", "dash")
BUSYBOX = "/fake/busybox"  # without any applet that may be faked
APPLETS = Path(__file__).parents[2] / "busybox-configs/applets.txt"
ORIGINAL = "/fake/busybox.real"  # without those that would touch the machine


@dataclass(frozen=True, slots=True)
class Parts:
    """Made once a session; `install` links them into a root."""

    folder: Path
    enter: tuple[str, ...]  # the command that enters the root named next
    applets: frozenset[str]  # those that an image may have
    sometimes: frozenset[str]  # those that a test may fake
    libraries: tuple[str, ...]

    @classmethod
    def make(cls, folder: Path, always: frozenset[str], sometimes: frozenset[str]) -> "Parts":
        """Return the parts in `folder`; skips where this machine cannot serve."""
        enter = find_way_in()
        busybox = _find_busybox()
        dash = shutil.which("dash")
        if dash is None:
            pytest.skip("no dash on this machine (package dash)")
        data = busybox.read_bytes()
        names = bb.applet_names(data)
        needs = bb.read_needs(APPLETS)
        (folder / "busybox.real").write_bytes(spoil_applets(data, names, always))
        (folder / "busybox").write_bytes(spoil_applets(data, names, always | sometimes))
        shutil.copyfile(dash, folder / "dash")
        for name in ("busybox", "busybox.real", "dash"):
            (folder / name).chmod(0o755)
        libraries = _list_libraries(dash)
        for library in libraries:
            shutil.copy(library, folder / Path(library).name)
        return cls(folder, enter, frozenset(needs.required + needs.optional), sometimes, libraries)

    def install(self, root: Path, shell: str) -> None:
        """Lay out /bin and what the shell needs."""
        for name in ("bin", "fake/state", "dev", "proc/self", "sys/class/net", "run", "tmp", "etc/pxeinit"):
            (root / name).mkdir(parents=True)
        (root / "sbin").symlink_to("bin")
        for name in ("busybox", "busybox.real", "dash"):
            os.link(self.folder / name, root / "fake" / name)
        for name in self.applets | self.sometimes:
            (root / "bin" / name).symlink_to(ORIGINAL if name in self.sometimes else BUSYBOX)
        (root / "proc/self/exe").symlink_to(BUSYBOX)
        if shell == "dash":
            (root / "bin/sh").unlink()
            (root / "bin/sh").symlink_to("/fake/dash")
            for library in self.libraries:
                place = root / library.lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                os.link(self.folder / place.name, place)


def find_way_in() -> tuple[str, ...]:
    """Return the start of a command that runs another in a root, as its root user; skips if there is none."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    chroot, unshare = shutil.which("chroot", path=path), shutil.which("unshare", path=path)
    if chroot and os.geteuid() == 0:
        return (chroot,)
    if chroot and unshare:
        way = (unshare, "--user", "--map-root-user", chroot)
        if subprocess.run([*way, "/", "/bin/true"], capture_output=True, timeout=10).returncode == 0:
            return way
    pytest.skip("chroot needs root, or user namespaces and unshare")


def spoil_applets(data: bytes, names: tuple[str, ...], spoilt: frozenset[str]) -> bytes:
    """Return a busybox that does not know the applets `spoilt`: their names end in "!" in its table."""
    table = b"\0".join(name.encode() for name in names) + b"\0"
    start = data.index(b"\0" + table) + 1
    changed = b"".join((f"{name[:-1]}!" if name in spoilt else name).encode() + b"\0" for name in names)
    return data[:start] + changed + data[start + len(table) :]


def _find_busybox() -> Path:
    for path in (Path("/bin/busybox"), Path("/usr/bin/busybox")):
        if path.exists() and elf.inspect(path.read_bytes(), "busybox").interpreter is None:
            return path
    pytest.skip("no static busybox on this machine (package busybox-static)")


def _list_libraries(program: str) -> tuple[str, ...]:
    """Return the paths that the program's loader names, the loader included."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, timeout=10).stdout
    return tuple(word for line in said.splitlines() for word in line.split() if word.startswith("/"))
