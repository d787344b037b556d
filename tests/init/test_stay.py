"""stay.sh, keep-lease, lease-event: the lease is renewed out of memory, nothing else touches the address."""

import pytest

from tests.init.fakeroot import FakeRoot, Result

ADDRESS = "10.0.2.15"
DHCP = {"address": ADDRESS, "prefix": "24", "server": "10.0.2.2", "obtained": "3.00"}
BASE = "run/initramfs"


def handoff(root: FakeRoot, cmdline: str = "", **lease: str) -> Result:
    root.write("proc/cmdline", cmdline)
    root.nic()
    root.lease(**(lease or DHCP))
    root.folder("newroot/etc")
    return root.run(
        "read_params; new_root=/newroot; lease_interface=eth0; phase_handoff; wait; echo status $?"
    )


def keeper_calls(root: FakeRoot) -> list[list[str]]:
    return [words for words in root.calls("setsid") if words[0] == "chroot"]


@pytest.mark.parametrize(
    ("client_id", "words"),
    [("mac", []), ("none", ["-C"]), ("01525400123456", ["-C", "-x", "0x3d:01525400123456"])],
)
def test_the_keeper_asks_as_the_boot_did(root: FakeRoot, client_id: str, words: list[str]) -> None:
    """Else the server takes it for another client, and gives it another address."""
    handoff(root, **(DHCP | {"vendor-class": "PXEClient:x y", "client-id": client_id}))
    (call,) = keeper_calls(root)
    assert call[5:] == ["eth0", ADDRESS, "-V", "PXEClient:x y", *words]


def test_what_stays_in_memory(root: FakeRoot) -> None:
    assert handoff(root).console == "status 0\n"
    base = root.place(BASE)
    assert ["-t", "tmpfs", "-o", "nosuid,mode=0755,size=16m", "tmpfs", f"/{BASE}"] in root.calls("mount")
    assert (base / "bin/busybox").read_bytes() == root.place("bin/busybox").read_bytes()
    assert str((base / "bin/sh").readlink()) == "busybox"
    assert str((base / "@/busybox").readlink()) == "../bin/busybox"
    for name in ("shutdown", "leave", "leave-anyway", "keep-lease", "lease-event"):
        assert (base / name).read_bytes() == root.place(f"lib/pxeinit/{name}").read_bytes()
        assert (base / name).stat().st_mode & 0o111
    assert {"oldroot", "proc", "sys", "dev", "run"} <= set(root.names(BASE))
    assert root.calls("mknod") == [
        ["-m", "666", f"/{BASE}/dev/null", "c", "1", "3"],
        ["-m", "600", f"/{BASE}/dev/kmsg", "c", "1", "11"],
    ]


def test_once_is_enough(root: FakeRoot) -> None:
    handoff(root)
    root.write(f"{BASE}/shutdown", "mine", 0o755)
    handoff(root)
    assert root.read(f"{BASE}/shutdown") == "mine"
    assert len(keeper_calls(root)) == 1


def test_without_a_tmpfs_of_its_own(root: FakeRoot) -> None:
    root.fake("mount", when=f"/{BASE}", fails=1)
    said = handoff(root)
    assert said.warnings == [f"no tmpfs of its own for /{BASE}"]
    assert len(keeper_calls(root)) == 1


def test_the_keeper_starts(root: FakeRoot) -> None:
    root.fake("setsid", does="set > /tmp/environment")
    handoff(root)
    (call,) = keeper_calls(root)
    assert call == ["chroot", f"/{BASE}", "@/busybox", "sh", "/keep-lease", "eth0", ADDRESS, "-V", "pxeinit"]
    assert root.read(f"{BASE}/keeper/address") == ADDRESS
    assert str(root.place("run/pxeinit/keeper").readlink()) == "../initramfs/keeper"
    names = {line.partition("=")[0] for line in (root.read("tmp/environment") or "").splitlines()}
    assert not names & {"param_mode", "lease_interface", "LC_ALL"}


