"""The hostile values through a real DHCP server, busybox' real udhcpc and the client's own scripts.

They run in a small root and in the laboratory's network, on a pair of virtual cables. What the same
servers do to a booted client is in tests/boot.
"""

import os
import shutil
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

from mkpxeinit import busybox as bb
from pxelab import Lab, Voice
from tests.init.fakeroot import INIT, sourcing
from tests.init.fakeroot import install_client as install
from tests.lab.hostile import MARK, OPTIONS, VALUES, answers, overloaded

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")

BUSYBOX = Path("/bin/busybox")
# What may stand in any lease file, and the names of these.
SAFE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_@%+=:~,[]- ")
NAMES = {
    *(
        "address",
        "prefix",
        "router",
        "dns",
        "domain",
        "search",
        "hostname",
        "next-server",
        "server",
        "root-path",
    ),
    *("boot-file", "lease-seconds", "t1", "t2", "mtu", "ntp", "routes", "obtained"),
    *("vendor-class", "client-id"),
}
ASK = "param_arp=no; linked=c0; ask_round; echo done >&2"


def small_root(folder: Path) -> Path:
    """A root with the real busybox and the client."""
    for name in ("bin", "dev", "proc", "tmp", "run/pxeinit/lease", "sys/class/net"):
        (folder / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, folder / "bin/busybox")
    for name in bb.applet_names(BUSYBOX.read_bytes()):
        if name != "busybox":
            (folder / "bin" / name).symlink_to("busybox")
    (folder / "proc/uptime").write_text("3.00 0.00\n")
    (folder / "dev/null").write_text("")
    install(folder)
    # A server that finds a file of this name to execute has won.
    (folder / "x").write_text("")
    return folder


def snapshot(root: Path) -> set[str]:
    """All that exists but the client's own."""
    found = (str(path.relative_to(root)) for path in root.rglob("*"))
    return {name for name in found if not name.startswith(("run/pxeinit/", "tmp/"))}


def ask(lab: Lab, root: Path) -> str:
    """Return what the console showed of one question to the server."""
    shutil.rmtree(root / "run/pxeinit")
    (root / "run/pxeinit/lease").mkdir(parents=True)
    words = ["chroot", str(root), "/bin/sh", "-c", f"set -u\n{sourcing()}\n{ASK}\n"]
    done = lab.space.run(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *words], timeout=30, check=False)
    assert done.stderr.endswith(b"done\n"), done.stderr
    return (done.stdout + done.stderr).decode("utf-8", "surrogateescape")


def ask_once(lab: Lab, root: Path, voice: Voice) -> str:
    """Ask a server that is there for this question alone."""
    dhcp = lab.odd_dhcp(voice)
    console = ask(lab, root)
    dhcp.stop()
    return console


def check(root: Path, before: set[str], console: str, names: Set[str] = NAMES) -> None:
    """Nothing was executed, nothing is where it should not be, nothing odd was kept or shown."""
    assert snapshot(root) == before
    assert not (root / MARK.lstrip("/")).exists()
    log = root / "run/pxeinit/log"
    for line in [*console.splitlines(), *(log.read_text().splitlines() if log.exists() else [])]:
        assert line.isascii() and line.isprintable(), ascii(line)
        assert len(line) < 250
    assert {path.name for path in (root / "run/pxeinit").iterdir()} <= {"lease", "log", "udhcpc.log"}
    lease = root / "run/pxeinit/lease/c0"
    for path in lease.iterdir() if lease.exists() else ():
        assert path.name in names
        assert path.read_text().count("\n") == 1
        assert set(path.read_text().removesuffix("\n")) <= SAFE, path


@pytest.fixture
def wired() -> Iterator[Lab]:
    """A laboratory with a cable, c0, to its bridge."""
    with Lab.open() as lab:
        lab.ip("link add c0 type veth peer name c1", "link set c1 master br0 up", "link set c0 up")
        yield lab


def test_every_value_in_every_option(wired: Lab, tmp_path: Path) -> None:
    root = small_root(tmp_path / "root")
    before = snapshot(root)
    pairs = set()
    first, *others = turns = list(answers())
    dhcp = wired.odd_dhcp(Voice("10.77.0.1", ("10.77.0.150",), first, turns=tuple(others)))
    for number, options in enumerate(turns, 1):
        console = ask(wired, root)
        check(root, before, console)
        # One question, and the server took it for the one that it was.
        assert [asked.kind for asked in dhcp.asked] == [1, 3] * number
        # A mask that is none costs the mask, not the lease.
        assert (root / "run/pxeinit/lease/c0/address").read_text() == "10.77.0.150\n"
        pairs |= set(options)
    assert pairs == {(code, value) for code in OPTIONS for value in VALUES}


def test_overload_and_the_headers_fields(wired: Lab, tmp_path: Path) -> None:
    root = small_root(tmp_path / "root")
    before = snapshot(root)
    for voice in overloaded():
        check(root, before, ask_once(wired, root, voice))


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"])
def test_addresses_that_no_host_has(wired: Lab, tmp_path: Path, address: str) -> None:
    root = small_root(tmp_path / "root")
    before = snapshot(root)
    check(root, before, ask_once(wired, root, Voice("10.77.0.1", (address,))))
    assert not (root / "run/pxeinit/lease/c0/address").exists()


def test_the_oracle_sees_what_is_kept(wired: Lab, tmp_path: Path) -> None:
    """Good values do arrive: the tests above would pass in vain if nothing did."""
    root = small_root(tmp_path / "root")
    options = (
        (12, b"c1"),
        (17, b"/srv"),
        (26, b"\x05\x78"),
        (58, b"\0\0\0\x3c"),
        (121, b"\x08\x0a\x0a\x4d\0\2"),
    )
    ask_once(wired, root, Voice("10.77.0.1", ("10.77.0.150",), options, next_server="10.77.0.9"))
    kept = {path.name: path.read_text().strip() for path in (root / "run/pxeinit/lease/c0").iterdir()}
    assert kept == {
        "address": "10.77.0.150",
        "prefix": "24",
        "hostname": "c1",
        "root-path": "/srv",
        "mtu": "1400",
        "t1": "60",
        "t2": "3150",
        "lease-seconds": "3600",
        "routes": "10.0.0.0/8,10.77.0.2",
        "server": "10.77.0.1",
        "next-server": "10.77.0.9",
        "obtained": "3.00",
    }
    assert INIT.is_dir()
