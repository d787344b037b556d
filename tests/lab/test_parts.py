"""The parts of the laboratory that need no machine."""

import contextlib
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pxelab import (
    DeadlineError,
    DhcpClient,
    DhcpSettings,
    LabError,
    MachineExitedError,
    MissingProgramError,
    cpio,
    dnsmasq,
    ganesha,
    netboot,
    run,
    trees,
)
from pxelab.console import Console
from pxelab.ganesha import NfsSettings
from pxelab.guest import Guest
from pxelab.smoke import FAILURE


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[tuple[socket.socket, Console]]:
    ours, theirs = socket.socketpair()
    yield theirs, Console(ours, tmp_path / "console.log")
    theirs.close()
    ours.close()


def test_expect_moves_forward_and_knows_the_time(wire: tuple[socket.socket, Console]) -> None:
    port, console = wire
    port.sendall(b"one\r\n\x1b[32mtwo\x1b[0m\r\nlogin: ")
    seen = console.expect(r"^t(w)o$", 5)
    assert (seen[0], seen[1]) == ("two", "w")
    assert 0 <= seen.time < 5
    assert console.expect(r"login: $", 5)[0] == "login: "
    assert console.seen("one") is not None
    with pytest.raises(DeadlineError, match=r"(?s)no 'one' within.*console.log.*\| two"):
        console.expect("one", 0.2)


def test_expect_ends_with_the_machine(wire: tuple[socket.socket, Console]) -> None:
    port, console = wire
    port.sendall(b"last words")
    port.close()
    with pytest.raises(MachineExitedError, match="last words"):
        console.expect("never", 30)
    console.close()
    assert "last words" in console.log.read_text()


def test_expect_stops_at_what_must_not_come(wire: tuple[socket.socket, Console]) -> None:
    port, console = wire
    port.sendall(b"Kernel panic - not syncing: no init\n")
    with pytest.raises(LabError, match="came instead of 'login'"):
        console.expect("login", 30, abort_on="Kernel panic")
    with pytest.raises(LabError, match="unwanted"):
        console.forbid("panic")
    console.forbid("something else")


@pytest.mark.parametrize(
    "noise",
    [
        b"\x1b[!p",
        b"\x1b]104\x07",
        b"\x1b]104\x1b\\",
        b"\x1b[?25h\x1b[0;1;39m",
        b"\x1b(B\x1b=",
        b"\x1b[ q\x1b[>4;1m",
    ],
)
def test_words_to_the_terminal_are_no_text(wire: tuple[socket.socket, Console], noise: bytes) -> None:
    theirs, console = wire
    theirs.sendall(noise + b"[    1.5] systemd[1]: on" + noise + b"e\n")
    assert console.expect(r"^\[ +1\.5\] systemd\[1\]: one$", 10)


def test_typing(wire: tuple[socket.socket, Console]) -> None:
    port, console = wire
    console.send("root\n")
    assert port.recv(100) == b"root\n"


def test_cpio_is_read_by_gnu_cpio(tmp_path: Path) -> None:
    packed = cpio.archive({"a/b/run": cpio.Entry(b"#!/bin/sh\n", 0o755), "a/odd name": "x"})
    subprocess.run(["cpio", "-id", "--quiet"], input=packed, cwd=tmp_path, check=True)
    assert (tmp_path / "a/b/run").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "a/b/run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "a/odd name").read_text() == "x"
    assert len(packed) % 512 == 0


def test_dnsmasq_accepts_the_configuration(tmp_path: Path) -> None:
    settings = DhcpSettings(
        root_path='nfs.lab:/net boot/"x",vers=4.1,ro',
        names={"nfs.lab": "10.77.0.1"},
        next_server="10.77.0.9",
        tftp=tmp_path,
        clients=(
            DhcpClient("52:54:00:00:00:01", root_path="/other,a", address="10.77.0.55", host_name="c1"),
        ),
        options=("option:mtu,1400",),
    )
    config = tmp_path / "dnsmasq.conf"
    config.write_text(dnsmasq.configuration(settings, "10.77.0", tmp_path))
    run.run(["dnsmasq", "--test", f"--conf-file={config}"], timeout=10)
    assert r'option:root-path,"nfs.lab:/net boot/\"x\",vers=4.1,ro"' in config.read_text()
    assert 'tag:client0,option:root-path,"/other,a"' in config.read_text()


@pytest.mark.parametrize(("release", "known"), [(0, False), (4, False), (6, True)])
def test_ganesha_is_told_only_what_it_knows(release: int, known: bool) -> None:
    text = ganesha.configuration(NfsSettings({"/a": Path("/b")}), release)
    assert ("Allow_Set_Io_Flusher_Fail" in text) == known


def test_ganesha_configuration_names_versions_and_owners() -> None:
    text = ganesha.configuration(NfsSettings({"/a": Path("/b")}, versions=(3,), numeric_owners=False))
    assert "Protocols = 3;" in text
    assert "Only_Numeric_Owners = false;" in text
    assert 'Pseudo = "/a";' in text


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SEARCH_PATH", "/nowhere")
    with pytest.raises(MissingProgramError, match="apt-get install nfs-ganesha"):
        run.program("ganesha.nfsd")


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(DeadlineError, match="not finished after"):
        run.run(["sleep", "60"], timeout=0.2)


def test_pxelinux_folder(tmp_path: Path) -> None:
    for name in ("vmlinuz", "a", "b"):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o600)
    initrds = (tmp_path / "a", tmp_path / "b")
    folder = netboot.pxelinux(tmp_path / "tftp", tmp_path / "vmlinuz", initrds, "quiet")
    assert folder.boot_file == "/pxelinux.0"
    assert "initrd initrd1.img,initrd2.img" in (folder.path / "pxelinux.cfg/default").read_text()
    assert (folder.path / "initrd2.img").stat().st_mode & 0o777 == 0o644


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MKPXEINIT_CACHE", str(tmp_path / "c"))
    assert trees.cache_folder() == (tmp_path / "c").resolve()


def test_a_panic_ends_what_waits_for_the_guest() -> None:
    ours, theirs = socket.socketpair()
    looks: list[str] = []

    def watch() -> None:
        looks.append("look")
        if len(looks) == 2:
            raise LabError("the guest's kernel panicked")

    with theirs, contextlib.closing(Guest(ours, watch)) as guest:
        theirs.sendall(b"pxelab ready\n")
        with pytest.raises(LabError, match="panicked"):
            guest.run("true", 600)


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ("PXE-INIT-root-mount: x\n" * 3, True),
        ("PXE-INIT-root-mount: x\n" * 2, False),
        ("PXE-INIT-root-mount: x\nPXE-INIT-root-dns: x\nPXE-INIT-root-path: x\n", False),
        ("PXE-INIT-root: x\nPXE-INIT-root-dns: x\nPXE-INIT-root-dns: x\n", False),
        ("PXE-INIT-root-dns: x\n" + "y\n" * 50_000, False),
        ("pxeinit: a shell for you; exit it", True),
        ("[ 9.1] Kernel panic - not syncing: x", True),
    ],
)
def test_what_ends_a_smoke_test(text: str, ended: bool) -> None:
    assert (re.search(FAILURE, text) is not None) == ended
