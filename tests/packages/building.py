"""Our packages: Debian's, built with what a suite has for that; the RPM, with what this machine has."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from mkpxeinit import __version__
from pxelab import Lab, run, trees
from pxelab.chroot import Chroot
from tests.packages.conftest import ROOT
from tests.packages.places import BUILD

BUILD_SECONDS = 600.0
SPEC = ROOT / "packaging/rpm/mkpxeinit.spec"
# Fedora's macros, which Debian's rpm has not.
MACROS = {
    "python3": sys.executable,
    "pyproject_wheel": f"{sys.executable} -m pip wheel -q --no-deps --no-build-isolation -w dist .",
    "pyproject_install": f"{sys.executable} -m pip install -q --no-deps --root-user-action ignore "
    "--target %{buildroot}%{python3_sitelib} dist/*.whl; mkdir -p %{buildroot}/usr; "
    "mv %{buildroot}%{python3_sitelib}/bin %{buildroot}/usr/; "
    "sed -i '1s,.*,#!/usr/bin/python3,' %{buildroot}/usr/bin/mkpxeinit",
    "_libexecdir": "/usr/libexec",
}
# What of a checkout is in no release.
_LEFT_OUT = (
    "--exclude=.git",
    "--exclude=.venv*",
    "--exclude=results",
    "--exclude=__pycache__",
    "--exclude=.*_cache",
)


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


def rpm(folder: Path, sitelib: str) -> Path:
    """Build the RPM in `folder`, for a Python whose packages are in `sitelib`; return it."""
    name = f"mkpxeinit-{__version__}"
    target = folder / f"SOURCES/{name}.tar.gz"
    target.parent.mkdir()
    words = [*_LEFT_OUT, f"--transform=s,^\\.,{name},", "-C", str(ROOT), "."]
    run.run(["tar", "-czf", target, *words], timeout=BUILD_SECONDS)
    macros = {"_topdir": str(folder), "python3_sitelib": sitelib, **MACROS}
    defines = [f"--define={key} {value}" for key, value in macros.items()]
    run.run(["rpmbuild", "-bb", "--nodeps", *defines, SPEC], timeout=BUILD_SECONDS)
    (package,) = (folder / "RPMS").rglob("*.rpm")
    return package
