"""Boots served by what `server-config` writes, and nothing else: DHCP, TFTP, NFS, loader."""

import dataclasses
import re
import shutil
import sys
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath

import pytest

from mkpxeinit.netboot import ganesha, place, writers
from mkpxeinit.netboot import tftpd as tftpd_config
from mkpxeinit.netboot.parts import Client, Group, Loaders, Subnet
from mkpxeinit.netboot.parts import Tree as SiteTree
from mkpxeinit.netboot.site import Site
from pxelab import Lab, Machine, Nic, Tree, rpc
from pxelab.running import RunningMachine
from tests.boot.quick import Report, read_report, reporting_tree
from tests.netboot import servers, sites

PXELINUX = (
    Path("/usr/lib/PXELINUX/pxelinux.0"),
    *(Path(f"/usr/lib/syslinux/modules/bios/{name}.c32") for name in ("ldlinux", "menu", "libutil")),
)
GRUB = (Path("/usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi"),)
# The network ROMs of QEMU are iPXE; so they are taken for what they stand in for.
AS_FIRMWARE = Loaders(ipxe=None)
ONE, TWO = "52:54:00:77:aa:01", "52:54:00:77:aa:02"
# UEFI under emulation takes a minute to come to its loader.
UEFI = pytest.param(True, marks=pytest.mark.long)
NAMES = {"names": "cat /proc/sys/kernel/hostname; cat /proc/cmdline"}
ROM_SECONDS, BOOT_SECONDS = 150.0, 240.0


def prepare(lab: Lab, view: Path) -> None:
    """Prepare a tree with the installed command."""
    command = Path(sys.executable).with_name("mkpxeinit")
    lab.space.run([str(command), "prepare", "--sysroot", str(view)], timeout=120)


def site_of(lab: Lab, view: Path, **changes: object) -> Site:
    """A site whose tree is the view, and whose TFTP root is the laboratory's."""
    tree = SiteTree("office", PurePosixPath(view), cmdline="console=ttyS0 tsc=unstable quiet")
    site = sites.plain(trees=(tree,), tftp_root=PurePosixPath(lab.folder / "tftp"))
    return dataclasses.replace(site, **changes)  # type: ignore[arg-type]


def publish(site: Site, tree: Tree, image: Path, loaders: tuple[Path, ...]) -> None:
    """Put the loaders, their generated configuration, kernel and image into the TFTP root."""
    root = Path(site.tftp_root)
    root.mkdir()
    names = tuple(name for name in ("pxelinux", "grub", "ipxe") if name != "ipxe" or site.loaders.ipxe)
    place.apply(place.plan(Path("/"), writers.write(site, names).files))
    for each in site.trees:
        (root / each.name).mkdir()
        shutil.copy(tree.vmlinuz, root / each.name / "vmlinuz")
        shutil.copy(image, root / each.name / "pxeinit.img")
    for loader in loaders:
        shutil.copy(loader, root / loader.name)
    for path in root.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def serve_nfs(lab: Lab, site: Site) -> None:
    """Start NFS-Ganesha with the generated configuration; the grace period alone is left out."""
    lab.need_rpcbind()
    folder = servers.folder_of(lab, "generated-ganesha")
    config = folder / "ganesha.conf"
    config.write_text(ganesha.configuration(site).replace("NFSV4 {", "NFSV4 {\n    Graceless = true;"))
    for state in ("/run/ganesha", "/var/lib/nfs/ganesha"):
        lab.space.path(Path(state)).mkdir(parents=True, exist_ok=True)
    words = ["ganesha.nfsd", "-F", "-L", lab.results / "ganesha.log", "-f", config, "-p", folder / "pid"]
    lab.space.start("ganesha", list(map(str, words)))
    lab.wait_rpc(2049, rpc.NFS_PROGRAM, 4, 20.0)


def serve_tftp(lab: Lab, site: Site) -> None:
    """Start tftpd-hpa with the generated options, as Debian's init script does."""
    words = dict(re.findall(r'^(TFTP_\w+)="(.*)"$', tftpd_config.hpa(site), re.MULTILINE))
    options = ["--address", words["TFTP_ADDRESS"], *words["TFTP_OPTIONS"].split(), words["TFTP_DIRECTORY"]]
    servers.start(lab, "tftpd", ["in.tftpd", "--foreground", "--user", "root", *options], port=69)


def serve(lab: Lab, dhcp: str, site: Site) -> None:
    serve_nfs(lab, site)
    if dhcp != "dnsmasq":
        serve_tftp(lab, site)
    servers.serve_dhcp(lab, dhcp, site)


def switch_on(lab: Lab, loader: str, *, mac: str = "", uefi: bool = False) -> RunningMachine:
    """Switch on a machine without a kernel, and wait until the loader says its word."""
    machine = lab.machine(Machine(nics=(Nic(model="e1000", mac=mac),), guest=False, uefi=uefi))
    machine.expect(loader, ROM_SECONDS)
    return machine


def check(report: Report, site: Site, mode: str = "farm") -> None:
    assert report.state["root"] == f"{site.server}:{site.trees[0].path}"
    assert report.state["mode"] == mode


