import dataclasses

import pytest

from mkpxeinit.errors import KernelError
from mkpxeinit.hardware.pci import PciClass
from mkpxeinit.kernel.index import ModuleIndex, read_index
from mkpxeinit.selection import Selection, select
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import RELEASE

NFS = {"nfs", "nfsv3", "nfsv4", "lockd", "sunrpc", "overlay", "weak", "crc_a", "crc_b", "e1000"}
WIRED = {"e1000", "r8169", "oddnic", "libphy", "realtek", "marvell", "virtio", "virtio_net", "virtio_pci"}


@pytest.fixture
def index(tree: Sysroot) -> ModuleIndex:
    return read_index(tree, RELEASE)


def chosen(index: ModuleIndex, *classes: str, modules: tuple[str, ...] = ()) -> Selection:
    return select(index, [PciClass.parse(each) for each in classes], modules)


def why(selection: Selection, name: str) -> str:
    (found,) = (str(each.reason) for each in selection.modules if each.module.name == name)
    return found


def without(index: ModuleIndex, *names: str) -> ModuleIndex:
    modules = {
        name: dataclasses.replace(module, needs=tuple(need for need in module.needs if need not in names))
        for name, module in index.modules.items()
        if name not in names
    }
    return dataclasses.replace(index, modules=modules)


def test_nfs_client_with_its_closure(index: ModuleIndex) -> None:
    """Softdeps by alias (both modules that have it), by name, weak ones, and a cycle."""
    selection = chosen(index)
    assert selection.names == NFS
    assert why(selection, "nfsv4") == "NFS root"
    assert why(selection, "crc_b") == "softdep of sunrpc ← needed by nfs ← NFS root"
    assert why(selection, "weak") == "weakdep of lockd ← needed by nfs ← NFS root"


def test_what_the_client_makes_of_cards_on_request(index: ModuleIndex) -> None:
    """vlan=, bond= and netconsole= work with any image, if the kernel has them; if not, that is no remark."""
    extra = {name: dataclasses.replace(index.modules["weak"], name=name) for name in ("8021q", "netconsole")}
    selection = chosen(dataclasses.replace(index, modules={**index.modules, **extra}))
    assert selection.names == NFS | {"8021q", "netconsole"}
    assert why(selection, "8021q") == "vlan=, bond= and netconsole="
    assert selection.notes == chosen(index).notes


def test_wired(index: ModuleIndex) -> None:
    selection = chosen(index, "02")
    assert selection.names == NFS | WIRED
    assert why(selection, "oddnic") == "PCI class 02"
    assert why(selection, "realtek") == "softdep of r8169 ← PCI class 02"
    assert why(selection, "marvell") == "PHY driver"
    assert why(selection, "virtio") == "needed by virtio_pci ← virtual network"


def test_wireless_only_when_asked_for(index: ModuleIndex) -> None:
    assert chosen(index, "0280").names == NFS | {"iwlwifi", "oddradio"}
    assert chosen(index, "02", "0280").names == NFS | WIRED | {"iwlwifi", "oddradio"}


def test_another_class(index: ModuleIndex) -> None:
    assert chosen(index, "0c03").names == NFS | {"xhci_pci"}
    assert chosen(index, "0c").names == NFS | {"xhci_pci"}
    assert chosen(index, "0c04").names == NFS


def test_no_phys_without_a_driver_that_uses_them(index: ModuleIndex) -> None:
    names = chosen(without(index, "r8169"), "02").names
    assert "e1000" in names and names.isdisjoint({"libphy", "realtek", "marvell"})


def test_phys_if_their_library_is_built_in(index: ModuleIndex) -> None:
    """modules.dep does not tell then who uses it."""
    built_in = dataclasses.replace(without(index, "libphy"), builtin=index.builtin | {"libphy"})
    assert chosen(built_in, "02").names >= {"r8169", "realtek", "marvell"}


def test_order_is_that_of_modules_dep(index: ModuleIndex) -> None:
    names = [each.module.name for each in chosen(index, "02").modules]
    assert names == [name for name in index.modules if name in names]


@pytest.mark.parametrize("name", ["xhci_pci", "xhci-pci"])
def test_named_module(index: ModuleIndex, name: str) -> None:
    selection = chosen(index, modules=(name,))
    assert selection.names == NFS | {"xhci_pci"}
    assert why(selection, "xhci_pci") == "--module"


def test_named_and_built_in(index: ModuleIndex) -> None:
    assert chosen(index, modules=("af_packet",)).names == NFS


def test_unknown_module_has_suggestions(index: ModuleIndex) -> None:
    with pytest.raises(KernelError) as caught:
        chosen(index, modules=("r8196",))
    assert str(caught.value) == f"--module r8196: kernel {RELEASE} has no such module; close to it: r8169"
    with pytest.raises(KernelError, match=r"no such module$"):
        chosen(index, modules=("qqqqqqqq",))


def test_no_nfs_client(index: ModuleIndex) -> None:
    for gone in (("nfs",), ("nfsv3", "nfsv4")):
        with pytest.raises(KernelError, match=r"has no NFS client .* linux-modules-extra"):
            chosen(without(index, *gone))


def test_built_in_counts_as_present(index: ModuleIndex) -> None:
    """SuSE's kernels have the NFS client built in."""
    bare = without(index, "nfs", "nfsv3", "nfsv4")
    bare = dataclasses.replace(bare, builtin=bare.builtin | {"nfs", "nfsv3", "nfsv4"})
    assert chosen(bare).names == {"overlay"}


def test_lesser_lacks_are_remarks(index: ModuleIndex) -> None:
    selection = chosen(without(index, "nfsv3", "overlay"))
    assert selection.notes == (f"kernel {RELEASE} has no nfsv3", f"kernel {RELEASE} has no overlay")


def test_missing_softdep_is_a_remark(index: ModuleIndex) -> None:
    assert chosen(index).notes == (f"softdep of overlay: kernel {RELEASE} has no not-there",)


def test_packet_sockets_if_they_are_a_module(index: ModuleIndex) -> None:
    module = dataclasses.replace(
        index.modules["weak"], name="af_packet", path="kernel/net/packet/af_packet.ko"
    )
    changed = dataclasses.replace(
        index, modules=index.modules | {"af_packet": module}, builtin=index.builtin - {"af_packet"}
    )
    assert "af_packet" in chosen(changed).names
