"""The Debian package, built with what a suite has for that."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pxelab import Lab, trees
from pxelab.chroot import Chroot
from tests.packages.conftest import ROOT
from tests.packages.places import BUILD

BUILD_SECONDS = 600.0


@dataclass(frozen=True)
class Built:
    """What a build left: the package, the system it was built in and its suite, and what was said."""

    package: Path
    suite: str
    lintian: str
    log: str


def build(suite: str, folder: Path) -> Built:
    """Build the package and look through it; all that dpkg-buildpackage makes is then in `folder`."""
    with Lab.open() as lab:
        system = Chroot(lab, trees.chroot(suite, BUILD).path)
        system.bind(ROOT, "/source")
        system.run("mkdir", "/output")
        done = system.run("sh", "-c", "/source/packaging/build-deb /output 2>&1", timeout=BUILD_SECONDS)
        words = ("lintian", "--info", "--display-info", "--pedantic", "--fail-on", "error,warning")
        said = system.run("sh", "-c", f"{' '.join(words)} /output/*.changes 2>&1", check=False)
        for path in (system.outside / "output").iterdir():
            shutil.copy(path, folder / path.name)
    (package,) = folder.glob("*.deb")
    return Built(package, suite, said.stdout.decode(), done.stdout.decode())
