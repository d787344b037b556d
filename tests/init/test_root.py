"""root.sh and resolve.sh: where the root is said to be, which versions are tried, what is waited for."""

import pytest

from tests.init.conftest import plant_tree
from tests.init.fakeroot import DOOMSDAY, FakeRoot, Result

SHOW = 'echo "[$root_servers|$root_path|$root_options|$root_versions]"'
ALL = "4.2 4.1 4.0 3"
V4 = "4.2 4.1 4.0"


def phase(root: FakeRoot, cmdline: str = "nfsroot=10.0.2.2:/srv", **lease: str) -> Result:
    """The phase alone, on a lease by ip=, so that it is not asked for again."""
    root.write("proc/cmdline", cmdline)
    root.nic()
    root.lease(**{"address": "10.0.2.15", **lease})
    return root.run("read_params; lease_interface=eth0; ip_mode=static; phase_root; echo status $?")


def split(root: FakeRoot, cmdline: str, **lease: str) -> str:
    root.write("proc/cmdline", cmdline)
    root.lease(**{"address": "10.0.2.15", **lease})
    code = f"find_root_spec && split_root_spec && default_server && sort_options && {SHOW}"
    return root.run(f"read_params; lease_interface=eth0; {code}").console.strip()


def versions(root: FakeRoot) -> list[str]:
    """The vers= of each NFS mount that was tried."""
    options = [words[4].split(",") for words in root.calls("mount") if words[1] == "-t"]
    return [word.removeprefix("vers=") for line in options for word in line if word.startswith("vers=")]


@pytest.mark.parametrize(
    ("cmdline", "expected"),
    [
        ("nfsroot=10.0.2.2:/srv", f"[10.0.2.2|/srv||{ALL}]"),
        ("root=/dev/nfs nfsroot=nfs.lab:/srv,ro,rsize=8192", f"[nfs.lab|/srv|,rsize=8192|{ALL}]"),
        ("root=nfs:10.0.2.2:/srv", f"[10.0.2.2|/srv||{ALL}]"),
        ("root=nfs4:10.0.2.2:/srv", f"[10.0.2.2|/srv||{V4}]"),
        ("root=nfs4:10.0.2.2:/srv,vers=4.0", "[10.0.2.2|/srv||4.0]"),
        ("root=nfs:10.0.2.2:/srv:ro", f"[10.0.2.2|/srv||{ALL}]"),
        ("root=nfs:10.0.2.2:/srv:vers=3,hard", "[10.0.2.2|/srv|,hard|3]"),
        ("root=nfs:[fd00::1]:/srv,vers=4", f"[fd00::1|/srv||{V4}]"),
        ("root=nfs:/srv", f"[10.0.2.5|/srv||{ALL}]"),
        ("nfsroot=a,10.0.2.3:/srv,hard", f"[a 10.0.2.3|/srv|,hard|{ALL}]"),
        ("root=nfs:a,[fd00::1],c.lab:/srv:vers=3", "[a fd00::1 c.lab|/srv||3]"),
        ("nfsroot=[fd00::1],[fd00::2]:/srv,hard", f"[fd00::1 fd00::2|/srv|,hard|{ALL}]"),
        ("nfsroot=/srv,proto=tcp", f"[10.0.2.5|/srv|,proto=tcp|{ALL}]"),
        ("nfsroot=/tftpboot/%s", f"[10.0.2.5|/tftpboot/10.0.2.15||{ALL}]"),
        ("nfsroot=h:/a/%s/b,vers=3", "[h|/a/10.0.2.15/b||3]"),
        ('nfsroot="h:/a b"', f"[h|/a b||{ALL}]"),
        ("root=nfs nfsroot=h:/x", f"[h|/x||{ALL}]"),
        ("root=nfs4: nfsroot=h:/x", f"[h|/x||{V4}]"),
        ("nfsroot=h:/x,vers=4.2", "[h|/x||4.2]"),
        ("nfsroot=h:/x,nfsvers=4.1", "[h|/x||4.1]"),
        ("nfsroot=h:/x,v3", "[h|/x||3]"),
        ("nfsroot=h:/x,v4.0", "[h|/x||4.0]"),
        ("nfsroot=h:/x,vers=4,minorversion=1", "[h|/x||4.1]"),
        ("nfsroot=h:/x,,rw,", f"[h|/x||{ALL}]"),
    ],
)  # fmt: skip
def test_the_command_line_says_where(root: FakeRoot, cmdline: str, expected: str) -> None:
    assert split(root, cmdline, next_server="10.0.2.5", root_path="/other") == expected


