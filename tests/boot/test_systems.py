"""The published set-ups A, B and D, followed with our tools: described, prepared, published, served, booted.

Kernel, image and loaders are those of `publish`; DHCP, TFTP and NFS servers are real ones with what is
generated from the same description, and nothing else.
"""

import re
import sys
import time
from pathlib import Path

import pytest

from mkpxeinit.netboot import description, tftpd
from mkpxeinit.netboot.site import Site
from pxelab import SERVER, Lab, Machine, Nic, Tree, guest, trees
from pxelab.running import RunningMachine
from tests.boot.test_server_config import serve_nfs, serve_tftp
from tests.netboot import servers
from tests.netboot.test_accepted import debian_package

MAC = "52:54:00:77:5a:01"
NAME = "pxeclient1"
ADDRESS = "10.77.0.21"
LEASE = 120  # seconds; renewed after half of it
LOADER_SECONDS, BOOT_SECONDS, RUNNING_SECONDS = 150.0, 240.0, 180.0
PUBLISH_SECONDS = 120.0
# As an installer leaves it: the interface that the client boots by is to be configured a second time.
SECOND_LEASE = {
    "etc/network/interfaces": b"auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n"
}


def described(
    lab: Lab, tree: Path, *, server: str = "", tree_keys: str = "", client: str = "", loaders: str = ""
) -> Path:
    """Write the description of one network, one tree and one client that is known by its address."""
    (lab.folder / "tftp").mkdir()
    text = f"""
[server]
address = "{SERVER}"
interface = "br0"
tftp-root = "{lab.folder}/tftp"
console = "ttyS0"
{server}
[loaders]
ipxe = "none"  # QEMU's network ROMs are iPXE, and stand here for those that are not
{loaders}
[[subnet]]
network = "10.77.0.0/24"
range = ["10.77.0.100", "10.77.0.199"]
lease-time = {LEASE}
[tree.pxeclient]
path = "{tree}"
{tree_keys}
[[client]]
mac = "{MAC}"
name = "{NAME}"
address = "{ADDRESS}"
{client}
"""
    path = lab.folder / "mkpxeinit.toml"
    path.write_text(text)
    return path


def mkpxeinit(lab: Lab, *words: str | Path) -> str:
    """Run the installed command where the tree is, under a narrow umask; return what it said."""
    command = Path(sys.executable).with_name("mkpxeinit")
    narrow = ["sh", "-c", 'umask 077; exec "$@"', "-", command, *words]
    return str(lab.space.run([str(word) for word in narrow], timeout=PUBLISH_SECONDS).stderr.decode())


def publish(lab: Lab, config: Path, *words: str) -> Site:
    """Publish the described tree, with a drop-in by which the booted system answers questions."""
    fragments = servers.folder_of(lab, "drop-ins")
    (fragments / "reporter.toml").write_text('[[hooks]]\nphase = "handoff"\nscript = "reporter"\n')
    (fragments / "reporter").write_text(guest.HOOK)
    said = mkpxeinit(lab, "publish", "--config", config, "--drop-in-dir", fragments, *words)
    assert "pxeclient.1 is published" in said
    mkpxeinit(lab, "publish", "--config", config, "--check")
    return description.read(config)


def switch_on(lab: Lab, loader: str, *, uefi: bool = False) -> RunningMachine:
    machine = lab.machine(Machine(nics=(Nic(model="e1000", mac=MAC),), guest=False, uefi=uefi))
    machine.expect(loader, LOADER_SECONDS)
    return machine


def running(machine: RunningMachine) -> None:
    machine.expect(rf"{NAME} login:", RUNNING_SECONDS)
    assert machine.check("systemctl is-system-running --wait", RUNNING_SECONDS) == "running"
    assert machine.check("systemctl list-units --failed --no-legend --plain") == ""


def count(log: Path, pattern: str) -> int:
    return len(re.findall(pattern, log.read_text(errors="replace")))


