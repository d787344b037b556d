"""The RPM, Arch's package and pipx: by their own programs, as far as Debian has these."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from mkpxeinit import __version__
from tests.packages.building import ROOT, SPEC, release, rpm
from tests.unit.small import RELEASE, kernel_tree, make_tree

PKGBUILD = ROOT / "packaging/arch/PKGBUILD"

# Arch's `python`: its modules `build` and `installer` are pip's work here.
PYTHON = f"""#!/bin/sh
case "$1 $2 $3" in
    "-m build --wheel") exec {sys.executable} -m pip wheel -q --no-deps --no-build-isolation -w dist . ;;
    "-m installer --destdir="*)
        exec {sys.executable} -m pip install -q --no-deps --ignore-installed --no-warn-script-location \\
            --root "${{3#*=}}" --prefix /usr dist/*.whl ;;
esac
exec {sys.executable} "$@"
"""


def call(*words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a program; return what it said."""
    done = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_versions_are_one() -> None:
    """All packages have the program's version, and the runtime packages of pyproject.toml."""
    assert f"Version:        {__version__}\n" in SPEC.read_text()
    assert f"pkgver={__version__}\n" in PKGBUILD.read_text()
    changelog = (ROOT / "packaging/debian/changelog").read_text()
    assert changelog.startswith(f"mkpxeinit ({__version__}) ")
    needs = re.search(r"^dependencies = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
    assert needs is not None
    names = [name.removeprefix("python-") for name in re.findall(r'"([\w-]+)>=', needs[1])]
    for text in (SPEC.read_text(), PKGBUILD.read_text(), (ROOT / "packaging/debian/control").read_text()):
        assert all(re.search(rf"python3?-{name}\b", text) for name in names)


@pytest.mark.skipif(not shutil.which("rpmlint"), reason="rpmlint is not installed")
def test_rpmlint() -> None:
    said = call("rpmlint", "-c", ROOT / "packaging/rpm/rpmlint.toml", SPEC)
    assert "0 errors, 0 warnings" in said, said


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("rpmbuild"), reason="rpmbuild is not installed")
def test_rpm(tmp_path: Path) -> None:
    """It is built, with stand-ins for Fedora's macros; each file that is installed is in the list."""
    package = rpm(tmp_path, "/usr/lib/python3/site-packages")
    listed = call("rpm", "-qpl", package).splitlines()
    assert "/usr/lib/kernel/install.d/55-mkpxeinit.install" in listed
    assert "/usr/lib/python3/site-packages/mkpxeinit/data/init/init" in listed
    assert "/usr/bin/mkpxeinit" in listed
    triggers = call("rpm", "-qp", "--filetriggers", package)
    assert triggers.count("/usr/libexec/mkpxeinit/rpm-trigger installed") == 3
    assert "/usr/lib/python3/site-packages/mkpxeinit/pxelab/smoke.py" in listed
    assert not [path for path in listed if "site-packages/pxelab" in path]
    check_pages("".join(f"{path}\n" for path in listed))


def check_pages(listed: str) -> None:
    """The pages are there as README and docs/changelog.md lead to them (an older rpm adds the version)."""
    listed = listed.replace(f"/doc/mkpxeinit-{__version__}/", "/doc/mkpxeinit/")
    for name in ("README.md", "CHANGELOG.md", "docs/tutorial.md", "docs/changelog.md", "docs/way.svg"):
        assert f"/usr/share/doc/mkpxeinit/{name}\n" in listed, name


@pytest.mark.skipif(not shutil.which("makepkg"), reason="makepkg is not installed")
def test_pkgbuild() -> None:
    """makepkg reads it; its functions are bash."""
    call("bash", "-n", PKGBUILD)
    call("shellcheck", PKGBUILD)
    # It does not run as root, and nobody else may enter pytest's folders.
    place = Path(tempfile.mkdtemp(prefix="mkpxeinit-arch-"))
    try:
        shutil.copy(PKGBUILD, place)
        for path in (place, place / PKGBUILD.name):
            shutil.chown(path, "nobody")
        told = call("runuser", "-u", "nobody", "--", "makepkg", "--printsrcinfo", cwd=place)
    finally:
        shutil.rmtree(place)
    assert f"\tpkgver = {__version__}\n" in told and "\tdepends = python-zstandard\n" in told


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("makepkg"), reason="makepkg is not installed")
def test_arch_package(tmp_path: Path) -> None:
    """makepkg builds it, runs its check, and packs it, with stand-ins for Arch's Python."""
    release(tmp_path)
    shutil.copy(PKGBUILD, tmp_path)
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text(PYTHON)
    python.chmod(0o755)
    # makepkg refuses to be root; in a namespace of its own root is another user to it.
    words = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "makepkg", "--nodeps"]
    env = {"PATH": f"{python.parent}:{os.environ['PATH']}", "PKGEXT": ".pkg.tar"}
    said = call(*words, cwd=tmp_path, env=env)
    assert re.search(r"^=+ \d+ passed", said, re.MULTILINE), said
    (package,) = tmp_path.glob("*.pkg.tar")
    listed = call("tar", "-tf", package)
    listed = "".join(f"/{line}\n" for line in listed.splitlines())
    for name in (
        "bin/mkpxeinit",
        "share/libalpm/hooks/90-mkpxeinit-add.hook",
        "share/man/man8/mkpxeinit.8.gz",
    ):
        assert f"/usr/{name}\n" in listed, name
    check_pages(listed)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("pipx"), reason="pipx is not installed")
def test_pipx(tmp_path: Path) -> None:
    """The wheel alone, with its dependencies of the registry; hooks and client come with it."""
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w"]
    call(*wheel, tmp_path / "dist", ROOT)
    (package,) = (tmp_path / "dist").glob("*.whl")
    places = {"PIPX_HOME": str(tmp_path / "home"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    call("pipx", "install", package, env=places)
    command = tmp_path / "bin/mkpxeinit"
    assert call(command, "--version") == f"mkpxeinit {__version__}\n"
    root = make_tree(tmp_path / "tree", {**kernel_tree(), "var/lib/dpkg/status": ""})
    call(command, "build", "--sysroot", root, "--no-cache", "-o", tmp_path / "image")
    assert f"lib/modules/{RELEASE}" in call(command, "list", tmp_path / "image")
    call(command, "hook", "install", "--root", root)
    assert (root / "etc/kernel/postinst.d/zz-mkpxeinit").is_file()