@pytest.mark.long
def test_bios_pxelinux_by_dnsmasq(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    site = site_of(lab, reporting_tree(lab, bookworm), loaders=AS_FIRMWARE)
    publish(site, bookworm, bookworm_image, PXELINUX)
    serve(lab, "dnsmasq", site)
    machine = switch_on(lab, r"PXELINUX")
    check(read_report(machine, BOOT_SECONDS), site)


@pytest.mark.long
def test_uefi_grub_by_dhcpd(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """A menu, which chooses by itself; GRUB knows the client by the hardware address that it booted with."""
    view = reporting_tree(lab, bookworm, NAMES)
    client = Client(ONE, "bench1", mode="overlay")
    site = site_of(lab, view, loaders=AS_FIRMWARE, console="ttyS0,115200", timeout=1, clients=(client,))
    publish(site, bookworm, bookworm_image, GRUB)
    serve(lab, "dhcpd", site)
    machine = switch_on(lab, r"GNU GRUB|Booting `office", mac=ONE, uefi=True)
    report = read_report(machine, BOOT_SECONDS)
    check(report, site, "overlay")
    assert report.sections["names"].splitlines()[0] == "bench1"
    assert f"BOOTIF=01-{ONE}" in report.sections["names"]


@pytest.mark.parametrize("uefi", [False, UEFI], ids=["bios", "uefi"])
def test_ipxe_script_by_kea(lab: Lab, bookworm: Tree, bookworm_image: Path, uefi: bool) -> None:
    """The network ROM is iPXE, on BIOS and on UEFI, where the kernel's stub asks for the initrd by name."""
    view = reporting_tree(lab, bookworm)
    prepare(lab, view)
    site = site_of(lab, view)
    publish(site, bookworm, bookworm_image, ())
    serve(lab, "kea", site)
    machine = switch_on(lab, r"boot\.ipxe\.+ ok", uefi=uefi)
    check(read_report(machine, BOOT_SECONDS), site)


@pytest.mark.long
@pytest.mark.parametrize("loader", ["pxelinux", "ipxe"])
def test_two_clients_by_mac(lab: Lab, bookworm: Tree, bookworm_image: Path, loader: str) -> None:
    """Host name, address, mode and group of each: by DHCP, and by the loader's own configuration."""
    view = reporting_tree(lab, bookworm, NAMES)
    network = sites.plain().subnets[0]
    site = site_of(
        lab,
        view,
        subnets=(network,),
        loaders=AS_FIRMWARE if loader == "pxelinux" else Loaders(),
        groups=(Group("late", "office", mode="overlay", cmdline="test.group=1"),),
        clients=(
            Client(ONE, "bench1", IPv4Address("10.77.0.21"), mode="ro"),
            Client(TWO, "bench2", group="late"),
        ),
        # A menu, too, which chooses by itself: each client's own entry.
        timeout=1 if loader == "ipxe" else 0,
    )
    publish(site, bookworm, bookworm_image, PXELINUX if loader == "pxelinux" else ())
    serve(lab, "dnsmasq" if loader == "pxelinux" else "kea", site)
    word = r"PXELINUX" if loader == "pxelinux" else r"boot\.ipxe\.+ ok"
    reports: Mapping[str, Report] = {
        mac: read_report(switch_on(lab, word, mac=mac), BOOT_SECONDS) for mac in (ONE, TWO)
    }
    check(reports[ONE], site, "ro")
    check(reports[TWO], site, "overlay")
    assert reports[ONE].sections["names"].splitlines()[0] == "bench1"
    assert reports[TWO].sections["names"].splitlines()[0] == "bench2"
    assert "10.77.0.21" in reports[ONE].sections["log"]
    assert "pxeinit.group=late" in reports[TWO].sections["names"]
    assert "pxeinit.group" not in reports[ONE].sections["names"]


@pytest.mark.long
@pytest.mark.parametrize("uefi", [False, True], ids=["bios", "uefi"])
def test_proxy_beside_another_server(lab: Lab, bookworm: Tree, bookworm_image: Path, uefi: bool) -> None:
    """The other server gives the addresses and knows nothing of boots; dnsmasq gives the boot file alone."""
    view = reporting_tree(lab, bookworm)
    site = site_of(lab, view, proxy=True, subnets=(Subnet(sites.NETWORK),), loaders=AS_FIRMWARE)
    publish(site, bookworm, bookworm_image, GRUB if uefi else PXELINUX)
    other_dhcp(lab)
    serve(lab, "dnsmasq", site)
    machine = switch_on(lab, r"Booting `office'|GRUB" if uefi else r"PXELINUX", uefi=uefi)
    report = read_report(machine, BOOT_SECONDS)
    check(report, site)
    assert "10.77.0.2" in report.sections["log"]


def other_dhcp(lab: Lab) -> None:
    """Start a DHCP server, 10.77.0.254, in a network namespace of its own on the same switch."""
    folder = servers.folder_of(lab, "other")
    (folder / "leases").touch()
    config = folder / "udhcpd.conf"
    config.write_text(
        "start 10.77.0.201\nend 10.77.0.220\ninterface other1\noption subnet 255.255.255.0\n"
        f"option lease 3600\nlease_file {folder}/leases\npidfile {folder}/pid\n"
    )
    lab.space.run(["ip", "netns", "add", "other"])
    lab.ip("link add other0 type veth peer name other1", "link set other0 master br0 up")
    lab.ip("link set other1 netns other")
    inside = ["ip", "netns", "exec", "other"]
    lab.space.run([*inside, "ip", "addr", "add", "10.77.0.254/24", "dev", "other1"])
    lab.space.run([*inside, "ip", "link", "set", "other1", "up"])
    with (lab.results / "other.log").open("ab") as log:
        lab.space.start("other", [*inside, "busybox", "udhcpd", "-f", str(config)], stdout=log, stderr=log)
