"""Bad input: one clear line on stderr, exit 1 (2 for usage), no partial file."""

import gzip
import lzma
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.cli.conftest import Done, Run, command
from tests.unit.small import (
    AARCH64,
    I386,
    RELEASE,
    Link,
    busybox,
    elf,
    make_tree,
    module_path,
    needed_applets,
)
from tests.unit.test_firmware import module

MODULES = f"lib/modules/{RELEASE}"
HINT = "install busybox-static into the tree or on this machine, or give one with --busybox"


@pytest.fixture
def refused(run: Run, tmp_path: Path, root: Path) -> Callable[..., str]:
    """Return a check that `build` fails with one line, which it returns, and leaves an old image alone."""
    image = tmp_path / "images/image"
    image.parent.mkdir()
    image.write_bytes(b"old")

    def check(*arguments: str | Path, code: int = 1, sysroot: Path = root) -> str:
        done = run("build", "--sysroot", sysroot, "--output", image, *arguments)
        assert done.code == code, done
        assert done.stdout == b""
        assert done.stderr.startswith("mkpxeinit: ")
        *notes, last = done.stderr.splitlines()
        assert not any("Traceback" in line for line in notes)
        assert image.read_bytes() == b"old"
        assert [path.name for path in image.parent.iterdir()] == ["image"]
        return last.removeprefix("mkpxeinit: ")

    return check


def test_no_sysroot(refused: Callable[..., str], tmp_path: Path) -> None:
    assert refused(sysroot=tmp_path / "none") == (
        f"sysroot {tmp_path}/none: No such file or directory; "
        "give the folder of an installed system with --sysroot"
    )


def test_no_kernel(refused: Callable[..., str], tmp_path: Path) -> None:
    make_tree(tmp_path / "bare", {"etc/hostname": "x"})
    assert refused(sysroot=tmp_path / "bare") == (
        f"{tmp_path}/bare/lib/modules: no kernel here; install one into the tree "
        "(Debian: linux-image-amd64) or check --sysroot"
    )


def test_no_such_release(refused: Callable[..., str], root: Path) -> None:
    assert refused("--kernel-release", "5.10") == (
        f"{root}/lib/modules: no kernel release '5.10' here; there are: {RELEASE}"
    )


def test_no_modules_dep(refused: Callable[..., str], root: Path) -> None:
    (root / MODULES / "modules.dep").unlink()
    assert refused() == f"{root}/{MODULES}/modules.dep: missing; make it with: depmod -b {root}/ {RELEASE}"


def test_broken_modules_dep(refused: Callable[..., str], root: Path) -> None:
    with (root / MODULES / "modules.dep").open("a") as file:
        file.write("kernel/../../../../etc/shadow.ko:\n")
    lines = len((root / MODULES / "modules.dep").read_text().splitlines())
    assert refused() == (
        f"{root}/{MODULES}/modules.dep:{lines}: 'kernel/../../../../etc/shadow.ko' "
        "is not the path of a module; run depmod again"
    )


def test_damaged_list_of_built_in_drivers(refused: Callable[..., str], root: Path) -> None:
    path = root / MODULES / "modules.builtin.modinfo"
    path.write_bytes(b"tg3.firmware=a\0\xff\x1b[1m\0")
    assert refused() == (
        f"{path}: entry 2: not MODULE.KEY=VALUE: '\\udcff\\x1b[1m'; install the kernel's package again"
    )
    path.write_bytes(b"tg3.firmware=a\0tg3.firm")
    assert refused() == f"{path}: entry 2 is cut short; install the kernel's package again"


def test_modprobe_d_that_cannot_be_read(refused: Callable[..., str], root: Path) -> None:
    path = root / "etc/modprobe.d/big.conf"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(65 << 20)
    assert refused() == f"{path}: larger than {64 << 20} bytes"


def test_listed_module_is_missing(refused: Callable[..., str], root: Path) -> None:
    (root / MODULES / module_path("nfs")).unlink()
    assert refused() == (
        f"{root}/{MODULES}/{module_path('nfs')}: listed in modules.dep, but no such file; "
        f"run depmod -b {root}/ {RELEASE}, or install the kernel's package again"
    )


def test_damaged_module(refused: Callable[..., str], root: Path) -> None:
    path = root / MODULES / module_path("overlay")
    path.write_bytes(path.read_bytes()[:40])
    assert refused().startswith(f"{path}: damaged ELF file")


