import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mkpxeinit import busybox as bb
from mkpxeinit import elf as elf_reader
from mkpxeinit import resources
from mkpxeinit.elf import Machine
from mkpxeinit.errors import ProgramError
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import AARCH64, I386, Link, busybox, elf, make_tree

AMD64 = Machine("EM_X86_64", 64, True)
NOWHERE = Path("/nowhere/busybox")


def find(
    root: Path, given: Path | None = None, host: Path = NOWHERE, own: tuple[Path, ...] = ()
) -> tuple[bb.Busybox, tuple[str, ...]]:
    return bb.find(Sysroot.open(root), given, AMD64, {}, host, own)


def test_applets_are_those_that_busybox_lists(host_busybox: Path) -> None:
    said = subprocess.run([host_busybox, "--list"], capture_output=True, check=True, text=True).stdout.split()
    assert list(bb.applet_names(host_busybox.read_bytes())) == said


def test_applets_of_a_small_one() -> None:
    assert bb.applet_names(busybox(["ash", "mount", "umount"])) == ("ash", "mount", "umount")


@given(st.sets(st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True), min_size=8), st.binary(max_size=50))
def test_applets_are_found_among_other_strings(names: set[str], before: bytes) -> None:
    table = sorted(names | {"mount"})
    data = before + b"\xff\0" + b"".join(name.encode() + b"\0" for name in table) + b"\0mount\0text"
    assert list(bb.applet_names(data)) == table


def test_no_applets() -> None:
    assert bb.applet_names(b"") == ()
    assert bb.applet_names(b"ash\0awk\0cat\0\0") == ()


@pytest.mark.parametrize("place", ["bin/busybox", "usr/bin/busybox"])
def test_the_trees(tmp_path: Path, place: str) -> None:
    found, notes = find(make_tree(tmp_path, {place: busybox()}))
    assert found.shown == f"{tmp_path}/{place}" and notes == ()
    assert found.data == busybox()


def test_the_tree_before_the_host(tmp_path: Path) -> None:
    make_tree(tmp_path, {"tree/bin": Link("/usr/bin"), "tree/usr/bin/busybox": busybox(), "host": busybox()})
    found, _ = find(tmp_path / "tree", host=tmp_path / "host")
    assert found.shown == f"{tmp_path}/tree/bin/busybox"


def test_our_own_before_the_trees(tmp_path: Path) -> None:
    ours = busybox(["ash", "mount", "udhcpc6"])
    make_tree(tmp_path, {"tree/bin/busybox": busybox(), "lib/own": ours, "given": busybox(["mount"])})
    found, notes = find(tmp_path / "tree", own=(tmp_path / "none", tmp_path / "lib/own"))
    assert found.data == ours and found.origin == "mkpxeinit busybox" and notes == ()
    found, _ = find(tmp_path / "tree", own=(tmp_path / "lib/own",), given=tmp_path / "given")
    assert found.applets == ("mount",)


def test_our_own_for_another_machine(tmp_path: Path) -> None:
    make_tree(tmp_path, {"tree/bin/busybox": busybox(), "own": busybox(machine=AARCH64)})
    found, notes = find(tmp_path / "tree", own=(tmp_path / "own",))
    assert found.shown == f"{tmp_path}/tree/bin/busybox"
    assert len(notes) == 1 and notes[0].startswith(f"{tmp_path}/own: for AARCH64")


@pytest.mark.parametrize(
    ("in_tree", "says"),
    [
        (busybox(interpreter="/lib/ld-musl.so.1"), "dynamic, needs /lib/ld-musl.so.1"),
        (busybox(machine=AARCH64), "for AARCH64 (64 bits), but the kernel is for X86_64 (64 bits)"),
        (elf(), "no table of applets"),
        (b"#!/bin/sh\n", "not an ELF file"),
    ],
)
def test_another_if_the_trees_will_not_do(tmp_path: Path, in_tree: bytes, says: str) -> None:
    make_tree(tmp_path, {"tree/bin/busybox": in_tree, "host": busybox()})
    found, notes = find(tmp_path / "tree", host=tmp_path / "host")
    assert found.shown == str(tmp_path / "host")
    assert says in notes[0] and "taking this machine's" in notes[-1]
    with pytest.raises(ProgramError) as caught:
        find(tmp_path / "tree")
    assert says in str(caught.value) and "busybox-static" in str(caught.value)
    with pytest.raises(ProgramError) as caught:
        find(tmp_path / "tree", given=tmp_path / "tree/bin/busybox")
    assert says in str(caught.value) and "busybox-static" in str(caught.value)


