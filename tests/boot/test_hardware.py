"""An image for just the machine that it boots; and the client's own inventory, which makes the same image."""

from collections.abc import Callable
from pathlib import Path

from pxelab import Lab, Nic, Tree
from tests.boot.quick import quick_boot

LSPCI = """00:00.0 0600: 8086:1237 (rev 02)
00:02.0 0200: 1af4:1000
"""


def test_image_for_one_machine(
    lab: Lab, bookworm: Tree, build_image: Callable[..., Path], tmp_path: Path
) -> None:
    """`lspci -n` of the machine picks its driver alone; /run/pxeinit/hardware says the same of it."""
    listing = tmp_path / "machine.lspci"
    listing.write_text(LSPCI)
    image = build_image(bookworm, "--hardware", str(listing))
    report = quick_boot(lab, bookworm, image, commands={"hardware": "cat /run/pxeinit/hardware"})
    own = tmp_path / "machine.modaliases"
    own.write_text(report.sections["hardware"] + "\n")
    assert "virtio:d00000001v00001AF4" in report.sections["hardware"]
    assert build_image(bookworm, "--hardware", str(own)).stat().st_size < 3_000_000
    assert image.stat().st_size < 3_000_000


def test_usb_network_card(lab: Lab, bookworm: Tree, build_image: Callable[..., Path]) -> None:
    """Drivers of USB alone: the client finds the controller first, then the card behind it."""
    image = build_image(bookworm, "--bus", "usb")
    report = quick_boot(
        lab,
        bookworm,
        image,
        nics=(Nic(model="usb-net"),),
        commands={
            "driver": "readlink /sys/class/net/*/device/driver",
            "modules": "cut -d' ' -f1 /proc/modules",
        },
    )
    assert report.sections["driver"].rpartition("/")[2] in ("cdc_subset", "cdc_ether", "rndis_host")
    assert "xhci_pci" in report.sections["modules"].split()
    assert report.state["interface"]
