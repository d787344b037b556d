"""What the bench of boots reads off a console."""

from pathlib import Path

import pytest

from bench import boot, boot_words, frame, peers

RUN = (5.5, "[    2.812000] Run /init as init process")
REAL = "systemd[1]: systemd 252.39-1~deb12u1 running in system mode (+PAM +AUDIT)"


OURS, DRACUT, DEBIAN = (boot.MARKS[each] for each in ("mkpxeinit", "dracut", "initramfs-tools"))
HANDED = (10.0, "pxeinit: [7.01] handing over to /sbin/init")


def test_three_marks() -> None:
    lines = [(0.4, "SeaBIOS"), RUN, (9.9, "[    6.000000] other"), HANDED, (11.25, f"[    7.312000] {REAL}")]
    assert boot.read_times(lines, OURS) == boot.Times(5.5, 4.5, 1.25)


def test_the_systemd_of_the_initrd_is_not_the_real_one() -> None:
    begun, left = (
        (6.0, f"[    3.100000] {REAL}"),
        (29.0, "         Starting initrd-switch-root.service - Switch Root..."),
    )
    lines = [RUN, begun, left, (30.0, f"[   27.000000] {REAL}")]
    assert boot.read_times(lines, DRACUT, systemds=2) == boot.Times(5.5, 23.5, 1.0)
    with pytest.raises(frame.BenchError, match="first line of systemd"):
        boot.read_times(lines[:3], DRACUT, systemds=2)
    with pytest.raises(frame.BenchError, match="initrd-switch-root"):
        boot.read_times([*lines[:2], lines[3]], DRACUT, systemds=2)


def test_words_of_others_are_no_marks() -> None:
    with pytest.raises(frame.BenchError):
        boot.read_times([RUN, HANDED, (9.0, f"pxeinit: {REAL}"), (9.1, f"x [ 1.0] {REAL}")], OURS)
    with pytest.raises(frame.BenchError):
        boot.read_times([HANDED, (9.0, f"[    7.312000] {REAL}")], OURS)
    with pytest.raises(frame.BenchError):
        boot.read_times([RUN, (9.0, f"x {HANDED[1]}"), (9.0, f"[    7.312000] {REAL}")], OURS)


def test_each_tool_has_its_mark() -> None:
    """What the scripts of the bench and of the client say."""
    init = Path(__file__).parents[2]
    assert 'say "handing over to $tree_init"' in (init / "init/lib/switch.sh").read_text()
    assert 'echo "bare-init: handing over"\nexec switch_root' in (init / "bench/bare-init").read_text()


def test_a_row_has_medians() -> None:
    case = boot.Case("mkpxeinit", "farm", "virtio", (Path("x"),), "")
    times = [boot.Times(5.0, 2.0, 1.0), boot.Times(9.0, 2.25, 3.0, 8.0), boot.Times(6.0, 2.1, 1.5)]
    assert boot.row("trixie", case, times) == {
        "suite": "trixie",
        "tool": "mkpxeinit",
        "mode": "farm",
        "nic": "virtio",
        "power_on_to_init": 6.0,
        "init_to_real": 2.1,
        "real_to_line": 1.5,
        "lost": 0.0,
    }


def test_what_ipconfig_lost() -> None:
    attempt = "IP-Config: ens2 hardware address 52:54:00:77:00:01 mtu 1500 DHCP"
    end = [
        (19.0, f"Begin: Running /scripts/init-bottom ... {peers.HAND_OVER}"),
        (20.0, f"[   17.312000] {REAL}"),
    ]
    lines = [RUN, (6.0, attempt), (15.0, "IP-Config: no response after 2 secs - giving up"), (15.25, attempt)]
    assert boot.read_times([*lines, *end], DEBIAN) == boot.Times(5.5, 13.5, 1.0, 9.25)
    assert boot.read_times([RUN, (6.0, attempt), *end], DEBIAN).lost == 0


def test_ratios_are_of_the_initramfs_phase_on_virtio() -> None:
    def row(tool: str, mode: str, seconds: float, nic: str = "virtio", lost: float = 0) -> dict[str, object]:
        named = {"suite": "bookworm", "tool": tool, "mode": mode, "nic": nic}
        return {**named, "power_on_to_init": 9.0, "init_to_real": seconds, "real_to_line": 1.0, "lost": lost}

    rows = [
        row("mkpxeinit", "farm", 2.0),
        row("mkpxeinit", "rw", 1.5),
        row("mkpxeinit", "farm, NFS 3", 1.75),
        row("mkpxeinit", "farm, by PXE", 2.1),
        row("mkpxeinit", "farm", 4.0, "e1000"),
        row("bare script", "farm", 2.5),
        row("initramfs-tools", "rw", 5.0, lost=1.0),
        row("dracut", "rw", 25.0),
        row("dracut", "rw, by PXE", 26.0),
    ]
    assert boot_words.ratios(rows, {"bookworm": "Debian 12", "trixie": "Debian 13"}) == (
        "- Debian 12, mkpxeinit, farm: 0.80 × bare script (aim 0.83), 0.08 × dracut (aim 0.1), "
        "0.40 × initramfs-tools (aim 0.35; without what it lost 0.50)\n"
        "- Debian 12, mkpxeinit, farm, NFS 3: 0.70 × bare script (aim 0.83), 0.07 × dracut (aim 0.1), "
        "0.35 × initramfs-tools (aim 0.35; without what it lost 0.44)\n"
    )
    assert boot_words.ratios(rows[:1], {"bookworm": "Debian 12"}) == ""