@pytest.mark.parametrize(
    ("root_path", "expected"),
    [
        ("/srv", f"[10.0.2.5|/srv||{ALL}]"),
        ("10.0.2.7:/srv", f"[10.0.2.7|/srv||{ALL}]"),
        ("nfs.lab:/srv,vers=3,nolock", "[nfs.lab|/srv|,nolock|3]"),
        ("nfs:10.0.2.7:/srv", f"[10.0.2.7|/srv||{ALL}]"),
        ("[fd00::1]:/srv", f"[fd00::1|/srv||{ALL}]"),
    ],
)
@pytest.mark.parametrize("cmdline", ["", "root=/dev/nfs", "root=nfs", "root=nfs:"])
def test_option_17_says_where(root: FakeRoot, cmdline: str, root_path: str, expected: str) -> None:
    assert split(root, cmdline, next_server="10.0.2.5", root_path=root_path) == expected


def test_the_default_server(root: FakeRoot) -> None:
    assert split(root, "nfsroot=/x", next_server="10.0.2.5", server="10.0.2.6").startswith("[10.0.2.5|")


def test_the_second_default_server(root: FakeRoot) -> None:
    assert split(root, "nfsroot=/x", server="10.0.2.6").startswith("[10.0.2.6|")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("vers=2", "vers='2' is not an NFS version of ours"),
        ("vers=4.3", "vers='4.3' is not an NFS version of ours"),
        ("addr=1.2.3.4", "the mount option addr=1.2.3.4 is ignored"),
        ("clientaddr=1.2.3.4", "the mount option clientaddr=1.2.3.4 is ignored"),
    ],
)
def test_options_that_are_not_taken(root: FakeRoot, option: str, said: str) -> None:
    console = split(root, f"nfsroot=h:/x,{option},hard")
    assert f"warning: {said}" in console
    assert console.endswith(f"[h|/x|,hard|{ALL}]")


@pytest.mark.parametrize(
    "spec",
    [
        "srv", "h:srv", "h:", "/a/../b", "h:/..", "-h:/x", "h;reboot:/x", "h:/x,a;b", "h:/x,$(reboot)",
        "[::1;x]:/x", "h_h:/x", "//x/y", "ftp://h/x", "h:/a$b", "h:/`x`", "h:/" + "x" * 1100,
        "h:/x," + "o" * 600, "a,,b:/x", "a,:/x", ",a:/x", "a,-b:/x", "a b:/x", "[h]:/x", "fd00::1:/x",
        "a,[fd00::1:/x", "a,$(reboot):/x",
    ],
)  # fmt: skip
def test_what_cannot_be_a_root(root: FakeRoot, spec: str) -> None:
    said = phase(root, f'nfsroot="{spec}"', next_server="10.0.2.5")
    assert said.reports("PXE-INIT-root-bad-path")
    assert "nfsroot= '" in said.console
    assert said.console.endswith("status 1\n")
    assert root.calls("mount") == []


def test_nobody_says_where(root: FakeRoot) -> None:
    said = phase(root, "")
    assert said.reports("PXE-INIT-root-no-path")
    assert len(said.codes) == 1
    assert said.console.endswith("status 1\n")


