"""Our packages: Debian's, built with what a suite has for that; the RPM, with what this machine has."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from mkpxeinit import __version__
from pxelab import Lab, run, trees
from pxelab.chroot import Chroot
from tests.packages.places import BUILT_IN

ROOT = Path(__file__).resolve().parents[2]
BUILD_SECONDS = 900.0
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
# What is made in a checkout, and git does not know.
NOT_RELEASED = (
    "./.git",
    "./.venv*",
    "./results",
    "./dist",
    "./build",
    "./.*_cache",
    "./.hypothesis",
    "__pycache__",
)
# Unpacks a package, changes what is in it, packs it again: $1 what it is made from, $2 the new one.
CHANGE = """
set -e
dpkg-deb -R "$1" "$3/unpacked" && cd "$3/unpacked"
%s
dpkg-deb --root-owner-group -b . "$2" >/dev/null
"""


@dataclass(frozen=True)
class Built:
    """What a build left: the packages, binary and source, the suite it was built in, and what was said."""

    package: Path
    source: Path
    suite: str
    log: str
    lintian: str
    lintian_code: int


def build(suite: str, folder: Path) -> Built:
    """Build the package and look through it; all that dpkg-buildpackage makes is then in `folder`."""
    with Lab.open() as lab:
        system = Chroot(lab, trees.chroot(suite, BUILT_IN[suite]).path)
        system.bind(ROOT, "/source")
        system.run("mkdir", "/output")
        done = system.run("sh", "-c", "/source/packaging/build-deb /output 2>&1", timeout=BUILD_SECONDS)
        # The tests judge what it says: for --fail-on an error that is overridden, and shown, would be one.
        words = "lintian --allow-root --display-info --pedantic --show-overrides --fail-on none"
        script = f"{words} /output/*.changes 2>&1"
        said = system.run("sh", "-c", script, check=False, timeout=BUILD_SECONDS)
        for path in (system.outside / "output").iterdir():
            shutil.copy(path, folder / path.name)
    (package,), (source,) = folder.glob("*.deb"), folder.glob("*.dsc")
    return Built(package, source, suite, done.stdout.decode(), said.stdout.decode(), said.returncode)


def release(folder: Path) -> Path:
    """Write the archive of a release into `folder`, as `git archive` would; return it."""
    folder.mkdir(exist_ok=True)
    name = f"mkpxeinit-{__version__}"
    target = folder / f"{name}.tar.gz"
    words = [f"--exclude={each}" for each in NOT_RELEASED]
    words += [f"--transform=flags=rh;s,^\\.,{name},", "-C", str(ROOT), "."]
    run.run(["tar", "-czf", target, *words], timeout=BUILD_SECONDS)
    return target


def rpm(folder: Path, sitelib: str) -> Path:
    """Build the RPM in `folder`, for a Python whose packages are in `sitelib`; return it."""
    release(folder / "SOURCES")
    macros = {"_topdir": str(folder), "python3_sitelib": sitelib, **MACROS}
    defines = [f"--define={key} {value}" for key, value in macros.items()]
    run.run(["rpmbuild", "-bb", "--nodeps", *defines, SPEC], timeout=BUILD_SECONDS)
    (package,) = (folder / "RPMS").rglob("*.rpm")
    return package


def changed(package: Path, target: Path, script: str) -> Path:
    """Make another package from one, by a shell script that runs where it is unpacked; return `target`."""
    work = target.with_name(f"{target.name}.work")
    work.mkdir()
    run.run(["sh", "-c", CHANGE % script, "sh", str(package), str(target), str(work)], timeout=120)
    shutil.rmtree(work)
    return target
