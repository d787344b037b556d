"""The package's own test, debian/tests, run by autopkgtest in a system where the package is installed."""

import re

import pytest

from pxelab import Lab, trees
from pxelab.chroot import Chroot
from tests.packages.conftest import SUITES, Packaged, archive
from tests.packages.places import TEST_BED

SECONDS = 1500.0


@pytest.mark.long
@pytest.mark.parametrize("suite", SUITES)
def test_autopkgtest(lab: Lab, packaged: Packaged, suite: str) -> None:
    """autopkgtest installs what debian/tests/control names, builds an image, and boots it: the system itself.

    Its root is a copy: NFS-Ganesha cannot export an overlay in which something is mounted, see pxelab.alone.
    """
    built = packaged(suite)
    system = Chroot(lab, trees.debian(suite, TEST_BED).path, copied=True)
    archive(system, (built.package,))
    words = ["autopkgtest", "--output-dir", str(lab.folder / "autopkgtest"), "--timeout-test=1200"]
    words += [str(built.package), str(built.source), "--", "chroot", str(system.view)]
    done = lab.space.run(words, timeout=SECONDS, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    print(f"autopkgtest in {suite}:\n{said}")
    assert done.returncode == 0, said[-6000:]
    assert "build                PASS" in said and "boot                 PASS" in said
    assert "systemctl is-system-running: running" in said and re.search(
        r"^console: \S+ login:", said, re.MULTILINE
    )
    assert re.search(r"^what is mounted in / is not in the client's root: .*/proc, ", said, re.MULTILINE)