@pytest.mark.parametrize("value", ["/dev/sda1", "UUID=1", "LABEL=x", "nfsx:/y", "`reboot`"])
def test_a_root_that_is_no_network_root(root: FakeRoot, value: str) -> None:
    said = phase(root, f"root={value}")
    assert said.reports("PXE-INIT-root-not-nfs")
    assert len(said.codes) == 1
    assert said.console.endswith("status 1\n")
    assert f"root='{value}' is not a network root" in said.console


def test_no_server(root: FakeRoot) -> None:
    said = phase(root, "nfsroot=/srv")
    assert said.reports("PXE-INIT-root-no-server")
    assert len(said.codes) == 1
    assert said.console.endswith("status 1\n")
    assert "write it as SERVER:/srv" in said.console


def test_a_mount_that_works_at_once(root: FakeRoot) -> None:
    plant_tree(root)
    said = phase(root, "nfsroot=10.0.2.2:/srv,hard")
    assert said.console == (
        "pxeinit: [3.00] root: mounting 10.0.2.2:/srv\n"
        "pxeinit: [3.00] root: 10.0.2.2:/srv over NFS 4.2, init is /sbin/init\nstatus 0\n"
    )
    assert root.calls("mount") == [
        ["-i", "-t", "nfs4", "-o", "ro,vers=4.2,hard", "10.0.2.2:/srv", "/nfsroot"]
    ]
    state = root.state()
    assert (state["root"], state["root.address"], state["nfs.vers"]) == ("10.0.2.2:/srv", "10.0.2.2", "4.2")


@pytest.mark.parametrize(
    ("options", "loaded", "kerberos", "hushed"),
    [
        ("", True, False, True),
        ("", True, True, False),
        ("", False, False, False),
        (",vers=3", True, False, False),
    ],
)
def test_the_kernel_asks_for_no_modules_that_are_not_there(
    root: FakeRoot, options: str, loaded: bool, kerberos: bool, hushed: bool
) -> None:
    plant_tree(root)
    root.write("proc/sys/kernel/modprobe", "/sbin/modprobe")
    if loaded:
        root.folder("sys/module/nfsv4")
    if kerberos:
        root.folder("lib/modules/unknown/kernel/net/sunrpc/auth_gss")
    root.fake("mount", does="cp /proc/sys/kernel/modprobe /tmp/meanwhile")
    assert phase(root, f"nfsroot=10.0.2.2:/srv{options}").console.endswith("status 0\n")
    assert root.read("tmp/meanwhile") == ("" if hushed else "/sbin/modprobe")
    assert root.read("proc/sys/kernel/modprobe") == "/sbin/modprobe"


def test_mode_rw_and_ipv6(root: FakeRoot) -> None:
    plant_tree(root)
    phase(root, "nfsroot=[fd00::1]:/srv,v3 pxeinit.mode=rw")
    assert root.calls("mount") == [
        ["-i", "-t", "nfs", "-o", "rw,nolock,vers=3", "[fd00::1]:/srv", "/nfsroot"]
    ]


@pytest.mark.parametrize("lasting", [1, 2, 3])
@pytest.mark.parametrize(
    "message", ["Protocol not supported", "Requested NFS version or transport protocol not supported"]
)
def test_the_newest_common_version_is_taken(root: FakeRoot, message: str, lasting: int) -> None:
    plant_tree(root)
    root.refuse(message, fails=[32] * lasting + [0])
    said = phase(root)
    assert versions(root) == ALL.split()[: lasting + 1]
    assert root.state()["nfs.vers"] == ALL.split()[lasting]
    assert said.codes == said.warnings == []


