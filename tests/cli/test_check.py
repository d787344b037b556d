"""`mkpxeinit check`: the table, JSON, exit codes; a fleet of hundreds with a damaged inventory among it."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.unit.images import TRAILER, entry
from tests.unit.small import RELEASE, make_tree, module_path
from tests.unit.test_firmware import module

NIC = "00:03.0 Ethernet controller [0200]: Intel 82542 [8086:1000] (rev 02)\n"
REALTEK = "01:00.0 0200: 10ec:8168\n"
UNKNOWN = "00:03.0 0200: 1234:5678\n"


@pytest.fixture
def image(run: Run, root: Path, tmp_path: Path) -> Path:
    """An image for a machine with e1000 and r8169; the tree has none of the latter's firmware."""
    (root / f"lib/modules/{RELEASE}/{module_path('r8169')}").write_bytes(
        module("rtl/1", "rtl/2", "rtl/3", "rtl/4")
    )
    (tmp_path / "both").write_text(NIC + REALTEK)
    build = ("build", "--sysroot", root, "-o", tmp_path / "cwd/image", "--hardware", tmp_path / "both")
    assert run(*build).code == 0
    return tmp_path / "cwd/image"


def test_the_table(run: Run, image: Path) -> None:
    folder = image.parent
    (folder / "good").write_text(NIC + "02:00.0 0280: 8086:24f3\n")
    (folder / "other").write_text(UNKNOWN + REALTEK)
    done = run("check", "image", "good", "--hardware", "other")
    assert done.code == 1
    assert done.stdout.decode() == (
        "machine  device     driver  verdict    lacking\n"
        "other    1234:5678  -       uncovered  driver oddnic\n"
        "other    10ec:8168  r8169   uncovered  firmware rtl/1 of r8169, firmware rtl/2 of r8169, "
        "firmware rtl/3 of r8169, 1 more firmware files\n"
        "good     8086:1000  e1000   covered\n"
        "good     8086:24f3  -       ignored    no wired network: iwlwifi\n"
    )
    assert done.stderr == (
        "mkpxeinit: image: 1 of 2 machines not covered; "
        "build an image with --hardware FILE for each, or with their drivers and firmware\n"
    )
    done = run("check", "image", "good")
    assert (done.code, done.stderr) == (0, "")


def test_firmware_counts(run: Run, root: Path, image: Path) -> None:
    (image.parent / "pc").write_text(REALTEK)
    assert run("check", "image", "pc").code == 1
    assert run("check", "image", "pc", "--no-firmware").code == 0
    make_tree(root, {f"lib/firmware/rtl/{number}": "x" for number in range(1, 5)})
    (image.parent / "both").write_text(NIC + REALTEK)
    assert run("build", "--sysroot", root, "-o", image, "--hardware", "both").code == 0
    assert run("check", "image", "both").code == 0


def test_json(run: Run, image: Path) -> None:
    (image.parent / "pc").write_text(REALTEK)
    done = run("check", "image", "pc", "--json")
    assert done.code == 1
    said = json.loads(done.stdout)
    lacking = [{"kind": "firmware", "name": f"rtl/{number}", "of": "r8169"} for number in range(1, 5)]
    device = {
        "where": "pc:1",
        "modalias": "pci:v000010ECd00008168sv????????sd????????bc02sc00i??",
        "drivers": ["r8169"],
        "verdict": "uncovered",
        "reason": None,
        "lacking": lacking,
    }
    machine = {"machine": "pc", "covered": False, "error": None, "devices": [device]}
    assert said == {"image": "image", "release": RELEASE, "covered": False, "machines": [machine]}


def test_a_fleet(run: Run, image: Path) -> None:
    """Three hundred machines, one of them damaged, one of another kind: both are named, the others judged."""
    fleet = image.parent / "fleet"
    fleet.mkdir()
    for number in range(300):
        (fleet / f"pc{number:03}").write_text(NIC)
    (fleet / "pc120").write_text(NIC + "\0\n")
    (fleet / "pc200").write_text(UNKNOWN)
    done = run("check", "image", "--hardware", "fleet")
    lines = done.stdout.decode().splitlines()[1:]
    assert done.code == 1 and len(lines) == 300
    wrong = [line for line in lines if line.split()[3] != "covered"]
    assert [line.split()[0] for line in wrong] == ["fleet/pc120", "fleet/pc200"]
    assert wrong[0].endswith(r"uncovered  fleet/pc120:2: not a line of lspci: '\x00'")
    assert done.stderr.splitlines() == [
        r"mkpxeinit: fleet/pc120:2: not a line of lspci: '\x00'",
        "mkpxeinit: image: 2 of 300 machines not covered; "
        "build an image with --hardware FILE for each, or with their drivers and firmware",
    ]


def test_the_clients_own_report(run: Run, image: Path) -> None:
    """What a client leaves in /run/pxeinit/hardware."""
    (image.parent / "hardware").write_text(
        "# modaliases of this client, for mkpxeinit build --hardware\n"
        "pci:v00008086d00001000sv00001028sd00000869bc02sc00i00\npci:v00001234d00001111svsdbc03sc00i00\n"
        "mdio:00000000000111001100100100010110\n"
    )
    done = run("check", "image", "hardware")
    assert done.code == 0
    assert [line.split()[2] for line in done.stdout.decode().splitlines()[1:]] == ["e1000", "realtek"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["image"], 2, "no inventory; give files after the image or with --hardware"),
        (["none", "pc"], 1, "none: No such file or directory"),
        (["foreign", "pc"], 1, "foreign: no kernel modules of any release; it has none at all"),
        (
            ["image", "pc", "--kernel-release", "9"],
            1,
            f"image: no kernel modules of 9; it has those of {RELEASE}",
        ),
        (["image", "none"], 1, "none: No such file or directory"),
    ],
)
def test_refused(run: Run, image: Path, arguments: list[str], code: int, says: str) -> None:
    (image.parent / "pc").write_text(NIC)
    (image.parent / "foreign").write_bytes(entry(b"init", 0o100755, b"x") + TRAILER)
    done = run("check", *arguments)
    assert done.code == code
    assert done.stderr.startswith(f"mkpxeinit: {says}") and "Traceback" not in done.stderr
