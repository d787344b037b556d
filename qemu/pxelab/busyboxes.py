"""A busybox with applets that Debian's busybox-static lacks: udhcpc6, the DHCPv6 client. Kept in the cache.

Debian's own source and its configuration of the static package, with these options switched on; compiled
once by this machine's gcc, in two to five minutes.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from . import run
from .archive import Apt
from .errors import LabError
from .trees import cache_folder, locked, mirror

RECIPE = 1
COMPILE_SECONDS = 1800.0
# udhcpc6, and the options that it can ask for: DNS (RFC 3646), time zone and boot file (RFC 4833, 5970).
_SWITCHED_ON = ("UDHCPC6", "FEATURE_UDHCPC6_RFC3646", "FEATURE_UDHCPC6_RFC4704", "FEATURE_UDHCPC6_RFC5970")
# What newer kernels' headers no longer allow to be compiled.
_SWITCHED_OFF = ("TC", "FEATURE_TC_INGRESS")


def with_udhcpc6(suite: str = "bookworm", architecture: str = "amd64") -> Path:
    """Return a static busybox with udhcpc6, for this machine's architecture.

    Several processes may ask at once; one makes it. Raises LabError with the compiler's last words.
    """
    words = (suite, architecture, str(RECIPE), *_SWITCHED_ON, *_SWITCHED_OFF)
    key = hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]
    folder = cache_folder() / "busyboxes"
    folder.mkdir(exist_ok=True)
    made = folder / f"busybox-{suite}-{key}"
    if not made.is_file():
        with locked(folder / f"{made.name}.lock"):
            if not made.is_file():
                _make(suite, architecture, made)
    return made


def _make(suite: str, architecture: str, target: Path) -> None:
    """Compile it in a scratch folder; it gets its name only when it is whole."""
    for name in ("gcc", "make"):
        run.program(name)
    with tempfile.TemporaryDirectory(prefix="pxelab-") as scratch:
        source = _unpack(Path(scratch), suite, architecture)
        config = source / ".config"
        config.write_text(_configuration((source / "debian/config/pkg/static").read_text()))
        make = ["make", "-C", str(source), f"-j{os.cpu_count() or 1}"]
        # What Debian's configuration does not know is left as it is by default: an empty line for each.
        run.run([*make, "oldconfig"], timeout=COMPILE_SECONDS, stdin=b"\n" * 2000)
        run.run([*make, "busybox"], timeout=COMPILE_SECONDS)
        said = run.run([source / "busybox", "--list"], timeout=10.0).stdout.decode().split()
        if "udhcpc6" not in said:
            raise LabError(f"the busybox of {suite} was compiled without udhcpc6")
        unfinished = target.with_name(f"{target.name}.new")
        shutil.copy(source / "busybox", unfinished)
        unfinished.rename(target)


def _unpack(scratch: Path, suite: str, architecture: str) -> Path:
    """Return the unpacked source, Debian's folder in it."""
    apt = Apt(scratch / "apt", "deb-src", mirror(), suite, architecture)
    files = apt.get("source", "--download-only", "busybox")
    upstream = next(path for path in files if ".orig.tar" in path.name and path.suffix != ".asc")
    debian = next(path for path in files if ".debian.tar" in path.name)
    for archive, folder in ((upstream, scratch / "source"), (debian, scratch / "debian")):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    (source,) = (scratch / "source").iterdir()
    (scratch / "debian/debian").rename(source / "debian")
    return source


def _configuration(debian: str) -> str:
    """Return Debian's configuration with our options switched."""
    ours = {**dict.fromkeys(_SWITCHED_ON, True), **dict.fromkeys(_SWITCHED_OFF, False)}
    kept = [
        line
        for line in debian.splitlines()
        if line.removeprefix("# ").partition("=")[0].split()[:1] not in [[f"CONFIG_{name}"] for name in ours]
    ]
    added = [f"CONFIG_{name}=y" if on else f"# CONFIG_{name} is not set" for name, on in ours.items()]
    return "\n".join([*kept, *added, ""])
