"""`mkpxeinit serve` with the kernel's NFS server, which the laboratory's own kernel lacks: within a guest.

A Debian client with nfs-kernel-server is the server, on one end of a cable whose other end is in a network
namespace: there verify-server asks, and the kernel's NFS client mounts.
"""

import json
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mkpxeinit.netboot import loaders
from pxelab import SERVER, Lab, Machine, trees
from pxelab.running import RunningMachine
from tests.boot.conftest import BuildImage
from tests.unit.small import served_tree

pytestmark = pytest.mark.long

EXPORT = "/netboot/pxeclient"
RUNNING_SECONDS = 300.0
SERVE_SECONDS = 180.0
REPOSITORY = Path(__file__).parents[2]
PARTS = ("mkpxeinit", "init", "busybox-configs")
LOADERS = loaders.SETS[0].places[0]  # pxelinux, as Debian has it
PACKAGES = (
    *("dnsmasq-base", "e2fsprogs", "netbase", "nfs-common", "nfs-kernel-server"),
    *("python3-click", "python3-libarchive-c", "python3-pyelftools", "python3-zstandard"),
)
SERVED = "/run/served/pc"
COMMAND = "env PYTHONPATH=/opt/mkpxeinit TMPDIR=/run python3 -m mkpxeinit"
INSIDE = "ip netns exec client"
# The kernel's server knows what has a device: here a disk in a file. /run is a tmpfs, which has none.
PLAIN = "/run/plain/pc"
SET_UP = f"""
set -e
truncate -s 96M /run/disk
mkfs.ext4 -q /run/disk
mkdir /run/served /run/mounted /run/plain
mount -o loop /run/disk /run/served
tar -C /run/served -xf /opt/served.tar
tar -C /run/plain -xf /opt/served.tar
ip netns add client
ip link add s0 type veth peer name c0 netns client
ip addr add 10.78.0.1/24 dev s0
ip link set s0 up
{INSIDE} ip link set lo up
{INSIDE} ip addr add 10.78.0.50/24 dev c0
{INSIDE} ip link set c0 up
"""
STOP = """
systemctl stop nfs-server nfs-mountd nfs-idmapd nfsdcld rpc-statd rpcbind.socket rpcbind 2>/dev/null
umount /proc/fs/nfsd 2>/dev/null
true
"""
# What must be the same afterwards: the server's threads, exports, programs, open ports, mounts, addresses.
STATE = """
cat /proc/fs/nfsd/threads 2>/dev/null || echo no server
exportfs -s
ps -eo args | grep -E 'rpc|nfs|dnsmasq|mkpxeinit' | grep -vE 'grep|^\\[' | sort
ss -Hlntu | awk '{ print $1, $5 }' | sort
cut -d ' ' -f 1-3 /proc/mounts | sort
ip -4 -o addr show dev s0
ls -d /run/mkpxeinit-serve-* /run/rpcbind* 2>/dev/null
true
"""


@pytest.fixture
def server(lab: Lab, build_image: BuildImage, tmp_path: Path) -> RunningMachine:
    """A booted system with this checkout in /opt/mkpxeinit and something to serve."""
    tree = trees.debian("bookworm", PACKAGES)
    view = lab.variant(tree.path)
    inside = lab.space.path(view)
    for part in PARTS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / part, inside / "opt/mkpxeinit" / part, ignore=ignore)
    for loader in LOADERS:
        (inside / loader[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(loader, inside / loader[1:])
    with tarfile.open(inside / "opt/served.tar", "w") as tar:
        tar.add(served_tree(tmp_path / "pc"), "pc", filter=as_root)
    lab.ganesha({EXPORT: view})
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    machine = lab.machine(Machine(kernel=tree.vmlinuz, initrd=(build_image(tree),), memory=1536))
    machine.check("systemctl is-system-running --wait || true", RUNNING_SECONDS)
    machine.check(SET_UP, 60)
    return machine


def as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


@contextmanager
def serving(machine: RunningMachine, words: str, tree: str) -> Iterator[str]:
    """Serve as long as the block runs, then interrupt it; yield what it said until it was ready."""
    # What a shell starts in the background ignores it otherwise.
    serve = f"serve --interface s0 --sysroot {tree} --http-port 0 {words}"
    command = f"env --default-signal=INT {COMMAND} {serve}"
    machine.check(f"(setsid {command} > /run/serve.out 2>&1; echo $? > /run/serve.status) & true")
    end = time.monotonic() + SERVE_SECONDS
    while "ready; Ctrl-C ends it" not in (said := machine.check("cat /run/serve.out; true")):
        assert machine.guest("test -e /run/serve.status").status != 0, said
        assert time.monotonic() < end, said
        time.sleep(1)
    yield said
    machine.check("pkill -INT -f 'mkpxeinit serve'")
    end = time.monotonic() + 60
    while machine.guest("test -s /run/serve.status").status != 0:
        assert time.monotonic() < end, machine.check("cat /run/serve.out")
        time.sleep(0.5)
    assert machine.check("cat /run/serve.status; rm /run/serve.status") == "0"


def look(machine: RunningMachine, tree: str) -> None:
    """Ask as a client, and be one, by each version."""
    done = machine.guest(f"{INSIDE} {COMMAND} verify-server --interface c0 --arch bios --json", 120)
    findings = json.loads(done.stdout)["findings"]
    assert [each for each in findings if each["verdict"] == "bad"] == [], findings
    of_nfs = [each["text"] for each in findings if each["part"] == "nfs"]
    assert of_nfs == ["exported, and a tree to boot from, by NFS 4.2, 4.1, 4.0, 3"]
    for version in ("4.2", "4.0", "3,nolock"):
        mount = f"mount -t nfs -o ro,vers={version} 10.78.0.1:{tree} /run/mounted"
        # A server that waits for clients from before its start keeps the first opening waiting, 90 s long.
        read = machine.check(f"{INSIDE} sh -c '{mount} && head -c 2 /run/mounted/sbin/init'", 40)
        assert read == "#!"


def test_serve_with_the_kernels_server(server: RunningMachine) -> None:
    """Where it does not run yet, and where it does, with exports and threads that are somebody else's."""
    server.check(STOP)
    before = server.check(STATE)
    assert before.startswith("no server\n")
    with serving(server, "--nfs kernel", SERVED) as said:
        assert f"NFS: the kernel exports {SERVED}" in said
        look(server, SERVED)
    assert server.check(STATE) == before

    server.check("mkdir /run/served/own && systemctl start nfs-server && rpc.nfsd 3")
    server.check("exportfs -o ro,no_subtree_check 10.99.0.0/24:/run/served/own")
    before = server.check(STATE)
    assert before.startswith("3\n/run/served/own")
    with serving(server, "", PLAIN) as said:
        assert f"NFS: the kernel exports {PLAIN}" in said
        assert ",fsid=" in server.check("cat /var/lib/nfs/etab")
        look(server, PLAIN)
    assert server.check(STATE) == before
