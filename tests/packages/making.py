"""Small packages for dpkg and rpm: a kernel of a few kilobytes, with the maintainer's scripts that matter."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from pxelab import run
from tests.unit.small import RELEASE, Link, kernel_tree, make_tree

SECONDS = 60.0


def kernel_files(release: str, *, usr: bool = True) -> dict[str, bytes]:
    """Return a small kernel and its modules as Arch has them: all of it below usr/lib/modules."""
    found = {}
    for name, content in kernel_tree().items():
        if content is None or isinstance(content, Link):
            continue
        data = content.encode() if isinstance(content, str) else content
        if name.startswith("lib/modules/"):
            found[("usr/" if usr else "") + name.replace(RELEASE, release)] = data
    found[f"usr/lib/modules/{release}/vmlinuz"] = b"kernel"
    return found


def deb(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, bytes],
    scripts: Mapping[str, str],
    more: str = "",
) -> Path:
    """Build a Debian package in `folder`; `scripts` are files of its control archive, `more` fields of it."""
    target = folder / f"{name}_{version}_all.deb"
    with tempfile.TemporaryDirectory() as scratch:
        top = make_tree(Path(scratch), files)
        top.chmod(0o755)
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
            f"Maintainer: nobody <nobody@mkpxeinit.invalid>\n{more}Description: a test\n"
        )
        make_tree(top / "DEBIAN", {"control": control, **scripts})
        for script in scripts:
            (top / "DEBIAN" / script).chmod(0o755)
        run.run(["dpkg-deb", "--root-owner-group", "-b", top, target], timeout=SECONDS)
    return target


def rpm(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, bytes],
    scripts: Mapping[str, str] | None = None,
) -> Path:
    """Build an RPM in `folder`; `scripts` are scriptlets of the spec file, such as %posttrans."""
    place = folder / f"{name}-{version}"
    make_tree(place / "files", files)
    lines = [
        f"Name: {name}",
        f"Version: {version}",
        "Release: 1",
        "Summary: a test",
        "License: none",
        "BuildArch: noarch",
        "%description",
        "a test",
        "%install",
        "mkdir -p %{buildroot}",
        f"cp -R {place}/files/. %{{buildroot}}/",
        *(f"{key}\n{text}" for key, text in (scripts or {}).items()),
        "%files",
        *(f"/{each}" for each in files),
    ]
    spec = place / f"{name}.spec"
    spec.write_text("\n".join(lines) + "\n")
    words = ["-bb", "--nodeps", f"--define=_topdir {place}", "--define=__os_install_post %{nil}"]
    run.run(["rpmbuild", *words, spec], timeout=SECONDS)
    (package,) = (place / "RPMS").rglob("*.rpm")
    return package
