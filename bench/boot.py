"""Booting: the same machine and servers, one initrd after another, from power-on to the tree's own init.

Three marks on the serial console: the kernel's `Run /init as init process`, the last thing that the initrd
says before it gives the machine to the tree's init, and the line with which the tree's systemd begins
(dracut's initrd has a systemd of its own, which says the same: there the second one counts). Times are those
at which the lines arrive; the guest's clock follows this machine's, also when it is busy (pxelab.machine).
"""

import re
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import frame, peers
from pxelab import SERVER, Lab, Machine, Nic, busyboxes, cpio, netboot
from pxelab.errors import LabError

EXPORT = "/netboot/pxeclient"
NICS = {"virtio": "virtio-net-pci", "e1000": "e1000"}
MODES = ("farm", "overlay", "ro", "rw")
BOOT_SECONDS = 400.0
OURS = "mkpxeinit"
SMALL = "mkpxeinit, own busybox"
STRIPPED = "mkpxeinit, stripped"
BARE = "bare script"
# With 4.2, Debian 13's READ_PLUS and the server's end in a read error: the bare script in a panic, dracut in
# a systemd that cannot start /sbin/init. An unknown word of the command line is in init's environment.
BARE_APPEND = {"bookworm": "", "trixie": "BARE_VERSION=4.1"}
DRACUT_OPTIONS = {"bookworm": "rw", "trixie": "rw,vers=4.1"}
BARE_INIT = Path(__file__).with_name("bare-init")
# The last words of each: of our client, of bench/bare-init, of peers' HAND_OVER, of dracut's systemd.
MARKS = {
    "mkpxeinit": r"^pxeinit: \[\d+\.\d+\] handing over to ",
    "bare script": r"^bare-init: handing over$",
    "initramfs-tools": rf"{peers.HAND_OVER}$",
    "dracut": r" Starting .{0,20}initrd-switch-root",
}
_RUN = r"^\[ *\d+\.\d+\] Run /init as init process"
# klibc's ipconfig begins an attempt; after one without an answer it begins another.
_ATTEMPT = re.compile(r"^IP-Config: \S+ hardware address ")
_REAL = r"^\[ *\d+\.\d+\] systemd\[1\]: systemd \S+ .*running in system mode"