def test_an_address_of_ip_is_nobodys_to_renew(root: FakeRoot) -> None:
    assert handoff(root, address=ADDRESS, prefix="24").console == "status 0\n"
    assert keeper_calls(root) == []


# Whatever manages networks in the tree


def test_networkd_is_told(root: FakeRoot) -> None:
    root.folder("newroot/usr/lib/systemd")
    values = {"dns": "1.1.1.1 1.0.0.1", "domain": "lab", "ntp": "10.0.2.4", "router": "10.0.2.1 10.0.2.9"}
    handoff(root, "nameserver=9.9.9.9", **DHCP, **values)
    text = root.read("run/systemd/network/0-pxeinit-eth0.network")
    assert text is not None
    assert text.splitlines()[1:] == [
        *("[Match]", "Name=eth0", "[Network]", "Address=10.0.2.15/24"),
        *("KeepConfiguration=yes", "IgnoreCarrierLoss=yes"),
        *("DNS=9.9.9.9", "DNS=1.1.1.1", "DNS=1.0.0.1", "Domains=lab", "NTP=10.0.2.4"),
    ]
    link = root.read("run/systemd/network/0-pxeinit-eth0.link")
    assert link is not None
    assert "[Match]\nOriginalName=eth0\n[Link]\n" in link
    assert "NamePolicy" not in link.replace("AlternativeNamesPolicy", "")


def test_networkd_with_an_ipv6_address_alone(root: FakeRoot) -> None:
    root.folder("newroot/usr/lib/systemd")
    handoff(root, address6="2001:db8::5/64")
    text = root.read("run/systemd/network/0-pxeinit-eth0.network") or ""
    assert [line for line in text.splitlines() if line.startswith("Address")] == ["Address=2001:db8::5/64"]


def test_networkd_with_the_search_list_and_little_else(root: FakeRoot) -> None:
    root.folder("newroot/lib/systemd")
    handoff(root, **DHCP, search="a.lab b.lab", domain="lab")
    text = root.read("run/systemd/network/0-pxeinit-eth0.network") or ""
    assert text.endswith("Domains=a.lab b.lab")
    assert "DNS=" not in text


def test_what_lies_below_the_interface_is_left_alone_too(root: FakeRoot) -> None:
    root.folder("newroot/lib/systemd")
    root.write("newroot/usr/sbin/NetworkManager", "")
    root.folder("sys/class/net/eth0/lower_ens1")
    root.folder("sys/class/net/eth0/lower_x;y")
    handoff(root)
    assert root.names("run/systemd/network") == [
        f"0-pxeinit-{name}.{kind}" for name in ("ens1", "eth0") for kind in ("link", "network")
    ]
    assert root.read("run/systemd/network/0-pxeinit-ens1.network") == (
        "[Match]\nName=ens1\n[Link]\nUnmanaged=yes"
    )
    assert "=interface-name:=eth0,interface-name:=ens1\n" in (
        root.read("run/NetworkManager/conf.d/0-pxeinit.conf") or ""
    )


def test_a_tree_without_any_manager(root: FakeRoot) -> None:
    handoff(root)
    assert not {"systemd", "NetworkManager"} & set(root.names("run"))


@pytest.mark.parametrize("place", ["usr/sbin", "usr/bin"])
def test_networkmanager_is_told(root: FakeRoot, place: str) -> None:
    root.write(f"newroot/{place}/NetworkManager", "")
    handoff(root)
    assert (root.read("run/NetworkManager/conf.d/0-pxeinit.conf") or "").splitlines()[1:] == [
        *("[device-pxeinit]", "match-device=interface-name:=eth0", "managed=0"),
        *("[keyfile]", "unmanaged-devices+=interface-name:=eth0"),
    ]


INTERFACES = """# auto eth0
auto lo eth0
auto eth0
\tallow-hotplug eth0=work eth1
allow-auto \\
  eth0
auto eth00
iface lo inet loopback
iface eth0 inet dhcp
    up echo a\\b; echo auto eth0
auto eth2 \\
  eth0 eth3
mapping eth0 \\
  script x
"""
WITHOUT_ETH0 = """# auto eth0
auto lo
allow-hotplug eth1
auto eth00
iface lo inet loopback
iface eth0 inet dhcp
    up echo a\\b; echo auto eth0
auto eth2 eth3
mapping eth0 \\
  script x"""


