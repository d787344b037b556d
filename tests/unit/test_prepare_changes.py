"""Each change: what it makes of a tree, and what was arranged by hand, which it leaves alone."""

import os
import re
from pathlib import Path

import pytest

from mkpxeinit.errors import PrepareError
from mkpxeinit.prepare import ifupdown, view, wicked
from mkpxeinit.prepare.catalogue import CHANGES, NAMES
from mkpxeinit.prepare.fstab import reason_against
from tests.unit.distributions import MACHINE_ID, SYSTEMD, UNIT
from tests.unit.doc_blocks import DOCS
from tests.unit.prepared import after, do, notes, untouched
from tests.unit.small import Link, Tree, make_tree

INIT = Path(__file__).resolve().parents[2] / "init/lib"


@pytest.fixture(autouse=True)
def any_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """In an overlay too, what was made in it can be moved; and no machine is lost here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(view, "_overlays", set)


def test_names_and_reasons() -> None:
    assert len(set(NAMES)) == len(NAMES) == 24
    for change in CHANGES:
        assert re.fullmatch(r"[a-z][a-z.-]+", change.name)
        assert 20 < len(change.reason) < 85


# mtab, resolv.conf


@pytest.mark.parametrize("content", ["/dev/sda1 / ext4 rw 0 0\n", Link("/etc/elsewhere")])
def test_mtab(tmp_path: Path, content: str | Link) -> None:
    root = after(tmp_path, {"etc/mtab": content}, "mtab")
    assert str((root / "etc/mtab").readlink()) == "../proc/self/mounts"


@pytest.mark.parametrize(
    "target", ["/proc/mounts", "../proc/mounts", "../proc/self/mounts", "/proc/self/mounts"]
)
def test_mtab_that_is_a_link(tmp_path: Path, target: str) -> None:
    assert untouched(tmp_path, {"etc/mtab": Link(target)}, "mtab")


@pytest.mark.parametrize(
    "content",
    [
        "nameserver 192.0.2.1\n",
        Link("/run/systemd/resolve/stub-resolv.conf"),
        Link("../run/resolvconf/resolv.conf"),
        Link("/var/run/NetworkManager/resolv.conf"),
        Link("/run/netconfig/resolv.conf"),
        Link("resolv.conf.static"),
    ],
)
def test_resolv_conf(tmp_path: Path, content: str | Link) -> None:
    root = after(tmp_path, {"etc/resolv.conf": content}, "resolv.conf")
    assert str((root / "etc/resolv.conf").readlink()) == "/run/pxeinit/resolv.conf"


@pytest.mark.parametrize("target", ["/run/pxeinit/resolv.conf", "/var/resolv.conf", "../run/resolv.conf"])
def test_resolv_conf_by_hand(tmp_path: Path, target: str) -> None:
    """The HOWTO's link leads to /var; the client writes there."""
    assert untouched(tmp_path, {"etc/resolv.conf": Link(target)}, "resolv.conf")


def test_the_client_knows_that_link() -> None:
    assert '"$run_dir/resolv.conf") return 0' in (INIT / "handoff.sh").read_text()


# fstab


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("UUID=aa / ext4 defaults 0 1", "the root comes from the network"),
        ("/dev/mapper/vg-root / xfs defaults 0 0", "the root comes from the network"),
        ("/dev/sda2 none swap sw 0 0", "no disk to swap to"),
        ("/swapfile none swap sw 0 0", "no disk to swap to"),
        ("LABEL=home /home ext4 defaults 0 2", "a disk of the machine installed on"),
        ('UUID="aa" /boot vfat umask=0077 0 1', "a disk of the machine installed on"),
        ("PARTUUID=a-01 /boot vfat", "a disk of the machine installed on"),
        ("tank/home /home zfs defaults 0 0", "a disk of the machine installed on"),
        ("nas:/home /home nfs4 defaults,_netdev 0 0", None),
        ("//nas/share /mnt cifs credentials=/x 0 0", None),
        ("tmpfs /tmp tmpfs nosuid 0 0", None),
        ("proc /proc proc defaults 0 0", None),
        ("/usr/share /srv none bind 0 0", None),
        ("/dev/sr0 /media/cdrom udf user,noauto 0 0", None),
        ("LABEL=scratch /scratch ext4 nofail 0 0", None),
        ("/dev/disk/by-path/ip-x /data ext4 _netdev 0 0", None),
        ("/dev/zram0 none swap defaults 0 0", None),
        ("/dev/nfs / nfs defaults 0 0", None),
        ("none / tmpfs defaults 0 0", None),
        ("# UUID=aa / ext4 defaults 0 1", None),
        ("UUID=aa", None),
        ("", None),
    ],
)
def test_lines_of_fstab(line: str, reason: str | None) -> None:
    assert reason_against(line) == reason


