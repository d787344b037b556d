"""Real systems to install into: trees of the cache, written to as views in a laboratory of their own.

`make test` gives all tests of a file to one process: they share what was built.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pxelab import Lab, Tree, trees
from pxelab.chroot import Chroot
from tests.packages.building import ROOT, Built, build
from tests.packages.places import RUNTIME

COMMAND = b"""#!/usr/bin/python3 -B
import sys

sys.path[:0] = ["/opt/mkpxeinit", "/opt/mkpxeinit/qemu"]
from mkpxeinit.__main__ import main

main()
"""

OpenChroot = Callable[[Tree], Chroot]
Packaged = Callable[[str], Built]
SUITES = ("bookworm", "trixie")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only root can do what is done here."""
    for item in items:
        if Path(__file__).parent in item.path.parents and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="trees are made and changed by root only"))


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab.open() as laboratory:
        yield laboratory


@pytest.fixture
def chroot(lab: Lab) -> OpenChroot:
    """A function that returns a view of a tree, in which programs of the tree run."""
    return lambda tree: Chroot(lab, tree.path)


@pytest.fixture(scope="session")
def bookworm() -> Tree:
    """A Debian 12 tree with what mkpxeinit needs to run in it."""
    return trees.debian("bookworm", RUNTIME)


@pytest.fixture(scope="session")
def trixie() -> Tree:
    """A Debian 13 tree with what mkpxeinit needs to run in it."""
    return trees.debian("trixie", RUNTIME)


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """A function that returns the package, built with what a suite has; once for all tests."""
    made: dict[str, Built] = {}

    def of(suite: str) -> Built:
        if suite not in made:
            made[suite] = build(suite, tmp_path_factory.mktemp("package"))
        return made[suite]

    return of


def put_ours(system: Chroot, config: str, *, hooks: bool = True, kinds: tuple[str, ...] = ()) -> None:
    """Have this checkout's mkpxeinit in a system, its hooks (those of `kinds`), and the configuration."""
    system.bind(ROOT, "/opt/mkpxeinit")
    command = system.outside / "usr/local/bin/mkpxeinit"
    command.write_bytes(COMMAND)
    command.chmod(0o755)
    (system.outside / "etc/mkpxeinit.toml").write_text(config)
    if hooks:
        ours = str(Path(sys.executable).with_name("mkpxeinit"))
        words = [f"--kind={each}" for each in kinds]
        system.lab.space.run([ours, "hook", "install", "--root", str(system.view), *words])


def archive(system: Chroot, packages: tuple[Path, ...]) -> None:
    """Make these packages what apt of the system can install."""
    from pxelab import debs

    line = debs.make_archive(system.lab.folder / "archive", packages)
    system.bind(system.lab.folder / "archive", "/archive")
    (system.outside / "etc/apt/sources.list").write_text(line)
    system.run("apt-get", "-q", "update")