@pytest.mark.parametrize("mode", ["farm", "overlay"])
def test_ifupdown_does_not_start_it(root: FakeRoot, mode: str) -> None:
    root.write("newroot/etc/network/interfaces", INTERFACES)
    root.write("newroot/etc/network/interfaces.d/site", "auto eth0\nauto eth1 \\")
    handoff(root, f"pxeinit.mode={mode}")
    assert root.read("newroot/etc/network/interfaces") == WITHOUT_ETH0
    # What ends in the middle is not lost.
    assert root.read("newroot/etc/network/interfaces.d/site") == "auto eth1 \\"
    assert not [words for words in root.calls("mount") if words[:2] == ["-o", "bind"]]


def test_dhcpcd_is_told_before_anything_else(root: FakeRoot) -> None:
    root.write("newroot/etc/dhcpcd.conf", "interface eth1\nstatic x")
    handoff(root)
    assert root.read("newroot/etc/dhcpcd.conf") == "denyinterfaces eth0\ninterface eth1\nstatic x"


@pytest.mark.parametrize("mode", ["ro", "rw", "farm pxeinit.farm=symlink"])
def test_a_shared_file_is_covered(root: FakeRoot, mode: str) -> None:
    root.write("newroot/etc/dhcpcd.conf", "old", 0o640)
    said = handoff(root, f"pxeinit.mode={mode}")
    assert said.warnings == []
    assert root.read("newroot/etc/dhcpcd.conf") == "old"
    cover = "run/pxeinit/covers/etc/dhcpcd.conf"
    assert ["-o", "bind", f"/{cover}", "/newroot/etc/dhcpcd.conf"] in root.calls("mount")
    assert root.read(cover) == "denyinterfaces eth0\nold"
    assert root.place(cover).stat().st_mode & 0o777 == 0o640


def test_a_link_into_the_tree_is_covered(root: FakeRoot) -> None:
    root.write("newroot/nfsroot/shared.conf", "old")
    root.folder("newroot/etc")
    root.link("newroot/etc/dhcpcd.conf", "/nfsroot/shared.conf")
    handoff(root)
    assert [
        "-o",
        "bind",
        "/run/pxeinit/covers/etc/dhcpcd.conf",
        "/newroot/nfsroot/shared.conf",
    ] in root.calls("mount")
    assert root.read("newroot/nfsroot/shared.conf") == "old"


@pytest.mark.parametrize("failing", ["mount", "cp", "cat"])
def test_what_cannot_be_changed_is_told(root: FakeRoot, failing: str) -> None:
    root.write("newroot/etc/dhcpcd.conf", "old")
    root.fake(failing, when="covers" if failing != "cat" else "/tmp/replacement", fails=1)
    said = handoff(root, "pxeinit.mode=ro" if failing != "cat" else "")
    assert said.warnings == ["/etc/dhcpcd.conf cannot be changed for this boot"]
    assert said.console.endswith("status 0\n")


# The keeper


def keep(root: FakeRoot) -> Result:
    root.folder("keeper")
    return root.execute("/bin/sh", "/lib/pxeinit/keep-lease", "eth0", ADDRESS, "-V", "a b")


def test_the_keeper_asks_for_its_own_address_again_and_again(root: FakeRoot) -> None:
    root.fake("udhcpc", does="cat /keeper/pids > /tmp/pids; echo $PPID $$ > /tmp/own; /bin/usleep 1")
    said = keep(root)
    # Until the fake clock's end.
    assert said.status == -9
    asked = root.calls("udhcpc")[0]
    assert asked[:5] == ["-f", "-i", "eth0", "-r", ADDRESS]
    assert "-q" not in asked
    assert "-n" not in asked
    assert asked[-2:] == ["-V", "a b"]
    assert asked[asked.index("-s") + 1] == "/lease-event"
    pauses = [int(words[0]) for words in root.calls("sleep")]
    assert pauses[:6] == [2, 4, 8, 16, 32, 60]
    assert set(pauses[6:]) == {60}
    pids = (root.read("keeper/pids") or "").split()
    assert len(pids) == 2
    assert all(word.isdigit() for word in pids)
    assert "<12>pxeinit: the lease of eth0 is not kept; trying again in 60 s" in (root.read("dev/kmsg") or "")


