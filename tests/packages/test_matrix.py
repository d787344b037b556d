"""The quick tests with the Python and the packages of Debian 13, and with those that the archive has newest.

The same files as here, seen by another interpreter with libraries of its own. Debian 12's are what
`tools/test oldest` installs.
"""

import re
from pathlib import Path

import pytest

from pxelab import Lab, trees
from pxelab.chroot import Chroot
from tests.packages.building import ROOT
from tests.packages.conftest import put_ours
from tests.packages.places import QUICK

SECONDS = 1500.0
# What needs this machine's own packages, root's namespaces or the network is for the other groups.
CHOICE = "not tree and not slow and not long and not newest and not boot"
LEFT_OUT = ("--ignore=tests/cli/test_wheel.py",)  # pip and the network
# Loaders are data: this machine's.
LOADERS = ("PXELINUX", "syslinux", "grub", "shim", "ipxe")


@pytest.mark.parametrize(
    "suite",
    [
        "trixie",
        pytest.param("sid", marks=pytest.mark.newest),
    ],
)
def test_with_the_packages_of(lab: Lab, suite: str) -> None:
    system = Chroot(lab, trees.chroot(suite, QUICK).path)
    put_ours(system, "", hooks=False)
    (system.outside / "etc/mkpxeinit.toml").unlink()
    # The checkout as one tree, which tests may write to; nothing of it leaves the laboratory.
    system.bind(lab.variant(ROOT), "/srv")
    words = ["python3", "-B", "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-m", CHOICE]
    words += LEFT_OUT
    for name in LOADERS:
        if (folder := Path("/usr/lib") / name).is_dir():
            system.bind(folder, str(folder))
    system.run("ln", "-s", "/usr/bin/python3", "/usr/local/bin/python")
    system.run("ln", "-s", "/usr/local/bin/mkpxeinit", "/usr/bin/mkpxeinit")  # beside Python, as by a package
    environment = {"PYTHONPATH": "/srv:/srv/qemu", "MKPXEINIT": "/usr/local/bin/mkpxeinit"}
    script = 'cd /srv && exec "$@" tests/unit tests/cli 2>&1'
    done = system.run("sh", "-c", script, "sh", *words, timeout=SECONDS, check=False, environment=environment)
    said = done.stdout.decode(errors="replace")
    version = system.run("python3", "--version").stdout.decode().strip()
    print(f"{suite}: {version}: {said.strip().splitlines()[-1]}")
    assert done.returncode == 0, said[-6000:]
    assert re.search(r"\b\d{3,} passed", said)
