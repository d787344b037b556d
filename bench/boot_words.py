"""What docs/benchmarks.md says of the boots beside their table."""

from collections.abc import Mapping, Sequence
from typing import Any

WORDS = """\
Each boot has one virtual processor without hardware help (TCG), 1 GiB, and a network, a dnsmasq and an
NFS-Ganesha of its own; all tools mount the same tree over it, with a layer that is thrown away. QEMU
loads kernel and initrd itself, so that power-on → init is firmware, kernel and unpacking; in the rows
"by PXE" the card's ROM, DHCP, pxelinux and TFTP come first. init → real init is from the kernel's `Run
/init` to the last words of the initrd, before the tree's init is started; what follows until systemd's first
line is the tree's own, for all tools alike: systemd and its libraries are read over the network.

*bare script* is the least that boots this machine (bench/bare-init), as it stands in wiki pages: our
image's modules and busybox, each step once, no check, no second try. Where a prototype of that kind takes
2.4 s, 2.0 s are the aim: 0.83 of it.

initramfs-tools mounts by NFS 3, which is all that its nfsmount can; dracut and mkpxeinit by 4.2;
on Debian 13 the bare script and dracut by 4.1, for there 4.2 ends in a read error that only mkpxeinit gets
over. "stripped" is with `--strip-modules`.
dracut's network is network-legacy on Debian 12, systemd-networkd on Debian 13. "own busybox" is that of
`mkpxeinit busybox`; otherwise it is Debian's.

klibc's ipconfig, initramfs-tools' DHCP client, may send its first request before the card takes it, and
then waits for seconds. What passes between its first attempt and its last is shown behind its time; the
second ratio is without it. mkpxeinit over NFS 3 does what initramfs-tools does: NFS 4 takes more of the
kernel, much of that for trace events that nobody reads (decisions/0021-boot-time.md says why it is used).
"""
# A peer, and what our phase may take of its one.
_LIMITS = {"initramfs-tools": 0.35, "dracut": 0.1, "bare script": 0.83}
_MODES = ("farm", "overlay", "farm, NFS 3")


def ratios(rows: Sequence[Mapping[str, Any]], suites: Mapping[str, str]) -> str:
    """Return a line for each of our initrds and peers on virtio: init → real init, as parts of the peer's."""
    lines = []
    direct = [row for row in rows if row["nic"] == "virtio" and "PXE" not in row["mode"]]
    for suite, shown in suites.items():
        here = [row for row in direct if row["suite"] == suite]
        peers = {row["tool"]: row for row in here if row["tool"] in _LIMITS}
        for row in here:
            if row["tool"] in peers or row["mode"] not in _MODES or not peers:
                continue
            parts = ", ".join(_part(row["init_to_real"], peers[tool]) for tool in sorted(peers))
            lines.append(f"- {shown}, {row['tool']}, {row['mode']}: {parts}\n")
    return "".join(lines)


def _part(seconds: float, peer: Mapping[str, Any]) -> str:
    whole, lost = peer["init_to_real"], peer["lost"]
    without = f"; without what it lost {seconds / (whole - lost):.2f}" if lost else ""
    return f"{seconds / whole:.2f} × {peer['tool']} (aim {_LIMITS[peer['tool']]:g}{without})"