AGAIN = "install its package again"


@pytest.mark.parametrize(
    ("suffix", "pack", "says"),
    [
        ("", lambda data: data[:-70], "(damaged|truncated) ELF file"),
        ("", lambda data: data[:70], "(damaged|truncated) ELF file"),
        ("", lambda data: b"", "not an ELF file; truncated, or another kind of file"),
        ("", lambda data: b"\x89PNG\r\n\x1a\n" + data, "not an ELF file; truncated, or another kind of file"),
        (".gz", lambda data: gzip.compress(data)[:-20], "damaged: Compressed file ended before the end"),
        (".xz", lambda data: lzma.compress(data)[:-20], "damaged: it ends too early"),
        (".zst", lambda data: zstandard.compress(data)[:-20], "damaged: "),
        (".xz", lambda data: gzip.compress(data), "damaged: Input format not supported by decoder"),
        (".gz", lambda data: gzip.compress(data[:-70]), "(damaged|truncated) ELF file"),
        ("", lambda data: elf(AARCH64), "for AARCH64 .64 bits., but other modules are for X86_64 "),
        (
            ".xz",
            lambda data: lzma.compress(elf(I386, 32)),
            "for 386 .32 bits., but other modules are for X86_64 ",
        ),
    ],
)
def test_module_that_is_bad(
    refused: Callable[..., str], root: Path, suffix: str, pack: Callable[[bytes], bytes], says: str
) -> None:
    """Truncated, packed or not, or for another machine: its file is named."""
    path = root / MODULES / (module_path("overlay") + suffix)
    path.write_bytes(pack(module()))
    lists = root / MODULES / "modules.dep"
    lists.write_text(lists.read_text().replace("overlay.ko:", f"overlay.ko{suffix}:"))
    line = refused()
    assert re.match(f"{path}: {says}", line) and line.endswith(AGAIN), line


def test_circle_of_dependencies(refused: Callable[..., str], root: Path) -> None:
    path = root / MODULES / "modules.dep"
    path.write_text(path.read_text().replace("sunrpc.ko:\n", f"sunrpc.ko: {module_path('lockd')}\n", 1))
    assert re.fullmatch(
        rf"{path}:[12]: a circle: (lockd needs sunrpc needs lockd|sunrpc needs lockd needs sunrpc); "
        r"run depmod again",
        refused(),
    )


def test_circle_of_soft_dependencies(run: Run, root: Path) -> None:
    """These mean only that one is loaded when the other is: no error."""
    with (root / MODULES / "modules.softdep").open("a") as file:
        file.write(
            "softdep e1000 pre: e1000 r8169\nsoftdep r8169 pre: e1000 post: nfs\nsoftdep nfs pre: r8169\n"
        )
    assert run("build", "--sysroot", root, "--dry-run").code == 0


@pytest.mark.parametrize(
    "pattern",
    [
        "[",
        "[!",
        "[]",
        "pci:v[z-a]*",
        "*" * 1000 + "c",
        "pci:" + "*a" * 1000,
        "(a+)+$",
        "x\\",
        "pci:v" + "[" * 9999,
        "?" * 9999,
    ],
)
def test_absurd_aliases(run: Run, root: Path, tmp_path: Path, pattern: str) -> None:
    """They match little, or nothing, and cost little."""
    with (root / MODULES / "modules.alias").open("a") as file:
        file.write(f"alias {pattern} snd_hda\n")
    (tmp_path / "pc").write_text(
        "pci:v" + "a" * 3000 + "b\nxen:vif\npci:v00008086d00001000sv0sd0bc02sc00i00\n"
    )
    done = run("build", "--sysroot", root, "--dry-run", "--hardware", tmp_path / "pc")
    assert done.code == 0, done
    assert b"/e1000.ko" in done.stdout and b"/snd-hda.ko" not in done.stdout


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ":1: an empty inventory; wanted is lspci -nn"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 9, ":1: no inventory: '\ufffdPNG"),
        (b"\x7fELF\2\1\1" + bytes(99), ":1: no inventory: '\\x7fELF\\x02"),
        (b"{}", ":1: JSON, but not of lshw: a node without a class"),
        (b"00:03.0 Ethernet controller [0200]: x [8086:1000]\n00:04.0 Ethernet", ":2: no numbers of class"),
        (None, "/bus: no such folder; a copy of /sys has bus/*/devices/*/modalias"),
        (0, ": neither a regular file nor a pipe"),
    ],
)
def test_no_inventory(
    refused: Callable[..., str], tmp_path: Path, content: bytes | int | None, says: str
) -> None:
    path = tmp_path / "pc"
    if content is None:
        make_tree(path, {"class/net": None, "kernel/x": "x"})
    elif isinstance(content, int):
        path = Path("/dev/full")
    else:
        path.write_bytes(content)
    assert refused("--hardware", path).startswith(f"{path}{says}")


