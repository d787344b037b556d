"""link.sh: vlan= and bond= in dracut's syntax."""

import pytest

from tests.init.fakeroot import FakeRoot, Result
from tests.init.test_check import HOSTILE

SHOW = 'echo "[$link_vlans|$link_bonds|$link_made|$link_members]"'


def take(root: FakeRoot, cmdline: str) -> tuple[list[str], list[str]]:
    """What is shown, split at its bars, and the warnings."""
    root.write("proc/cmdline", cmdline)
    said = root.run(f"read_params; {SHOW}")
    return said.console.splitlines()[-1].strip("[]").split("|"), said.warnings


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("vlan5:eth0", "vlan5:eth0:5"),
        ("vlan0005:eth0", "vlan0005:eth0:5"),
        ("eth0.0100:eth0", "eth0.0100:eth0:100"),
        ("bond0.4094:bond0", "bond0.4094:bond0:4094"),
    ],
)
def test_vlans(root: FakeRoot, value: str, kept: str) -> None:
    shown, warnings = take(root, f"vlan={value}")
    assert warnings == []
    assert shown == [f" {kept}", "", f" {value.split(':')[0]} ", f" {value.split(':')[1]} "]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "vlan5",
        "vlan:eth0",
        "vlan0:eth0",
        "vlan4095:eth0",
        "eth0.5x:eth0",
        "vlan5:",
        ":eth0",
        "vlan5:eth0:x",
        "../5:eth0",
        "vlan99999999999:eth0",
    ],
)
def test_wrong_vlans(root: FakeRoot, value: str) -> None:
    shown, warnings = take(root, f"vlan={value}")
    assert shown == ["", "", " ", " "]
    assert warnings == [
        f"vlan='{value}' is ignored: it takes NAME:INTERFACE, NAME ending in a number from 1 to 4094"
    ]


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("bond", "bond0:eth0,eth1:mode=balance-rr,miimon=100:"),
        ("bond=", "bond0:eth0,eth1:mode=balance-rr,miimon=100:"),
        ("bond=b1", "b1:eth0,eth1:mode=balance-rr,miimon=100:"),
        ("bond=b1:a,b,c", "b1:a,b,c:mode=balance-rr,miimon=100:"),
        (
            "bond=b1:a,b:miimon=50,mode=802.3ad,lacp_rate=fast",
            "b1:a,b:mode=802.3ad,miimon=50,lacp_rate=fast:",
        ),
        (
            "bond=b1:a,b:arp_interval=9,arp_ip_target=1.1.1.1;2.2.2.2",
            "b1:a,b:arp_interval=9,arp_ip_target=1.1.1.1;2.2.2.2:",
        ),
        ("bond=b1:a,b:mode=1:9000", "b1:a,b:mode=1,miimon=100:9000"),
    ],
)
def test_bonds(root: FakeRoot, word: str, kept: str) -> None:
    shown, warnings = take(root, word)
    assert warnings == []
    assert shown[1] == f" {kept}"
    assert shown[3].split() == kept.split(":")[1].split(",")


@pytest.mark.parametrize(
    "value",
    [
        "../b:a",
        "b:a/b",
        "b:a,,b",
        "b:a,b:mode",
        "b:a,b:Mode=1",
        "b:a,b:../x=1",
        "b:a,b:mode=$(x)",
        "b:a,b:mode=",
        "b:a,b:mode=1:70",
        "b:a,b:=1",
        "b:a,b:mode=a/b",
    ],
)
def test_wrong_bonds(root: FakeRoot, value: str) -> None:
    shown, warnings = take(root, f"bond={value}")
    assert shown == ["", "", " ", " "]
    assert len(warnings) == 1
    assert f"bond='{value}' is ignored: it takes NAME:INTERFACE,INTERFACE:OPTION=VALUE" in warnings[0]


