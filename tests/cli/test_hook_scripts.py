"""The hook scripts with a stand-in for mkpxeinit: what they ask of it, and what they make of its exit code.

Real package managers call them in tests/packages; here is every case that these do not bring about.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from mkpxeinit import resources

TOP = resources.folder("packaging/hooks")
POSTINST = "debian/etc/kernel/postinst.d/zz-mkpxeinit"
POSTRM = "debian/etc/kernel/postrm.d/zz-mkpxeinit"
UPDATE = "debian/etc/initramfs/post-update.d/mkpxeinit"
INSTALL = "kernel-install/usr/lib/kernel/install.d/55-mkpxeinit.install"
ALPM = "arch/usr/share/libalpm/scripts/mkpxeinit-hook"
ALPINE = "alpine/etc/kernel-hooks.d/90-mkpxeinit.hook"
RPM = str(Path(__file__).resolve().parents[2] / "packaging/rpm/rpm-trigger")
# It writes what comes after --initrd, unless it fails.
STAND_IN = """#!/bin/sh
printf '%s\\n' "$*" >>"$ASKED"
[ "$(cat)" = "" ] || echo "stdin is not empty" >>"$ASKED"
echo said
previous=
for word; do
    [ "$previous" != --initrd ] || [ "${CODE:-0}" != 0 ] || echo image >"$word"
    previous=$word
done
exit "${CODE:-0}"
"""


@dataclass(frozen=True)
class Stand:
    """A folder with the stand-in as the only mkpxeinit."""

    folder: Path

    def call(
        self,
        script: str,
        *words: str,
        stdin: str = "",
        code: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> tuple[int, list[str]]:
        """Run a script; return its exit code and what it asked for. What it said is in `said`."""
        asked = self.folder / "asked"
        asked.unlink(missing_ok=True)
        done = subprocess.run(
            ["/bin/sh", TOP / script, *words],
            env={
                "PATH": f"{self.folder}:/usr/bin:/bin",
                "ASKED": str(asked),
                "CODE": str(code),
                **(environment or {}),
            },
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=20,
        )
        (self.folder / "said").write_bytes(done.stderr)
        assert done.stdout == b""  # what package managers read from some of them
        return done.returncode, asked.read_text().splitlines() if asked.exists() else []


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    program = tmp_path / "mkpxeinit"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return Stand(tmp_path)


ADD, REMOVE = "hook run --as-hook add -- 6.1", "hook run --as-hook remove -- 6.1"


@pytest.mark.parametrize(
    ("script", "parameters", "asked"),
    [
        (POSTINST, None, [ADD]),
        (POSTINST, "configure", [ADD]),
        (POSTINST, "configure 6.0", [ADD]),
        (POSTINST, "'configure' '6.0'", [ADD]),
        (POSTINST, "abort-upgrade 6.0", []),
        (POSTINST, "configured", []),
        (POSTRM, None, [REMOVE]),
        (POSTRM, "remove", [REMOVE]),
        (POSTRM, "'remove'", [REMOVE]),
        (POSTRM, "purge", []),
        (POSTRM, "upgrade 6.2", []),
        (POSTRM, "'failed-upgrade' '6.0'", []),
        (UPDATE, None, [ADD]),
        (UPDATE, "configure 6.0", []),  # postinst.d does it
    ],
)
def test_debian(stand: Stand, script: str, parameters: str | None, asked: list[str]) -> None:
    environment = {} if parameters is None else {"DEB_MAINT_PARAMS": parameters}
    assert stand.call(script, "6.1", "/boot/vmlinuz-6.1", environment=environment) == (0, asked)


KERNEL = ("add", "6.1", "/boot/entry", "/boot/vmlinuz-6.1")


def generator(stand: Stand, **more: str) -> dict[str, str]:
    """Return what kernel-install tells its plugins when our image is to be the machine's own initrd."""
    found = {"INITRD_GENERATOR": "mkpxeinit", "LAYOUT": "bls", "STAGING_AREA": str(stand.folder), **more}
    return {f"KERNEL_INSTALL_{name}": value for name, value in found.items()}


@pytest.mark.parametrize(
    ("words", "environment", "asked"),
    [
        (KERNEL, {}, [ADD]),
        (KERNEL, {"KERNEL_INSTALL_VERBOSE": "1"}, ["hook run --as-hook add --verbose -- 6.1"]),
        (("remove", "6.1", "/boot/entry"), {}, [REMOVE]),
        (("inspect", "6.1"), {}, []),
        ((), {}, []),
    ],
)
def test_kernel_install(
    stand: Stand, words: tuple[str, ...], environment: dict[str, str], asked: list[str]
) -> None:
    assert stand.call(INSTALL, *words, environment=environment) == (0, asked)


def test_kernel_install_with_our_initrd(stand: Stand) -> None:
    initrd = stand.folder / "initrd"
    asked = [f"hook run --as-hook add --initrd {initrd} -- 6.1"]
    for layout in ("bls", "uki"):
        initrd.unlink(missing_ok=True)
        assert stand.call(INSTALL, *KERNEL, environment=generator(stand, LAYOUT=layout)) == (0, asked)
    # A unified kernel image has its own; so has who names one, or another generator.
    for words, more in (
        (KERNEL, {"IMAGE_TYPE": "uki"}),
        ((*KERNEL, "/boot/mine"), {}),
        (KERNEL, {"INITRD_GENERATOR": "dracut"}),
    ):
        assert stand.call(INSTALL, *words, environment=generator(stand, **more)) == (0, [ADD])
        assert (stand.folder / "said").read_text() == "said\n"
    assert stand.call(INSTALL, "remove", "6.1", "/x", environment=generator(stand)) == (0, [REMOVE])


