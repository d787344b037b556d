"""program.sh: what the kernel will look at when it starts the tree's init is looked at before."""

import shutil
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tests.init.conftest import plant_tree
from tests.init.fakeroot import FakeRoot
from tests.init.programs import BITS, MACHINE, ORDER, PROGRAM, program
from tests.init.test_root import phase, versions
from tests.init.test_trust import check
from tests.unit.small import AARCH64, I386, PPC64, X86_64, elf

LOADER = "/lib64/ld-linux-x86-64.so.2"
FOREIGN = PPC64 if MACHINE != PPC64 else X86_64


def say_needs(root: FakeRoot, name: str = "nfsroot/sbin/init") -> str:
    code = f'read_program /{name} it; echo "$program_kind|$program_needs"'
    return root.run(code).console.removesuffix("\n")


@pytest.mark.parametrize("interpreter", [None, LOADER, "/a b", "/x" * 200, "/$(touch canary)`id`%s\\\\n"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("little", [True, False])
def test_the_interpreter_of_an_elf_file(
    root: FakeRoot, interpreter: str | None, bits: int, little: bool
) -> None:
    root.write("nfsroot/sbin/init", elf(MACHINE, bits, little, interpreter, bytes(2000)))
    # (Where the machine is not this one, it does not come that far.)
    code = """runs_here() { :; }
    read_program /nfsroot/sbin/init it; printf '%s|%s' "$program_kind" "$program_needs\""""
    assert root.run(code).console == f"elf|{interpreter or ''}"
    assert root.read("canary") is None


def test_headers_and_a_name_far_behind_the_beginning(root: FakeRoot) -> None:
    """Programs that tools have changed (patchelf) have them at their end."""
    data = bytearray(elf(X86_64, 64, True, LOADER))
    header, segment = data[:64], bytearray(data[64:120])
    far = 5000
    header[32:40] = far.to_bytes(8, "little")
    segment[8:16] = (far + 56).to_bytes(8, "little")
    root.write("nfsroot/sbin/init", bytes(header).ljust(far, b"\xff") + bytes(segment) + data[120:])
    code = 'runs_here() { :; }; read_program /nfsroot/sbin/init it; echo "$program_needs"'
    assert root.run(code).console == f"{LOADER}\n"


@pytest.mark.parametrize(
    "path", ["/bin/busybox", "/bin/sh", "/usr/bin/env", "/usr/bin/python3", "/sbin/ldconfig"]
)
def test_real_programs(root: FakeRoot, path: str) -> None:
    """pyelftools is the oracle."""
    if not Path(path).is_file():
        pytest.skip(f"no {path} here")
    shutil.copy(Path(path).resolve(), root.folder("nfsroot/sbin") / "init")
    with Path(path).open("rb") as stream:
        segments = [segment.data() for segment in ELFFile(stream).iter_segments("PT_INTERP")]
    assert say_needs(root) == f"elf|{segments[0].rstrip(bytes(1)).decode() if segments else ''}"


@pytest.mark.parametrize(
    ("line", "needs"),
    [
        ("#!/bin/sh", "/bin/sh"),
        ("#! /bin/sh -e", "/bin/sh"),
        ("#!\t/bin/sh\t-e", "/bin/sh"),
        ("#!/usr/bin/env sh", "/usr/bin/env"),
        ("#!", ""),
        ("#!bin/sh", "bin/sh"),
    ],
)
def test_the_interpreter_of_a_script(root: FakeRoot, line: str, needs: str) -> None:
    root.write("nfsroot/sbin/init", line)
    assert say_needs(root) == f"script|{needs}"


@pytest.mark.parametrize(
    "damaged",
    [
        PROGRAM[:40],
        program(LOADER)[:70],
        program(LOADER)[:60] + b"\xff" * 300,
        PROGRAM[:28] + b"\xff" * 36,
        PROGRAM[:32] + b"\xff" * 2000,
    ],
)
def test_what_cannot_be_made_out_is_left_to_the_kernel(root: FakeRoot, damaged: bytes) -> None:
    root.write("nfsroot/sbin/init", damaged)
    assert say_needs(root) == "elf|"


@pytest.mark.parametrize("size", [2**31, 2**40, 2**63, 2**64 - 1, 5000, 1, 0])
def test_hostile_sizes(root: FakeRoot, size: int) -> None:
    data = bytearray(elf(X86_64, 64, True, LOADER))
    data[64 + 32 : 64 + 40] = size.to_bytes(8, "little")
    root.write("nfsroot/sbin/init", bytes(data))
    assert (
        root.run('runs_here() { :; }; read_program /nfsroot/sbin/init it; echo "$program_needs"').console
        == "\n"
    )


def test_a_busybox_whose_od_cannot(root: FakeRoot) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", elf(FOREIGN), 0o755)
    root.fake("od", fails=1, says="od: invalid option")
    assert check(root) == "good: /sbin/init"
    root.fake("od", prints="0000 177 e l f")
    assert check(root) == "good: /sbin/init"


def test_another_machines(root: FakeRoot) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", elf(FOREIGN), 0o755)
    said = phase(root)
    assert said.reports("PXE-INIT-root-init-machine")
    assert f"/sbin/init is for another machine (ELF machine {FOREIGN}, this one is {MACHINE})" in said.console
    # No other version would mend that.
    assert versions(root) == ["4.2"]
    assert said.console.endswith("status 1\n")


@pytest.mark.parametrize(
    ("own", "machine", "little", "runs"),
    [
        (62, X86_64, True, True),
        (62, I386, True, True),
        (3, X86_64, True, True),
        (62, AARCH64, True, False),
        (183, 40, True, True),
        (21, PPC64, False, False),
        (62, X86_64, False, False),
    ],
)
def test_who_runs_what(root: FakeRoot, own: int, machine: int, little: bool, runs: bool) -> None:
    root.write("nfsroot/sbin/init", elf(machine, little=little))
    said = root.run(f"program_own={own}.1; read_program /nfsroot/sbin/init it && echo runs").console
    assert said == ("runs\n" if runs else "")


def test_it_knows_what_it_is_itself(root: FakeRoot) -> None:
    said = root.run("program_machine=1.1; runs_here || echo $program_own").console
    assert said == f"{MACHINE}.{1 if ORDER == '<' else 2}\n"
    assert BITS in (32, 64)


def test_an_interpreter_that_is_not_there(root: FakeRoot) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", program(LOADER), 0o755)
    said = phase(root)
    assert said.reports("PXE-INIT-root-init-interpreter")
    assert f"why: NFS 4.2: /sbin/init needs '{LOADER}', which is not in the tree" in said.console
    assert versions(root) == ["4.2"]


@pytest.mark.parametrize(
    ("files", "links", "good"),
    [
        ({LOADER: 0o755}, {}, True),
        ({LOADER: 0o644}, {}, False),
        ({"/usr/lib/ld.so": 0o755}, {LOADER: "/usr/lib/ld.so"}, True),
        ({}, {LOADER: "/usr/lib/ld.so"}, False),
        ({}, {LOADER: "/fake/busybox"}, False),
        ({f"{LOADER}/x": 0o755}, {}, False),
    ],
)
def test_an_interpreter_is_looked_for_in_the_tree(
    root: FakeRoot, files: dict[str, int], links: dict[str, str], good: bool
) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", program(LOADER), 0o755)
    for name, mode in files.items():
        root.write(f"nfsroot{name}", PROGRAM, mode)
    for name, target in links.items():
        root.link(f"nfsroot{name}", target)
    assert check(root).startswith("good" if good else "init-interpreter: ")


MISSING = "\tlibsystemd-shared-252.so => not found"
VERSION = "/sbin/init: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /sbin/init)"
BROKEN = (
    "/sbin/init: error while loading shared libraries: libc.so.6: cannot read file data: Input/output error"
)
MUSL = "Error loading shared library libz.so.1: No such file or directory (needed by /sbin/init)"


@pytest.mark.parametrize("word", [MISSING, VERSION, MUSL])
def test_libraries_that_the_loader_misses(root: FakeRoot, word: str) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", program(LOADER), 0o755)
    root.write(f"nfsroot{LOADER}", PROGRAM, 0o755)
    root.fake(
        "chroot", prints=f"\tlinux-vdso.so.1 (0x7ffe)\n{word}\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)", fails=1
    )
    said = phase(root)
    assert said.reports("PXE-INIT-root-init-libraries")
    assert f"why: NFS 4.2: /sbin/init: '{word.strip()[:20]}" in said.console
    assert versions(root) == ["4.2"]
    # By way of trial, and to say what is wrong.
    assert root.calls("chroot") == [["/nfsroot", LOADER, "--list", "/sbin/init"]] * 2


# As of Debian's systemd: one of the names has the word for a failure in it.
USUAL = (
    "\tlinux-vdso.so.1 (0x7ffe)\n\tlibgpg-error.so.0 => /lib/x86_64-linux-gnu/libgpg-error.so.0 (0x7e)\n"
    f"\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\t{LOADER} (0x7f)"
)


@pytest.mark.parametrize("linked", [None, "/usr/lib/ld.so", "../usr/lib/ld.so"])
def test_the_usual_case_costs_one_process(root: FakeRoot, linked: str | None) -> None:
    """The tree's loader finds all, and is what the init names."""
    plant_tree(root)
    root.write("nfsroot/sbin/init", program(LOADER), 0o755)
    if linked is None:
        root.write(f"nfsroot{LOADER}", PROGRAM, 0o755)
    else:
        root.write("nfsroot/usr/lib/ld.so", PROGRAM, 0o755)
        root.link(f"nfsroot{LOADER}", linked)
    root.fake("chroot", prints=USUAL)
    root.fake("od", fails=1)
    assert check(root) == "good: /sbin/init"
    assert root.calls("chroot") == [["/nfsroot", LOADER, "--list", "/sbin/init"]]
    assert root.calls("od") == []


@pytest.mark.parametrize(
    ("says", "status"),
    [
        (f"{USUAL}\n{MISSING}", 0),
        (f"{USUAL}\n{BROKEN}", 0),
        (USUAL, 1),
        ("\tlibc.so.6 => /lib/libc.so.6 (0x7f)", 0),
        (f"\t/nix/ld.so => {LOADER} (0x7f)", 0),
    ],
)
def test_every_other_case_is_looked_at(root: FakeRoot, says: str, status: int) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", program("/nix/ld.so"), 0o755)
    root.write(f"nfsroot{LOADER}", PROGRAM, 0o755)
    root.fake("chroot", prints=says, fails=status)
    assert check(root).startswith("init-interpreter: /sbin/init needs '/nix/ld.so', ")


def test_a_library_that_cannot_be_read_over_one_version(root: FakeRoot) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", program(LOADER), 0o755)
    root.write(f"nfsroot{LOADER}", PROGRAM, 0o755)
    root.fake("mount", when="vers=4.1", fails=-1, does="> /tmp/mended")
    root.fake("chroot", does=f'[ -e /tmp/mended ] || echo "{BROKEN}"')
    said = phase(root)
    assert said.console.endswith("status 0\n")
    assert root.state()["nfs.vers"] == "4.1"
    assert "the tree over NFS 4.2 is useless: /sbin/init: " in said.warnings[0]


@pytest.mark.parametrize(
    "says", ["", "\tlibc.so.6 => /lib/libc.so.6 (0x7f)", "x: weak version `X' not found", "?"]
)
def test_libraries_that_are_there(root: FakeRoot, says: str) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", "#!/bin/sh", 0o755)
    root.write("nfsroot/bin/sh", program(LOADER), 0o755)
    root.write(f"nfsroot{LOADER}", PROGRAM, 0o755)
    root.fake("chroot", prints=says, fails=127)
    assert check(root) == "good: /sbin/init"
    # The interpreter's, for a script has none.
    assert root.calls("chroot")[1:] == [["/nfsroot", LOADER, "--list", "/bin/sh"]]


def test_a_loader_that_hangs_has_an_end(root: FakeRoot) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", program(LOADER), 0o755)
    root.write(f"nfsroot{LOADER}", PROGRAM, 0o755)
    root.fake("timeout", when="chroot", fails=137)
    assert check(root) == "good: /sbin/init"
    assert root.calls("timeout")[0][:3] == ["-s", "KILL", "20"]


def test_other_loaders_are_not_asked(root: FakeRoot) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", program("/system/bin/linker64"), 0o755)
    root.write("nfsroot/system/bin/linker64", PROGRAM, 0o755)
    assert check(root) == "good: /sbin/init"
    assert root.calls("chroot") == []


def test_scripts_and_what_they_need(root: FakeRoot) -> None:
    plant_tree(root)
    root.fake("dd", when="nothing")
    root.write("nfsroot/sbin/init", "#!/bin/sh\nreboot", 0o755)
    assert check(root).startswith("init-interpreter: /sbin/init needs '/bin/sh', ")
    root.write("nfsroot/bin/sh", program(LOADER), 0o755)
    assert check(root).startswith(f"init-interpreter: '/bin/sh' needs '{LOADER}', ")
    root.write(f"nfsroot{LOADER}", PROGRAM, 0o755)
    assert check(root) == "good: /sbin/init"
    assert [words[0] for words in root.calls("dd")[-2:]] == ["if=/nfsroot/bin/sh", f"if=/nfsroot{LOADER}"]


def test_scripts_of_scripts_have_an_end(root: FakeRoot) -> None:
    plant_tree(root)
    root.fake("dd", when="nothing")
    root.write("nfsroot/sbin/init", "#!/sbin/init", 0o755)
    assert check(root) == "good: /sbin/init"
    assert [words[0] for words in root.calls("dd")] == ["if=/nfsroot/sbin/init"] * (1 + 5)


@pytest.mark.parametrize(
    "content", ["echo hello", "\0\0", b"\x7fEL", PROGRAM[:19], b"MZ" + bytes(100), "#", "x"]
)
def test_what_is_neither_a_program_nor_a_script(root: FakeRoot, content: str | bytes) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", content, 0o755)
    said = phase(root)
    assert said.reports("PXE-INIT-root-init-format")
    assert "/sbin/init is neither a program (ELF) nor a script" in said.console


def test_an_interpreter_that_cannot_be_read(root: FakeRoot) -> None:
    plant_tree(root)
    root.write("nfsroot/sbin/init", program(LOADER), 0o755)
    root.write(f"nfsroot{LOADER}", PROGRAM, 0o755)
    root.fake("dd", when=LOADER, fails=1, says=f"dd: /nfsroot{LOADER}: Input/output error")
    said = phase(root)
    assert said.reports("PXE-INIT-root-unreadable")
    assert f"{LOADER}: Input/output error" in said.console


def test_a_root_folder_that_may_not_be_entered(root: FakeRoot) -> None:
    plant_tree(root)
    root.fake("stat", when="/nfsroot/.", fails=1, says="stat: can't stat '/nfsroot/.': Permission denied")
    said = phase(root)
    assert said.reports("PXE-INIT-root-denied")
    assert "why: NFS 4.2: this client may not enter /" in said.console
    assert versions(root) == ["4.2"]