def test_system_a_diskless_linux_howto(lab: Lab, bookworm: Tree) -> None:
    """ISC dhcpd, tftpd-hpa, pxelinux, NFS 3 read-only without locks, a tmpfs root with links into the tree.

    What its author listed as never having worked: a failure that says nothing and ends in a dead machine
    (here the NFS server is late: a code, and the boot goes on when it comes), a lease that nobody renews,
    shutdown.
    """
    view = lab.variant(bookworm.path)
    assert "changes made" in mkpxeinit(lab, "prepare", "--sysroot", view)
    config = described(lab, view, tree_keys='nfs-options = "vers=3,nolock"')
    site = publish(lab, config, "--loader", "pxelinux")
    log = lab.results / "dhcpd.log"
    serve_tftp(lab, site)
    servers.serve_dhcp(lab, "dhcpd", site)
    machine = switch_on(lab, r"PXELINUX")
    machine.expect(r"PXE-INIT-root-unreachable: ", BOOT_SECONDS)
    serve_nfs(lab, site)
    machine.expect(r"handing over to /sbin/init", BOOT_SECONDS)
    leases = count(log, rf"DHCPACK on {ADDRESS}")
    began = time.monotonic()
    running(machine)
    state = dict(line.split("=", 1) for line in machine.check("cat /run/pxeinit/state").splitlines())
    assert (state["mode"], state["root"], state["nfs.vers"]) == ("farm", f"{SERVER}:{view}", "3")
    assert state["code"] == "PXE-INIT-root-unreachable"
    assert machine.check("findmnt -n -o FSTYPE /") == "tmpfs"
    mounted = machine.check("findmnt -n -o OPTIONS /nfsroot").split(",")
    assert {"ro", "nolock", "vers=3"} <= set(mounted)
    assert machine.check("cat /proc/sys/kernel/hostname") == NAME
    # Renewed by one who lives in memory, for the address and the root.
    while count(log, rf"DHCPACK on {ADDRESS}") == leases:
        assert time.monotonic() < began + LEASE, log.read_text()
        time.sleep(0.5)
    assert machine.check("ip -4 -o address show scope global").count(ADDRESS) == 1
    assert machine.check("cat /nfsroot/etc/debian_version").startswith("12.")
    released = count(log, rf"DHCPRELEASE of {ADDRESS}")
    machine.power_off(60)
    machine.forbid(r"Failed unmounting|Kernel panic|can't unmount")
    assert count(log, rf"DHCPRELEASE of {ADDRESS}") == released + 1


@pytest.mark.long
def test_system_b_pixie_booting_ubuntu(lab: Lab) -> None:
    """ISC dhcpd, tftpd-hpa, pxelinux, a root that is written to, and an /etc of the client's own.

    Where it hurt its author: /etc came when the services had read the other one; the system took a second
    lease and lost its root; files that were not world-readable, by TFTP "not found".
    """
    tree = trees.debian("bookworm", ("cron", "ifupdown", "isc-dhcp-client", "openssh-server"))
    view = lab.variant(tree.path, files=SECOND_LEASE)
    mkpxeinit(lab, "prepare", "--sysroot", view)
    own = view / "clients" / NAME
    lab.space.run(["mkdir", "-p", own])
    lab.space.run(["cp", "-a", view / "etc", own / "etc"])
    # What only a system sees that has this /etc from its first moment: a unit, and what sysctl sets early.
    inside = lab.space.path(own)
    (inside / "etc/sysctl.d/own.conf").write_text("kernel.domainname = own.example\n")
    (inside / "etc/hostname").write_text(f"{NAME}\n")
    config = described(lab, view, client='mode = "rw"')
    site = publish(lab, config, "--loader", "pxelinux")
    for path in Path(site.tftp_root).rglob("*"):
        assert path.stat().st_mode & 0o004 or path.name.startswith("."), path
    log = lab.results / "dhcpd.log"
    serve_nfs(lab, site)
    serve_tftp(lab, site)
    servers.serve_dhcp(lab, "dhcpd", site)
    machine = switch_on(lab, r"PXELINUX")
    machine.expect(r"handing over to /sbin/init", BOOT_SECONDS)
    discovered = count(log, r"DHCPDISCOVER")
    running(machine)
    assert machine.check("findmnt -n -o FSTYPE,OPTIONS /").startswith("nfs4   rw,")
    assert machine.check("cat /proc/sys/kernel/domainname") == "own.example"
    machine.check("echo kept > /srv/kept; echo mine > /etc/mine")
    assert (lab.space.path(view) / "srv/kept").read_text() == "kept\n"
    assert (inside / "etc/mine").read_text() == "mine\n"
    assert not (lab.space.path(view) / "etc/mine").exists()
    # Nobody else asks: the one lease, by which the root is mounted, is the keeper's.
    assert count(log, r"DHCPDISCOVER") == discovered
    assert machine.check("pgrep -c dhclient; true") == "0"
    assert machine.check("ip -4 -o address show scope global").count("inet ") == 1
    machine.power_off(60)
    machine.forbid(r"PXE-INIT-|Kernel panic")