def test_module_that_cannot_be_read(refused: Callable[..., str], root: Path) -> None:
    path = root / MODULES / module_path("overlay")
    path.unlink()
    os.mkfifo(path)
    assert "overlay.ko: listed in modules.dep, but no such file" in refused()


def test_unknown_module(refused: Callable[..., str]) -> None:
    assert refused("--module", "e100") == (
        f"--module e100: kernel {RELEASE} has no such module; close to it: e1000"
    )


def test_busybox_absent(refused: Callable[..., str], tmp_path: Path) -> None:
    assert refused("--busybox", tmp_path / "none") == f"{tmp_path}/none: No such file or directory; {HINT}"


def test_busybox_dynamic(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "bb").write_bytes(busybox(interpreter="/lib/ld-linux.so.2"))
    assert (
        refused("--busybox", tmp_path / "bb") == f"{tmp_path}/bb: dynamic, needs /lib/ld-linux.so.2; {HINT}"
    )


def test_busybox_of_another_machine(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "bb").write_bytes(busybox(machine=AARCH64))
    assert refused("--busybox", tmp_path / "bb") == (
        f"{tmp_path}/bb: for AARCH64 (64 bits), but the kernel is for X86_64 (64 bits); {HINT}"
    )


def test_busybox_without_an_applet(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "bb").write_bytes(busybox([name for name in needed_applets() if name != "udhcpc"]))
    assert refused("--busybox", tmp_path / "bb") == (
        f"{tmp_path}/bb: lacks applets that the client needs: udhcpc; "
        "take Debian's busybox-static, or build one anew: mkpxeinit busybox"
    )


def test_busybox_that_is_none(refused: Callable[..., str]) -> None:
    assert "/dev/null: not a regular file" in refused("--busybox", "/dev/null")


def test_links_of_the_tree_go_nowhere(refused: Callable[..., str], root: Path) -> None:
    shutil.move(root / "lib", root / "elsewhere")
    make_tree(root, {"lib": Link("/lib")})
    assert "no kernel here" in refused()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--compress", "lz4"],
            r"Invalid value for '--compress': 'lz4' is no compressor \(NAME\[:LEVEL\]\); there are: zstd",
        ),
        (["--compress", "zstd:99"], r"Invalid value for '--compress': .*: zstd has levels 1 to 19"),
        (["--pci-class", "2"], r"Invalid value for '--pci-class': PCI class '2' is not two or four hex"),
        (["--cmdline", "a\nb"], r"Invalid value for '--cmdline': --cmdline 'a\\nb': one line of printable"),
        (["--xyzzy"], r"no such option: --xyzzy; see mkpxeinit "),
        (["unexpected"], r"Got unexpected extra argument \(unexpected\)"),
    ],
)
def test_wrong_usage(refused: Callable[..., str], arguments: list[str], says: str) -> None:
    line = refused(*arguments, code=2)
    assert re.match(says, line), line
    assert line.endswith("; see mkpxeinit build --help")


def test_release_that_was_meant(refused: Callable[..., str], root: Path) -> None:
    """Of several releases the one that is close to what was given, beside the list of all."""
    for name in ("5.10.0-9-test", RELEASE.replace("-1-", "-2-")):
        make_tree(root, {f"lib/modules/{name}/modules.dep": ""})
    line = refused("--kernel-release", RELEASE[:-1])
    assert "; there are: 5.10.0-9-test, " in line and line.endswith(f"; did you mean {RELEASE}?")


