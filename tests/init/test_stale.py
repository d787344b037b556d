"""stale.sh: a kernel and a tree that do not belong together are named, and which of them is old."""

import pytest

from tests.init.fakeroot import FakeRoot, Result

RUNNING = "6.1.0-test"  # as the fake root has it
BUILD = "#1 SMP Debian 6.1.176-1 (2026-01-02)"


def check(root: FakeRoot, *releases: str, vmlinuz: bytes | None = None, build: str = BUILD) -> Result:
    for release in releases:
        root.folder(f"nfsroot/lib/modules/{release}")
    if vmlinuz is not None:
        root.write(f"nfsroot/boot/vmlinuz-{RUNNING}", vmlinuz)
    if build:
        root.write("proc/sys/kernel/version", build)
    return root.run("kernel_release=6.1.0-test; check_modules 2>/dev/null; echo status $?")


@pytest.mark.parametrize("releases", [(), (RUNNING,), ("6.0.9", RUNNING), (RUNNING, "7.2.1")])
def test_they_belong_together(root: FakeRoot, releases: tuple[str, ...]) -> None:
    assert check(root, *releases).console == "status 0\n"


@pytest.mark.parametrize(
    ("releases", "newest"),
    [
        (("6.1.1-test",), "6.1.1-test"),
        (("6.9.1", "6.12.3"), "6.12.3"),
        (("5.0.0", "6.1.0-5-amd64"), "6.1.0-5-amd64"),
    ],
)
def test_kernel_and_image_are_stale(root: FakeRoot, releases: tuple[str, ...], newest: str) -> None:
    said = check(root, *releases)
    assert said.reports("PXE-INIT-root-stale")
    assert (
        f"kernel and image are stale: they are {RUNNING}, the tree has the modules of {newest}"
        in said.console
    )
    assert said.console.endswith("status 0\n")


@pytest.mark.parametrize("releases", [("6.0.99-amd64",), ("5.10.0", "4.19.200"), ("6.0.9", "5.99.99")])
def test_the_tree_is_stale(root: FakeRoot, releases: tuple[str, ...]) -> None:
    said = check(root, *releases)
    assert said.reports("PXE-INIT-root-stale")
    assert f"the tree is stale: it has the modules of {releases[0]}, the kernel is {RUNNING}" in said.console


def test_what_is_no_release_is_not_shown(root: FakeRoot) -> None:
    root.write("nfsroot/lib/modules/7.0-file", "")
    assert check(root, "$(reboot)", "a b").console == "status 0\n"


def header(release: str, build: str, at: int = 0x3C00) -> bytes:
    """A kernel file of x86, its text `at` so many bytes behind the first 512 (boot.rst)."""
    head = bytearray(b"MZ" + bytes(at + 510))
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = at.to_bytes(2, "little")
    return bytes(head) + f"{release} (builder@host) {build}".encode() + b"\0\0\x80 rest\0\xff" * 4000


@pytest.mark.parametrize("at", [0x10, 0x3C00, 0xFFFF])
def test_the_same_build(root: FakeRoot, at: int) -> None:
    assert check(root, RUNNING, vmlinuz=header(RUNNING, BUILD, at)).console == "status 0\n"
    assert root.run(f"read_build /nfsroot/boot/vmlinuz-{RUNNING}; echo $build").console.startswith(RUNNING)


def test_another_build_of_the_same_release(root: FakeRoot) -> None:
    other = "#1 SMP Debian 6.1.192-2 (2026-11-16)"
    said = check(root, RUNNING, vmlinuz=header(RUNNING, other))
    assert said.reports("PXE-INIT-root-stale")
    assert f"the tree has another build of {RUNNING}" in said.console
    assert f"the tree's is '{other}', this one '{BUILD}'" in said.console


def test_the_kernel_file_beside_the_modules(root: FakeRoot) -> None:
    root.write(f"nfsroot/lib/modules/{RUNNING}/vmlinuz", header(RUNNING, "#2 other"))
    assert check(root, RUNNING).reports("PXE-INIT-root-stale")


SILENT = [
    b"",
    b"\x7fELF\0\0",
    header("6.1.0-testing", "#9"),
    bytes(70000),
    header(RUNNING, "#9").replace(b"HdrS", b"HdrX"),
    header(RUNNING, "#9")[:0x3C00],
    header(RUNNING, "#9", 1)[:0x20E] + bytes(2) + header(RUNNING, "#9", 1)[0x210:],
]


@pytest.mark.parametrize("vmlinuz", SILENT)
def test_a_kernel_file_that_says_nothing(root: FakeRoot, vmlinuz: bytes) -> None:
    assert check(root, RUNNING, vmlinuz=vmlinuz).console == "status 0\n"


def test_a_kernel_that_does_not_say_its_build(root: FakeRoot) -> None:
    assert check(root, RUNNING, vmlinuz=header(RUNNING, "#2"), build="").console == "status 0\n"


def test_the_boot_goes_on(booting: FakeRoot) -> None:
    booting.folder("nfsroot/lib/modules/7.0.0")
    said = booting.boot()
    assert said.reports("PXE-INIT-root-stale")
    assert booting.state()["code"] == "PXE-INIT-root-stale"
    assert "handing over to /sbin/init" in said.console


def test_a_kernel_without_a_release(root: FakeRoot) -> None:
    root.folder("nfsroot/lib/modules/7.0.0")
    assert root.run("check_modules; echo status $?").console == "status 0\n"