def test_the_keeper_is_quick_again_after_it_worked(root: FakeRoot) -> None:
    root.fake("udhcpc", does='[ "$count" -ne 3 ] || : > /keeper/renewed')
    keep(root)
    assert [int(words[0]) for words in root.calls("sleep")][:6] == [2, 4, 8, 2, 4, 8]


def test_the_keeper_without_a_log(root: FakeRoot) -> None:
    root.folder("dev/kmsg")
    assert keep(root).console == ""


def event(root: FakeRoot, name: str, **values: str) -> Result:
    root.write("keeper/address", ADDRESS)
    words = [f"{key}={value}" for key, value in values.items()]
    return root.execute(
        "/bin/env", *words, "/bin/sh", "-c", f"/lib/pxeinit/lease-event {name}; echo alive $?"
    )


def kmsg(root: FakeRoot) -> str:
    return root.read("dev/kmsg") or ""


@pytest.mark.parametrize("name", ["bound", "renew"])
def test_a_renewed_lease(root: FakeRoot, name: str) -> None:
    assert event(root, name, ip=ADDRESS, lease="60").console == "alive 0\n"
    assert root.read("keeper/lease-seconds") == "60"
    assert root.read("keeper/renewed") == ""
    assert kmsg(root) == ""


@pytest.mark.parametrize("lease", ["", "$(reboot)", "-1", "12345678901"])
def test_times_that_are_none(root: FakeRoot, lease: str) -> None:
    event(root, "renew", ip=ADDRESS, lease=lease)
    assert root.read("keeper/lease-seconds") is None
    assert root.read("keeper/renewed") == ""


@pytest.mark.parametrize("ip", ["10.0.2.16", "", "$(reboot)"])
def test_another_address_is_refused(root: FakeRoot, ip: str) -> None:
    # Its parent, udhcpc, ends; nothing is taken.
    assert "alive" not in event(root, "bound", ip=ip, lease="60").console
    assert root.read("keeper/renewed") is None
    assert kmsg(root) == f"<12>pxeinit: DHCP offers another address; {ADDRESS} is kept, and asked for again"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nak", f"the DHCP server no longer grants {ADDRESS}; it is kept, and asked for again"),
        ("leasefail", f"no DHCP server renews {ADDRESS}; it is kept, and asked for again"),
    ],
)
def test_bad_news_once_and_good_news_after_it(root: FakeRoot, name: str, text: str) -> None:
    assert event(root, name).console == "alive 0\n"
    assert kmsg(root) == f"<12>pxeinit: {text}"
    root.write("dev/kmsg", "")
    event(root, name)
    assert kmsg(root) == ""
    event(root, "renew", ip=ADDRESS, lease="60")
    assert kmsg(root) == f"<14>pxeinit: the lease of {ADDRESS} is renewed again"
    root.write("dev/kmsg", "")
    event(root, "renew", ip=ADDRESS, lease="60")
    assert kmsg(root) == ""
    event(root, name)
    assert kmsg(root) == f"<12>pxeinit: {text}"


@pytest.mark.parametrize("name", ["deconfig", "", "optionsobtained"])
def test_other_events_change_nothing(root: FakeRoot, name: str) -> None:
    assert event(root, name, ip="10.0.2.16").console == "alive 0\n"
    assert root.names("keeper") == ["address"]
    assert kmsg(root) == ""


def test_an_event_without_a_keeper(root: FakeRoot) -> None:
    said = root.execute("/bin/sh", "-c", "/lib/pxeinit/lease-event renew 2>/dev/null; echo status $?")
    assert said.console == "status 1\n"