def test_no_common_version(root: FakeRoot) -> None:
    root.refuse("Protocol not supported")
    said = phase(root, "nfsroot=10.0.2.2:/srv,vers=4")
    assert said.reports("PXE-INIT-root-no-version")
    assert "the server offers none of NFS 4.2 4.1 4.0" in said.console
    assert versions(root) == V4.split()
    assert said.console.endswith("status 1\n")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Permission denied", "PXE-INIT-root-refused"),
        ("Operation not permitted", "PXE-INIT-root-refused"),
        ("No such file or directory", "PXE-INIT-root-no-export"),
        ("Invalid argument", "PXE-INIT-root-mount"),
        ("No such device", "PXE-INIT-root-mount"),
    ],
)
def test_what_a_server_refuses_is_a_failure_at_once(root: FakeRoot, message: str, code: str) -> None:
    root.refuse(message)
    said = phase(root)
    assert said.codes == [code]
    assert f"why: NFS 3: {message}" in said.console
    assert versions(root) == ALL.split()
    assert said.console.endswith("status 1\n")


def test_mount_without_a_word(root: FakeRoot) -> None:
    root.fake("mount", when=" nfs", fails=1)
    assert phase(root).codes == ["PXE-INIT-root-mount"]


SILENT = [
    "Connection refused",
    "Connection timed out",
    "No route to host",
    "Network is unreachable",
    "Host is down",
]


@pytest.mark.parametrize("message", [*SILENT, "Input/output error"])
def test_a_silent_server_is_waited_for(root: FakeRoot, message: str) -> None:
    plant_tree(root)
    root.refuse(message, fails=[32] * 5 + [0])
    said = phase(root)
    assert said.reports("PXE-INIT-root-unreachable")
    assert said.codes == ["PXE-INIT-root-unreachable"]
    assert said.console.count(f"trying again: the NFS server 10.0.2.2 ({message})") == 5
    assert versions(root) == ["4.2"] * 6
    assert root.state()["nfs.vers"] == "4.2"
    assert said.console.endswith("status 0\n")


def test_the_wait_for_a_server_has_no_end(root: FakeRoot) -> None:
    root.refuse("Connection refused")
    said = phase(root, "nfsroot=10.0.2.2:/srv panic=0")
    assert said.status == -9
    assert sum(int(words[0]) for words in root.calls("sleep")) >= DOOMSDAY - 3


def test_panic_ends_the_wait_for_a_server(root: FakeRoot) -> None:
    root.refuse("Connection refused")
    said = phase(root, "nfsroot=10.0.2.2:/srv panic=9")
    assert said.reports("PXE-INIT-root-unreachable")
    assert said.console.endswith("status 1\n")
    assert len(root.calls("sleep")) == 2


@pytest.mark.parametrize("status", [137, 143])
def test_a_mount_that_hangs_is_ended(root: FakeRoot, status: int) -> None:
    root.fake("timeout", when="mount", fails=status)
    said = phase(root, "nfsroot=10.0.2.2:/srv panic=9")
    assert said.reports("PXE-INIT-root-unreachable")
    assert "no answer within 10 s" in said.console
    assert root.calls("timeout")[0][:4] == ["-s", "KILL", "10", "mount"]


def test_version_3_without_a_portmapper_does_not_hide_the_cause(root: FakeRoot) -> None:
    root.refuse("Permission denied", when="nfs4")
    root.refuse("Connection refused", when=" nfs ")
    said = phase(root)
    assert said.codes == ["PXE-INIT-root-refused"]
    assert "why: NFS 4.0: Permission denied" in said.console


def test_a_server_of_version_3_alone_that_is_still_silent(root: FakeRoot) -> None:
    plant_tree(root)
    root.refuse("Protocol not supported", when="nfs4")
    root.refuse("Connection refused", when=" nfs ", fails=[32, 0])
    said = phase(root)
    assert root.state()["nfs.vers"] == "3"
    assert said.console.endswith("status 0\n")


def dns(root: FakeRoot, name: str, *lines: str) -> None:
    header = "Server:\t\t10.0.2.3\nAddress:\t10.0.2.3:53\n\n"
    root.fake("nslookup", when=f" {name} ", prints=header + "\n".join(lines))


