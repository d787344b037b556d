"""Readers of whole images: what `check`, `diff`, `why` and `list` make of them, to the last line printed."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import click
from click.testing import CliRunner

from mkpxeinit.cli.check import command as check_command
from mkpxeinit.cli.diff import command as diff_command
from mkpxeinit.cli.list import command as list_command
from mkpxeinit.cli.why import command as why_command
from mkpxeinit.errors import MkpxeinitError
from mkpxeinit.hardware.leftout import AbsentDrivers
from mkpxeinit.image import reasons
from tests.fuzz.target import Target
from tests.unit import small, test_firmware
from tests.unit.images import PACKERS, TRAILER, entry

FOLDER = f"lib/modules/{small.RELEASE}"
DEVICES = (
    "pci:v00008086d00001000sv00001AF4sd00001100bc02sc00i00\nusb:v0BDAp8153d3000dcFFdsc00dp00icFFisc00ip00in00\n"
    "pci:v000010ECd00008168sv00001043sd00008677bc02sc00i00\nmdio:00000000000111001100100100010110\n"
    "virtio:d00000001v00001AF4\npci:v00001234d00000001sv00000000sd00000000bc02sc80i00\n"
)
LEFT_OUT = (
    "# mkpxeinit left-out 2: x\n"
    "00\te1000\tpci:v00008086d00001000sv*sd*bc*sc*i*\n"
    "00\tr8152\tusb:v0BDAp8153d*dc*dsc*dp*ic*isc*ip*in*\tusb:v0BDAp8156d*\n"
    "80\tx\tpci:v00001234d*sv*sd*bc02sc80i*\n"
)
REASONS = (
    "# mkpxeinit reasons 1: paths, then the steps from the nearest on\n"
    f"{FOLDER}/kernel/drivers/net/phy/realtek.ko\tsoftdep of r8169\tPCI class 02\n"
    "a/two\\040words b/c\tPCI class 02\nlib/pxeinit/reasons/s\tread by mkpxeinit why\n"
)


def run(command: click.Command, *words: object) -> str:
    """Run a command, its exceptions let through; return what it prints, each line of which can be shown."""
    result = CliRunner().invoke(command, [str(word) for word in words], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert all(line.isprintable() for line in result.output.split("\n")), result.output
    return result.output


def _json(text: str) -> None:
    """Read the object that `text` begins with; what the command says on stderr may follow."""
    json.JSONDecoder().raw_decode(text)


def _texts() -> dict[str, bytes]:
    """Return the files of a small image."""
    tree = small.kernel_tree()
    texts = {name: str(tree[name]).encode() for name in tree if name.startswith(f"{FOLDER}/modules.")}
    for name, names in (("r8169", ("rtl/a.fw", "rtl/*.fw")), ("e1000", ()), ("realtek", ("none.fw",))):
        texts[f"{FOLDER}/{small.module_path(name)}"] = test_firmware.module(*names)
    return texts | {
        "lib/firmware/rtl/a.fw": b"x",
        "lib/pxeinit/left-out": LEFT_OUT.encode(),
        "lib/pxeinit/reasons/s": REASONS.encode(),
        "etc/cmdline": b"pxeinit.verbose\n",
        "etc/pxeinit/version": b"1\n",
    }


def _image(texts: dict[str, bytes]) -> bytes:
    folders = {parent for name in texts for parent in PurePosixPath(name).parents if parent.parts}
    made = [entry(bytes(each), 0o40755) for each in sorted(folders)]
    made += [entry(name.encode(), 0o100644, text) for name, text in texts.items()]
    return b"".join((*made, entry(b"usr", 0o120777, b"."), TRAILER))


TEXTS = _texts()
BIGGEST_LAST = dict(sorted(TEXTS.items(), key=lambda item: len(item[1]), reverse=True))
WHOLE = _image(TEXTS)


def _given(data: bytes, folder: Path) -> Path:
    (folder / "pc").write_text(DEVICES)
    (folder / "image").write_bytes(data)
    return folder / "image"


def _check(data: bytes, folder: Path) -> None:
    image = _given(data, folder)
    run(check_command, image, folder / "pc")
    _json(run(check_command, "--json", "--no-firmware", image, folder / "pc", folder))


def _diff(data: bytes, folder: Path) -> None:
    image, whole = _given(data, folder), folder / "whole"
    whole.write_bytes(WHOLE)
    run(diff_command, whole, image)
    _json(run(diff_command, "--json", image, whole))
    assert not run(diff_command, image, image)
    with suppress(MkpxeinitError):
        run(diff_command, "--across-releases", image, whole)


def _why(data: bytes, folder: Path) -> None:
    image = _given(data, folder)
    run(list_command, "-l", image)
    run(list_command, "--sizes", image)
    run(why_command, "--all", image)
    names: Sequence[str] = ("realtek", "usr/etc", "rtl/a.fw", "e1000-x", "../x", ".", "/")
    for name in names:
        with suppress(MkpxeinitError):
            run(why_command, image, name)


def _reasons(data: bytes, folder: Path) -> None:
    with suppress(MkpxeinitError):
        found = reasons.parse(data, "x")
        assert all(not path.is_absolute() and ".." not in path.parts for path in found)
    _why(_image(TEXTS | {"lib/pxeinit/reasons/s": data}), folder)


def _left_out(data: bytes, folder: Path) -> None:
    text = data.decode("utf-8", "surrogateescape")
    with suppress(MkpxeinitError):
        listed = AbsentDrivers(text, "x")
        for device in DEVICES.splitlines():
            listed.drivers(device)
    _check(_image(TEXTS | {"lib/pxeinit/left-out": data}), folder)


IMAGE_TARGETS = (
    Target("reasons", (REASONS.encode(), b"a\tb c\nd/e\tf\n"), _reasons, dear=6),
    Target("left-out", (LEFT_OUT.encode(),), _left_out, dear=6),
    Target("check", (WHOLE, _image(BIGGEST_LAST), PACKERS["gzip"](WHOLE)), _check, dear=6),
    Target("diff", (WHOLE, WHOLE + WHOLE, _image(BIGGEST_LAST)), _diff, dear=6),
    Target("why", (WHOLE, _image(BIGGEST_LAST) + WHOLE), _why, dear=6),
)
