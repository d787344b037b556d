"""Disks that fail, exports that are closed: each ends in its code, and a mended server is noticed."""

from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Tree
from pxelab.running import RunningMachine
from tests.boot.quick import EXPORT, read_report, reporting_tree

RUNNING_SECONDS = 300.0
ENTER = r"press Enter for a shell"


def client(lab: Lab, tree: Tree, image: Path, append: str = "", *, guest: bool = False) -> RunningMachine:
    """A machine that is told of the root by DHCP."""
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    return lab.machine(Machine(kernel=tree.vmlinuz, initrd=(image,), append=append, guest=guest))


def leave_the_shell(machine: RunningMachine) -> None:
    """Another try, as a person at the console has it."""
    machine.expect(ENTER, 10)
    machine.send("\n")
    machine.expect(r"a shell for you", 20)
    machine.send("exit\n")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("usr/local/sbin/report", marks=pytest.mark.long),
        "usr/lib/x86_64-linux-gnu/libc.so.6",
    ],
)
def test_reads_end_in_eio(lab: Lab, bookworm: Tree, bookworm_image: Path, name: str) -> None:
    """Of the init itself, or of a library that every program needs; over no version it is better."""
    view = reporting_tree(lab, bookworm)
    relay, _ = lab.faulty_nfs({EXPORT: view})
    relay.fail_reads(view / name)
    machine = client(lab, bookworm, bookworm_image)
    for version in ("4.2", "4.1", "4.0"):
        machine.expect(rf"the tree over NFS {version} is useless: .*Input/output error", 60)
    machine.expect(r"PXE-INIT-root-unreadable", 60)
    assert relay.failed >= 3
    relay.mend()
    leave_the_shell(machine)
    assert read_report(machine).state["code"] == "PXE-INIT-root-unreadable"


@pytest.mark.long
def test_reads_end_in_eio_while_the_client_runs(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """What is in memory goes on, what is not fails with its name; the machine lives, and is well again."""
    relay, _ = lab.faulty_nfs({EXPORT: bookworm.path})
    machine = client(lab, bookworm, bookworm_image, guest=True)
    machine.expect(r" login:", RUNNING_SECONDS)
    assert machine.check("systemctl is-system-running --wait", RUNNING_SECONDS) == "running"
    relay.fail_reads()
    said = machine.guest("cat /usr/lib/udev/hwdb.bin > /dev/null", 60)
    assert said.status != 0
    assert "Input/output error" in said.stderr
    assert machine.check("echo alive", 60) == "alive"
    relay.mend()
    machine.check("cat /usr/lib/udev/hwdb.bin > /dev/null", 60)
    assert machine.check("systemctl is-system-running", 120) == "running"
    machine.power_off(120)
    machine.forbid(r"Kernel panic")


@pytest.mark.parametrize(
    ("versions", "code"),
    [
        pytest.param((4,), r"no-export: (?s:.{0,400}?)they hide what is not for 10\.77\.0\.", id="4"),
        pytest.param((3, 4), r"refused: (?s:.{0,400}?)NFS 3: Permission denied", id="3-and-4"),
    ],
)
def test_the_export_is_closed_to_this_client(
    lab: Lab, bookworm: Tree, bookworm_image: Path, versions: tuple[int, ...], code: str
) -> None:
    """Version 4 hides it, version 3 says so."""
    lab.ganesha({EXPORT: bookworm.path}, clients=("10.99.0.0/24",), versions=versions)
    machine = client(lab, bookworm, bookworm_image)
    machine.expect(rf"PXE-INIT-root-{code}", 60)
    machine.expect(ENTER, 10)


@pytest.mark.parametrize(
    ("owner", "squash", "code"),
    [
        pytest.param("65534", "No_Root_Squash", "PXE-INIT-root-owner", id="nobody", marks=pytest.mark.long),
        pytest.param("0", "Root_Squash", "PXE-INIT-root-denied", id="squashed"),
    ],
)
def test_a_root_folder_that_only_its_owner_may_enter(
    lab: Lab, bookworm: Tree, bookworm_image: Path, owner: str, squash: str, code: str
) -> None:
    """It is nobody's, or the server takes the client's root for nobody."""
    view = lab.variant(bookworm.path)
    lab.space.run(["chown", owner, str(view)])
    lab.space.run(["chmod", "0700", str(view)])
    lab.ganesha({EXPORT: view}, squash=squash)
    machine = client(lab, bookworm, bookworm_image)
    machine.expect(code, 60)
    machine.expect(ENTER, 10)


SHARED = "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so"
FOREIGN = b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\xb7\0" + b"\1" + bytes(43)


@pytest.mark.parametrize(
    ("files", "links", "code"),
    [
        pytest.param({"usr/local/sbin/init": FOREIGN}, {}, "init-machine", id="another-machines"),
        pytest.param(
            {},
            {"usr/lib64/ld-linux-x86-64.so.2": "/nowhere"},
            "init-interpreter",
            id="loader",
            marks=pytest.mark.long,
        ),
        pytest.param({}, {SHARED: "/nowhere"}, "init-libraries", id="library"),
        pytest.param(
            {"usr/local/sbin/init": b"#!/no/sh\n"},
            {},
            "init-interpreter",
            id="script",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"usr/local/sbin/init": b"echo\n"}, {}, "init-format", id="neither", marks=pytest.mark.long
        ),
    ],
)
def test_an_init_that_cannot_be_started(
    lab: Lab, bookworm: Tree, bookworm_image: Path, files: dict[str, bytes], links: dict[str, str], code: str
) -> None:
    """For arm64, without the C library's loader, a library, its shell, any mark: told, not a panic later."""
    if files:
        links = {"usr/sbin/init": "/usr/local/sbin/init"}
    view = lab.variant(bookworm.path, remove=list(links), files=files)
    for name, target in links.items():
        (lab.space.path(view) / name).symlink_to(target)
    lab.ganesha({EXPORT: view})
    machine = client(lab, bookworm, bookworm_image, "panic=1")
    machine.expect(rf"PXE-INIT-root-{code}", 60)
    machine.expect(r"rebooting in 1 s", 10)
    machine.wait(30)
    machine.forbid(r"Kernel panic")
