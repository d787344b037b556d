"""Options reach modules in the guest: from the tree's modprobe.d, the image's command line, the loader's."""

from collections.abc import Callable
from pathlib import Path

from pxelab import Lab, Tree
from tests.boot.quick import quick_boot

PARAMETERS = (
    "nfs/parameters/max_session_slots",
    "nfs/parameters/recover_lost_locks",
    "overlay/parameters/metacopy",
)


def test_options_of_modules(lab: Lab, bookworm: Tree, build_image: Callable[..., Path]) -> None:
    """systemd's `options dummy numdummies=0` leaves the module dummy without its interface."""
    assert "options dummy numdummies=0" in (bookworm.path / "lib/modprobe.d/systemd.conf").read_text()
    image = build_image(
        bookworm, "--module", "dummy", "--cmdline", "nfs.max_session_slots=33 overlay.metacopy=N"
    )
    report = quick_boot(
        lab,
        bookworm,
        image,
        append="quick nfs.recover_lost_locks overlay.metacopy=Y",
        commands={
            "parameters": f"cat {' '.join(f'/sys/module/{each}' for each in PARAMETERS)}",
            "interfaces": "ls /sys/class/net",
            "dummy": "[ -d /sys/module/dummy ] && echo loaded",
        },
    )
    assert report.sections["parameters"].split() == ["33", "Y", "Y"]
    assert report.sections["dummy"] == "loaded"
    assert "dummy0" not in report.sections["interfaces"].split()
