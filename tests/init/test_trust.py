"""trust.sh and resolve_in_tree: three mounts that succeed and are useless, and trees that lie."""

import pytest

from tests.init.conftest import plant_tree
from tests.init.fakeroot import FakeRoot, Result
from tests.init.programs import PROGRAM
from tests.init.test_root import ALL, phase, versions

MOUNTSTATS = """device rootfs mounted on / with fstype rootfs
device 10.0.2.2:/other mounted on /other with fstype nfs4 statvers=1.1
\t     READDIR: 1 1 0 200 5000 0 1 1 9
device 10.0.2.2:/srv mounted on /nfsroot with fstype nfs4 statvers=1.1
\tper-op statistics
\t        NULL: 1 1 0 44 24 0 0 0 7
\t        READ: 1 1 0 44 24 0 0 0 8
\t     GETATTR: 4 4 0 200 5000 0 1 1 {getattr}
\t     READDIR: 2 2 0 200 5000 0 1 1 {readdir}
"""


BROKEN = 'echo "dd: ${1#if=}: Input/output error" >&2'


def fail_until(root: FakeRoot, working: str, command: str, does: str, *, when: str = "") -> None:
    """Let a command do something bad until the version `working` is mounted; all mounts succeed."""
    plant_tree(root)
    root.fake("mount", when=f"vers={working}", does="> /tmp/mended")
    root.fake(
        command, when=when, does=f"[ ! -e /tmp/mended ] || status=-1\n[ $status -ne 0 ] || {{ {does}; }}"
    )


def check(root: FakeRoot, code: str = "check_tree") -> str:
    return root.run(f'{code} && echo "good: $tree_init" || echo "$tree_fault: $tree_message"').console.strip()


def worked_round(root: FakeRoot, said: Result, version: str, *telling: str) -> None:
    """The boot goes on with that version, and each useless one was named."""
    assert said.console.endswith("status 0\n"), said.console
    assert root.state()["nfs.vers"] == version
    assert said.codes == []
    assert len(said.warnings) == len(telling)
    for warning, (number, text) in zip(said.warnings, (word.split(":", 1) for word in telling), strict=True):
        assert f"the tree over NFS {number} is useless: " in warning
        assert text in warning
    assert len(root.calls("umount")) == len(telling)


def test_owners_as_nobody_are_cured_by_version_3(root: FakeRoot) -> None:
    fail_until(root, "3", "stat", "echo 65534; exit 0")
    # Versions 4.1 and 4.0 would show the same names.
    worked_round(root, phase(root), "3", "4.2:/ belongs to uid 65534")
    assert versions(root) == ["4.2", "3"]


def test_owners_as_nobody_without_version_3(root: FakeRoot) -> None:
    plant_tree(root)
    root.fake("stat", prints="65534")
    root.refuse("Protocol not supported", when="vers=3")
    said = phase(root)
    assert said.reports("PXE-INIT-root-owner")
    assert "why: NFS 4.2: / belongs to uid 65534, not to root" in said.console
    assert "Only_Numeric_Owners" in said.console
    assert said.console.endswith("status 1\n")


def test_a_root_that_cannot_be_looked_at(root: FakeRoot) -> None:
    fail_until(root, "4.1", "stat", "echo 'stat: can not stat: Input/output error' >&2; exit 1")
    worked_round(root, phase(root), "4.1", "4.2:/ cannot be looked at")


@pytest.mark.parametrize("working", ["4.1", "4.0", "3"])
def test_reads_that_fail_are_worked_round(root: FakeRoot, working: str) -> None:
    fail_until(root, working, "dd", f"{BROKEN}; exit 1", when="of=/dev/null")
    broken = ALL.split()[: ALL.split().index(working)]
    telling = [f"{version}:/sbin/init: Input/output error" for version in broken]
    worked_round(root, phase(root), working, *telling)


def test_reads_that_end_early_count_as_failed(root: FakeRoot) -> None:
    """The server says that the file is empty."""
    plant_tree(root)
    root.write("nfsroot/sbin/init", "", 0o755)
    root.write("program", PROGRAM)
    root.fake("mount", when="vers=4.1", does="cat /program > /nfsroot/sbin/init")
    worked_round(root, phase(root), "4.1", "4.2:/sbin/init cannot be read")


def test_a_large_file_is_read_too(root: FakeRoot) -> None:
    library = "usr/lib/x86_64-linux-gnu/libc.so.6"
    root.write(f"nfsroot/{library}", b"x" * 300_000)
    fail_until(root, "4.1", "dd", f"{BROKEN}; exit 1", when=f"/{library}")
    worked_round(root, phase(root), "4.1", f"4.2:/{library}: Input/output error")
    read = [words[0] for words in root.calls("dd") if words[1] == "of=/dev/null"]
    assert read[-2:] == ["if=/nfsroot/sbin/init", f"if=/nfsroot/{library}"]


