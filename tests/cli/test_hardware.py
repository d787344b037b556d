"""`build --hardware`, `--hostonly`, `--bus` and `--driver`."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.unit.objects import tree_with
from tests.unit.test_network import EXTRA

NIC = "00:03.0 Ethernet controller [0200]: Intel 82542 [8086:1000] (rev 02)\n"


def modules(stdout: bytes) -> set[str]:
    """Return the file names of a dry run's network drivers."""
    return {
        line.rpartition("/")[2]
        for line in stdout.decode().splitlines()
        if "/drivers/" in line and ".ko" in line
    }


def test_only_what_the_machine_has(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "pc").write_text(NIC)
    done = run("build", "--sysroot", root, "--dry-run", "--hardware", tmp_path / "pc")
    assert done.code == 0 and modules(done.stdout) == {"e1000.ko"}


def test_several_and_a_class(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "pc").write_text(NIC)
    (tmp_path / "vm").write_text("virtio:d00000001v00001AF4\n")
    both = ("--hardware", tmp_path / "pc", "--hardware", tmp_path / "vm")
    done = run("build", "--sysroot", root, "--dry-run", *both)
    assert modules(done.stdout) == {"e1000.ko", "virtio_net.ko", "virtio.ko"}
    done = run("build", "--sysroot", root, "--dry-run", *both, "--pci-class", "0280")
    assert {"e1000.ko", "iwlwifi.ko", "oddradio.ko"} <= modules(done.stdout)


def test_bad_inventories(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "pc").write_bytes(NIC.encode() + b"\xff\xfe\n")
    (tmp_path / "gpu").write_text("00:02.0 VGA [0300]: x [8086:3e92]\n")
    for name, said in (
        ("pc", f"mkpxeinit: {tmp_path}/pc:2: not a line of lspci: '\ufffd\ufffd'\n"),
        ("gpu", f"mkpxeinit: {tmp_path}/gpu: no network device among 1 devices; "),
        ("none", f"mkpxeinit: {tmp_path}/none: No such file or directory\n"),
    ):
        done = run("build", "--sysroot", root, "--hardware", tmp_path / name, env={"PYTHONUTF8": "1"})
        assert (done.code, done.stdout) == (1, b"") and done.stderr.startswith(said), done
    assert not list((tmp_path / "cwd").iterdir())


@pytest.mark.parametrize(
    "line",
    [
        '"$@" --hardware <(printf %s "$NIC")',
        'printf %s "$NIC" | "$@" --hardware /dev/stdin',
        '"$@" --hardware /dev/stdin <<<"$NIC"',
        'mkfifo fifo; { sleep 0.2; printf %s "$NIC" >fifo; } & "$@" --hardware fifo',
    ],
)
def test_pipes(run: Run, root: Path, line: str) -> None:
    """What people type. A pipe's number is in no reason, so that the image is the same next time."""
    build = ("build", "--sysroot", root, "--dry-run", "-v")
    done = run(*build, env={"NIC": NIC, "PYTHONUTF8": "1"}, prefix=("bash", "-c", line, "bash"))
    assert done.code == 0, done
    (reason,) = [each for each in done.stdout.decode().splitlines() if "/e1000.ko" in each]
    assert reason.partition("\t")[2] in ("hardware pipe:1", "hardware stdin:1")


def test_a_pipe_that_is_no_inventory(run: Run, root: Path) -> None:
    for text, said in (("", ":1: an empty inventory; "), ("x\\ny", ":1: no inventory: 'x'; ")):
        line = f"\"$@\" --hardware <(printf '{text}')"
        done = run("build", "--sysroot", root, prefix=("bash", "-c", line, "bash"))
        assert done.code == 1 and done.stderr.startswith("mkpxeinit: /dev/fd/") and said in done.stderr, done


def test_this_machine(run: Run, root: Path) -> None:
    """Whatever it has: an image, or a clear word that it has no network device."""
    done = run("build", "--sysroot", root, "--hostonly", "--dry-run")
    assert done.code == 0 or done.stderr.splitlines()[-1].startswith("mkpxeinit: /sys")
    assert "iwlwifi" not in done.stdout.decode()


@pytest.fixture
def larger(tmp_path: Path) -> Path:
    """A small kernel with a USB network card, an out-of-tree driver, and others."""
    return tree_with(tmp_path / "larger", EXTRA)


def drivers_of(run: Run, root: Path, *words: str) -> set[str]:
    done = run("build", "--sysroot", root, "--dry-run", *words)
    assert done.code == 0, done.stderr
    return {name.removesuffix(".ko") for name in modules(done.stdout)}


def test_buses(run: Run, larger: Path) -> None:
    usb = {"r8152", "usbcore", "xhci-pci", "dwc2"}
    virtual = {"virtio", "virtio_pci", "virtio_net"}
    assert drivers_of(run, larger, "--bus", "usb") == usb | {"e1000"}  # softdep of the NFS client's
    assert drivers_of(run, larger, "--bus", "usb,virtio") == usb | virtual | {"e1000"}
    assert drivers_of(run, larger, "--bus", "usb", "--bus", "virtio") == usb | virtual | {"e1000"}
    default = drivers_of(run, larger)
    assert default >= virtual | {"r8169", "mlx4_en"} and "r8152" not in default
    assert drivers_of(run, larger, "--bus", "pci,virtio,vmbus,xen") == default
    assert drivers_of(run, larger, "--pci-class", "02", "--bus", "none") == default - virtual
    assert drivers_of(run, larger, "--bus", "none", "--driver", "r8152") == usb | {"e1000"}


def test_bus_beside_an_inventory(run: Run, larger: Path, tmp_path: Path) -> None:
    (tmp_path / "pc").write_text(NIC)
    words = ("--hardware", str(tmp_path / "pc"))
    assert drivers_of(run, larger, *words, "--bus", "virtio") == drivers_of(run, larger, "--bus", "virtio")
    assert drivers_of(run, larger, *words) == {"e1000"}


def test_unknown_bus(run: Run, root: Path) -> None:
    for text in ("usbb", "", "usb,", "none,usb", "usb, pci"):
        done = run("build", "--sysroot", root, "--bus", text)
        assert done.code == 2 and "bus" in done.stderr, text


def test_unknown_driver(run: Run, root: Path) -> None:
    done = run("build", "--sysroot", root, "--driver", "e1001")
    assert (done.code, done.stdout) == (1, b"")
    assert done.stderr.splitlines()[-1].endswith("has no such module; close to it: e1000")


def test_what_is_left_out_is_said(run: Run, larger: Path) -> None:
    done = run("build", "--sysroot", larger, "--dry-run", "-v")
    lines = done.stderr.splitlines()
    assert "mkpxeinit: left out: r8152: bus usb; --bus usb takes it" in lines
    assert "mkpxeinit: left out: slgt: WAN; --pci-class 0280 takes it" in lines
    each = [line for line in lines if line.startswith("mkpxeinit: left out: ")]
    (count,) = (line for line in lines if "network drivers left out: " in line)
    assert count.startswith(f"mkpxeinit: {len(each)} network drivers left out: wireless ")
    done = run("build", "--sysroot", larger, "-v")
    assert f"{count}; --dry-run -v lists them\n" in done.stderr and "left out: r8152" not in done.stderr
    assert "left out" not in run("build", "--sysroot", larger).stderr
