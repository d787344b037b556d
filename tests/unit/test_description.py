"""Descriptions: what is read, and the words for what is wrong."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mkpxeinit.errors import ServerError
from mkpxeinit.netboot import description, nfs, values
from mkpxeinit.netboot.entries import make_menu, unversioned
from mkpxeinit.netboot.parts import Loaders
from tests.unit.doc_blocks import files_in

BASE = """
[server]
address = "192.0.2.1"
[[subnet]]
network = "192.0.2.0/24"
range = ["192.0.2.100", "192.0.2.199"]
[tree.office]
path = "/srv/trees/office"
[tree.bench]
path = "/srv/trees/bench"
[group.late]
tree = "bench"
"""
NET = "[[subnet]]\nnetwork = '10.0.0.0/24'\n"
CLIENT = '[[client]]\nmac = "52:54:00:00:00:01"\n'
OTHER = CLIENT.replace("00:01", "00:02")
SEALED = "[tree.x]\npath = '/x'\nsquashfs = '/live/x.squashfs'\n"


def read(folder: Path, text: str) -> description.Site:
    path = folder / "site.toml"
    path.write_text(text)
    return description.read(path)


def test_everything_is_read(tmp_path: Path) -> None:
    site = read(
        tmp_path,
        """
[server]
address = "10.0.0.1"
interface = "eth1"
tftp-root = "/var/tftp/"
http-url = "http://boot.example:8080/x"
domain = "Lab.Example"
dns = ["10.0.0.2", "10.0.0.3"]
ntp = ["10.0.0.4"]
default-tree = "b"
report = 5514
timeout = 7
other-tftp = true
console = "ttyS1,9600"
[loaders]
secure-boot = true
bios = "undionly.kpxe"
ipxe = "none"
[[subnet]]
network = "10.0.0.0/16"
range = ["10.0.1.1", "10.0.1.9"]
router = "10.0.0.254"
lease-time = 600
comment = "left; right"
[tree.a]
path = "/a"
[tree.b]
path = "/b"
nfs-server = "NAS"
nfs-options = "vers=4.1,ro"
mode = "ro"
kernel-release = "6.1.0-1-amd64"
cmdline = "quiet"
title = "The B"
[tree.b.build]
hardware = ["b.lspci", "/etc/c.lspci"]
drivers = ["e1000"]
modules = ["loop"]
programs = ["strace"]
buses = ["pci"]
pci-classes = ["0200"]
[group.g]
tree = "a"
mode = "overlay"
cmdline = "one=1"
generation = "canary"
[[client]]
mac = "AA-54-00-00-00-01"
name = "One"
address = "10.0.2.1"
group = "g"
cmdline = "two=2"
comment = "x"
""",
    )
    assert (site.server, site.interface, site.tftp_root) == (
        IPv4Address("10.0.0.1"),
        "eth1",
        PurePosixPath("/var/tftp"),
    )
    assert (site.http_url, site.domain) == ("http://boot.example:8080/x/", "lab.example")
    assert (site.report, site.timeout, site.console, site.proxy) == (5514, 7, "ttyS1,9600", False)
    assert site.other_tftp
    assert [str(each) for each in (*site.dns, *site.ntp)] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    shim = PurePosixPath("shimx64.efi")
    assert site.loaders == Loaders(
        PurePosixPath("undionly.kpxe"),
        shim,
        PurePosixPath("shimaa64.efi"),
        http_x64=None,
        http_arm64=None,
        ipxe=None,
    )
    (subnet,) = site.subnets
    assert (subnet.network, subnet.lease_time, subnet.comment) == (
        IPv4Network("10.0.0.0/16"),
        600,
        "left; right",
    )
    default = site.choice()
    assert (default.tree.name, default.mode, default.cmdline) == ("b", "ro", "quiet")
    assert site.root_path(default.tree) == "nas:/b,vers=4.1,ro"
    build = default.tree.build
    assert build.hardware == (tmp_path / "b.lspci", Path("/etc/c.lspci"))
    assert (build.drivers, build.modules, build.programs) == (("e1000",), ("loop",), ("strace",))
    assert (build.buses, str(build.pci_classes)) == (("pci",), "(PciClass(base='02', sub='00'),)")
    (client,) = site.clients
    assert (client.mac, client.name) == ("aa:54:00:00:00:01", "one")
    choice = site.choice(client)
    assert (choice.tree.name, choice.mode, choice.generation) == ("a", "overlay", "canary")
    assert site.cmdline(choice) == (
        "root=/dev/nfs nfsroot=10.0.0.1:/a pxeinit.mode=overlay pxeinit.group=g "
        "pxeinit.report=udp://10.0.0.1:5514 console=tty0 console=ttyS1,9600 one=1 two=2"
    )


def test_a_tree_as_a_squashfs(tmp_path: Path) -> None:
    """Clients are told of the file; its folder is exported, once, and to nobody for writing."""
    more = SEALED.replace("x]", "y]").replace("x.sq", "y.sq") + CLIENT + "tree = 'x'\nmode = 'overlay'\n"
    site = read(tmp_path, f"{BASE}{SEALED}nfs-options = 'vers=4.1'\n{more}")
    choice = site.choice(site.clients[0])
    assert site.root_path(choice.tree) == "192.0.2.1:/live/x.squashfs,vers=4.1"
    assert "nfsroot=192.0.2.1:/live/x.squashfs,vers=4.1 pxeinit.mode=overlay" in site.cmdline(choice)
    (live,) = [each for each in nfs.exports(site) if "x" in each.trees]
    assert (str(live.path), live.trees, live.readers, live.writers) == (
        "/live", ("x", "y"), ("192.0.2.0/24",), (),
    )  # fmt: skip
    # The image is built of the folder.
    assert str(choice.tree.path) == "/x"


# What is appended to BASE, and what the message has to say behind the file's name.
WRONG = [
    ("[tree.office2]\npth = '/x'", "[tree.office2]: path: is missing"),
    ("[tree.x]\npath = '/x'\npth = '/x'", "[tree.x]: pth: no such key; did you mean path?"),
    ("[sever]\naddress = '1.2.3.4'", "sever: no such key; did you mean server?"),
    ("[[server]]\n", "not TOML"),
    ("tree = 5", "not TOML"),
    ("[tree.'a b']\npath = '/x'", "tree: 'a b' is not letters, digits, _ and -"),
    ("[tree.x]\npath = 'srv'", "[tree.x]: path: 'srv' is not an absolute path"),
    ("[tree.x]\npath = '/a/../b'", "without .."),
    ("[tree.x]\npath = '/a b'", "[tree.x]: path: '/a b' is not an absolute path"),
    ("[tree.x]\npath = 5", "[tree.x]: path: has to be a text in quotes, not 5"),
    (
        "[tree.x]\npath = '/x'\nmode = 'rx'",
        "[tree.x]: mode: there is no mode 'rx'; there are: farm, overlay, ro, rw",
    ),
    ("[tree.x]\npath = '/x'\ntitle = \"a\\nb\"", "[tree.x]: title: 'a\\nb' is not one line"),
    ("[tree.x]\npath = '/x'\ncmdline = \"it's\"", "no ' in kernel parameters"),
    ("[tree.x]\npath = '/x'\ncmdline = '${x}'", "iPXE would take for its own"),
    ("[tree.x]\npath = '/x'\ncmdline = 'a || b'", "iPXE would take for its own"),
    ("[tree.x]\npath = '/x'\ncmdline = 'a=\"b'", "without its other one"),
    ("[tree.x]\npath = '/x'\nnfs-server = '1.2.3'", "[tree.x]: nfs-server: '1.2.3' is not an IPv4 address"),
    ("[tree.x]\npath = '/x'\nnfs-options = 'a b'", "[tree.x]: nfs-options: 'a b' is not options of nfs(5)"),
    ("[tree.x]\npath = '/x'\n[tree.x.build]\npci-classes = ['net']", "[tree.x.build]: pci-classes:"),
    ("[tree.x]\npath = '/x'\nbuild = 3", "[tree.x]: build: has to be a table"),
    ("[tree.x]\npath = '/x.squashfs'", "[tree.x]: path: clients take what ends in .squashfs for a file"),
    (
        "[tree.x]\npath = '/x'\nsquashfs = 'x.squashfs'",
        "[tree.x]: squashfs: 'x.squashfs' is not an absolute path",
    ),
    (
        "[tree.x]\npath = '/x'\nsquashfs = '/a/x.img'",
        "squashfs: '/a/x.img' is not a squashfs: its name has to end in",
    ),
    (
        "[tree.x]\npath = '/x'\nsquashfs = '/a/x.squashfs/'",
        "is not a squashfs: its name has to end in .squashfs",
    ),
    ("[tree.x]\npath = '/x'\nsquashfs = '/x.squashfs'", "is not in a folder of its own"),
    (SEALED + "mode = 'rw'", "[tree.x]: mode: rw cannot be: clients have the squashfs /live/x.squashfs"),
    (SEALED + "[group.w]\ntree = 'x'\nmode = 'rw'", "[group.w]: mode: rw cannot be"),
    (SEALED + CLIENT + "tree = 'x'\nmode = 'rw'", "[[client]] 1 (52:54:00:00:00:01): mode: rw cannot be"),
    (SEALED + "[group.g]\ntree = 'x'\n" + CLIENT + "group = 'g'\nmode = 'rw'", "[[client]] 1 "),
    (
        SEALED + "[group.g]\ntree = 'office'\nmode = 'rw'\n" + CLIENT + "group = 'g'\ntree = 'x'",
        "[[client]] 1 (52:54:00:00:00:01): mode: rw cannot be",
    ),
    ("[tree.x.build]\nmodule = ['a']\n[tree.x]\npath = '/x'", "module: no such key; did you mean modules?"),
    ("[group.x]\ntree = 'ofice'", "[group.x]: tree: no tree is named 'ofice'; did you mean office?"),
    ("[group.x]\nmode = 'ro'", "[group.x]: tree: is missing"),
    ("[loaders]\nbios = '/pxelinux.0'", "[loaders]: bios: '/pxelinux.0' is not a path below the TFTP root"),
    ("[loaders]\nx64 = '../x'", "[loaders]: x64:"),
    ("[loaders]\nsecure-boot = 'yes'", "[loaders]: secure-boot: has to be true or false, without quotes"),
    (
        "[[subnet]]\nnetwork = '192.0.2.128/25'",
        "[[subnet]] 2 (192.0.2.128/25): network: overlaps with 192.0.2.0/24",
    ),
    (
        "[[subnet]]\nnetwork = '10.0.0.1/24'",
        "[[subnet]] 2: network: '10.0.0.1/24' has host bits set; the network is 10.0.0.0/24",
    ),
    ("[[subnet]]\nnetwork = '10.0.0.0'", "is not a network: ADDRESS/LENGTH"),
    ("[[subnet]]\nnetwork = '10.0.0.0/31'", "a length from 8 to 30"),
    (NET + "range = ['10.0.0.9', '10.0.1.9']", "range: 10.0.1.9 is not in that network"),
    (NET + "range = ['10.0.0.9', '10.0.0.1']", "range: 10.0.0.9 is after 10.0.0.1"),
    (NET + "range = ['10.0.0.9']", "[[subnet]] 2: range: has to be two addresses"),
    (NET + "range = '10.0.0.9'", "range: has to be a list of texts"),
    (NET + "range = ['10.0.0.0', '10.0.0.9']", "the network's own, no host's"),
    (NET + "router = '10.1.0.1'", "router: 10.1.0.1 is not in that network"),
    (NET + "range = ['10.0.0.1','10.0.0.9']\nrouter = '10.0.0.5'", "holds 10.0.0.5, which is the router"),
    (NET + "lease-time = 60", "lease-time: has to be a whole number from 120"),
    (NET + "lease-time = true", "lease-time: has to be a whole number"),
    ("[subnet]\nnetwork = '10.0.0.0/24'", "not TOML"),
    ("[client]\nmac = 'x'", "client: has to be tables that each begin with [[client]]"),
    (CLIENT + CLIENT, "[[client]] 2 (52:54:00:00:00:01): mac: 52:54:00:00:00:01 is that of [[client]] 1"),
    (CLIENT + CLIENT.replace("52:54", "52-54").replace(":", "-"), "mac: 52:54:00:00:00:01 is that of"),
    ("[[client]]\nname = 'x'", "[[client]] 1: mac: is missing"),
    ("[[client]]\nmac = '52:54:00:00:00'", "is not an Ethernet address"),
    ("[[client]]\nmac = '52:54-00:00:00:01'", "is not an Ethernet address"),
    ("[[client]]\nmac = '01:54:00:00:00:01'", "a group's, or zero"),
    (CLIENT + "name = 'a.b'", "[[client]] 1: name: 'a.b' is not a host name of one label"),
    (CLIENT + "name = 'a;b'", "is not a host name of one label"),
    (CLIENT + "name = '-a'", "is not a host name of one label"),
    (
        CLIENT + "name = 'x'\n" + OTHER + "name = 'X'",
        "[[client]] 2 (x): name: x is that of [[client]] 1 (x) already",
    ),
    (CLIENT + "address = '192.0.2.150'", "is in the range of 192.0.2.0/24, which any client may get"),
    (CLIENT + "address = '192.0.3.1'", "address: 192.0.3.1 is in none of the subnets"),
    (CLIENT + "address = '192.0.2.1'", "address: 192.0.2.1 is that of the server already"),
    (CLIENT + "address = '192.0.2.255'", "the network's own, no host's"),
    (CLIENT + "address = '224.0.0.1'", "is not the IPv4 address of a host"),
    (
        CLIENT + "address = '192.0.2.9'\n" + OTHER + "address = '192.0.2.9'",
        "192.0.2.9 is that of [[client]] 1",
    ),
    (CLIENT + "group = 'late '", "[[client]] 1: group: 'late ' is not letters"),
    (CLIENT + "group = 'lates'", "group: no group is named 'lates'; did you mean late?"),
    (CLIENT + "tree = 'zzz'", "tree: no tree is named 'zzz'; there are: office, bench"),
    (CLIENT + "comment = 'a\tb'", "is not one line of printable characters"),
    (CLIENT + "generation = '../x'", "[[client]] 1: generation:"),
    (CLIENT + "nmae = 'x'", "[[client]] 1: nmae: no such key; did you mean name?"),
]


@pytest.mark.parametrize(("added", "words"), WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, added: str, words: str) -> None:
    with pytest.raises(ServerError) as caught:
        read(tmp_path, f"{BASE}\n{added}\n")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/site.toml: ")
    assert words in message
    assert "\n" not in message


SERVER = [
    ('address = "192.0.2.1"', "", "[server]: address: is missing"),
    ('"192.0.2.1"', '"nas"', "[server]: address: 'nas' is not an IPv4 address"),
    ("[server]", '[server]\nhttp-url = "https://x/"', "firmware speaks plain HTTP"),
    ("[server]", '[server]\nhttp-url = "http://x:99999/"', "a port from 1 to 65535"),
    ("[server]", '[server]\ninterface = "eth0;x"', "[server]: interface:"),
    ("[server]", "[server]\nreport = 0", "report: has to be a whole number from 1 to 65535"),
    ("[server]", '[server]\ndomain = "a..b"', "[server]: domain: 'a..b' is not a host name"),
    ("[server]", '[server]\ndefault-tree = "x"', "[server]: default-tree: no tree is named 'x'"),
    ("[server]", '[server]\nconsole = "ttyS0 115200"', "[server]: console:"),
    ("[server]", "[server]\nproxy = true", "range: as proxy the other DHCP server gives the addresses"),
    ("[server]", '[server]\ndns = "192.0.2.1"', "dns: has to be a list of texts"),
    ("[server]", "[server]\ntimeout = 3601", "timeout: has to be a whole number from 0 to 3600"),
]


@pytest.mark.parametrize(("old", "new", "words"), SERVER)
def test_what_is_wrong_about_the_server(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(ServerError, match="site.toml: ") as caught:
        read(tmp_path, BASE.replace(old, new, 1))
    assert words in str(caught.value)


def test_a_site_needs_a_tree(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="nothing to boot"):
        read(tmp_path, '[server]\naddress = "192.0.2.1"\n')


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="No such file"):
        description.read(tmp_path / "nothing.toml")
    with pytest.raises(ServerError, match="not a regular file|Is a directory"):
        description.read(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(ServerError, match="not TOML"):
        description.read(tmp_path / "bytes.toml")
    with pytest.raises(ServerError, match="a line of more than 16384 bytes"):
        read(tmp_path, "a." * 500000 + "b = 1")
    for text in ("a = " + "[" * 5000, "a = " + "1" * 5000):
        with pytest.raises(ServerError, match="not TOML"):
            read(tmp_path, text)


@pytest.mark.parametrize("name", ["howto.toml", "readwrite.toml", "home.toml", "architectures.toml"])
def test_examples_of_the_documentation(tmp_path: Path, name: str) -> None:
    site = read(tmp_path, files_in("server-config.md")[name])
    assert make_menu(site, unversioned).entries


CHECKS = [
    values.label,
    values.name,
    values.generation,
    values.host_name,
    values.client_name,
    values.host,
    values.mac,
    values.path,
    values.relative,
    values.mount_options,
    values.interface,
    values.kernel_release,
    values.word,
    values.url,
    values.console,
    values.cmdline,
]
ANY = st.text(alphabet=st.characters() | st.sampled_from("\"'\\${}[]();&|#,:/. -\n\0aA1"), max_size=40)


@given(ANY)
def test_checks_let_no_character_of_a_syntax_pass(text: str) -> None:
    """Nothing that a shell or a server's file would take for its own; cmdline has its own rules."""
    for check in CHECKS:
        try:
            passed = str(check(text))
        except ServerError as error:
            assert "\n" not in str(error)
            continue
        assert passed.isascii()
        assert passed.isprintable() or passed == ""
        if check is not values.cmdline:
            assert not set(passed) & set("\"'\\${}[]();&|#<>`*?! ")


@given(ANY)
def test_texts_are_one_line(text: str) -> None:
    try:
        passed = values.text(text)
    except ServerError as error:
        assert "\n" not in str(error)
        return
    assert passed.isprintable()
    assert passed == passed.strip() != ""
    assert "\\" not in values.comment(passed)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    with pytest.raises(ServerError):
        description.read(path)


def test_loaders_for_http_boot(tmp_path: Path) -> None:
    """Left away, that which is known to work; given, that."""
    assert read(tmp_path, BASE).loaders == Loaders()
    given = read(tmp_path, f'{BASE}[loaders]\nhttp-x64 = "a.efi"\nhttp-arm64 = "b/c.efi"\n').loaders
    assert (given.http_x64, given.http_arm64) == (PurePosixPath("a.efi"), PurePosixPath("b/c.efi"))