def test_none(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"no static busybox in the tree or here; install busybox-static"):
        find(tmp_path)
    with pytest.raises(ProgramError, match=r"given: No such file or directory; install"):
        find(tmp_path, given=tmp_path / "given")


@pytest.mark.parametrize(("config", "accepted"), [({"IA32_EMULATION": "y"}, True), ({}, False)])
def test_a_smaller_machines_if_the_kernel_runs_it(config: dict[str, str], accepted: bool) -> None:
    data = busybox(machine=I386)
    machine = elf_reader.inspect(data, "x").machine
    assert machine.name == "EM_386"
    if accepted:
        assert bb.check(data, "x", AMD64, config).shown == "x"
    else:
        with pytest.raises(ProgramError, match="for 386"):
            bb.check(data, "x", AMD64, config)


def test_missing_applets() -> None:
    needs = bb.Needs(("ash", "udhcpc", "mount", "modprobe"), ("vi", "mount"))
    have = bb.Busybox(b"", ("ash", "modprobe", "mount", "udhcpc"), "x/busybox")
    assert bb.missing(have, needs) == ("vi",)
    with pytest.raises(ProgramError) as caught:
        bb.missing(bb.Busybox(b"", ("ash", "mount"), "x/busybox"), needs)
    assert str(caught.value).startswith(
        "x/busybox: lacks applets that the client needs: udhcpc, modprobe; take"
    )


def test_needs_of_the_client(host_busybox: Path) -> None:
    needs = bb.read_needs(resources.folder("busybox-configs") / "applets.txt")
    assert {"sh", "udhcpc", "modprobe", "switch_root"} <= set(needs.required)
    assert set(needs.required).isdisjoint(needs.optional)
    assert bb.missing(bb.check(host_busybox.read_bytes(), "x", None, {}), needs) == ()


# What stands where a command stands in a shell script; words that ash has built in are none of ours.
COMMAND = re.compile(
    r"(?=(?:^|[|;&(`{!]|busybox\b"
    r"|\b(?:then|do|else|elif|if|while|until|exec|env -i|setsid|timeout [^|;&]* \d+)\b)"
    r"\s*(?:[A-Za-z_]\w*=\S*\s+)*([a-z][a-z0-9_]*)(?=\s|$|[;)]))",
    re.MULTILINE,
)
BUILT_IN = {"echo", "printf", "test", "kill", "pwd", "true", "false"}


def test_the_list_is_what_the_client_uses(host_busybox: Path) -> None:
    init = resources.folder("init")
    scripts = [path.read_text() for path in (*init.glob("*"), *init.glob("lib/*.sh")) if path.is_file()]
    code = "\n".join(re.sub(r"^\s*#(?!!).*", "", script, flags=re.MULTILINE) for script in scripts)
    needs = bb.read_needs(init.with_name("busybox-configs") / "applets.txt")
    applets = set(bb.applet_names(host_busybox.read_bytes())) - BUILT_IN
    silent = re.sub(r'"[^"$`\n]*"', '""', code)  # words of messages are no commands
    used = {word for word in COMMAND.findall(silent) if word in applets}
    assert {"mount", "udhcpc", "modprobe", "chroot", "cttyhack", "nslookup"} <= used
    # What it looks for before it uses it may be missing.
    asked = set(re.findall(r"command -v (\w+)", code))
    assert "arping" in asked
    # (Debian's has no udhcpc6: a note about it at each build would be noise.)
    assert asked - {"udhcpc6"} <= set(needs.optional)
    assert used <= set(needs.required) | asked
    assert [name for name in needs.required if not re.search(rf"(?<![\w-]){name}(?![\w-])", code)] == []