def test_fstab_keeps_its_bytes(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "t", {"etc/fstab": b"# \xff\x0b comment\r\nUUID=aa\t/ ext4 x 0 1\n\nno end"})
    do(root, "fstab")
    assert (root / "etc/fstab").read_bytes() == (
        b"# \xff\x0b comment\r\n# mkpxeinit: the root comes from the network: UUID=aa\t/ ext4 x 0 1\n\nno end"
    )


def test_a_fstab_of_impossible_size(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "t", {"etc/fstab": "x"})
    os.truncate(root / "etc/fstab", 1 << 30)
    with pytest.raises(PrepareError, match="etc/fstab: larger than 67108864 bytes; mend it, or"):
        do(root, "fstab")


# networks


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("auto lo\niface lo inet loopback\n", None),
        ("iface eth0 inet dhcp\n", None),
        (
            "auto lo eth0\n",
            "auto lo\n# mkpxeinit: pxeinit brings up the boot interface: auto lo eth0\n",
        ),
        ("auto /eth*\n", "# mkpxeinit: pxeinit brings up the boot interface: auto /eth*\n"),
        (
            "allow-hotplug \\\n  enp0s3\nx",
            "# mkpxeinit: pxeinit brings up the boot interface: allow-hotplug enp0s3\nx",
        ),
        ("# auto eth0\n", None),
        ("auto eth0=home", "# mkpxeinit: pxeinit brings up the boot interface: auto eth0=home\n"),
    ],
)
def test_interfaces(text: str, new: str | None) -> None:
    assert ifupdown.without_auto(text) == (text if new is None else new)
    assert ifupdown.without_auto(new or text) == (new or text)


def test_interfaces_d(tmp_path: Path) -> None:
    root = after(tmp_path, {"etc/network/interfaces.d/eth0": "auto eth0\n"}, "ifupdown")
    assert (root / "etc/network/interfaces.d/eth0").read_text().startswith("# mkpxeinit: ")


NM: Tree = {"usr/sbin/NetworkManager": ""}


def test_networkmanager(tmp_path: Path) -> None:
    root = after(tmp_path, NM, "networkmanager")
    text = (root / "etc/NetworkManager/conf.d/90-mkpxeinit.conf").read_text()
    assert "\nno-auto-default=*\n" in text
    assert "\nunmanaged-devices+=type:ethernet," in text


@pytest.mark.parametrize("name", ["NetworkManager.conf", "conf.d/site.conf"])
def test_networkmanager_by_hand(tmp_path: Path, name: str) -> None:
    text = "[keyfile]\nunmanaged-devices=interface-name:eth0\n"
    assert untouched(tmp_path, {**NM, f"etc/NetworkManager/{name}": text}, "networkmanager")
    assert untouched(tmp_path / "none", {}, "networkmanager")


WANTS = "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"


def test_networkd(tmp_path: Path) -> None:
    """Its file stands behind the client's, and before all others."""
    root = after(tmp_path, {WANTS: Link("/x")}, "networkd")
    text = (root / "etc/systemd/network/05-mkpxeinit.network").read_text()
    assert text.endswith("[Match]\nType=ether\nKind=!*\n[Link]\nUnmanaged=yes\n")
    assert '/0-pxeinit-$name.network"' in (INIT / "stay.sh").read_text().replace("$folder", "")
    assert "0-pxeinit-eth0.network" < "05-mkpxeinit.network" < "10-netplan-eth0.network"


