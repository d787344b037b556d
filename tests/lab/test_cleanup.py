"""A laboratory leaves nothing behind, however its owner ends."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from pxelab import Lab, LabError, Machine, Nic

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")

OWNER = """
import sys, time
from pathlib import Path
from pxelab import Lab, Machine, Nic
with Lab.open() as lab:
    lab.dnsmasq()
    lab.ganesha({"/x": Path("/usr/share")}, versions=(3, 4))
    lab.machine(Machine(nics=(Nic(), Nic(network="user")), memory=64))
    lab.variant(Path("/usr/share"))
    print(lab.folder, flush=True)
    if "fail" in sys.argv:
        raise SystemExit("a test that failed")
    time.sleep(60)
"""


def programs(folder: Path) -> list[str]:
    """Return the command lines of living programs that mention the laboratory's folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def namespaces_of(file: Path) -> set[str]:
    """Return the network, mount and PID namespaces of a process (its `ns` folder)."""
    try:
        return {str((file / name).readlink()) for name in ("net", "mnt", "pid")}
    except OSError:
        return set()


def namespaces_in_use(before: float) -> set[str]:
    """Return the namespaces of all processes that began before then, by the clock of the kernel's start.

    What began later may be another laboratory, whose namespaces have the numbers of those that went.
    """
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # proc(5): field 22, counted behind the name's closing parenthesis.
            began = int((process / "stat").read_text().rpartition(") ")[2].split()[19])
        except OSError:
            continue
        if began <= before * os.sysconf("SC_CLK_TCK"):
            found |= namespaces_of(process / "ns")
    return found


def namespaces_of_lab(folder: Path) -> set[str]:
    """Return the private namespaces that programs of a laboratory are in."""
    own = namespaces_of(Path("/proc/self/ns"))
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "cmdline").read_bytes():
                found |= namespaces_of(process / "ns") - own
        except OSError:
            continue
    return found


def links() -> set[str]:
    """Return the network interfaces of this machine's own namespace."""
    return {path.name for path in Path("/sys/class/net").iterdir()}


def leftovers(folder: Path, spaces: set[str]) -> list[str]:
    """Return what is still there of a laboratory, after a few seconds of grace."""
    end = time.monotonic() + 10.0
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    while True:
        rest = programs(folder) + sorted(namespaces_in_use(now) & spaces)
        rest += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]
        if not rest or time.monotonic() > end:
            return rest
        time.sleep(0.1)


def start_owner(*arguments: str) -> tuple[subprocess.Popen[str], Path]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background may ignore SIGINT, which is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    assert folder.name.startswith("pxelab-"), "the laboratory did not open"
    return owner, folder


@needs_root
@pytest.mark.parametrize(
    ("number", "keeps_folder"),
    [(signal.SIGINT, False), (signal.SIGKILL, True)],
    ids=["ctrl-c", "killed"],
)
def test_nothing_is_left_after_a_signal(number: int, keeps_folder: bool) -> None:
    before = links()
    owner, folder = start_owner()
    assert len(programs(folder)) >= 3  # QEMU, dnsmasq, Ganesha
    assert links() == before
    spaces = namespaces_of_lab(folder)
    assert {space.split(":")[0] for space in spaces} == {"net", "mnt", "pid"}
    os.kill(owner.pid, number)
    assert owner.wait(20) != 0
    assert leftovers(folder, spaces) == []
    assert folder.exists() == keeps_folder
    if keeps_folder:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


@needs_root
def test_nothing_is_left_after_a_failure() -> None:
    owner, folder = start_owner("fail")
    spaces = namespaces_of_lab(folder)
    assert owner.wait(20) == 1
    assert leftovers(folder, spaces) == []
    assert not folder.exists()


@needs_root
def test_a_laboratory_that_cannot_open_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    occupied = tmp_path / "a-file"
    occupied.write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(OSError):
        Lab.open(occupied / "results")
    assert list(tmp_path.iterdir()) == [occupied]


@needs_root
def test_a_machine_that_does_not_start_says_why() -> None:
    with Lab.open() as lab, pytest.raises(LabError, match="no-such-card"):
        lab.machine(Machine(nics=(Nic(model="no-such-card"),)))


IN_CHROOT = """
import os, sys
from pathlib import Path
os.chroot(sys.argv[1])
os.chdir("/")
from pxelab import Lab
with Lab.open() as lab:
    lab.ganesha({"/x": Path("/folder")})
    print(lab.space.run(["ip", "-br", "link"]).stdout.decode())
"""


def top_of(path: Path) -> str:
    """Return what has to be shown of this machine: all below /tmp would show the chroot to itself."""
    top = f"/{path.resolve().parts[1]}"
    return top if top != "/tmp" else str(path.resolve())


@needs_root
def test_works_within_a_plain_chroot(tmp_path: Path) -> None:
    """Its `/` is no mount point: unshare(1) cannot make mounts private there, nor can Ganesha find it."""
    root = tmp_path / "plain"
    shown = {"/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev"}
    shown |= {top_of(Path(path)) for path in (sys.prefix, sys.base_prefix, Path(__file__).parents[2])}
    steps = [f"mount -t tmpfs tmpfs {tmp_path}"]
    steps += [f"mkdir -p {root}/{name}" for name in ("folder", "tmp", "proc", "run", "var/lib/nfs")]
    for path in sorted(shown):
        steps += [f"mkdir -p {root}{path}", f"mount --rbind {path} {root}{path}"]
    steps += [f"mount -t proc proc {root}/proc", 'exec "$@"']
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    # These tests may run in a chroot themselves.
    way = "private" if any(line.split()[1] == "/" for line in mounts) else "unchanged"
    command = ["unshare", "--mount", "--propagation", way, "sh", "-ec", "\n".join(steps), "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", IN_CHROOT, str(root)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "br0" in done.stdout


@needs_root
@pytest.mark.parametrize("goes_on", [True, False])
def test_a_program_that_was_stopped_ends(goes_on: bool) -> None:
    """What started it is stopped with it, and would never be reaped."""
    with Lab.open() as lab:
        program = lab.space.start("sleeper", ["sleep", "60"])
        stat = Path(f"/proc/{program.popen.pid}/stat")
        end = time.monotonic() + 30
        while stat.read_text().rsplit(")", 1)[1].split()[0] != "T":
            # It may not have started yet.
            program.signal("STOP")
            time.sleep(0.05)
            assert time.monotonic() < end
        if goes_on:
            program.signal("CONT")
        program.signal("KILL")
        assert program.wait(10) != 0
