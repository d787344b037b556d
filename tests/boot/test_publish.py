"""What `mkpxeinit publish` makes, booted: each loader, generations by client, a switch in between."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mkpxeinit.netboot import description
from pxelab import SERVER, DhcpClient, Lab, Machine, Nic, Tree
from pxelab.dnsmasq import Dnsmasq
from tests.boot import test_systems as systems
from tests.boot.quick import EXPORT, Report, read_report, reporting_tree
from tests.boot.test_server_config import serve_nfs
from tests.netboot import servers

PUBLISH_SECONDS = 300
LOADER_SECONDS = 240.0
APPEND = "console=ttyS0 tsc=unstable"
CMDLINE = {"cmdline": "cat /proc/cmdline"}
TWO = ("--append", f"{APPEND} mark=two", "--cmdline", "pxeinit.mode=overlay")
CANARY = "52:54:00:77:0c:0c"

Publish = Callable[..., str]


@pytest.fixture
def root(lab: Lab) -> Path:
    folder = lab.folder / "tftp"
    folder.mkdir()
    return folder


@pytest.fixture
def publish(root: Path, bookworm: Tree) -> Publish:
    """Run `mkpxeinit publish`, with a tree named `pc` if one is to be published; return what it said."""

    def run(*words: str | Path, tree: bool = True) -> str:
        command = [Path(sys.executable).parent / "mkpxeinit", "publish", "--tftp-root", root, *words]
        if tree:
            command += ["--sysroot", bookworm.path, "--name", "pc"]
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=PUBLISH_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


def serve(lab: Lab, tree: Tree, root: Path, boot_file: str, *clients: DhcpClient) -> Dnsmasq:
    lab.ganesha({EXPORT: reporting_tree(lab, tree, CMDLINE)})
    return lab.dnsmasq(root_path=EXPORT, next_server=SERVER, boot_file=boot_file, tftp=root, clients=clients)


def assert_booted(
    report: Report, generation: str, mark: str, mode: str = "farm", root: str = f"{SERVER}:{EXPORT}"
) -> None:
    """The kernel, its parameters and the image are of one generation."""
    words = report.sections["cmdline"].split()
    assert f"generations/{generation}/vmlinuz" in next(w for w in words if w.startswith("BOOT_IMAGE="))
    assert f"mark={mark}" in words
    assert report.state["mode"] == mode
    assert report.state["root"] == root


def test_bios_by_pxelinux(lab: Lab, bookworm: Tree, root: Path, publish: Publish) -> None:
    publish("--append", f"{APPEND} mark=one")
    serve(lab, bookworm, root, "pxelinux.0")
    machine = lab.machine(Machine(nics=(Nic(model="e1000"),), guest=False))
    report = read_report(machine, LOADER_SECONDS)
    assert_booted(report, "pc.1", "one")
    # pxelinux says by which card it booted, the client has taken that one.
    assert f"BOOTIF=01-{machine.macs[0].replace(':', '-')}" in report.sections["cmdline"]


def test_uefi_by_grub_after_a_rollback(lab: Lab, bookworm: Tree, root: Path, publish: Publish) -> None:
    publish("--append", f"{APPEND} mark=one")
    publish("--append", f"{APPEND} mark=two")
    publish("--rollback", tree=False)
    serve(lab, bookworm, root, "grubnetx64.efi")
    report = read_report(lab.machine(Machine(uefi=True, guest=False)), LOADER_SECONDS)
    assert_booted(report, "pc.1", "one")


@pytest.mark.long
def test_two_clients_on_different_generations(lab: Lab, bookworm: Tree, root: Path, publish: Publish) -> None:
    """The canary, known by its MAC address, boots the new generation; the other one the old."""
    publish("--append", f"{APPEND} mark=one")
    publish(*TWO, "--group", "canary", "--mac", CANARY)
    serve(lab, bookworm, root, "pxelinux.0")
    canary = lab.machine(Machine(nics=(Nic(mac=CANARY),), guest=False))
    assert_booted(read_report(canary, LOADER_SECONDS), "pc.2", "two", "overlay")
    other = lab.machine(Machine(guest=False))
    assert_booted(read_report(other, LOADER_SECONDS), "pc.1", "one")


@pytest.mark.long
def test_a_switch_in_mid_download(lab: Lab, bookworm: Tree, root: Path, publish: Publish) -> None:
    """A client that has begun with the old generation comes up with it, whole; the next one gets the new."""
    publish("--append", f"{APPEND} mark=one")
    server = serve(lab, bookworm, root, "pxelinux.0")
    machine = lab.machine(Machine(guest=False))
    machine.expect(r"Loading generations/pc\.1/vmlinuz", LOADER_SECONDS)
    assert server._process is not None
    # The server holds its breath: whatever the speed of this machine, the switch comes in the middle.
    server._process.signal("STOP")
    said = publish(*TWO, "--keep", "1")
    assert "pc.2 is published" in said
    assert "pc.1/vmlinuz to" not in server.said()
    server._process.signal("CONT")
    assert_booted(read_report(machine, LOADER_SECONDS), "pc.1", "one")
    later = lab.machine(Machine(guest=False))
    assert_booted(read_report(later, LOADER_SECONDS), "pc.2", "two", "overlay")


def test_uefi_with_secure_boot(lab: Lab, bookworm: Tree) -> None:
    """Microsoft's keys let in Debian's shim, that its GRUB, that Debian's signed kernel, and that says so.

    The tree is prepared, and all servers have what the description says.
    """
    view = reporting_tree(lab, bookworm, CMDLINE)
    systems.mkpxeinit(lab, "prepare", "--sysroot", view)
    more = {"tree_keys": f'cmdline = "{APPEND} mark=one"', "loaders": "secure-boot = true"}
    site = systems.publish(lab, systems.described(lab, view, **more), "--loader", "shim-x64")
    serve_nfs(lab, site)
    servers.serve_dhcp(lab, "dnsmasq", site)
    machine = lab.machine(secure_machine(lab))
    report = read_report(machine, LOADER_SECONDS)
    assert_booted(report, "pxeclient.1", "one", root=f"{SERVER}:{view}")
    assert machine.seen(r"secureboot: Secure boot enabled")


@pytest.mark.long
def test_two_clients_with_all_of_their_own(lab: Lab, bookworm: Tree) -> None:
    """By their MAC addresses, of one description: host name, mode and generation; the tree is prepared."""
    view = reporting_tree(lab, bookworm, {**CMDLINE, "name": "cat /proc/sys/kernel/hostname"})
    systems.mkpxeinit(lab, "prepare", "--sysroot", view)
    text = {"tree_keys": f'cmdline = "{APPEND} mark=one"', "client": 'mode = "overlay"'}
    config = systems.described(lab, view, **text)
    systems.mkpxeinit(lab, "publish", "--config", config, "--loader", "pxelinux")
    new = '[tree.pxeclient.build]\nmodules = ["dummy"]\n[[client]]\n'
    other = f'[[client]]\nmac = "{CANARY}"\nname = "canary"\nmode = "ro"\ngeneration = "pxeclient.1"\n'
    config.write_text(config.read_text().replace("[[client]]\n", new) + other)
    assert "pxeclient.2 is published" in systems.mkpxeinit(lab, "publish", "--config", config)
    site = description.read(config)
    serve_nfs(lab, site)
    servers.serve_dhcp(lab, "dnsmasq", site)
    for mac, name, generation, mode in (
        (systems.MAC, systems.NAME, "pxeclient.2", "overlay"),
        (CANARY, "canary", "pxeclient.1", "ro"),
    ):
        machine = lab.machine(Machine(nics=(Nic(model="e1000", mac=mac),), guest=False))
        report = read_report(machine, LOADER_SECONDS)
        assert_booted(report, generation, "one", mode, root=f"{SERVER}:{view}")
        assert report.sections["name"] == name


@pytest.mark.long
def test_secure_boot_lets_nothing_else_in(lab: Lab, bookworm: Tree, root: Path, publish: Publish) -> None:
    """The same firmware refuses GRUB without a signature: the test above says something."""
    publish("--append", APPEND)
    serve(lab, bookworm, root, "grubnetx64.efi")
    machine = lab.machine(secure_machine(lab))
    machine.expect(r"Access Denied|Security Violation|[Ss]ecurity violation", LOADER_SECONDS)


def secure_machine(lab: Lab) -> Machine:
    """Return a machine whose firmware has Secure Boot on and the keys of real machines."""
    firmware = Path("/usr/share/OVMF")
    variables = shutil.copyfile(firmware / "OVMF_VARS_4M.ms.fd", lab.folder / "variables.fd")
    code = firmware / "OVMF_CODE_4M.secboot.fd"
    # Without the card's iPXE ROM, by the firmware's own code: shim cannot read GRUB through that old iPXE,
    # which does not say how long a file was ("Malformed binary").
    return Machine(
        nics=(Nic(model="virtio-net-pci,romfile="),),
        cpu="max",
        guest=False,
        arguments=(
            *("-machine", "q35,smm=on,graphics=off"),
            *("-global", "driver=cfi.pflash01,property=secure,value=on"),
            *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"),
            *("-drive", f"if=pflash,unit=1,format=raw,file={variables}"),
        ),
    )
