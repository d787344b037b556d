"""Sites for the tests of the servers' configuration: a plain one, and one that has all there is to quote."""

import dataclasses
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath

from mkpxeinit.netboot.parts import Client, Group, Loaders, Subnet, Tree
from mkpxeinit.netboot.site import Site

SERVER = IPv4Address("10.77.0.1")  # the laboratory's
NETWORK = IPv4Network("10.77.0.0/24")
BENCH1, BENCH2, BENCH3 = "52:54:00:77:01:01", "52:54:00:77:01:02", "52:54:00:77:01:03"
TFTP_ROOT = Path("/srv/tftp")
HTTP = "http://10.77.0.1:8080/boot/"


def plain(**changes: object) -> Site:
    """One tree, one network, all clients alike."""
    site = Site.simple(
        SERVER,
        Tree("office", PurePosixPath("/srv/trees/office")),
        Subnet(NETWORK, IPv4Address("10.77.0.100"), IPv4Address("10.77.0.150")),
        interface="br0",
    )
    return dataclasses.replace(site, **changes)  # type: ignore[arg-type]


def rich(tftp_root: Path = TFTP_ROOT, **changes: object) -> Site:
    """Two trees, a group, three clients, HTTP, every option that there is."""
    site = Site(
        server=SERVER,
        interface="br0",
        tftp_root=PurePosixPath(tftp_root),
        http_url=HTTP,
        domain="lab.example",
        dns=(SERVER, IPv4Address("10.77.0.2")),
        ntp=(IPv4Address("10.77.0.3"), IPv4Address("10.77.0.4")),
        report=5514,
        timeout=5,
        console="ttyS0,115200",
        loaders=Loaders(http_arm64=PurePosixPath("ipxe-arm64.efi")),
        subnets=(
            Subnet(
                NETWORK, IPv4Address("10.77.0.100"), IPv4Address("10.77.0.150"), SERVER, 7200, "the bench"
            ),
            Subnet(IPv4Network("10.78.0.0/16")),
        ),
        trees=(
            Tree("office", PurePosixPath("/srv/trees/office"), nfs_options="vers=4.1,nconnect=4"),
            Tree("bench", PurePosixPath("/srv/trees/bench"), mode="overlay", title="The bench's tree"),
            Tree("far", PurePosixPath("/export/far"), nfs_server="nas.lab.example"),
        ),
        groups=(Group("late", "bench", cmdline='dyndbg="file nfs.c +p" memmap=1M$4G'),),
        clients=(
            Client(BENCH1, "bench1", IPv4Address("10.77.0.20"), tree="bench", mode="rw"),
            Client(BENCH2, "bench2", group="late", comment='"left", 2nd # shelf \\'),
            Client(BENCH3, "bench3", IPv4Address("10.78.3.3"), tree="far", cmdline="quiet"),
        ),
    )
    return dataclasses.replace(site, **changes)  # type: ignore[arg-type]


def secure() -> Loaders:
    """As `secure-boot = true` has it."""
    shim = PurePosixPath("shimx64.efi")
    return Loaders(x64=shim, http_x64=None)
