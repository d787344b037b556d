"""verify-server against real servers, right ones and broken ones, seen from another network namespace."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Voice
from pxelab.udhcpd import Udhcpd, UdhcpdSettings
from tests.lab.verifying import RELEASE, Client, make_tftp, make_tree, wired

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")

BY_ARCHITECTURE = (
    "dhcp-match=set:x64,option:client-arch,7",
    'dhcp-boot=tag:x64,"grubnetx64.efi",,10.77.0.1',
)


@pytest.fixture
def client() -> Iterator[Client]:
    with Lab.open() as lab, wired(lab) as made:
        yield made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


@pytest.fixture
def tftp(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return make_tftp(tmp_path / "tftp")


def test_all_is_right(client: Client, tree: Path, tftp: Path) -> None:
    """BIOS and UEFI, a named NFS server, NFS 3 to 4.2; and no lease is taken."""
    client.lab.ganesha({"/x": tree}, versions=(3, 4))
    dnsmasq = client.lab.dnsmasq(
        root_path="nfs.lab:/x", next_server=SERVER, boot_file="pxelinux.0", tftp=tftp,
        names={"nfs.lab": SERVER}, options=(f"option:dns-server,{SERVER}",), lines=BY_ARCHITECTURE,
    )  # fmt: skip
    seen = client.verify("--interface", "c0", "--arch", "bios", "--arch", "uefi-x64")
    assert (seen.code, seen.bad, seen.error) == (0, [], "")
    assert seen.has("ok", "root-path nfs.lab:/x")
    assert seen.has("ok", "uefi-x64: 10.77.0.1 names tftp://10.77.0.1/grubnetx64.efi")
    assert seen.has("ok", "tftp://10.77.0.1/pxeinit.img: 3000006 bytes")
    assert seen.has("ok", "MB/s, blksize 1408, tsize")
    assert seen.has("ok", f"tftp://10.77.0.1/grub/grub.cfg, a: kernel {RELEASE}, 1 initrd")
    assert seen.has("ok", f"tftp://10.77.0.1/pxelinux.cfg/default, a: kernel {RELEASE}, 1 initrd")
    assert seen.has("ok", "10.77.0.1: nfs.lab is 10.77.0.1")
    assert seen.has("ok", "nfs.lab:/x: exported, and a tree to boot from, by NFS 4.2, 4.1, 4.0, 3")
    # Only arm64 gets something that it cannot start.
    assert [line for line in seen.wrong if "uefi-arm64" not in line] == []
    assert "DHCPDISCOVER" in dnsmasq.said() and "DHCPREQUEST" not in dnsmasq.said()
    assert not (dnsmasq.folder / "leases").read_text()


def test_text_for_people(client: Client, tree: Path, tftp: Path) -> None:
    client.lab.ganesha({"/x": tree})
    words = ["--server", SERVER, "--file", "none", "--root-path", "/x"]
    client.lab.dnsmasq(tftp=tftp)
    code, out, error = client.run(str(Path(sys.executable).with_name("mkpxeinit")), "verify-server", *words)
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("bad   tftp    tftp://10.77.0.1/none: none: no such file")
    assert lines[1].startswith("              -> is it there under the TFTP root")
    assert lines[2].startswith("ok    nfs     10.77.0.1:/x: exported")
    assert error == "mkpxeinit: a client would not boot; 1 line says why\n"


def test_nobody_there(client: Client) -> None:
    seen = client.verify("--interface", "c0")
    assert seen.code == 1
    assert [line for line in seen.bad if "no DHCP server answers" in line]


def test_an_interface_without_address(tree: Path, tftp: Path) -> None:
    with Lab.open() as lab, wired(lab, address=None) as client:
        lab.dnsmasq(root_path="/x", next_server=SERVER, boot_file="pxelinux.0", tftp=tftp)
        seen = client.verify("--interface", "c0")
        assert seen.has("warn", "has no address") and seen.has("ok", "root-path /x")
        assert seen.code == 1


def test_no_such_interface(client: Client) -> None:
    seen = client.verify("--interface", "nowhere0")
    assert (seen.code, seen.findings) == (1, ())
    assert seen.error.startswith("mkpxeinit: interface nowhere0: No such device")


def test_udhcpd_without_a_boot_file(client: Client, tree: Path) -> None:
    client.lab.ganesha({"/x": tree})
    Udhcpd(client.lab, UdhcpdSettings("/x")).start()
    seen = client.verify("--interface", "c0")
    assert seen.has("ok", "lease 60 s") and seen.has("warn", "a lease of 60 s")
    assert seen.bad == ["c0: no server names a boot file to any kind of client"]
    assert seen.has("ok", "by NFS 4.2, 4.1, 4.0")


def test_no_root_path(client: Client, tftp: Path) -> None:
    client.lab.dnsmasq(next_server=SERVER, boot_file="pxelinux.0", tftp=tftp)
    assert client.verify("--interface", "c0").bad == ["root: nobody says where the root is"]


def test_the_command_line_names_the_root(client: Client, tree: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    tftp = make_tftp(tmp_path / "other", f"root=/dev/nfs nfsroot={SERVER}:/x,vers=3 pxeinit.mode=rw")
    client.lab.ganesha({"/x": tree}, versions=(3, 4))
    client.lab.dnsmasq(next_server=SERVER, boot_file="pxelinux.0", tftp=tftp)
    seen = client.verify("--interface", "c0")
    assert seen.bad == ["10.77.0.1:/x: read-only, but the clients have pxeinit.mode=rw"]


def test_files_that_cannot_be_read(client: Client, tree: Path, tftp: Path) -> None:
    """What set-up B of systems.md died of: TFTP says "not found" of what it may not read."""
    (tftp / "pxeinit.img").chmod(0o600)
    client.lab.dnsmasq(tftp=tftp)
    seen = client.verify("--server", SERVER, "--file", "pxelinux.0")
    assert seen.code == 1
    assert any("pxeinit.img" in line for line in seen.bad)
    assert any("chmod a+rX" in remedy for _, verdict, _, remedy in seen.findings if verdict == "bad")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ldlinux.c32", "ldlinux.c32: no such file"),
        ("pxelinux.cfg/default", "finds no configuration"),
        ("vmlinuz", "vmlinuz: no such file"),
    ],
)
def test_files_that_are_not_there(client: Client, tftp: Path, name: str, said: str) -> None:
    (tftp / name).unlink()
    client.lab.dnsmasq(tftp=tftp)
    seen = client.verify("--server", SERVER, "--file", "pxelinux.0")
    assert len(seen.bad) == 1 and said in seen.bad[0]


def test_files_of_the_wrong_kind(client: Client, tftp: Path) -> None:
    (tftp / "vmlinuz").write_text("<html>404</html>")
    client.lab.dnsmasq(tftp=tftp, next_server=SERVER, boot_file="pxelinux.0", root_path="/x")
    seen = client.verify("--interface", "c0", "--arch", "uefi-x64")
    assert any("it is for bios; uefi-x64 cannot start it" in line for line in seen.bad)
    assert any("vmlinuz is no kernel" in line for line in seen.bad)


def test_the_file_of_one_client(client: Client, tftp: Path) -> None:
    own = "default b\nlabel b\n kernel {}\n initrd pxeinit.img\n"
    (tftp / "pxelinux.cfg/01-52-54-00-00-00-09").write_text(own.format("none"))
    (tftp / "pxelinux.cfg/085994b8-a6d6-a941-611d-74a6ab80b83d").write_text(own.format("other"))
    client.lab.dnsmasq(tftp=tftp)
    assert client.verify("--server", SERVER, "--file", "pxelinux.0").code == 0
    seen = client.verify("--server", SERVER, "--file", "pxelinux.0", "--mac", "52:54:00:00:00:09")
    assert len(seen.bad) == 1 and "none: no such file" in seen.bad[0]
    words = ("--mac", "52:54:00:00:00:09", "--uuid", "B8945908-D6A6-41A9-611D-74A6AB80B83D")
    seen = client.verify("--server", SERVER, "--file", "pxelinux.0", *words)
    assert len(seen.bad) == 1 and "other: no such file" in seen.bad[0]


@pytest.mark.parametrize("version", [3, 4])
def test_no_such_export(client: Client, tree: Path, version: int) -> None:
    client.lab.ganesha({"/x": tree}, versions=(version,))
    seen = client.verify("--server", SERVER, "--root-path", "/y")
    assert seen.code == 1 and len(seen.bad) == 1
    assert ("no such export" if version == 4 else "access refused") in seen.bad[0]


def test_no_nfs_at_all(client: Client) -> None:
    seen = client.verify("--server", SERVER, "--root-path", "/x")
    assert any("nobody listens on 10.77.0.1 TCP port 2049" in line for line in seen.bad)


def test_nfs_that_hangs(client: Client, tree: Path) -> None:
    ganesha = client.lab.ganesha({"/x": tree})
    ganesha.pause()
    seen = client.verify("--server", SERVER, "--root-path", "/x,vers=4")
    assert len(seen.bad) == 1 and "no whole answer in 2 s" in seen.bad[0]
    ganesha.resume()


def test_a_tree_that_nobody_can_live_on(client: Client, tree: Path) -> None:
    (tree / "usr/sbin/init").unlink()
    client.lab.ganesha({"/x": tree}, versions=(3, 4))
    seen = client.verify("--server", SERVER, "--root-path", "/x")
    assert seen.bad == ["10.77.0.1:/x: /sbin/init: init: not there"]


def test_rights(client: Client, tree: Path) -> None:
    tree.chmod(0o777)
    client.lab.ganesha({"/x": tree}, versions=(3, 4), read_only=False, squash="Root_Squash")
    seen = client.verify("--server", SERVER, "--root-path", "/x")
    assert seen.code == 0
    assert seen.has("warn", "root may not read /etc/shadow (root_squash)")
    assert seen.has("warn", "writable: a client can change the tree of all")


def test_owners_by_name(client: Client, tree: Path) -> None:
    """Version 4 says `root@domain` then, which a client without idmapd takes for nobody; 3 says 0."""
    client.lab.ganesha({"/x": tree}, versions=(3, 4), numeric_owners=False)
    seen = client.verify("--server", SERVER, "--root-path", "/x")
    assert seen.code == 0
    assert seen.has("warn", "not to uid 0 (NFS 4.2, 4.1, 4.0)") and seen.has("ok", "by NFS 3")
    four = client.verify("--server", SERVER, "--root-path", "/x,vers=4")
    assert len(four.bad) == 1 and "/ belongs to 'root@" in four.bad[0]


def test_modules_of_another_kernel(client: Client, tree: Path, tftp: Path) -> None:
    (tree / f"usr/lib/modules/{RELEASE}").rename(tree / "usr/lib/modules/6.1.0-8-amd64")
    client.lab.ganesha({"/x": tree})
    client.lab.dnsmasq(tftp=tftp)
    seen = client.verify("--server", SERVER, "--file", "pxelinux.0", "--root-path", "/x")
    assert seen.code == 0
    assert seen.has("warn", f"no modules of the kernel that is served, {RELEASE}")


def test_a_squashfs(client: Client, tree: Path, tmp_path: Path) -> None:
    """By its name or by the parameter; whole, cut off, missing, to be written to."""
    live = tmp_path / "live"
    live.mkdir(mode=0o755)
    image = live / "x.squashfs"
    client.lab.space.run(["mksquashfs", tree, image, "-quiet", "-no-progress"])
    (live / "link").symlink_to("/x.squashfs")
    client.lab.ganesha({"/live": live}, versions=(3, 4))
    by_name = ("--server", SERVER, "--root-path", "/live/x.squashfs")
    seen = client.verify(*by_name)
    assert (seen.code, seen.wrong) == (0, [])
    assert seen.has(
        "ok", "10.77.0.1:/live/x.squashfs: exported, and a whole squashfs, by NFS 4.2, 4.1, 4.0, 3"
    )
    tftp = make_tftp(tmp_path / "other", f"nfsroot={SERVER}:/live pxeinit.squashfs=link pxeinit.mode=rw")
    tmp_path.chmod(0o755)
    client.lab.dnsmasq(tftp=tftp)
    seen = client.verify("--server", SERVER, "--file", "pxelinux.0")
    assert seen.bad == ["10.77.0.1:/live/link: link is a squashfs, but the clients have pxeinit.mode=rw"]
    (live / "cut.squashfs").write_bytes(image.read_bytes()[:200])
    (bad,) = client.verify("--server", SERVER, "--root-path", "/live/cut.squashfs").bad
    assert bad.startswith("10.77.0.1:/live/cut.squashfs: cut.squashfs has 200 bytes of its ")
    (bad,) = client.verify("--server", SERVER, "--root-path", "/live/none.squashfs").bad
    assert bad == "10.77.0.1:/live/none.squashfs: none.squashfs: none.squashfs: not there"


def test_dns_that_is_dead(client: Client, tree: Path) -> None:
    client.lab.ganesha({"/x": tree})
    seen = client.verify("--server", SERVER, "--root-path", "nfs.lab:/x", "--dns", SERVER)
    assert seen.has("warn", "nobody listens on UDP port 53 of 10.77.0.1")
    assert any("none of the DNS servers 10.77.0.1 has an address" in line for line in seen.bad)


def test_dns_that_does_not_know(client: Client) -> None:
    client.lab.dnsmasq(names={"other.lab": SERVER})
    seen = client.verify("--server", SERVER, "--root-path", "nfs.lab:/x", "--dns", SERVER)
    assert seen.has("warn", "nfs.lab: refused") and seen.code == 1


def test_two_servers_that_disagree(client: Client) -> None:
    client.lab.odd_dhcp(
        Voice("10.77.0.1", ("10.77.0.150",), ((17, b"/x"),), file=b"pxelinux.0"),
        Voice("10.77.0.2", ("10.77.0.151",), ((17, b"/y"),)),
    )
    seen = client.verify("--interface", "c0")
    assert any("say different things: 10.77.0.1, 10.77.0.2" in line for line in seen.bad)
    assert seen.has("warn", "a boot file without next-server")


def test_a_proxy_beside_another_server(client: Client, tftp: Path) -> None:
    """dnsmasq as proxyDHCP: the addresses are udhcpd's; the boot file comes by port 4011 or in the offer."""
    Udhcpd(client.lab, UdhcpdSettings("/x")).start()
    client.lab.ip("addr add 10.77.0.2/24 dev br0")
    lines = (
        "listen-address=10.77.0.2", "dhcp-range=10.77.0.0,proxy", f"enable-tftp\ntftp-root={tftp}",
        'pxe-service=x86PC,"boot",pxelinux',
    )  # fmt: skip
    dnsmasq = client.lab.dnsmasq(dhcp=False, lines=lines)
    seen = client.verify("--interface", "c0", "--arch", "bios")
    assert seen.has("ok", "bios: 10.77.0.1 names tftp://10.77.0.1/pxelinux.0, by proxyDHCP"), seen
    assert "PXE(br0)" in dnsmasq.said()


def test_hostile_answers(client: Client) -> None:
    """Truncated, huge and odd options from a real socket: said or passed over, never a crash."""
    client.lab.odd_dhcp(
        Voice(
            "10.77.0.1",
            ("10.77.0.150",),
            (
                (17, b"\x1b[2J\n" * 50),
                (6, b"abc"),
                (67, b"\xff\0/../" * 40),
                (12, b"$(x)"),
                (43, b"\x09"),
            ),
            mask="255.0.255.0",
            file=b"x" * 128,
            next_server="255.255.255.255",
        )
    )
    seen = client.verify("--interface", "c0")
    assert seen.code == 1 and seen.has("warn", "is no mask")