@pytest.mark.parametrize("more", [{"LAYOUT": "other"}, {"LAYOUT": "grub"}, {"STAGING_AREA": ""}])
def test_kernel_install_without_a_place_for_our_initrd(stand: Stand, more: dict[str, str]) -> None:
    assert stand.call(INSTALL, *KERNEL, environment=generator(stand, **more)) == (0, [ADD])
    said = (stand.folder / "said").read_text()
    assert said.startswith("mkpxeinit: initrd_generator is mkpxeinit, which makes none for the layout\n")


@pytest.mark.parametrize("code", [1, 2, 10, 126, 127, 137])
def test_no_entry_is_made_without_its_initrd(stand: Stand, code: int) -> None:
    """Whatever the reason, and whatever `on-failure` says: the machine would not boot."""
    environment = generator(stand)
    assert stand.call(INSTALL, *KERNEL, environment=environment, code=code)[0] == 1
    assert "no initrd for kernel 6.1: there will be no boot entry" in (stand.folder / "said").read_text()
    (stand.folder / "mkpxeinit").unlink()
    assert stand.call(INSTALL, *KERNEL, environment=environment) == (1, [])
    # The images of trees are another thing.
    assert stand.call(INSTALL, *KERNEL) == (0, [])


def test_alpm(stand: Stand) -> None:
    paths = "usr/lib/modules/6.1/vmlinuz\nusr/lib/modules/6.2/vmlinuz\n"
    every = [ADD, "hook run --as-hook add -- 6.2"]
    assert stand.call(ALPM, "add", stdin=paths) == (0, every)
    assert stand.call(ALPM, "update", stdin="usr/bin/busybox\n") == (0, ["hook run --as-hook update"])
    # The second has its turn though the first failed.
    assert stand.call(ALPM, "remove", stdin=paths, code=10) == (
        1,
        [each.replace("add", "remove") for each in every],
    )


def test_alpine(stand: Stand) -> None:
    add, remove = "hook run --as-hook add -- 2-lts", "hook run --as-hook remove -- 1-lts"
    assert stand.call(ALPINE, "lts", "2", "1") == (0, [add, remove])
    assert stand.call(ALPINE, "lts", "2", "") == (0, [add])
    assert stand.call(ALPINE, "lts", "2", "2") == (0, [add])  # the same version again
    assert stand.call(ALPINE, "lts", "", "1") == (0, [remove])
    assert stand.call(ALPINE, "lts", "2", "1", code=10) == (1, [add, remove])


def test_rpm(stand: Stand) -> None:
    folder = "/usr/lib/modules/6.1"
    paths = f"{folder}\n{folder}/kernel/a.ko\n{folder}/modules.builtin\n/lib/modules/6.2/modules.builtin\n"
    others = "/usr/lib/firmware/a.bin\n/usr/lib/modules/6.3/updates/b.ko\n"
    update, remove = "hook run --as-hook update --", "hook run --as-hook remove --"
    assert stand.call(RPM, "installed", stdin=paths + others) == (0, [f"{update} 6.1 6.2"])
    assert stand.call(RPM, "installed", stdin=others) == (0, [update])
    assert stand.call(RPM, "removed", stdin=paths, code=10) == (1, [f"{remove} 6.1", f"{remove} 6.2"])
    assert stand.call(RPM, "removed", stdin=others) == (0, [])  # the kernel is there still
    odd = "/usr/lib/modules/a b; $(touch x)/modules.builtin\n"
    assert stand.call(RPM, "installed", stdin=odd + paths) == (0, [f"{update} 6.1 6.2"])


CALLS: list[tuple[str, tuple[str, ...], str]] = [
    (POSTINST, ("6.1",), ""),
    (POSTRM, ("6.1",), ""),
    (UPDATE, ("6.1", "/boot/initrd.img"), ""),
    (INSTALL, KERNEL, ""),
    (ALPM, ("add",), "usr/lib/modules/6.1/vmlinuz\n"),
    (ALPM, ("update",), "usr/bin/busybox\n"),
    (ALPINE, ("lts", "1", ""), ""),
    (RPM, ("installed",), "/usr/lib/modules/6.1/modules.builtin\n"),
    (RPM, ("removed",), "/usr/lib/modules/6.1/modules.builtin\n"),
]


@pytest.mark.parametrize(("script", "words", "stdin"), CALLS, ids=[f"{row[0]} {row[1][0]}" for row in CALLS])
def test_package_managers_are_stopped_by_our_own_code_alone(
    stand: Stand, script: str, words: tuple[str, ...], stdin: str
) -> None:
    """1: Python is half upgraded; 2: wrong usage; 126, 127: it cannot be started; 137: it was killed."""
    for code in (0, 1, 2, 126, 127, 137):
        assert stand.call(script, *words, stdin=stdin, code=code)[0] == 0, code
    assert stand.call(script, *words, stdin=stdin, code=10)[0] == 1
    program = stand.folder / "mkpxeinit"
    program.write_text("#!/no/such/interpreter\n")
    assert stand.call(script, *words, stdin=stdin) == (0, [])
    program.unlink()
    assert stand.call(script, *words, stdin=stdin) == (0, [])


def test_every_script_is_here() -> None:
    scripts = {path for path in TOP.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!")}
    assert {TOP / row[0] for row in CALLS} - {Path(RPM)} == scripts
    assert all(os.access(TOP / row[0], os.X_OK) for row in CALLS)
