"""The Debian package: built by dpkg-buildpackage, checked by lintian, installed, used, upgraded, purged."""

import re
import shutil
from pathlib import Path

import pytest

from pxelab import Lab, LabError, debs, run, trees
from pxelab.chroot import Chroot
from tests.packages.building import ROOT, Built, changed
from tests.packages.conftest import SUITES, Packaged, archive
from tests.packages.places import RUNTIME

# What dpkg and apt keep for themselves; nothing of it is the package's.
KEPT = ("var/lib/dpkg/", "var/lib/apt/", "var/cache/apt/", "var/cache/debconf/", "var/log/", "etc/apt/")
# The policy's version is that of Debian 12, which is to build the package, too.
REMARKS = ("out-of-date-standards-version",)
MODULES = "usr/lib/python3/dist-packages"
# What an older version had: other hooks, and modules that are gone since.
OLDER = f"""
sed -i 's/^Version: .*/Version: 0.0.9/' DEBIAN/control
echo '# older' >>etc/kernel/postinst.d/zz-mkpxeinit
echo '# older' >>etc/initramfs/post-update.d/mkpxeinit
mkdir {MODULES}/pxelab && echo >{MODULES}/pxelab/__init__.py && echo >{MODULES}/mkpxeinit/gone.py
echo '__version__ = "0.0.9"' >>{MODULES}/mkpxeinit/__init__.py
"""


@pytest.fixture(params=SUITES)
def built(request: pytest.FixtureRequest, packaged: Packaged) -> Built:
    """The package, built with what that suite has."""
    return packaged(str(request.param))


def apt(system: Chroot, *words: str) -> str:
    """Run apt-get as a machine does that upgrades itself; return all that was said."""
    options = "-q -y -o Dpkg::Options::=--force-confold"
    done = system.run("sh", "-c", f'exec apt-get {options} "$@" 2>&1', "sh", *words)
    return done.stdout.decode()


def test_lintian(built: Built) -> None:
    """No remark of any kind but those that are named; each override has its reason, and hides something."""
    print(f"lintian of {built.suite}, exit code {built.lintian_code}:\n{built.lintian}")
    assert built.lintian_code == 0
    found = re.findall(r"^([A-Z]): ([^:\s]+)(?: source)?: (\S+)", built.lintian, re.MULTILINE)
    assert [tag for kind, _, tag in found if kind not in "NO" and tag not in REMARKS] == []
    overrides = (ROOT / "packaging/debian/mkpxeinit.lintian-overrides").read_text().splitlines()
    assert all(line.startswith("#") for line in overrides[::2])
    # It has looked: each override is of use, and what is overridden is shown.
    assert {line.split()[1] for line in overrides[1::2]} == {tag for kind, _, tag in found if kind == "O"}
    assert re.search(r"^=+ \d+ passed", built.log, re.MULTILINE)  # the tests of the build have run


def left(before: frozenset[str], after: frozenset[str]) -> list[str]:
    """Return what is in one of two listings alone, without what dpkg and apt keep."""
    return sorted(path for path in before ^ after if not path.startswith(KEPT))


def test_installs_upgrades_purges(built: Built, lab: Lab, tmp_path: Path) -> None:
    """An older version first, with what an administrator changes; then this one; then it goes."""
    tree = trees.debian(built.suite, RUNTIME)
    system = Chroot(lab, tree.path)
    before = system.files()
    archive(system, (changed(built.package, tmp_path / "mkpxeinit_0.0.9_all.deb", OLDER), built.package))
    apt(system, "install", "mkpxeinit=0.0.9")
    assert system.run("mkpxeinit", "--version").stdout == b"mkpxeinit 0.0.9\n"
    hooks = {name: system.outside / "etc" / name for name in
             ("kernel/postinst.d/zz-mkpxeinit", "kernel/postrm.d/zz-mkpxeinit",
              "initramfs/post-update.d/mkpxeinit")}  # fmt: skip
    fresh, mine, both = hooks.values()
    for path in (mine, both):
        path.write_text(path.read_text() + "# mine\n")
    (system.outside / "etc/mkpxeinit.toml").write_text("[[hook.tree]]\n")
    image = system.outside / f"boot/pxeinit-{tree.release}.img"
    assert not image.exists()

    # The upgrade has the images made, and keeps what the administrator has changed.
    assert "mkpxeinit (0.1.0) over (0.0.9)" in apt(system, "upgrade")
    assert system.run("mkpxeinit", "--version").stdout == b"mkpxeinit 0.1.0\n"
    assert system.run("dpkg", "--audit").stdout == b""
    assert image.is_file()
    assert "# older" not in fresh.read_text()
    assert mine.read_text().endswith("# mine\n") and both.read_text().endswith("# older\n# mine\n")
    assert both.with_name(f"{both.name}.dpkg-dist").is_file()
    changes = system.run("dpkg", "--verify", "mkpxeinit", check=False).stdout.decode().splitlines()
    assert sorted(line.split()[-1] for line in changes) == sorted(
        f"/etc/{name}" for name, path in hooks.items() if path is not fresh
    )
    modules = system.outside / MODULES
    assert not (modules / "pxelab").exists() and not list(modules.glob("mkpxeinit/**/gone*"))
    use(system, tree.release)
    purge(system)
    assert left(before, system.files()) == []


