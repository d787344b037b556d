"""What the packages say of themselves: who publishes them, what a build wants, what is suggested."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packages.places import BUILD
from tests.unit.test_doctor import debian_packages

ROOT = Path(__file__).resolve().parents[2]
PUBLISHER = ROOT / "tools/publisher"
FILES = (
    "packaging/debian/control",
    "packaging/debian/changelog",
    "packaging/arch/PKGBUILD",
    "packaging/rpm/mkpxeinit.spec",
)
TOLD = """authors = [{ name = "Ada L. O'Hara", email = "ada@example.org" }]
urls = { Homepage = "https://example.org/mkpxeinit/", Repository = "https://git.example.org/mkpxeinit" }
"""


def field(name: str) -> set[str]:
    """Return the packages of a field of debian/control, without versions and build profiles."""
    text = (ROOT / "packaging/debian/control").read_text()
    found = re.search(rf"^{name}: *(.*(?:\n .*)*)", text, re.MULTILINE)
    assert found is not None, name
    return {re.split(r"[ (<]", each.strip())[0] for each in found[1].split(",")}


def test_a_build_wants_what_the_package_says() -> None:
    """The system of the build's test has that, what every build has, and lintian."""
    wanted = {name for name in field("Build-Depends") if name != "debhelper-compat"}
    wanted = {name.replace("dh-sequence-python3", "dh-python") for name in wanted}
    assert wanted | {"debhelper", "build-essential", "lintian"} == set(BUILD)


def test_what_doctor_names_is_suggested() -> None:
    """Every package that doctor sends users of Debian to, and no other."""
    named = debian_packages()
    known = field("Depends") | field("Suggests")
    # Python's libraries are ${python3:Depends}, libarchive is its library's; util-linux is on every system.
    others = {each for each in named if each.startswith(("python3-", "libarchive"))} | {"util-linux"}
    assert named - others <= known
    assert field("Suggests") <= named
    assert not known & others


def publisher(*words: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, PUBLISHER, *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def copied(folder: Path) -> Path:
    for name in (*FILES, "pyproject.toml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_one_place_says_who_publishes() -> None:
    assert publisher("--check") == ""


def test_the_publisher_is_put_into_all_packages(tmp_path: Path) -> None:
    root = copied(tmp_path)
    before = {name: (root / name).read_text() for name in FILES}
    project = (root / "pyproject.toml").read_text()
    said, count = re.subn(r"^authors = .*\n", TOLD, project, flags=re.MULTILINE)
    assert count == 1
    (root / "pyproject.toml").write_text(said)
    assert publisher("--check", root, code=1).split() == list(FILES)
    assert {name: (root / name).read_text() for name in FILES} == before
    assert publisher(root).split() == list(FILES) and publisher("--check", root) == ""
    control, changelog, pkgbuild, spec = ((root / name).read_text() for name in FILES)
    shown, home = "Ada L. O'Hara <ada@example.org>", "https://example.org/mkpxeinit/"
    assert f"\nMaintainer: {shown}\n" in control and f"\nHomepage: {home}\n" in control
    assert "\nVcs-Git: https://git.example.org/mkpxeinit\n" in control
    assert f"\n -- {shown}  " in changelog
    assert pkgbuild.startswith(f"# Maintainer: {shown}\n") and f"\nurl='{home}'\n" in pkgbuild
    assert f"\nURL:            {home}\n" in spec and f" {shown} - 0.1.0-1\n" in spec
    # What is said no more goes, and leaves nothing behind.
    (root / "pyproject.toml").write_text(project)
    publisher(root)
    assert {name: (root / name).read_text() for name in FILES} == before


@pytest.mark.skipif(not shutil.which("dpkg-parsechangelog"), reason="dpkg-dev is not installed")
def test_dpkg_reads_who_it_is(tmp_path: Path) -> None:
    root = copied(tmp_path)
    project = (root / "pyproject.toml").read_text()
    (root / "pyproject.toml").write_text(re.sub(r"^authors = .*\n", TOLD, project, flags=re.MULTILINE))
    publisher(root)
    words = ["dpkg-parsechangelog", "-l", str(root / FILES[1]), "-S", "Maintainer"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "Ada L. O'Hara <ada@example.org>\n" and done.stderr == ""


def test_a_file_that_lacks_the_line_is_named(tmp_path: Path) -> None:
    root = copied(tmp_path)
    (root / FILES[0]).write_text("Source: mkpxeinit\n")
    done = subprocess.run(
        [sys.executable, PUBLISHER, root], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1 and done.stderr.startswith(f"{root / FILES[0]}: no line like ")
