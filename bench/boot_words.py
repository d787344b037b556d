"""What docs/benchmarks.md says of the boots beside their table."""

from collections.abc import Mapping, Sequence
from typing import Any

WORDS = """\
Each boot has one virtual processor without hardware help (TCG), 1 GiB, and a network, a dnsmasq and an
NFS-Ganesha of its own; all tools mount the same tree over it, with a layer that is thrown away. QEMU
loads kernel and initrd itself, so that power-on → init is firmware, kernel and unpacking; in the rows
"by PXE" the card's ROM, DHCP, pxelinux and TFTP come first. init → real init is from the kernel's `Run
/init` to the first line of the tree's systemd, by the guest's clock.

initramfs-tools mounts by NFS 3, which is all that its nfsmount can; dracut and mkpxeinit by 4.2.
dracut's network is network-legacy on Debian 12, systemd-networkd on Debian 13. "own busybox" is that of
`mkpxeinit busybox`; otherwise it is Debian's.
"""
# A peer, and what our phase may take of its one.
_LIMITS = {"initramfs-tools": 0.35, "dracut": 0.1}
_MODES = ("farm", "overlay")


def ratios(rows: Sequence[Mapping[str, Any]], suites: Mapping[str, str]) -> str:
    """Return a line for each of our initrds and peers on virtio: init → real init, as parts of the peer's."""
    lines = []
    direct = [row for row in rows if row["nic"] == "virtio" and "PXE" not in row["mode"]]
    for suite, shown in suites.items():
        here = [row for row in direct if row["suite"] == suite]
        peers = {row["tool"]: row["init_to_real"] for row in here if row["tool"] in _LIMITS}
        for row in here:
            if row["mode"] not in _MODES or not peers:
                continue
            parts = ", ".join(
                f"{row['init_to_real'] / seconds:.2f} × {tool} (aim {_LIMITS[tool]:g})"
                for tool, seconds in sorted(peers.items())
            )
            lines.append(f"- {shown}, {row['tool']}, {row['mode']}: {parts}\n")
    return "".join(lines)
