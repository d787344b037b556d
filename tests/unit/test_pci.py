import pytest

from mkpxeinit.errors import UsageError
from mkpxeinit.hardware.pci import PciClass, network_subclass


@pytest.mark.parametrize(
    ("text", "shown"), [("02", "02"), ("0280", "0280"), ("0c03", "0C03"), ("0x0200", "0200")]
)
def test_parse(text: str, shown: str) -> None:
    assert str(PciClass.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "2", "020", "02000", "0g", "network", "02 80", "02\n"])
def test_no_class(text: str) -> None:
    with pytest.raises(UsageError, match="not two or four hexadecimal digits"):
        PciClass.parse(text)


@pytest.mark.parametrize(
    ("text", "wants"),
    [("02", {"00", "02"}), ("0280", {"80"}), ("0200", {"00"}), ("0C", {"00", "02", "80", "03"})],
)
def test_wants(text: str, wants: set[str]) -> None:
    assert {sub for sub in ("00", "02", "80", "03") if PciClass.parse(text).wants(sub)} == wants


@pytest.mark.parametrize(
    ("pattern", "classes"),
    [
        ("pci:v*d*sv*sd*bc02sc00i*", {"02", "0200"}),
        ("pci:v*d*sv*sd*bc02sc80i00*", {"0280"}),
        ("pci:v*d*sv*sd*bc02sc*i*", {"02", "0200", "0280"}),
        ("pci:v*d*sv*sd*bc0Csc03i30*", {"0c03"}),
        ("pci:v00008086d00001000sv*sd*bc*sc*i*", set()),
        ("usb:v*p*d*dc02sc00dp*", set()),
        ("pci:junk", set()),
    ],
)
def test_aliases_that_name_a_class(pattern: str, classes: set[str]) -> None:
    asked = ("02", "0200", "0280", "0c03")
    assert {text for text in asked if PciClass.parse(text).names(pattern)} == classes


@pytest.mark.parametrize(
    ("path", "sub"),
    [
        ("kernel/drivers/net/ethernet/intel/e1000/e1000.ko", "00"),
        ("kernel/drivers/net/virtio_net.ko", "00"),
        ("kernel/drivers/net/wireless/intel/iwlwifi/iwlwifi.ko.xz", "80"),
        ("kernel/drivers/net/wwan/iosm/iosm.ko", "80"),
        ("kernel/drivers/net/fddi/defxx.ko", "02"),
        ("kernel/drivers/net/wireless.ko", "00"),
        ("updates/drivers/net/ethernet/e1000.ko", "00"),
        ("kernel/drivers/nvme/host/nvme.ko", None),
        ("kernel/net/core/failover.ko", None),
    ],
)
def test_place(path: str, sub: str | None) -> None:
    assert network_subclass(path) == sub
