"""An image for just the machine that it boots; and the client's own inventory, which makes the same image."""

import subprocess
import sys
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


def test_own_inventory_is_checked(
    lab: Lab, bookworm: Tree, build_image: Callable[..., Path], tmp_path: Path
) -> None:
    """What the client says of itself passes for the image that booted it, not for one without its driver."""
    image = build_image(bookworm, "--driver", "e1000", "--bus", "none")
    commands = {
        "hardware": "cat /run/pxeinit/hardware",
        "driver": "readlink /sys/class/net/e*/device/driver",
        "sysfs": "cat /sys/bus/*/devices/*/modalias",
    }
    report = quick_boot(lab, bookworm, image, nics=(Nic(model="e1000"),), commands=commands)
    assert report.sections["driver"].endswith("/e1000")
    listed = report.sections["hardware"].splitlines()
    wanted = {
        bus: [w for w in report.sections["sysfs"].split() if w.startswith(bus)] for bus in ("acpi:", "pci:")
    }
    assert all(words and set(words) <= set(listed) for words in wanted.values())
    own = tmp_path / "own"
    own.write_text(report.sections["hardware"] + "\n")
    covered, said = checked(image, own)
    assert covered == 0 and " e1000 " in said and "uncovered" not in said
    covered, said = checked(build_image(bookworm, "--driver", "virtio_net", "--bus", "none"), own)
    assert covered == 1 and "uncovered  driver e1000" in said


def checked(image: Path, inventory: Path) -> tuple[int, str]:
    """Return exit code and table of the installed command."""
    command = [str(Path(sys.executable).parent / "mkpxeinit"), "check", str(image), str(inventory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout


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