def test_networkd_that_does_not_run(tmp_path: Path) -> None:
    assert untouched(tmp_path / "a", {"usr/lib/systemd/systemd-networkd": ""}, "networkd")
    masked: Tree = {WANTS: Link("/x"), "etc/systemd/system/systemd-networkd.service": Link("/dev/null")}
    assert untouched(tmp_path / "b", masked, "networkd")


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("STARTMODE='auto'\nBOOTPROTO='dhcp'\n", True),
        ('STARTMODE="hotplug"  # x\nBOOTPROTO=dhcp4', True),
        ("BOOTPROTO='dhcp'\n", False),
        ("STARTMODE='nfsroot'\nBOOTPROTO='none'\n", False),
        ("STARTMODE='auto'\nSTARTMODE='off'\n", False),
        ("STARTMODE=$(reboot)\n", False),
    ],
)
def test_wicked(text: str, changed: bool) -> None:
    new = wicked.as_nfsroot(text)
    assert (new != text) == changed
    assert new.endswith("\nBOOTPROTO='none'\nSTARTMODE='nfsroot'\n") == changed
    assert wicked.as_nfsroot(new) == new


def test_wicked_leaves_copies_alone(tmp_path: Path) -> None:
    tree = dict.fromkeys(("etc/sysconfig/network/ifcfg-lo", "etc/sysconfig/network/ifcfg-eth0.bak"), "")
    assert untouched(tmp_path, {name: "STARTMODE=auto\n" for name in tree}, "wicked")


def test_dhcpcd(tmp_path: Path) -> None:
    root = after(tmp_path, {"etc/dhcpcd.conf": "hostname\n"}, "dhcpcd")
    assert (root / "etc/dhcpcd.conf").read_text().splitlines()[1:] == [
        "denyinterfaces en* eth* bond* vlan*",
        "hostname",
    ]
    assert untouched(tmp_path / "b", {"etc/dhcpcd.conf": "allowinterfaces wlan0\n"}, "dhcpcd")


@pytest.mark.parametrize(
    "text",
    ["network:\n  ethernets:\n    eth0: {dhcp4: true}\n", "network: {ethernets: {eth0: {dhcp4: yes}}}\n"],
)
def test_netplan(tmp_path: Path, text: str) -> None:
    root = after(
        tmp_path,
        {"etc/netplan/50.yaml": text, "etc/netplan/01.yaml": "network:\n  renderer: NetworkManager\n"},
        "netplan",
    )
    assert [path.name for path in (root / "etc/netplan").iterdir()] == ["01.yaml"]


def test_cloud_init(tmp_path: Path) -> None:
    root = after(tmp_path, {"etc/cloud/cloud.cfg.d/05.cfg": "x: y\n"}, "cloud-init")
    assert "\nnetwork: {config: disabled}\n" in (root / "etc/cloud/cloud.cfg.d/99-mkpxeinit.cfg").read_text()
    by_hand: Tree = {"etc/cloud/cloud.cfg.d/05.cfg": "network:\n  config: disabled\n"}
    assert untouched(tmp_path / "b", by_hand, "cloud-init")


# identities


def test_machine_id(tmp_path: Path) -> None:
    root = after(tmp_path, {**SYSTEMD, "var/lib/dbus/machine-id": MACHINE_ID}, "machine-id")
    assert (root / "etc/machine-id").read_bytes() == b""
    assert str((root / "var/lib/dbus/machine-id").readlink()) == "/etc/machine-id"


def test_a_missing_machine_id(tmp_path: Path) -> None:
    """On a read-only root systemd can only mount over a file that is there."""
    root = after(tmp_path, {"usr/lib/systemd/systemd": ""}, "machine-id")
    assert (root / "etc/machine-id").stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("text", ["", "uninitialized\n"])
