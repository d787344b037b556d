"""The package's own test, debian/tests, run by autopkgtest in a system where the package is installed."""

from pathlib import Path

import pytest

from pxelab import Lab, trees
from pxelab.chroot import Chroot
from tests.packages.building import build
from tests.packages.conftest import archive
from tests.packages.places import TEST_BED

SECONDS = 900.0


@pytest.mark.long
def test_autopkgtest(lab: Lab, tmp_path: Path) -> None:
    """autopkgtest installs what debian/tests/control names, and runs the build of an image."""
    built = build("bookworm", tmp_path)
    (source,) = tmp_path.glob("*.dsc")
    system = Chroot(lab, trees.debian("bookworm", TEST_BED).path)
    archive(system, (built.package,))
    words = ["autopkgtest", "--output-dir", str(lab.folder / "autopkgtest"), "--timeout-test=800"]
    words += [str(built.package), str(source), "--", "chroot", str(system.view)]
    done = lab.space.run(words, timeout=SECONDS, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    print(said)
    assert done.returncode == 0, said[-6000:]
    assert "build                PASS" in said