def use(system: Chroot, release: str) -> None:
    """The installed program and its hooks at work."""
    status = system.run("mkpxeinit", "hook", "status", check=False).stdout.decode()
    assert re.findall(r"^(installed|changed) ", status, re.MULTILINE) == ["changed", "installed"] * 2, status
    owner = system.run("dpkg", "-S", "/etc/kernel/postinst.d/zz-mkpxeinit").stdout
    assert owner == b"mkpxeinit: /etc/kernel/postinst.d/zz-mkpxeinit\n"
    system.run("mkpxeinit", "build", "--sysroot", "/", "--no-cache", "-o", "/tmp/image")
    listed = system.run("mkpxeinit", "list", "/tmp/image").stdout.decode().splitlines()
    assert "init" in listed and f"lib/modules/{release}/modules.dep" in listed
    # A trigger, such as that of another busybox, has the images built again.
    image = system.outside / f"boot/pxeinit-{release}.img"
    image.unlink()
    system.run("dpkg-trigger", "--by-package=busybox-static", "/usr/bin/busybox")
    said = system.run("dpkg", "--configure", "--pending")
    assert b"Processing triggers for mkpxeinit" in said.stdout
    assert image.is_file()
    image.unlink()
    # The laboratory is a part of it: `boot` gets as far as the image.
    told = system.run("mkpxeinit", "boot", "none", check=False).stderr
    assert told == b"mkpxeinit: none: no such image; make one with: mkpxeinit build\n"


def purge(system: Chroot) -> None:
    """Remove it, then all that is left of it."""
    (system.outside / "etc/mkpxeinit.toml").unlink()
    apt(system, "remove", "mkpxeinit")
    # The hooks are conffiles: they stay until the purge, and without the program they do nothing.
    done = system.run("/etc/kernel/postinst.d/zz-mkpxeinit", "6.1.0")
    assert (done.stdout, done.stderr) == (b"", b"")
    apt(system, "purge", "mkpxeinit")
    shutil.rmtree(system.outside / "archive")


def test_beside_a_dynamic_busybox(built: Built, lab: Lab) -> None:
    """As initramfs-tools brings one: apt puts the static one in its place, which serves that, too."""
    tree = trees.debian(built.suite, RUNTIME)
    system = Chroot(lab, tree.path)
    archive(system, (built.package, *debs.packages(built.suite, "busybox", "busybox-static")))
    config = system.outside / "etc/initramfs-tools/update-initramfs.conf"
    config.write_text("update_initramfs=no\n")  # which takes longer than all the rest
    apt(system, "install", "busybox")
    before = packages(system)
    assert "busybox-static" not in before and {"busybox", "initramfs-tools"} <= before
    apt(system, "install", "mkpxeinit")
    assert packages(system) == before - {"busybox"} | {"busybox-static", "mkpxeinit"}
    system.run("mkpxeinit", "build", "--sysroot", "/", "--no-cache", "-o", "/tmp/image")
    # Who wants the other one back is told what that costs.
    simulated = apt(system, "--simulate", "install", "busybox")
    assert re.search(r"^Remv mkpxeinit ", simulated, re.MULTILINE)
    with pytest.raises(LabError, match="busybox-static"):
        system.run("dpkg", "--remove", "busybox-static")


def packages(system: Chroot) -> set[str]:
    """Return the names of what is installed."""
    listed = system.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n").stdout.decode()
    return {line.split()[1] for line in listed.splitlines() if line.startswith("installed ")}


def test_contents(built: Built) -> None:
    """What the program needs is there; hooks keep their modes; pages can be read, and no link dangles."""
    listed = run.run(["dpkg-deb", "--contents", str(built.package)], timeout=60).stdout.decode()
    modes, links = {}, {}
    for row in listed.splitlines():
        mode, _, _, _, _, path = row.split(maxsplit=5)
        path, arrow, target = path.partition(" -> ")
        modes[path.removeprefix("./").rstrip("/")] = mode
        if arrow:
            links[Path("/", path)] = target
    for kind in ("debian", "kernel-install"):
        top = ROOT / "packaging/hooks" / kind
        for source in (each for each in top.rglob("*") if each.is_file()):
            assert modes[str(source.relative_to(top))] == "-rwxr-xr-x"
    units = [mode for path, mode in modes.items() if "systemd/system/mkpxeinit-hook@." in path]
    assert units == ["-rw-r--r--"] * 4  # and those for other systems, among the data
    data = ("init/init", "init/lib", "busybox-configs/applets.txt", "packaging/hooks/arch")
    for name in ("pxelab", *(f"data/{each}" for each in data)):
        assert f"{MODULES}/mkpxeinit/{name}" in modes
    assert {path.split("/")[4] for path in modes if path.startswith(f"{MODULES}/")} == {
        "mkpxeinit", "mkpxeinit-0.1.0.dist-info"
    }  # fmt: skip
    for link, target in links.items():
        assert resolved(link, target) in modes, f"{link} leads nowhere: {target}"
    shipped = {path for path in modes if path.startswith("usr/share/doc/mkpxeinit/")}
    pages = {"README.md", "CHANGELOG.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))}
    assert {f"usr/share/doc/mkpxeinit/{name}" for name in pages} <= shipped
    assert "usr/share/man/man8/mkpxeinit-build.8.gz" in modes


def resolved(link: Path, target: str) -> str:
    """Return where a link leads, without resolving others, as the archive names it."""
    parts: list[str] = []
    for part in (link.parent / target).parts[1:]:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
