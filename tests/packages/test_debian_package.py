"""The Debian package: built by dpkg-buildpackage, looked through by lintian, installed, upgraded, purged."""

import re
import shutil
from pathlib import Path

import pytest

from pxelab import Lab, run, trees
from pxelab.chroot import Chroot
from tests.packages.building import Built, build
from tests.packages.conftest import ROOT, archive
from tests.packages.places import RUNTIME

pytestmark = pytest.mark.long
# What dpkg and apt keep for themselves; nothing of it is the package's.
KEPT = ("var/lib/dpkg/", "var/lib/apt/", "var/cache/apt/", "var/cache/debconf/", "var/log/", "etc/apt/")
# The policy's version is that of Debian 12, which is to build the package, too.
REMARKS = ("out-of-date-standards-version",)


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The package, built with what that suite has."""
    return build(str(request.param), tmp_path_factory.mktemp("package"))


def test_lintian(built: Built) -> None:
    """No remark of any kind but those that are named; each override has its reason beside it."""
    found = re.findall(r"^[EWIPX]: [^:]+: (\S+)", built.lintian, re.MULTILINE)
    assert [tag for tag in found if tag not in REMARKS] == [], built.lintian
    assert re.search(r"^=+ \d+ passed", built.log, re.MULTILINE)  # the tests of the build have run
    overrides = (ROOT / "packaging/debian/mkpxeinit.lintian-overrides").read_text().splitlines()
    assert all(line.startswith("#") for line in overrides[::2])


def changed(before: frozenset[str], after: frozenset[str]) -> list[str]:
    """Return what is in one of two listings alone, without what dpkg and apt keep."""
    return sorted(path for path in before ^ after if not path.startswith(KEPT))


def test_installs_upgrades_purges(built: Built, lab: Lab) -> None:
    system = Chroot(lab, trees.debian(built.suite, RUNTIME).path)
    before = system.files()
    archive(system, (built.package,))
    system.run("apt-get", "-q", "-y", "install", "mkpxeinit")
    assert system.run("mkpxeinit", "--version").stdout == b"mkpxeinit 0.1.0\n"
    status = system.run("mkpxeinit", "hook", "status")
    assert status.stdout.decode().count("installed ") == 4
    owner = system.run("dpkg", "-S", "/etc/kernel/postinst.d/zz-mkpxeinit").stdout
    assert owner == b"mkpxeinit: /etc/kernel/postinst.d/zz-mkpxeinit\n"
    assert system.run("dpkg", "--verify", "mkpxeinit").stdout == b""

    # A trigger, such as that of another busybox, has the images built again.
    (system.outside / "etc/mkpxeinit.toml").write_text("[[hook.tree]]\n")
    system.run("dpkg-trigger", "--by-package=busybox-static", "/usr/bin/busybox")
    said = system.run("dpkg", "--configure", "--pending")
    assert b"Processing triggers for mkpxeinit" in said.stdout
    release = trees.debian(built.suite, RUNTIME).release
    image = system.outside / f"boot/pxeinit-{release}.img"
    assert image.is_file()

    # An upgrade does so, too, and keeps what the administrator has changed.
    image.unlink()
    hook = system.outside / "etc/kernel/postrm.d/zz-mkpxeinit"
    hook.write_text(hook.read_text() + "# mine\n")
    newer(system, built.package)
    system.run("dpkg", "--force-confold", "-i", "/root/newer.deb")
    assert b"0.1.0+1" in system.run("dpkg-query", "-W", "mkpxeinit").stdout
    assert image.is_file() and hook.read_text().endswith("# mine\n")

    image.unlink()
    (system.outside / "etc/mkpxeinit.toml").unlink()
    (system.outside / "root/newer.deb").unlink()
    system.run("apt-get", "-q", "-y", "remove", "mkpxeinit")
    # The hooks are conffiles: they stay until the purge, and without the program they do nothing.
    done = system.run("/etc/kernel/postinst.d/zz-mkpxeinit", "6.1.0")
    assert (done.stdout, done.stderr) == (b"", b"")
    system.run("apt-get", "-q", "-y", "purge", "mkpxeinit")
    shutil.rmtree(system.outside / "archive")
    assert changed(before, system.files()) == []


def newer(system: Chroot, package: Path) -> None:
    """Make /root/newer.deb, the same package with another version."""
    shutil.copy(package, system.outside / "root/old.deb")
    script = (
        "cd /root && dpkg-deb -R old.deb new && sed -i 's/^Version:.*/Version: 0.1.0+1/' new/DEBIAN/control "
        "&& dpkg-deb -b new newer.deb && rm -r new old.deb"
    )
    system.run("sh", "-c", script)


def test_contents(built: Built) -> None:
    """What the program needs is there; the hooks keep their modes."""
    listed = run.run(["dpkg-deb", "--contents", str(built.package)], timeout=60).stdout.decode()
    rows = {row.split()[-1]: row.split()[0] for row in listed.splitlines()}
    for kind in ("debian", "kernel-install"):
        top = ROOT / "packaging/hooks" / kind
        for path in (each for each in top.rglob("*") if each.is_file()):
            assert rows[f"./{path.relative_to(top)}"] == "-rwxr-xr-x"
    units = [
        row
        for path, row in rows.items()
        if "/systemd/system/mkpxeinit-hook@." in path and "/data/" not in path
    ]
    assert units == ["-rw-r--r--", "-rw-r--r--"]
    for name in ("init/init", "init/lib", "busybox-configs/applets.txt", "packaging/hooks/arch"):
        assert any(f"/mkpxeinit/data/{name}" in path for path in rows)
