"""Images of stripped modules: they boot, and where the kernel takes signed ones only, the client says so."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pxelab import SERVER, Lab, Machine, Tree
from tests.boot.quick import quick_boot


@pytest.mark.long
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_stripped_modules(
    lab: Lab, request: pytest.FixtureRequest, build_image: Callable[..., Path], suite: str
) -> None:
    tree: Tree = request.getfixturevalue(suite)
    image = build_image(tree, "--strip-modules")
    report = quick_boot(lab, tree, image, commands={"modules": "cat /proc/modules"})
    assert report.state["mode"] == "farm"
    loaded = report.sections["modules"]
    # (E): unsigned.
    assert "virtio_net" in loaded and "nfsv4" in loaded and "(E)" in loaded
    report.machine.forbid(r"PXE-INIT-|missing module BTF|Unknown symbol|disagrees about version")


@pytest.mark.long
@pytest.mark.parametrize("demand", ["module.sig_enforce=1", "lockdown=integrity"])
def test_a_kernel_that_takes_signed_modules_only(
    lab: Lab, bookworm: Tree, build_image: Callable[..., Path], demand: str
) -> None:
    image = build_image(bookworm, "--strip-modules")
    lab.dnsmasq(root_path="/netboot/pxeclient", next_server=SERVER)
    description = Machine(kernel=bookworm.vmlinuz, initrd=(image,), append=demand, guest=False)
    machine = lab.machine(description)
    machine.expect("PXE-INIT-early-unsigned: this kernel takes signed modules only", 120)
    machine.expect("PXE-INIT-network-no-nic", 120)