@pytest.mark.parametrize(
    ("mode", "everybodys"),
    [
        pytest.param("farm", "overlay", marks=pytest.mark.long),
        pytest.param("overlay", "farm", marks=pytest.mark.long),
        pytest.param("ro", "farm", marks=pytest.mark.long),
    ],
)
def test_system_d_grub2_at_home(lab: Lab, bookworm: Tree, mode: str, everybodys: str) -> None:
    """dnsmasq with tags, atftpd, GRUB's network image, image.squashfs on a read-only export as the root."""
    view = lab.variant(bookworm.path)
    mkpxeinit(lab, "prepare", "--sysroot", view)
    live = servers.folder_of(lab, "live")
    make_squashfs(lab, view, live / "image.squashfs")
    own = live / "clients" / NAME / "etc"
    own.mkdir(parents=True)
    (own / "motd").write_text("this client's own\n")
    config = described(
        lab,
        view,
        server="other-tftp = true\ntimeout = 1",
        tree_keys=f"""squashfs = "{live}/image.squashfs"
title = "Live medium"
cmdline = "tsc=unstable quiet"
mode = "{everybodys}"
""",
        client=f'mode = "{mode}"',
    )
    site = publish(lab, config, "--loader", "grub-x64")
    serve_nfs(lab, site)
    serve_atftpd(lab, site)
    servers.serve_dhcp(lab, "dnsmasq", site)
    machine = switch_on(lab, r"GNU GRUB|Booting `Live medium", uefi=True)
    running(machine)
    state = dict(line.split("=", 1) for line in machine.check("cat /run/pxeinit/state").splitlines())
    assert (state["root"], state["squashfs"]) == (f"{SERVER}:{live}/image.squashfs", "image.squashfs")
    # grub.cfg knows the client by its hardware address: everybody else's entry is another.
    assert (state["mode"], state["client"]) == (mode, NAME)
    words = machine.check("cat /proc/cmdline").split()
    assert (f"pxeinit.mode={mode}" in words) is (mode != "farm") and f"BOOTIF=01-{MAC}" in words
    assert machine.check("cat /etc/motd") == "this client's own"
    if mode != "overlay":
        tree = {"farm": "/nfsroot", "ro": "/"}[mode]
        assert machine.check(f"findmnt -n -o SOURCE,FSTYPE {tree}").split() == ["/dev/loop0", "squashfs"]
        assert machine.check("touch /usr/written || echo refused").endswith("refused")
    assert machine.check("touch /etc/written /var/written && echo written") == "written"
    assert machine.check("cat /sys/block/loop0/ro") == "1"
    machine.power_off(60)
    machine.forbid(r"PXE-INIT-|Failed unmounting|Kernel panic|can't unmount|still mounted|I/O error")
    assert "Serving /grub/grub.cfg" in (lab.results / "atftpd.log").read_text(errors="replace")
    said = (lab.results / "dnsmasq.log").read_text()
    assert "dnsmasq-tftp" not in said and "DHCPRELEASE" in said


def make_squashfs(lab: Lab, tree: Path, image: Path) -> None:
    """Pack a tree, as docs/client.md has it, but quickly."""
    image.parent.mkdir(parents=True, exist_ok=True)
    image.parent.chmod(0o755)
    words = ["mksquashfs", tree, image, "-comp", "lz4", "-processors", "2", "-quiet", "-no-progress"]
    without = ["-wildcards", "-e", "usr/share/doc/*", "usr/share/locale/*", "usr/share/man/*", "boot/initrd*"]
    lab.space.run([str(word) for word in [*words, *without]], timeout=PUBLISH_SECONDS)


def serve_atftpd(lab: Lab, site: Site) -> None:
    """Start atftpd with the generated options, as Debian's init script does."""
    (options,) = re.findall(r'^OPTIONS="(.*)"$', tftpd.advanced(site), re.MULTILINE)
    program = debian_package("atftpd") / "usr/sbin/atftpd"
    words = [program, "--daemon", "--no-fork", "--user", "root", "--logfile", "-", *options.split()]
    servers.start(lab, "atftpd", words, port=69)
