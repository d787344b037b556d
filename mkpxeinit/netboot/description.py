"""A site's description, `mkpxeinit.toml`, read and checked: docs/server-config.md is its reference."""

from pathlib import Path, PurePosixPath

from mkpxeinit.errors import ServerError, UsageError, printable
from mkpxeinit.hardware.pci import PciClass
from mkpxeinit.netboot import table, values
from mkpxeinit.netboot.menu import MAX_TIMEOUT
from mkpxeinit.netboot.parts import BuildOptions, Client, Group, Loaders, Subnet, Tree
from mkpxeinit.netboot.site import Choice, Site
from mkpxeinit.netboot.table import Table

__all__ = ["BuildOptions", "Choice", "Client", "Group", "Loaders", "Site", "Subnet", "Tree", "read"]

MAX_LEASE = 0x7FFFFFFF  # seconds; 68 years, since all servers read it as a number of 32 bits
HALF_A_DAY = 43200  # seconds


def read(path: Path) -> Site:
    """Return the site that the file `path` describes.

    ServerError, one line, names the file, the table and the key, and says what is wrong and what
    would be right. Relative paths of inventories are relative to the file.
    """
    top = table.read(path)
    try:
        return _site(top, path.parent)
    except ServerError as error:
        raise ServerError(f"{printable(path)}: {error}") from error


def _site(top: Table, folder: Path) -> Site:
    server = top.table("server")
    subnets = tuple(_subnet(each) for each in top.tables("subnet"))
    trees = tuple(_tree(name, each, folder) for name, each in top.named("tree", values.name))
    groups = tuple(_group(name, each) for name, each in top.named("group", values.name))
    clients = tuple(_client(each) for each in top.tables("client"))
    loaders = _loaders(top.table("loaders"))
    top.table("hook")  # that of mkpxeinit.hooks
    top.end()
    site = Site(
        server=server.needed("address", values.address),
        interface=server.text("interface", values.interface),
        tftp_root=server.text("tftp-root", values.path) or PurePosixPath("/srv/tftp"),
        http_url=server.text("http-url", values.url),
        domain=server.text("domain", values.host_name),
        dns=server.texts("dns", values.address) or (),
        ntp=server.texts("ntp", values.address) or (),
        default=server.text("default-tree", values.name),
        proxy=server.flag("proxy"),
        other_tftp=server.flag("other-tftp"),
        report=server.number("report", 1, 65535),
        timeout=server.number("timeout", 0, MAX_TIMEOUT) or 0,
        console=server.text("console", values.console),
        subnets=subnets,
        trees=trees,
        groups=groups,
        clients=clients,
        loaders=loaders,
    )
    server.end()
    return site


def _subnet(given: Table) -> Subnet:
    found = given.texts("range", values.address)
    if found is not None and len(found) != 2:
        raise given.error("range", "has to be two addresses: [FIRST, LAST]")
    first, last = found or (None, None)
    subnet = Subnet(
        network=given.needed("network", values.network),
        first=first,
        last=last,
        router=given.text("router", values.address),
        lease_time=given.number("lease-time", 120, MAX_LEASE) or HALF_A_DAY,
        comment=given.text("comment", values.text),
    )
    given.end()
    return subnet


def _tree(name: str, given: Table, folder: Path) -> Tree:
    tree = Tree(
        name=name,
        path=given.needed("path", values.path),
        nfs_server=given.text("nfs-server", values.host),
        nfs_options=given.text("nfs-options", values.mount_options) or "",
        mode=given.text("mode", values.mode) or "farm",
        kernel_release=given.text("kernel-release", values.kernel_release),
        cmdline=given.text("cmdline", values.cmdline) or "",
        title=given.text("title", values.text),
        build=build_options(given.table("build"), folder),
        squashfs=given.text("squashfs", values.squashfs),
    )
    given.end()
    return tree


def build_options(given: Table, folder: Path) -> BuildOptions:
    """Return what a table says of an image; paths of inventories are relative to `folder`."""
    options = BuildOptions(
        hardware=tuple(folder / each for each in given.texts("hardware", _inventory) or ()),
        modules=given.texts("modules", values.word) or (),
        drivers=given.texts("drivers", values.word) or (),
        programs=given.texts("programs", values.word) or (),
        buses=given.texts("buses", values.word),
        pci_classes=given.texts("pci-classes", _pci_class),
    )
    given.end()
    return options


def _inventory(text: str) -> Path:
    if not text or "\0" in text:
        raise ServerError(f"{text!r} is not the path of an inventory")
    return Path(text)


def _pci_class(text: str) -> PciClass:
    try:
        return PciClass.parse(text)
    except UsageError as error:
        raise ServerError(str(error)) from error


def _group(name: str, given: Table) -> Group:
    group = Group(
        name=name,
        tree=given.needed("tree", values.name),
        mode=given.text("mode", values.mode),
        cmdline=given.text("cmdline", values.cmdline) or "",
        generation=given.text("generation", values.generation),
    )
    given.end()
    return group


def _client(given: Table) -> Client:
    client = Client(
        mac=given.needed("mac", values.mac),
        name=given.text("name", values.client_name),
        address=given.text("address", values.address),
        group=given.text("group", values.name),
        tree=given.text("tree", values.name),
        mode=given.text("mode", values.mode),
        cmdline=given.text("cmdline", values.cmdline) or "",
        generation=given.text("generation", values.generation),
        comment=given.text("comment", values.text),
    )
    given.end()
    return client


def _loaders(given: Table) -> Loaders:
    secure = given.flag("secure-boot")
    x64 = PurePosixPath("shimx64.efi" if secure else "grubnetx64.efi")
    arm64 = PurePosixPath("shimaa64.efi" if secure else "grubnetaa64.efi")
    ipxe = given.text("ipxe", lambda text: str(values.relative(text))) or "boot.ipxe"
    loaders = Loaders(
        bios=given.text("bios", values.relative) or PurePosixPath("pxelinux.0"),
        x64=given.text("x64", values.relative) or x64,
        arm64=given.text("arm64", values.relative) or arm64,
        # GRUB's network images, when firmware has loaded them by HTTP, know nothing of their network.
        # iPXE does; but its Debian build is not signed, so with Secure Boot there is no default.
        http_x64=given.text("http-x64", values.relative)
        or (None if secure else PurePosixPath("snponly.efi")),
        http_arm64=given.text("http-arm64", values.relative),
        ipxe=None if ipxe == "none" else values.relative(ipxe),
    )
    given.end()
    return loaders
