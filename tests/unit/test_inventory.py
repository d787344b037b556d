"""Readers of inventories: each form, what is wrong with one, and any text at all."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mkpxeinit.errors import HardwareError
from mkpxeinit.hardware.inventory import Device, parse, read_inventory
from tests.unit.small import Link, make_tree

BARE = "pci:v00008086d000015BBsv????????sd????????bc02sc00i??"
BARE_00 = "pci:v00008086d000015BBsv????????sd????????bc02sc00i00"
WHOLE = "pci:v00008086d000015BBsv00001028sd00000869bc02sc00i??"
WHOLE_00 = "pci:v00008086d000015BBsv00001028sd00000869bc02sc00i00"
NN = "00:1f.6 Ethernet controller [0200]: Intel Corporation Ethernet (7) I219-LM [x] [8086:15bb] (rev 10)"
NNK = f"""{NN}
\tDeviceName: Onboard [LAN]
\tSubsystem: Dell Device [1028:0869]
\tKernel driver in use: e1000e
\tKernel modules: e1000e
"""
MM = '00:1f.6 "0200" "8086" "15bb" -r10 -p00 "1028" "0869"'
NNMM = (
    '0000:00:1f.6 "Ethernet controller [0200]" "Intel \\"C\\" [8086]" "I219 [LM] [15bb]" -r10 '
    '"Dell [1028]" "Device [0869]"'
)
VMM = """Slot:\t00:1f.6
Class:\tEthernet controller [0200]
Vendor:\tIntel Corporation [8086]
Device:\tI219-LM [15bb]
SVendor:\tDell [1028]
SDevice:\tDevice [0869]
Rev:\t10
ProgIf:\t00
"""


def read(text: str) -> list[Device]:
    return list(parse(text, "dir/pc.txt", "pc.txt"))


@pytest.mark.parametrize(
    ("text", "modalias"),
    [
        (NN, BARE),
        (f"0000:{NN}\r\n", BARE),
        (f"{NN} (prog-if 00 [Normal decode])\n", BARE_00),
        ("00:1f.6 x [y] [0200]: Intel [8086:15bb] [0300]: [1:2] [8086:15bb] (rev 10)", BARE),
        (NNK, WHOLE),
        ("00:1f.6 0200: 8086:15bb (rev 10)\n\tSubsystem: 1028:0869\n\tKernel modules: x", WHOLE),
        ("00:1f.6 0200: 8086:15bb", BARE),
        ("00:1f.6 Class 0200: 8086:15bb (rev 10) (prog-if 00)", BARE_00),
        ("00:1f.6 0200: 8086:15bb\n00: 86 80 bb 15\n10: 00 00 00 00\n", BARE),
        (MM, WHOLE_00),
        (NNMM, WHOLE),
        ('00:1f.6 "0200" "8086" "15bb" -p00 "" ""', BARE_00),
        (VMM, WHOLE_00),
        (f"# made by hand\n\n{BARE.replace('?', '0')}\n", BARE.replace("?", "0")),
    ],
)
def test_forms(text: str, modalias: str) -> None:
    (device,) = read(text)
    assert device.modalias == modalias
    assert device.where.startswith("pc.txt:")


def test_several_and_their_lines() -> None:
    assert [each.where for each in read(f"{NNK}\n{NN}\n{MM}\n")] == ["pc.txt:1", "pc.txt:7", "pc.txt:8"]
    assert [each.where for each in read(f"{VMM}\n{VMM}")] == ["pc.txt:1", "pc.txt:10"]
    assert [each.where for each in read("xen:vif\n\nusb:v1p2\n")] == ["pc.txt:1", "pc.txt:3"]


def lshw(**more: object) -> dict[str, object]:
    return {"id": "network", "class": "network", "businfo": "pci@0000:00:1f.6", **more}


def test_lshw() -> None:
    numeric = lshw(product="I219-LM [8086:15BB]", configuration={"driver": "e1000e"})
    plain = lshw(product="I219-LM", configuration={"driver": "e1000e"})
    virtio = lshw(product="net", configuration={"driver": "virtio-pci"}, children=[
        {"id": "v", "class": "network", "businfo": "virtio@0", "configuration": {"driver": "virtio_net"}}
    ])  # fmt: skip
    top = {"id": "pc", "class": "system", "children": [{"class": "display"}, numeric, plain, virtio]}
    devices = [
        Device("pc.txt pci@0000:00:1f.6", "pci:v00008086d000015BBsv????????sd????????bc02sc??i??"),
        Device("pc.txt pci@0000:00:1f.6", None, "e1000e"),
        Device("pc.txt pci@0000:00:1f.6", None, "virtio-pci"),
        Device("pc.txt virtio@0", None, "virtio_net"),
    ]
    assert read(json.dumps(top)) == devices
    assert read(json.dumps([numeric])) == devices[:1]


def test_lshw_with_usb_has_its_controller() -> None:
    card = lshw(businfo="usb@2:1", product="RTL8153 [BDA:8153]", configuration={"driver": "r8152"})
    controller = {"class": "bus", "businfo": "pci@0000:00:14.0", "configuration": {"driver": "xhci_hcd"}}
    top = {"class": "system", "children": [{**controller, "children": [card]}]}
    assert read(json.dumps(top)) == [
        Device("pc.txt usb@2:1", None, "r8152"),
        Device("pc.txt pci@0000:00:14.0", None, "xhci_pci"),
    ]
    assert read(json.dumps([controller])) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "dir/pc.txt:1: an empty inventory; wanted is lspci -nn, "),
        ("# nothing\n\n", "dir/pc.txt:1: an empty inventory"),
        ("\nhello\n", "dir/pc.txt:2: no inventory: 'hello'; wanted is lspci"),
        ("00:1f.6 Ethernet controller: Intel I219-LM (rev 10)", "dir/pc.txt:1: no numbers of class, "),
        (f"{NN}\n00:02.0 VGA: x", "dir/pc.txt:2: no numbers of class, vendor and device; use lspci -nn"),
        (f"{NN}\nBus 001 Device 001: ID 1d6b:0002\n", "dir/pc.txt:2: not a line of lspci: 'Bus 001"),
        ('00:1f.6 "Ethernet" "Intel" "I219" "" ""', "dir/pc.txt:1: no numbers"),
        ('00:1f.6 "0200', "dir/pc.txt:1: no numbers"),
        ('00:1f.6 "0200" "8086" "15bb', "dir/pc.txt:1: no numbers"),
        ("Slot:\t00:1f.6\nClass:\tEthernet\n", "dir/pc.txt:1: no numbers"),
        ("xen:vif\nxen\n", "dir/pc.txt:2: not a modalias: 'xen'"),
        ("xen:vif\nxen:\x1b[2J\n", "dir/pc.txt:2: not a modalias: 'xen:\\x1b[2J'"),
        ("xen:" + "v" * 4093, "dir/pc.txt:1: not a modalias: 'xen:vvvv"),
        ("pci:v????\n", "dir/pc.txt:1: not a modalias: 'pci:v????'"),
        ('{"class":\n ', "dir/pc.txt:2: not JSON: "),
        ('{"class": "network"}, {"class": "x"}', "dir/pc.txt:1: not JSON: Extra data"),
        ("[]", "dir/pc.txt:1: JSON, but without a node of lshw"),
        ('{"a": 1}', "dir/pc.txt:1: JSON, but not of lshw: a node without a class"),
        ('{"class": "x", "children": 5}', "dir/pc.txt:1: JSON, but not of lshw"),
        ("[" * 100000, "dir/pc.txt:1: not what lshw prints: too deep"),
    ],
)
def test_bad(text: str, said: str) -> None:
    with pytest.raises(HardwareError) as caught:
        read(text)
    assert str(caught.value).startswith(said)


def test_sysfs(tmp_path: Path) -> None:
    """Links in it are those of /sys; what leads out of the copy is not read."""
    make_tree(tmp_path, {
        "outside": "pci:v1\n",
        "copy/devices/pci0/0000:00:03.0/modalias": BARE.replace("?", "0") + "\n",
        "copy/devices/pci0/0000:00:04.0/vendor": "0x8086\n",
        "copy/bus/pci/devices/0000:00:03.0": Link("../../../devices/pci0/0000:00:03.0"),
        "copy/bus/pci/devices/0000:00:04.0": Link("../../../devices/pci0/0000:00:04.0"),
        "copy/bus/pci/devices/gone": Link("../../../devices/gone"),
        "copy/bus/xen/devices/vif-0/modalias": "xen:vif\n",
        "copy/bus/xen/devices/out/modalias": Link(str(tmp_path / "outside")),
        "copy/bus/odd/devices/x/modalias": b"\xff\xfe\0\n",
        "copy/bus/empty/drivers": None,
    })  # fmt: skip
    expected = (
        Device("pci 0000:00:03.0", BARE.replace("?", "0")),
        Device("xen vif-0", "xen:vif"),
    )
    assert read_inventory(tmp_path / "copy").devices == expected
    (tmp_path / "machine").mkdir()
    (tmp_path / "copy").rename(tmp_path / "machine/sys")
    assert read_inventory(tmp_path / "machine").devices == expected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "none: No such file or directory"),
        ("folder", "folder/bus: no such folder; a copy of /sys has bus/*/devices/*/modalias"),
        ("bare", "bare/bus: no */devices/*/modalias in it; copy /sys with: cp -a"),
        ("loop", "loop: "),
    ],
)
def test_bad_places(tmp_path: Path, name: str, said: str) -> None:
    make_tree(tmp_path, {"folder": None, "bare/bus/pci/devices": None, "loop": Link("loop")})
    with pytest.raises(HardwareError) as caught:
        read_inventory(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path}/{said}")


def test_names_in_any_encoding(tmp_path: Path) -> None:
    (tmp_path / "pc").write_bytes(NN.encode().replace(b"Intel", b"Int\xe9l\xff"))
    assert [each.modalias for each in read_inventory(tmp_path / "pc").devices] == [BARE]


PIECES = st.sampled_from([
    *NNK.splitlines(), *VMM.splitlines(), MM, NNMM, "\t", " ", "", "\n", "[", "]", '"', "00:1f.6 ", "0200: ",
    "8086:15bb", "pci:v0000", "xen:vif", "{", "}", '{"class":"network"', '"children":[', ",", "\0", "\x85",
])  # fmt: skip


@settings(deadline=None)
@given(st.lists(PIECES | st.text(max_size=10), max_size=12), st.sampled_from(["", "\n"]))
def test_any_text_is_read_or_refused(parts: list[str], glue: str) -> None:
    try:
        for device in read(glue.join(parts)):
            assert device.where.isprintable()
    except HardwareError as error:
        assert str(error).startswith("dir/pc.txt:")


JSON = st.recursive(
    st.none() | st.integers() | st.sampled_from(["network", "I [8086:15BB]", "pci@1", "e1000e", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["class", "children", "businfo", "product", "configuration", "driver"]), inner
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(JSON)
def test_any_json_is_read_or_refused(value: object) -> None:
    try:
        read(json.dumps(value))
    except HardwareError as error:
        assert str(error).startswith("dir/pc.txt:")