@pytest.mark.parametrize("name", ["vlan", "bond"])
def test_hostile_values_are_dropped(root: FakeRoot, name: str) -> None:
    forms = ["{}", "x5:{}", "{}5:eth0", "x:{}:mode=1", "x:a:mode={}", "x:a:{}=1", "x:a:mode=1:{}"]
    values = [form.replace("{}", value) for form in forms for value in HOSTILE]
    said = root.run(f'for v; do take_{name} "$v"; done; {SHOW}', *values)
    *_, last = said.console.splitlines()
    # Made of letters, digits and what separates them; without a slash, no name leads anywhere.
    assert set(last) <= set("abcdefghijklmnopqrstuvwxyz0123456789[]|:=,.;+- ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
    assert not root.place("canary").exists()


def vlan_maker(root: FakeRoot, *, fails: int = 0) -> None:
    """As the kernel: a VLAN appears with its parent's address, and a carrier."""
    does = """[ "$status" -ne 0 ] || {
mkdir -p /sys/class/net/$6; cp /sys/class/net/$4/* /sys/class/net/$6/ 2>/dev/null; }"""
    root.fake(
        "ip",
        when=" type vlan ",
        fails=fails,
        says="ip: RTNETLINK answers: Operation not supported",
        does=f"{does}; :",
    )


def network(root: FakeRoot, cmdline: str) -> Result:
    root.write("proc/cmdline", cmdline)
    return root.run('read_params; read_release; phase_network; echo "status $?; $interfaces; $linked"')


def test_a_vlan_takes_its_parents_place(root: FakeRoot) -> None:
    root.nic("eth0")
    root.nic("eth1", mac="52:54:00:00:00:02")
    vlan_maker(root)
    said = network(root, "vlan=vlan0005:eth0")
    assert said.console.endswith("status 0; eth1 vlan0005; eth1 vlan0005\n")
    calls = [" ".join(words) for words in root.calls("ip")]
    assert calls.index("link set eth0 up") < calls.index("link add link eth0 name vlan0005 type vlan id 5")
    assert ["-q", "8021q"] in root.calls("modprobe")
    assert "the VLAN vlan0005 is made on eth0" in said.console


def test_ip_can_name_what_a_vlan_is_made_of(root: FakeRoot) -> None:
    root.nic("eth0")
    vlan_maker(root)
    assert network(root, "vlan=vlan5:eth0 ip=eth0:dhcp").console.endswith("status 0; eth0; eth0\n")


def test_bootif_finds_the_vlan_of_its_card(root: FakeRoot) -> None:
    root.nic("eth0")
    vlan_maker(root)
    said = network(root, "vlan=eth0.5:eth0 BOOTIF=01-52-54-00-12-34-56")
    assert said.console.endswith("status 0; eth0.5; eth0.5\n")


def test_a_vlan_that_the_kernel_cannot_make_is_told_once(root: FakeRoot) -> None:
    root.nic("eth0")
    vlan_maker(root, fails=2)
    said = network(root, "vlan=vlan5:eth0")
    assert said.warnings == [
        "the VLAN vlan5 cannot be made: no VLANs in the kernel, nor the module 8021q in the image"
    ]
    assert said.reports("PXE-INIT-network-no-nic")
    assert "no interface is vlan5" in said.console
    assert said.console.endswith("status 1; ; \n")
    assert len([words for words in root.calls("ip") if "vlan" in words]) == 1


def test_a_vlan_waits_for_its_parent(root: FakeRoot) -> None:
    vlan_maker(root)
    root.nic("eth0")
    root.place("sys/class/net/eth0").rename(root.place("sys/later"))
    root.fake(
        "usleep", fails=[-1, -1, 0], does='[ "$count" -lt 2 ] || /bin/mv /sys/later /sys/class/net/eth0'
    )
    assert network(root, "vlan=vlan5:eth0").console.endswith("status 0; vlan5; vlan5\n")


BOND_FILES = "mode miimon slaves arp_ip_target lacp_rate"


def bonding(root: FakeRoot) -> None:
    """As the kernel: the module brings the file, writing to it the bond (made here, for a file cannot)."""
    base = "/sys/class/net/bond0"
    files = " ".join(f"{base}/bonding/{name}" for name in BOND_FILES.split())
    does = f"""[ -e {base} ] || {{ mkdir -p {base}/bonding; : > /sys/class/net/bonding_masters
for file in {files}; do : > $file; done
echo 1 > {base}/type; echo 1 > {base}/carrier; echo 52:54:00:12:34:56 > {base}/address; }}"""
    # The kernel makes the folder at the write; the client must not look for it before.
    root.fake("modprobe", when="bonding", does=does)


def test_a_bond(root: FakeRoot) -> None:
    root.nic("eth0")
    root.nic("eth1", mac="52:54:00:00:00:02")
    root.nic("eth2", mac="52:54:00:00:00:03")
    bonding(root)
    said = network(root, "bond=bond0:eth0,eth1:lacp_rate=fast,mode=802.3ad:1400")
    assert said.console.endswith("status 0; bond0 eth2; bond0 eth2\n")
    assert root.read("sys/class/net/bonding_masters") == "+bond0"
    assert root.read("sys/class/net/bond0/bonding/mode") == "802.3ad"
    assert root.read("sys/class/net/bond0/bonding/lacp_rate") == "fast"
    assert root.read("sys/class/net/bond0/bonding/miimon") == "100"
    assert root.read("sys/class/net/bond0/bonding/slaves") == "+eth1"
    calls = [" ".join(words) for words in root.calls("ip")]
    assert "link set bond0 mtu 1400" in calls
    assert (
        calls.index("link set eth0 down")
        < calls.index("link set eth1 down")
        < calls.index("link set bond0 up")
    )
    assert ["-q", "bonding", "max_bonds=0"] in root.calls("modprobe")
    assert said.warnings == []


def test_several_targets_are_added_one_by_one(root: FakeRoot) -> None:
    said = root.run(
        ": > /tmp/arp_ip_target; set_bond /tmp/arp_ip_target '1.1.1.1;2.2.2.2'; cat /tmp/arp_ip_target"
    )
    assert said.console == "+2.2.2.2\n"
    assert "bonding does not take nosuch=1" in root.run("set_bond /tmp/nosuch 1").console


def test_an_option_that_bonding_has_not_is_a_warning(root: FakeRoot) -> None:
    root.nic("eth0")
    bonding(root)
    said = network(root, "bond=bond0:eth0:mode=1,colour=red")
    assert said.warnings == ["bonding does not take colour=red"]
    assert said.console.endswith("status 0; bond0; bond0\n")


def test_a_kernel_without_bonding_is_told_once(root: FakeRoot) -> None:
    root.nic("eth0")
    # No file can be made in the kernel's sysfs; here the folder is a file's place.
    root.folder("sys/class/net/bonding_masters")
    said = network(root, "bond=bond0:eth0")
    assert said.warnings == [
        "the bond bond0 cannot be made: no bonding in the kernel, nor its module in the image"
    ]
    assert said.reports("PXE-INIT-network-no-nic")


def test_members_join_when_they_come_and_are_taken_once(root: FakeRoot) -> None:
    root.nic("eth0")
    bonding(root)
    said = root.run(
        "take_bond bond0:eth0,eth1; make_links; mkdir /sys/class/net/eth0/master; make_links; "
        "mkdir /sys/class/net/eth1; make_links; make_links"
    )
    assert said.warnings == []
    down = [words[2] for words in root.calls("ip") if words[-1] == "down"]
    # eth1 shows no master, for the fake kernel gives it none.
    assert down == ["eth0", "eth1", "eth1"]


def test_a_member_that_is_refused_is_told_once(root: FakeRoot) -> None:
    root.nic("eth0")
    bonding(root)
    said = root.run(
        "take_bond bond0:eth0; modprobe bonding; rm /sys/class/net/bond0/bonding/slaves; "
        "mkdir /sys/class/net/bond0/bonding/slaves; make_links; make_links"
    )
    assert said.warnings == ["the bond bond0 does not take eth0"]


def test_an_mtu_that_a_bond_does_not_take(root: FakeRoot) -> None:
    bonding(root)
    root.fake("ip", when="mtu", fails=2)
    said = root.run("take_bond bond0:eth0:mode=1:9000; make_links")
    assert said.warnings == ["bond0: the kernel refuses the MTU 9000"]
