"""What a machine lacks, of machines that are made up; and the packages, by the archive's own lists."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mkpxeinit import doctor
from mkpxeinit.doctor_needs import FAMILIES, PARTS

PACKAGES = Path(__file__).resolve().parents[2] / "tools/packages"
ALL = doctor.Host(
    search=lambda name: f"/usr/bin/{name}",
    is_file=lambda path: True,
    is_static=lambda path: True,
    imports=lambda name: True,
    has_nfsd=lambda: True,
    uid=0,
    os_release="ID=debian\n",
)


def lacking(report: doctor.Report) -> list[str]:
    return [each.name for each in report.findings if not each.present]


def test_nothing_is_missing() -> None:
    report = doctor.examine(PARTS, ALL)
    assert report.healthy and report.install == "" and not lacking(report)
    assert {part for each in report.findings for part in each.parts} == set(PARTS)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("ID=debian\nVERSION_ID=12\n", "debian"),
        ('ID=ubuntu\nID_LIKE="debian"\n', "debian"),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'\n", "debian"),
        ('NAME="Rocky"\nID="rocky"\nID_LIKE="rhel centos fedora"\n', "fedora"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "suse"),
        ('ID="opensuse-tumbleweed"\n', "suse"),
        ("ID=arch\n", "arch"),
        ("ID=alpine\n", "alpine"),
        ("ID=plan9\n", ""),
        ("", ""),
        ("# ID=debian\nVARIANT_ID=debian\n", ""),
    ],
)
def test_family(text: str, family: str) -> None:
    assert doctor.family_of(text) == family


@pytest.mark.parametrize(
    ("os_release", "install"),
    [
        ("ID=debian", "apt-get install dnsmasq-base nfs-kernel-server"),
        ("ID=fedora", "dnf install dnsmasq nfs-utils"),
        ("ID=opensuse-leap", "zypper install dnsmasq nfs-kernel-server"),
        ("ID=arch", "pacman -S dnsmasq nfs-utils"),
        ("ID=alpine", "apk add dnsmasq nfs-utils"),
        ("ID=plan9", ""),
    ],
)
def test_what_brings_it(os_release: str, install: str) -> None:
    gone = ("dnsmasq", "exportfs", "ganesha.nfsd", "nginx")
    host = replace(
        ALL, os_release=os_release, search=lambda name: None if name in gone else f"/usr/bin/{name}"
    )
    report = doctor.examine(["serve"], host)
    assert lacking(report) == ["dnsmasq", "an NFS server", "nginx"]
    assert not report.healthy and report.install == install
    # nginx is useful only, and a build has no use for any of them.
    assert doctor.examine(["build"], host).healthy


@pytest.mark.parametrize(
    ("ganesha", "nfsd", "there"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_one_nfs_server_is_enough(ganesha: bool, nfsd: bool, there: bool) -> None:
    search = ALL.search if ganesha else lambda name: None if name == "ganesha.nfsd" else f"/bin/{name}"
    report = doctor.examine(["serve"], replace(ALL, search=search, has_nfsd=lambda: nfsd))
    assert ("an NFS server" not in lacking(report)) == there


@pytest.mark.parametrize(
    ("part", "change", "name"),
    [
        ("build", {"imports": lambda name: name != "libarchive"}, "libarchive"),
        ("publish", {"is_file": lambda path: not path.endswith("ldlinux.c32")}, "pxelinux"),
        ("boot", {"uid": 1000}, "root"),
        ("busybox", {"search": lambda name: None if name == "musl-gcc" else "/x"}, "musl-gcc"),
        ("prepare", {"search": lambda name: None}, "unshare and mount"),
        ("verify-server", {"uid": 1000}, "root"),
    ],
)
def test_it_is_missing(part: str, change: dict[str, object], name: str) -> None:
    report = doctor.examine([part], replace(ALL, **change))  # type: ignore[arg-type]
    assert not report.healthy and lacking(report) == [name]


def test_hooks_are_not_run_from_anywhere() -> None:
    """A virtual environment's command is none for a hook: useful, for who has no hooks needs none."""
    report = doctor.examine(["hook"], replace(ALL, is_file=lambda path: "mkpxeinit" not in path))
    assert lacking(report) == ["mkpxeinit in /usr/bin"] and report.healthy
    needs = {need.name for need in PARTS["build"]}
    assert needs < {each.name for each in report.findings}


def test_a_dynamic_busybox_is_none() -> None:
    report = doctor.examine(["build"], replace(ALL, is_static=lambda path: False))
    assert lacking(report) == ["a static busybox"] and report.healthy


def test_this_host() -> None:
    host = doctor.this_host()
    assert host.imports("zstandard") and not host.imports("no_such_module_of_python")
    assert host.search("sh") and not host.search("no-such-program")
    assert not host.is_static("/bin/sh") and not host.is_static("/no/such")


def debian_packages() -> set[str]:
    """Return every package that doctor sends users of Debian to."""
    return {
        name
        for needs in PARTS.values()
        for need in needs
        for name in (need.packages.get("debian") or "").split()
    }


def test_every_need_has_packages_for_every_family() -> None:
    """Or says that none is known; a name that was forgotten would be neither."""
    for needs in PARTS.values():
        for need in needs:
            assert set(need.packages) in (set(), set(FAMILIES)), need.name


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="asks Debian's list of packages")
def test_debian_has_the_packages() -> None:
    """The archive knows each, and the demonstration, which needs most of them, installs those."""
    names = debian_packages()
    if not any(Path("/var/lib/apt/lists").glob("*Packages*")):
        pytest.skip("apt has no lists")
    said = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", *sorted(names)],
        capture_output=True,
        text=True,
        check=False,
    )
    known = {
        line.removeprefix("Package: ") for line in said.stdout.splitlines() if line.startswith("Package: ")
    }
    assert names - known == set()