def test_a_name_is_resolved(root: FakeRoot) -> None:
    plant_tree(root)
    dns(root, "nfs.lab", "Name:\tnfs.lab", "Address: 10.0.2.9", "Name:\tnfs.lab", "Address: 10.0.2.10")
    phase(root, "nfsroot=nfs.lab:/srv")
    assert root.calls("mount")[0][5] == "10.0.2.9:/srv"
    assert root.state()["root"] == "nfs.lab:/srv"
    assert root.state()["root.address"] == "10.0.2.9"
    assert root.calls("nslookup") == [["-type=a", "nfs.lab"]]


@pytest.mark.parametrize("lease", [{"search": "a.lab b.lab"}, {"domain": "b.lab"}])
def test_a_short_name_is_looked_for_in_the_domains(root: FakeRoot, lease: dict[str, str]) -> None:
    dns(root, "nfs.b.lab", "Name:\tnfs.b.lab", "Address: 10.0.2.9")
    plant_tree(root)
    phase(root, "nfsroot=nfs:/srv", **lease)
    assert root.state()["root.address"] == "10.0.2.9"


def test_hostile_answers_are_no_addresses(root: FakeRoot) -> None:
    dns(
        root,
        "nfs.lab",
        "Name:\tnfs.lab",
        "Address: $(reboot)",
        "Address: 127.0.0.1",
        "Address: ;x",
        "Address: 10.0.2.9",
    )
    assert root.run("resolve_host nfs.lab && echo $resolved").console == "10.0.2.9\n"
    dns(root, "no.lab", "** server can't find no.lab: NXDOMAIN")
    assert root.run("resolve_host no.lab || echo none").console == "none\n"


def test_a_name_that_dns_learns_late(root: FakeRoot) -> None:
    plant_tree(root)
    answer = "Name:\tnfs.lab\nAddress: 10.0.2.9"
    root.fake("nslookup", fails=[1] * 4 + [0], does=f"[ \"$status\" -ne 0 ] || echo '{answer}'")
    said = phase(root, "nfsroot=nfs.lab:/srv", dns="10.0.2.3")
    assert said.reports("PXE-INIT-root-dns")
    assert "the name servers  10.0.2.3 did not say one" in said.console
    assert said.console.count("trying again: the address of nfs.lab") == 4
    assert said.console.endswith("status 0\n")


def test_a_name_that_nobody_knows_with_panic(root: FakeRoot) -> None:
    said = phase(root, "nfsroot=nfs.lab:/srv panic=3")
    assert said.reports("PXE-INIT-root-dns")
    assert "the lease names no DNS server" in said.console
    assert said.console.endswith("status 1\n")
    assert root.calls("mount") == []


def test_dns_has_a_deadline(root: FakeRoot) -> None:
    root.fake("timeout", when="nslookup", fails=137)
    assert root.run("resolve_host nfs.lab || echo none").console == "none\n"
    assert root.calls("timeout") == [["-s", "KILL", "10", "nslookup", "-type=a", "nfs.lab"]]


def test_failures_wait_longer_each_time_though_dhcp_answers(booting: FakeRoot) -> None:
    """A server that refuses a thousand clients is not asked by each of them every second."""
    booting.refuse("Permission denied")
    said = booting.boot()
    assert said.status == -9
    asked = [words for words in booting.calls("timeout") if "head" in words]
    delays = [int(words[0]) for words in asked]
    assert len(delays) < 60
    assert delays[0] <= 2
    assert all(10 <= delay <= 20 for delay in delays[6:])
    assert len(delays) > 8