def test_a_file_that_ends_in_an_error(root: FakeRoot) -> None:
    """What busybox' dd says after some blocks that were good."""
    plant_tree(root)
    said = "2+0 records in\n2+0 records out\ndd: /x: Remote I/O error"
    root.fake("dd", when="of=/dev/null", fails=1, says=said)
    assert check(root) == "unreadable: /sbin/init cannot be read"


def test_reads_that_always_fail(root: FakeRoot) -> None:
    plant_tree(root)
    root.fake("dd", when="of=/dev/null", fails=1, says="dd: /nfsroot/sbin/init: Remote I/O error")
    said = phase(root)
    assert said.reports("PXE-INIT-root-unreadable")
    assert "why: NFS 3: /sbin/init: Remote I/O error" in said.console
    assert versions(root) == ALL.split()
    assert len(root.calls("umount")) == 4
    assert said.console.endswith("status 1\n")


@pytest.mark.parametrize("command", ["ls", "awk"])
def test_listings_that_fail_are_worked_round(root: FakeRoot, command: str) -> None:
    if command == "ls":
        # A folder that does not open shows no entry either.
        fail_until(root, "4.0", "ls", "echo 'ls: Remote I/O error' >&2; exit 1")
        for name in ("env",):
            root.place(f"nfsroot/usr/bin/{name}").unlink()
        text = "/usr/bin cannot be listed"
    else:
        fail_until(root, "4.0", "awk", "echo 3; exit 0")
        text = "listing folders ends in errors (3 counted by the kernel)"
    worked_round(root, phase(root), "4.0", f"4.2:{text}", f"4.1:{text}")


def test_listings_that_always_fail(root: FakeRoot) -> None:
    plant_tree(root)
    root.write("proc/self/mountstats", MOUNTSTATS.format(getattr=0, readdir=2))
    said = phase(root)
    assert said.reports("PXE-INIT-root-listing")
    assert "(2 counted by the kernel)" in said.console
    assert said.console.endswith("status 1\n")


@pytest.mark.parametrize("does", ["entries=0", "entries=0; return 1"])
def test_a_root_whose_own_folder_cannot_be_listed(root: FakeRoot, does: str) -> None:
    """Its files can be opened by name all the same; the farm would be empty, and the kernel panic."""
    plant_tree(root)
    real = 'set -- "$1" "$1"/*; entries=$(($# - 1))'
    broken = f'list_folder() {{ if [ "$1" = "$nfs_root" ]; then {does}; else {real}; fi; }}'
    said = check(root, f"{broken}; check_tree")
    assert said.startswith("listing: / cannot be listed: is something mounted in the tree on the server")
    assert check(root).startswith("good: ")


@pytest.mark.parametrize(
    ("getattr", "readdir", "errors"), [(0, 0, "0"), (1, 0, "1"), (0, 2, "2"), (3, 4, "7")]
)
def test_the_kernel_counts_errors_of_this_mount(
    root: FakeRoot, getattr: int, readdir: int, errors: str
) -> None:
    root.write("proc/self/mountstats", MOUNTSTATS.format(getattr=getattr, readdir=readdir))
    assert root.run("count_errors; echo $errors").console == f"{errors}\n"


@pytest.mark.parametrize("text", ["", "nonsense", "device x mounted on /nfsroot\nREADDIR: 1 2 3 4 5 6 7 8\n"])
def test_older_kernels_count_none(root: FakeRoot, text: str) -> None:
    root.write("proc/self/mountstats", text)
    assert root.run("count_errors; echo $errors").console == "0\n"


def test_without_mountstats_there_are_none(root: FakeRoot) -> None:
    assert root.run("count_errors; echo $errors").console == "0\n"
    root.fake("awk", fails=1, says="awk: broken", prints="inf")
    assert root.run("count_errors; echo $errors").console == "0\n"


def test_a_tree_whose_folders_are_all_empty(root: FakeRoot) -> None:
    root.write("nfsroot/init", PROGRAM, 0o755)
    root.folder("nfsroot/usr/bin")
    said = phase(root, "nfsroot=10.0.2.2:/srv,vers=3 init=/init")
    assert said.reports("PXE-INIT-root-listing")
    assert "shows an entry" in said.console


def test_names_that_begin_with_a_dot_or_lead_nowhere_are_entries(root: FakeRoot) -> None:
    root.write("nfsroot/sbin/init", PROGRAM, 0o755)
    root.link("nfsroot/etc/only", "/nowhere")
    assert check(root) == "good: /sbin/init"


@pytest.mark.parametrize(
    ("place", "cmdline"),
    [
        ("sbin/init", ""),
        ("usr/lib/systemd/systemd", ""),
        ("lib/systemd/systemd", ""),
        ("bin/init", ""),
        ("etc/init", ""),
        ("opt/my init", 'init="/opt/my init"'),
    ],
)
def test_init_is_found(root: FakeRoot, place: str, cmdline: str) -> None:
    root.write(f"nfsroot/{place}", PROGRAM, 0o755)
    root.write("nfsroot/etc/fstab", "x")
    root.write("proc/cmdline", cmdline)
    assert check(root, "read_params; check_tree") == f"good: /{place}"