def test_a_machine_id_by_hand(tmp_path: Path, text: str) -> None:
    assert untouched(tmp_path, {**SYSTEMD, "etc/machine-id": text}, "machine-id")


def test_machine_id_without_systemd(tmp_path: Path) -> None:
    """dbus takes an empty one for damage."""
    root = after(
        tmp_path, {"etc/machine-id": MACHINE_ID, "var/lib/dbus/machine-id": MACHINE_ID}, "machine-id"
    )
    assert not (root / "etc/machine-id").exists() and not (root / "var/lib/dbus/machine-id").exists()


def test_identity(tmp_path: Path) -> None:
    names = ("var/lib/systemd/random-seed", "var/lib/dhcp/dhclient.eth0.leases", "etc/hostid")
    root = after(tmp_path, dict.fromkeys(names, "x") | {"var/lib/dhcp/other": "x"}, "identity")
    assert [
        str(p.relative_to(root)) for p in sorted(root.rglob("*")) if p.is_file() and "var" in p.parts
    ] == ["var/lib/dhcp/other"]


SSH: Tree = {
    "usr/lib/systemd/systemd": "",
    "usr/sbin/sshd": "",
    "usr/lib/systemd/system/ssh.service": UNIT,
    "etc/ssh/ssh_host_rsa_key": "secret",
    "etc/ssh/ssh_host_rsa_key.pub": "public",
    "etc/ssh/ssh_host_rsa_key.mine": "kept",
}


def test_ssh_host_keys(tmp_path: Path) -> None:
    root = after(tmp_path, SSH, "ssh-host-keys")
    assert [path.name for path in (root / "etc/ssh").iterdir()] == ["ssh_host_rsa_key.mine"]
    unit = root / "etc/systemd/system/mkpxeinit-ssh-keys.service"
    assert "ExecStart=/usr/bin/ssh-keygen -A\n" in unit.read_text()
    assert "\nBefore=shutdown.target ssh.service\n" in unit.read_text()
    link = root / "etc/systemd/system/ssh.service.wants/mkpxeinit-ssh-keys.service"
    assert link.read_text() == unit.read_text()


def test_ssh_host_keys_where_the_distribution_makes_them(tmp_path: Path) -> None:
    root = after(tmp_path, {**SSH, "usr/lib/systemd/system/sshd-keygen@.service": UNIT}, "ssh-host-keys")
    assert not (root / "etc/ssh/ssh_host_rsa_key").exists()
    assert not (root / "etc/systemd").exists()


@pytest.mark.parametrize(
    "maker",
    [
        {"usr/lib/systemd/system/sshd-keygen.service": "[Unit]\nConditionFirstBoot=yes\n"},
        {
            "usr/lib/systemd/system/sshd-keygen.service": UNIT,
            "etc/systemd/system/sshd-keygen.service": Link("/dev/null"),
        },
    ],
    ids=["Debian 13", "masked"],
)
def test_ssh_host_keys_where_the_distribution_makes_them_once(tmp_path: Path, maker: Tree) -> None:
    """A client has a machine-id: none of its boots is the first."""
    root = after(tmp_path, {**SSH, **maker}, "ssh-host-keys")
    assert (root / "etc/systemd/system/mkpxeinit-ssh-keys.service").exists()


def test_ssh_host_keys_where_nobody_makes_any(tmp_path: Path) -> None:
    tree = {name: content for name, content in SSH.items() if "systemd" not in name}
    assert untouched(tmp_path, tree, "ssh-host-keys")
    assert notes(tmp_path / "tree", "ssh-host-keys")[0].endswith("they stay, and pxeinit replaces them")


def test_the_page_names_each_change() -> None:
    """docs/prepare.md has one row for each, in the order of --list."""
    assert tuple(re.findall(r"^\| `([a-z.-]+)` \|", (DOCS / "prepare.md").read_text(), re.M)) == NAMES
