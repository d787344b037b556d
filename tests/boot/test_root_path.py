"""Where the root is: DHCP option 17 and the kernel command line, in every form that people write."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Nic, Tree
from tests.boot.quick import EXPORT, quick_boot, read_report, reporting_tree

USED_DRIVER = (
    "basename $(readlink /sys/class/net/$(sed -n 's/^interface=//p' /run/pxeinit/state)/device/driver)"
)


@pytest.mark.parametrize(
    ("root_path", "versions", "options"),
    [
        pytest.param(EXPORT, "4.2", (), id="without-server"),
        pytest.param(f"{SERVER}:{EXPORT}", "4.2", (), id="with-server", marks=pytest.mark.long),
        pytest.param(
            f"{EXPORT},vers=4.1,rsize=65536",
            "4.1",
            ("rsize=65536",),
            id="with-options",
            marks=pytest.mark.long,
        ),
        pytest.param(f"nfs.lab:{EXPORT},nfsvers=4.0", "4.0", (f"addr={SERVER}",), id="with-host-name"),
    ],
)
def test_option_17(
    lab: Lab, bookworm: Tree, bookworm_image: Path, root_path: str, versions: str, options: tuple[str, ...]
) -> None:
    """[SERVER:]/PATH[,OPTIONS], the server by address or by name, else next-server."""
    report = quick_boot(lab, bookworm, bookworm_image, root_path=root_path)
    assert report.state["nfs.vers"] == versions
    assert report.state["root.address"] == SERVER
    assert report.sections["pid"] == "1"
    device, kind, mounted = report.mounts["/nfsroot"]
    assert (device, kind) == (f"{SERVER}:{EXPORT}", "nfs4")
    assert f"vers={versions}" in mounted.split(",")
    assert set(options) <= set(mounted.split(","))
    assert "ro" in mounted.split(",")


@pytest.mark.parametrize(
    "append",
    [
        f"root=/dev/nfs nfsroot={SERVER}:{EXPORT}",
        f"root=nfs:nfs.lab:{EXPORT},vers=4.1",
        pytest.param(f"root=nfs4:{SERVER}:{EXPORT}", marks=pytest.mark.long),
    ],
    ids=["nfsroot", "root-nfs-name", "root-nfs4"],
)
def test_command_line(lab: Lab, bookworm: Tree, bookworm_image: Path, append: str) -> None:
    """The command line has the last word over option 17."""
    report = quick_boot(lab, bookworm, bookworm_image, append=append, root_path="/wrong")
    assert report.state["root"].endswith(f":{EXPORT}")
    assert report.mounts["/nfsroot"][0] == f"{SERVER}:{EXPORT}"


def test_version_3_only(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """A server that knows nothing newer is used with what it knows."""
    report = quick_boot(lab, bookworm, bookworm_image, nfs={"versions": (3,)})
    assert report.state["nfs.vers"] == "3"
    assert report.mounts["/nfsroot"][1] == "nfs"
    assert {"vers=3", "nolock"} <= set(report.mounts["/nfsroot"][2].split(","))


def test_static_address(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """The kernel's ip= without any DHCP server."""
    view = reporting_tree(lab, bookworm, {"address": "ip -4 -o address show dev eth0", "name": "hostname"})
    lab.ganesha({EXPORT: view})
    append = f"ip=10.77.0.77:{SERVER}:{SERVER}:255.255.255.0:bench7:eth0:off:{SERVER} nfsroot={EXPORT}"
    machine = lab.machine(
        Machine(kernel=bookworm.vmlinuz, initrd=(bookworm_image,), append=append, guest=False)
    )
    report = read_report(machine)
    assert "10.77.0.77/24" in report.sections["address"]
    assert report.sections["name"] == "bench7"
    assert report.sections["resolv.conf"] == f"nameserver {SERVER}"


@pytest.mark.long
def test_bootif_chooses(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Of two cards, BOOTIF names the one that is used; the other stays down."""
    macs = ("52:54:00:99:00:01", "52:54:00:99:00:02")
    report = quick_boot(
        lab,
        bookworm,
        bookworm_image,
        append="BOOTIF=01-" + macs[1].replace(":", "-"),
        nics=tuple(Nic(mac=mac) for mac in macs),
        commands={
            "used": "cat /sys/class/net/$(sed -n 's/^interface=//p' /run/pxeinit/state)/address",
            "up": "ip -o link show up",
        },
    )
    assert report.sections["used"] == macs[1]
    assert macs[0] not in report.sections["up"]


@pytest.mark.long
def test_two_cards_first_lease_wins(lab: Lab, bookworm: Tree, bookworm_image: Path) -> None:
    """Without BOOTIF all cards ask at once; the one without a server goes down again."""
    lab.add_bridge("br1", "10.78.0")
    report = quick_boot(
        lab,
        bookworm,
        bookworm_image,
        nics=(Nic(mac="52:54:00:99:00:01", bridge="br1"), Nic(mac="52:54:00:99:00:02")),
        commands={
            "used": "cat /sys/class/net/$(sed -n 's/^interface=//p' /run/pxeinit/state)/address",
            "up": "ip -o link show up",
        },
    )
    assert report.sections["used"] == "52:54:00:99:00:02"
    assert "52:54:00:99:00:01" not in report.sections["up"]


@pytest.mark.long
def test_usb_card(lab: Lab, bookworm: Tree, build_image: Callable[..., Path]) -> None:
    """A USB adapter shows itself only after its controller's driver: looked for again, driven by modalias."""
    modules = ("xhci_pci", "cdc_ether", "rndis_host")
    image = build_image(bookworm, *(word for name in modules for word in ("--module", name)))
    lab.ganesha({EXPORT: reporting_tree(lab, bookworm, {"driver": USED_DRIVER})})
    lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
    tap = lab.new_tap("br0")
    machine = lab.machine(
        Machine(
            kernel=bookworm.vmlinuz,
            initrd=(image,),
            nics=(),
            guest=False,
            arguments=(
                *("-device", "qemu-xhci"),
                *("-netdev", f"tap,id=usb0,ifname={tap},script=no,downscript=no"),
                *("-device", "usb-net,netdev=usb0"),
            ),
        )
    )
    report = read_report(machine)
    assert report.sections["driver"] in {"cdc_ether", "rndis_host"}