def test_source_date(run: Run, root: Path) -> None:
    done = run("build", "--sysroot", root, env={"SOURCE_DATE_EPOCH": "today"})
    assert done.code == 2 and "SOURCE_DATE_EPOCH 'today' is not a number" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-q"], "Missing command"),
        (["nonsense"], "no verb 'nonsense'; there are: build, list, "),
        (["biuld"], "no verb 'biuld'; did you mean build?"),
        (["build", "--sysrot", "x"], "no such option: --sysrot; did you mean --sysroot?"),
        (["build"], "Missing option '--sysroot'"),
        (["boot"], "Missing argument 'IMAGE'"),
    ],
)
def test_usage_of_the_whole(run: Run, arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert done.code == 2 and done.stdout == b""
    assert done.stderr.startswith("mkpxeinit: ") and says in done.stderr
    assert done.stderr.count("\n") == 1


def test_compressor_that_the_kernel_cannot_read(refused: Callable[..., str]) -> None:
    assert refused("--compress", "xz:3") == (
        f"--compress xz:3: kernel {RELEASE} cannot unpack it (CONFIG_RD_XZ is not set); "
        "it can: zstd, gzip, none"
    )


def test_output_folder_is_missing(run: Run, root: Path, tmp_path: Path) -> None:
    done = run("build", "--sysroot", root, "--output", tmp_path / "no/image")
    assert done.code == 1
    assert done.stderr.splitlines()[-1] == (
        f"mkpxeinit: {tmp_path}/no/image: cannot write there: No such file or directory"
    )


def in_namespace() -> tuple[str, ...]:
    """Return a prefix that gives a command mounts of its own; skip the test where there is none."""
    prefix = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], check=False).returncode != 0:
        pytest.skip("no mount namespaces here")
    return prefix


def on_mount(run: Run, root: Path, folder: Path, options: str) -> Done:
    """Build into a tmpfs with an old image on it; fail if the old image or the folder changed."""
    folder.mkdir(exist_ok=True)
    # The names are arguments of the script, none is part of it.
    script = (
        'mount -t tmpfs none "$1" && echo old >"$1/image" && mount -o "remount,$2" "$1" || exit 99\n'
        'folder=$1; shift 2; "$@"; code=$?\n'
        '[ "$(cat "$folder/image")" = old ] && [ "$(ls -A "$folder")" = image ] || exit 98\n'
        "exit $code"
    )
    done = run(
        "build", "--sysroot", root, "-o", folder / "image", "--compress", "none",
        prefix=(*in_namespace(), "sh", "-c", script, "sh", str(folder), options),
    )  # fmt: skip
    if os.geteuid() != 0 and done.code == 99:
        pytest.skip("no tmpfs for this user, not even in a namespace of its own")
    return done


def test_full_disk(run: Run, root: Path, tmp_path: Path) -> None:
    done = on_mount(run, root, tmp_path / "small", "size=20k")
    assert done.code == 1, done
    assert done.stderr.splitlines()[-1] == (
        f"mkpxeinit: {tmp_path}/small/image: cannot write: No space left on device"
    )


def test_read_only_disk(run: Run, root: Path, tmp_path: Path) -> None:
    done = on_mount(run, root, tmp_path / "ro", "ro")
    assert done.code == 1, done
    assert done.stderr.splitlines()[-1] == (
        f"mkpxeinit: {tmp_path}/ro/image: cannot write there: Read-only file system"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(root: Path, tmp_path: Path, number: signal.Signals) -> None:
    """A signal while the image is being written leaves the old one, and no temporary file."""
    big = root / MODULES / module_path("e1000")
    with big.open("r+b") as file:
        for _ in range(60):
            file.seek(0, os.SEEK_END)
            file.write(os.urandom(1 << 20))
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "image").write_bytes(b"old")
    process = subprocess.Popen(
        [command(), "build", "--sysroot", root, "-o", folder / "image", "--compress", "zstd:19"],
        stderr=subprocess.PIPE,
        # Whoever runs the tests in the background may ignore SIGINT, which is inherited.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 20
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(list(folder.iterdir())) == 2, "the temporary file was never there"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (128 + number, -number), errors
    assert b"Traceback" not in errors
    assert [path.name for path in folder.iterdir()] == ["image"]
    assert (folder / "image").read_bytes() == b"old"


def test_boot_without_an_image(run: Run, tmp_path: Path) -> None:
    done = run("boot", tmp_path / "none", "--sysroot", tmp_path)
    assert done.code == 1
    assert done.stderr == f"mkpxeinit: {tmp_path}/none: no such image; make one with: mkpxeinit build\n"