@dataclass(frozen=True, slots=True)
class Case:
    """An initrd and how it is booted; `systemds` is which systemd's first line is the real init's.

    With `pxe` the card's ROM, pxelinux and TFTP come before the kernel; else QEMU loads it.
    """

    tool: str
    mode: str
    nic: str
    images: tuple[Path, ...]
    append: str
    systemds: int = 1
    pxe: bool = False


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: from power-on to the kernel's `Run /init`, to the hand-over, and to systemd's first line.

    `lost` of the second went by between initramfs-tools' first request for an address and its last one.
    """

    power_on_to_init: float
    init_to_real: float
    real_to_line: float
    lost: float = 0.0


def run(rounds: int, suites: Sequence[str] = peers.SUITES) -> dict[str, Any]:
    """Return the result: a row for each case and suite, with medians of `rounds` rounds."""
    rows: list[dict[str, Any]] = []
    versions = {each: frame.package_version(each) for each in ("qemu-system-x86", "nfs-ganesha")}
    for suite in suites:
        tree = peers.tree(suite)
        for name in ("initramfs-tools", "dracut-core"):
            versions[f"{suite}: {name}"] = frame.package_version(name, tree.path)
        versions[f"{suite}: kernel"] = tree.release
        with tempfile.TemporaryDirectory(prefix="mkpxeinit-bench-") as folder:
            cases = tuple(make_cases(tree, Path(folder)))
            found = measured(tree, cases, rounds)
        rows += [row(suite, case, times) for case, times in zip(cases, found, strict=True)]
    return {
        "title": "Booting",
        "machine": frame.machine(),
        "versions": versions,
        "rounds": rounds,
        "rows": rows,
    }


def make_cases(tree: peers.BenchTree, folder: Path) -> Iterator[Case]:
    """Yield the cases of one tree; the images are made, ours in `folder`."""
    ours, small, stripped = (folder / f"{name}.img" for name in ("ours", "small", "stripped"))
    bare = folder / "bare.cpio"
    bare.write_bytes(cpio.archive({"init": cpio.Entry(BARE_INIT.read_bytes(), 0o755)}))
    _build(tree, ours)
    _build(tree, small, "--busybox", str(busyboxes.ours()))
    _build(tree, stripped, "--strip-modules")
    where = f"nfsroot={SERVER}:{EXPORT}"
    # klibc's nfsmount speaks versions 2 and 3 alone.
    debian = f"root=/dev/nfs {where},v3 ip=dhcp rw"
    dracut = f"root=nfs:{SERVER}:{EXPORT}:{DRACUT_OPTIONS[tree.suite]} ip=dhcp rd.neednet=1 rw"
    _, debian_image = peers.mkinitramfs(tree, "netboot")
    _, dracut_image = peers.dracut(tree)
    for nic in NICS:
        for mode in MODES:
            yield Case(OURS, mode, nic, (ours,), f"pxeinit.mode={mode}")
        yield Case(BARE, "farm", nic, (ours, bare), BARE_APPEND[tree.suite])
        yield Case("initramfs-tools", "rw", nic, (debian_image,), debian)
        yield Case("dracut", "rw", nic, (dracut_image,), dracut, systemds=2)
    yield Case(SMALL, "farm", "virtio", (small,), "pxeinit.mode=farm")
    yield Case(STRIPPED, "farm", "virtio", (stripped,), "pxeinit.mode=farm")
    yield Case(OURS, "farm, NFS 3", "virtio", (ours,), f"pxeinit.mode=farm {where},vers=3")
    yield Case(OURS, "farm, by PXE", "virtio", (ours,), "pxeinit.mode=farm", pxe=True)
    yield Case("initramfs-tools", "rw, by PXE", "virtio", (debian_image,), debian, pxe=True)
    yield Case("dracut", "rw, by PXE", "virtio", (dracut_image,), dracut, systemds=2, pxe=True)


def _build(tree: peers.BenchTree, image: Path, *options: str) -> None:
    words = [*frame.MKPXEINIT, "build", "--sysroot", str(tree.path), "-o", str(image), "--no-drop-ins"]
    frame.measure([*words, *options])


def measured(tree: peers.BenchTree, cases: Sequence[Case], rounds: int) -> list[list[Times]]:
    """Return the times of each case, in the order of `cases`; they take turns, as frame.alternate has it."""
    found: list[list[Times]] = [[] for _ in cases]
    for number in range(rounds):
        turn = list(enumerate(cases))
        for index, case in turn if number % 2 == 0 else reversed(turn):
            times = boot_again(tree, case)
            found[index].append(times)
            frame.say(
                f"{tree.suite}: round {number + 1}/{rounds}: {case.tool}, {case.mode}, {case.nic}: "
                f"{times.power_on_to_init:.1f} s + {times.init_to_real:.2f} s + {times.real_to_line:.2f} s"
            )
    return found


def boot_again(tree: peers.BenchTree, case: Case) -> Times:
    """Boot once; a boot that fails is said, and tried once more: a bench takes hours. BenchError then."""
    try:
        return boot(tree, case)
    except frame.BenchError as error:
        frame.say(f"a boot that is not counted: {error}")
        return boot(tree, case)


def boot(tree: peers.BenchTree, case: Case) -> Times:
    """Boot once, in a laboratory of its own, and cut the power at the real init's first line.

    BenchError with the console's last lines if it does not come.
    """
    kernel = tree.path / f"boot/vmlinuz-{tree.release}"
    with Lab.open() as lab:
        # A layer over the tree: who mounts it read-write must not change what the next one reads.
        lab.ganesha({EXPORT: lab.variant(tree.path)}, read_only=False, versions=(3, 4))
        if case.pxe:
            append = f"console=ttyS0 {case.append}"
            folder = netboot.pxelinux(lab.folder / "tftp", kernel, case.images, append)
            lab.dnsmasq(
                root_path=EXPORT, next_server=SERVER, tftp=folder.path, boot_file=folder.boot_file.lstrip("/")
            )
            description = Machine(nics=(Nic(model=NICS[case.nic]),), guest=False)
        else:
            lab.dnsmasq(root_path=EXPORT, next_server=SERVER)
            description = Machine(
                kernel=kernel,
                initrd=case.images,
                append=case.append,
                nics=(Nic(model=NICS[case.nic]),),
                guest=False,
            )
        machine = lab.machine(description)
        try:
            for _ in range(case.systemds):
                machine.expect(_REAL, BOOT_SECONDS)
        except LabError as error:
            raise frame.BenchError(f"{tree.suite}: {case.tool}, {case.mode}, {case.nic}: {error}") from error
        finally:
            machine.kill()
        return read_times(machine.console.lines, MARKS[case.tool.partition(",")[0]], case.systemds)


def read_times(lines: Sequence[tuple[float, str]], mark: str, systemds: int = 1) -> Times:
    """Return the times on a console's lines (seconds since power-on, text); BenchError if one is missing.

    `mark` is a pattern for what the initrd says last.
    """
    begun, handed, real = (
        [moment for moment, text in lines if re.search(pattern, text)] for pattern in (_RUN, mark, _REAL)
    )
    if not begun or not handed or len(real) < systemds:
        raise frame.BenchError(
            f"the console lacks the kernel's `Run /init`, {mark!r} or the first line of systemd"
        )
    attempts = [moment for moment, text in lines if _ATTEMPT.search(text)] or [0.0]
    return Times(begun[0], handed[-1] - begun[0], real[systemds - 1] - handed[-1], attempts[-1] - attempts[0])


def row(suite: str, case: Case, times: Sequence[Times]) -> dict[str, Any]:
    """Return a row of the result: the medians of one case."""
    names = ("power_on_to_init", "init_to_real", "real_to_line", "lost")
    middle = {name: round(statistics.median(getattr(each, name) for each in times), 2) for name in names}
    return {"suite": suite, "tool": case.tool, "mode": case.mode, "nic": case.nic, **middle}
