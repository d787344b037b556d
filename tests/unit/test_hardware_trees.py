"""Images for machines that are known, on real kernels."""

import os
from pathlib import Path

import pytest

from mkpxeinit import build

pytestmark = [
    pytest.mark.tree,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="making a tree needs root"),
]
VM = "00:02.0 VGA [0300]: Device [1234:1111]\n00:03.0 Ethernet [0200]: Red Hat [1af4:1000]\n"
OFFICE = """00:02.0 VGA compatible controller [0300]: Intel Corporation UHD Graphics 630 [8086:3e92]
00:14.0 USB controller [0c03]: Intel Corporation Cannon Lake xHCI [8086:a36d] (rev 10) (prog-if 30 [XHCI])
00:1f.3 Audio device [0403]: Intel Corporation Cannon Lake PCH cAVS [8086:a348] (rev 10)
00:1f.6 Ethernet controller [0200]: Intel Corporation Ethernet Connection (7) I219-LM [8086:15bb] (rev 10)
\tSubsystem: Dell Device [1028:0869]
01:00.0 Ethernet controller [0200]: Realtek Semiconductor Co., Ltd. RTL8111/8168/8411 [10ec:8168] (rev 15)
02:00.0 Network controller [0280]: Intel Corporation Wireless 8265 / 8275 [8086:24fd] (rev 78)
"""


@pytest.mark.parametrize(
    ("text", "drivers", "limit"),
    [(VM, {"virtio_net"}, 2.7e6), (OFFICE, {"e1000e", "r8169"}, 3.2e6)],
    ids=["vm", "office"],
)
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_images_of_known_machines(
    suite: str, text: str, drivers: set[str], limit: float, tmp_path: Path
) -> None:
    """As measured, 2.2 to 2.9 MB (10.5 and 12.1 for unknown machines)."""
    from pxelab import trees

    (tmp_path / "pc").write_text(text)
    root = Path(trees.debian(suite))
    options = build.Options(sysroot=root, output=tmp_path / "image", hardware=(tmp_path / "pc",))
    decided = build.plan(options, {})
    ethernet = {
        each.module.name
        for each in decided.modules
        if "/net/ethernet/" in each.module.path or each.module.name == "virtio_net"
    }
    assert ethernet == drivers
    assert build.write(decided).size < limit
