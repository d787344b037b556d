"""A writable view of a system tree in which its programs run: packages are built and tried there."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import LabError
from .lab import Lab

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
}
_POLICY = b"#!/bin/sh\nexit 101\n"  # no service is started, whatever is installed
_POLICY_FILE = "usr/sbin/policy-rc.d"
_SOURCES = ("etc/apt/sources.list.d", "etc/apt/sources.list")


class Chroot:
    """A view of `tree` in a laboratory, with /proc, /dev and /tmp; what happens there goes with that.

    The network is the laboratory's: no archive is reached but those that are put there. With `copied` it
    is no view but a copy: overlays can lie on it, and be exported.
    """

    def __init__(self, lab: Lab, tree: Path, *, copied: bool = False) -> None:
        """Make it."""
        self.lab = lab
        if copied:
            self.view = lab.folder / lab.name("copy")
            lab.space.run(["cp", "-a", "--reflink=auto", str(tree), str(self.view)], timeout=300)
            lab.space.run(["rm", "-rf", "--", *(str(self.view / name) for name in _SOURCES)])
            policy = self.outside / _POLICY_FILE
            policy.write_bytes(_POLICY)
            policy.chmod(0o755)
        else:
            self.view = lab.variant(tree, remove=_SOURCES, files={_POLICY_FILE: _POLICY})
        (self.outside / _SOURCES[0]).mkdir()
        for kind, place in (("proc", "proc"), ("sysfs", "sys"), ("tmpfs", "tmp"), ("tmpfs", "run")):
            lab.space.run(["mount", "-t", kind, kind, str(self.view / place)])
        lab.space.run(["mount", "--rbind", "/dev", str(self.view / "dev")])

    @property
    def outside(self) -> Path:
        """The view as this process reaches it."""
        return self.lab.space.path(self.view)

    def bind(self, folder: Path, place: str) -> None:
        """Show a folder of this machine at `place` of the system, a path with `/`."""
        inside = f"{self.view}{place}"
        self.lab.space.run(["mkdir", "-p", inside])
        self.lab.space.run(["mount", "--bind", str(folder), inside])

    def unmount(self) -> None:
        """Leave the view alone, without what was mounted in it: as the root of clients, for example."""
        script = (
            'for each in $(cut -d" " -f2 /proc/mounts | grep "^$1/" | sort -r); do umount -l "$each"; done'
        )
        self.lab.space.run(["sh", "-c", script, "sh", str(self.view)])

    def run(
        self,
        *words: str,
        timeout: float = 300.0,
        check: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program of the system as root; LabError with its last words if it fails and `check` is on."""
        given = [f"{key}={value}" for key, value in {**ENVIRONMENT, **(environment or {})}.items()]
        argv: Sequence[str] = ["chroot", str(self.view), "env", "-i", *given, *words]
        done = self.lab.space.run(argv, timeout=timeout, check=False)
        if check and done.returncode != 0:
            said = (done.stdout + done.stderr).decode(errors="replace").splitlines()
            raise LabError(f"{' '.join(words)}: exit {done.returncode}\n" + "\n".join(said[-40:]))
        return done

    def files(self) -> frozenset[str]:
        """Return the paths of all files, folders and links of the system, without what is mounted in it."""
        found: set[str] = set()
        top = str(self.outside)
        for folder, names, others in os.walk(top):
            inside = os.path.relpath(folder, top)
            if inside == ".":
                names[:] = [each for each in names if each not in ("proc", "sys", "dev", "tmp", "run")]
            found.update(os.path.normpath(f"{inside}/{each}") for each in (*names, *others))
        return frozenset(found)