def test_after_a_failure_dhcp_is_asked_again(booting: FakeRoot) -> None:
    booting.dhcp(values={"ip": "10.0.2.15", "serverid": "10.0.2.2", "rootpath": "/mended"})
    event = "env ip=10.0.2.15 interface=eth0 /lib/pxeinit/dhcp-event bound"
    booting.fake("udhcpc", fails=[0, 0, 0, -1], when=" -f ", does=f'[ "$count" -gt 2 ] || {event}')
    said = booting.boot()
    assert said.status == 0
    assert said.reports("PXE-INIT-root-no-path")
    assert booting.state()["root"] == "10.0.2.2:/mended"


# Several servers


def test_the_next_server_is_taken_where_one_refuses(root: FakeRoot) -> None:
    plant_tree(root)
    root.refuse("Permission denied", when="10.0.2.2:")
    said = phase(root, "nfsroot=10.0.2.2,10.0.2.3:/srv")
    assert said.console.endswith("status 0\n")
    assert said.codes == []
    assert said.warnings == ["the NFS server 10.0.2.2 cannot be used: NFS 3: Permission denied"]
    assert (root.state()["root"], root.state()["root.address"]) == ("10.0.2.3:/srv", "10.0.2.3")


@pytest.mark.parametrize("failure", ["silent", "hanging", "unknown", "useless"])
def test_the_next_server_is_taken_where_one_fails(root: FakeRoot, failure: str) -> None:
    plant_tree(root)
    if failure == "silent":
        root.refuse("Connection refused", when="10.0.2.2:")
    elif failure == "hanging":
        root.fake("timeout", when="10.0.2.2:", fails=137)
    elif failure == "useless":
        root.fake("mount", when="10.0.2.2:", does="echo 65534 > /tmp/owner; exit 0")
        root.fake("mount", when="10.0.2.3:", does="echo 0 > /tmp/owner; exit 0")
        root.fake("stat", does="cat /tmp/owner; exit 0")
    first = "nfs.lab" if failure == "unknown" else "10.0.2.2"
    said = phase(root, f"nfsroot={first},10.0.2.3:/srv")
    assert said.console.endswith("status 0\n")
    assert root.state()["root"] == "10.0.2.3:/srv"
    assert f"the NFS server {first} cannot be used: " in said.warnings[-1]
    assert root.calls("sleep") == []


def test_the_first_server_is_asked_first_again(root: FakeRoot) -> None:
    plant_tree(root)
    root.refuse("Connection refused", when="10.0.2.2:", fails=[32, 32, 0])
    root.refuse("Connection refused", when="10.0.2.3:")
    phase(root, "nfsroot=10.0.2.2,10.0.2.3:/srv")
    devices = [words[5] for words in root.calls("mount") if words[1] == "-t"]
    assert devices == ["10.0.2.2:/srv", "10.0.2.3:/srv"] * 2 + ["10.0.2.2:/srv"]
    assert root.state()["root"] == "10.0.2.2:/srv"


@pytest.mark.parametrize("servers", ["10.0.2.2,10.0.2.3", "10.0.2.3,10.0.2.2"])
def test_while_one_of_them_may_come_it_is_waited_for(root: FakeRoot, servers: str) -> None:
    root.refuse("Permission denied", when="10.0.2.2:")
    root.refuse("Connection refused", when="10.0.2.3:")
    said = phase(root, f"nfsroot={servers}:/srv panic=5")
    assert said.codes == ["PXE-INIT-root-unreachable"]
    assert "the NFS server 10.0.2.3 (10.0.2.3) does not answer" in said.console
    assert said.console.count("trying again: the NFS server 10.0.2.3") == 2


def test_all_of_them_refuse(root: FakeRoot) -> None:
    root.refuse("Permission denied", when="10.0.2.2:")
    root.refuse("No such file or directory", when="10.0.2.3:")
    said = phase(root, "nfsroot=10.0.2.2,10.0.2.3:/srv")
    assert said.codes == ["PXE-INIT-root-refused"]
    assert "10.0.2.2:/srv: the server refuses the mount" in said.console
    assert said.console.endswith("status 1\n")