@pytest.mark.parametrize(
    ("links", "good"),
    [
        ({"sbin/init": "../lib/systemd/systemd"}, True),
        ({"sbin/init": "/lib/systemd/systemd"}, True),
        ({"sbin": "usr/sbin", "usr/sbin/init": "../../../../../lib/systemd/systemd"}, True),
        ({"sbin": "/usr/sbin", "usr/sbin/init": "//lib/./systemd/../systemd/systemd"}, True),
        ({"sbin": "/a", "a": "b", "b": "/c/", "c": "d", "d/init": "/lib/systemd/systemd"}, True),
        ({"sbin/init": "/sbin/init"}, False),
        ({"sbin/init": "/a", "a": "/b", "b": "/a"}, False),
        ({"sbin/init": "/nowhere"}, False),
        # Both are there in the image, not in the tree.
        ({"sbin/init": "/lib/pxeinit/console.sh"}, False),
        ({"sbin/init": "../../../../bin/busybox"}, False),
        ({"sbin/init": "/lib/systemd"}, False),
        ({"sbin": "/proc/self/root/fake"}, False),
    ],
)
def test_links_to_init_are_followed_inside_the_tree(
    root: FakeRoot, links: dict[str, str], good: bool
) -> None:
    root.write("nfsroot/lib/systemd/systemd", PROGRAM, 0o755)
    root.write("nfsroot/etc/fstab", "x")
    for place, target in links.items():
        root.link(f"nfsroot/{place}", target)
    root.run("")
    said = root.run(
        'resolve_in_tree /nfsroot /sbin/init && [ -f "$resolved" ] && echo "$resolved" || echo none'
    )
    assert said.console == ("/nfsroot/lib/systemd/systemd\n" if good else "none\n")


def test_a_link_that_cannot_be_read_leads_nowhere(root: FakeRoot) -> None:
    root.link("nfsroot/sbin", "usr")
    root.write("nfsroot/usr/init", PROGRAM, 0o755)
    root.fake("readlink", fails=1)
    assert root.run("resolve_in_tree /nfsroot /sbin/init || echo none").console == "none\n"


def test_a_folder_is_no_init(root: FakeRoot) -> None:
    root.folder("nfsroot/sbin/init")
    root.link("nfsroot/bin/init", "/sbin")
    assert check(root, "find_init").startswith("no-init: ")


def test_a_chain_of_links_has_an_end(root: FakeRoot) -> None:
    for number in range(45):
        root.link(f"nfsroot/{number}", str(number + 1))
    root.write("nfsroot/45", "x")
    code = 'for n; do resolve_in_tree /nfsroot /$n && echo "$resolved"; done'
    assert root.run(code, "5", "4").console == "/nfsroot/45\n"


@pytest.mark.parametrize("name", ["a b", "new\nline", "-x", "*", "$(touch canary)", "'", "\\"])
def test_links_may_have_any_name(root: FakeRoot, name: str) -> None:
    root.write(f"nfsroot/x/{name}", "x")
    root.link("nfsroot/l", f"/x/{name}")
    assert root.run('resolve_in_tree /nfsroot /l; printf %s "$resolved"').console == f"/nfsroot/x/{name}"


@pytest.mark.parametrize(
    ("mode", "cmdline", "text"),
    [
        (0o644, "", "/sbin/init is not executable"),
        (None, "", "neither /sbin/init nor systemd is there"),
        (0o755, "init=/bin/mine", "/bin/mine is not there"),
    ],
)
def test_a_tree_without_an_init(root: FakeRoot, mode: int | None, cmdline: str, text: str) -> None:
    root.write("nfsroot/etc/fstab", "x")
    if mode is not None:
        root.write("nfsroot/sbin/init", PROGRAM, mode)
    said = phase(root, f"nfsroot=10.0.2.2:/srv {cmdline}")
    assert said.reports("PXE-INIT-root-no-init")
    assert f"why: NFS 4.2: {text}" in said.console
    # No other version would mend that.
    assert versions(root) == ["4.2"]
    assert said.console.endswith("status 1\n")


def test_an_empty_init_cannot_be_read(root: FakeRoot) -> None:
    root.write("nfsroot/etc/fstab", "x")
    root.write("nfsroot/sbin/init", "", 0o755)
    assert check(root) == "unreadable: /sbin/init cannot be read"


def test_a_useless_mount_that_does_not_go_is_detached(root: FakeRoot) -> None:
    root.fake("umount", fails=[1, 0])
    phase(root)
    assert root.calls("umount") == [["/nfsroot"], ["-l", "/nfsroot"]]
