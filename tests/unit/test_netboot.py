"""Menus, loaders' files, exports: what is whose; files that all appear or none."""

import dataclasses
import errno
import json
import os
import re
import shlex
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mkpxeinit.errors import ServerError, UsageError
from mkpxeinit.netboot import (
    dhcpd,
    dnsmasq,
    exports,
    grub,
    ipxe,
    kea,
    nfs,
    nginx,
    place,
    pxelinux,
    values,
    writers,
)
from mkpxeinit.netboot.bootfile import MARK
from mkpxeinit.netboot.entries import make_menu, unversioned
from mkpxeinit.netboot.menu import BootEntry, Menu
from mkpxeinit.netboot.parts import Client, Group, Loaders, Subnet, Tree
from tests.netboot import sites

INITRDS = (PurePosixPath("a/x.img"), PurePosixPath("a/y.img"))
ENTRY = BootEntry("a", "A", PurePosixPath("a/vmlinuz"), INITRDS, "quiet")


def test_menu_of_a_site() -> None:
    menu = make_menu(sites.rich(), unversioned)
    assert [entry.label for entry in menu.entries] == [
        "office",
        "bench",
        "far",
        "bench.late",
        "mac.52-54-00-77-01-01",
        "mac.52-54-00-77-01-03",
    ]
    assert menu.default == "office"
    assert dict(menu.clients) == {
        sites.BENCH1: "mac.52-54-00-77-01-01",
        sites.BENCH2: "bench.late",
        sites.BENCH3: "mac.52-54-00-77-01-03",
    }
    shown = [entry.label for entry in menu.shown("mac.52-54-00-77-01-01")]
    assert shown == ["mac.52-54-00-77-01-01", "office", "bench", "far", "bench.late"]
    assert [entry.label for entry in dataclasses.replace(menu, timeout=0).shown("bench")] == ["bench"]


def test_generations_reach_the_menu() -> None:
    site = sites.plain(
        groups=(Group("canary", "office", generation="g2"),),
        clients=(
            Client(sites.BENCH1, group="canary"),
            Client(sites.BENCH2, generation="g1"),
            Client(sites.BENCH3),
        ),
    )
    menu = make_menu(site, unversioned)
    kernels = {entry.label: str(entry.kernel) for entry in menu.entries}
    assert kernels == {
        "office": "office/vmlinuz",
        "office.canary": "generations/g2/vmlinuz",
        "mac.52-54-00-77-01-02": "generations/g1/vmlinuz",
    }
    # The third is as everybody is, and needs no file of its own.
    assert sites.BENCH3 not in dict(menu.clients)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"default": "b"}, "the default 'b' is no entry"),
        ({"entries": (ENTRY, ENTRY)}, "two entries"),
        ({"clients": ((sites.BENCH1, "b"),)}, "is to boot 'b'"),
        ({"clients": ((sites.BENCH1.replace(":", "-"), "a"),)}, "is to be written as"),
        ({"clients": ((sites.BENCH1, "a"), (sites.BENCH1, "a"))}, "in the menu twice"),
        ({"timeout": -1}, "not from 0"),
        ({"console": "tty0"}, "serial line"),
    ],
)
def test_menus_that_contradict_themselves(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ServerError, match=re.escape(words)):
        dataclasses.replace(Menu((ENTRY,), "a"), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "a b"},
        {"title": "a\nb"},
        {"kernel": PurePosixPath("/a")},
        {"kernel": PurePosixPath("../a")},
        {"initrds": (PurePosixPath("a,b"),)},
        {"cmdline": "a\nb"},
    ],
)
def test_entries_that_no_loader_could_say(changes: dict[str, object]) -> None:
    with pytest.raises(ServerError):
        dataclasses.replace(ENTRY, **changes)  # type: ignore[arg-type]


def test_pxelinux_files() -> None:
    files = pxelinux.configuration(
        Menu((ENTRY, dataclasses.replace(ENTRY, label="b")), "a", ((sites.BENCH1, "b"),))
    )
    assert sorted(map(str, files)) == ["pxelinux.cfg/01-52-54-00-77-01-01", "pxelinux.cfg/default"]
    assert files[PurePosixPath("pxelinux.cfg/default")].splitlines()[1:] == [
        "default a",
        "prompt 0",
        "label a",
        "  menu label A",
        "  kernel a/vmlinuz",
        "  initrd a/x.img,a/y.img",
        "  append quiet",
        "  ipappend 2",
    ]
    assert "default b\n" in files[PurePosixPath("pxelinux.cfg/01-52-54-00-77-01-01")]
    lines = pxelinux.configuration(make_menu(sites.rich(), unversioned))[
        PurePosixPath("pxelinux.cfg/default")
    ].splitlines()
    assert lines[1] == "serial 0 115200"  # has to be the first directive
    assert {"ui menu.c32", "timeout 50"} <= set(lines)


PARAMETERS = st.text(alphabet=' abc=.,${}[]()|&;!*?<>~^%@+:/"-', max_size=40)


@given(PARAMETERS)
def test_parameters_reach_the_kernel(text: str) -> None:
    """What a loader makes of its file is what was asked for; GRUB's words are read by a shell's rules."""
    try:
        cmdline = values.cmdline(text)
    except ServerError:
        return
    menu = Menu((dataclasses.replace(ENTRY, cmdline=cmdline),), "a")
    line = the_line(pxelinux.configuration(menu)[pxelinux.FOLDER / "default"], "  append ")
    assert line.removeprefix("  append ") == (cmdline if cmdline not in ("", "-") else "-")
    line = the_line(grub.configuration(menu)[grub.FILE], "  linux ")
    assert shlex.split(line)[2:-1] == kernel_words(cmdline)
    line = the_line(ipxe.configuration(menu)[ipxe.FILE], "kernel ")
    words = line.partition(" || ")[0].split(" ", 4)
    assert words[:4] == ["kernel", "a/vmlinuz", "initrd=initrd0.img", "initrd=initrd1.img"]
    assert words[4].rpartition("BOOTIF=")[0].strip() == cmdline
    assert not {"&&", "||", ";"} & set(cmdline.split())


def the_line(text: str, begin: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(begin)]
    return line


def kernel_words(text: str) -> list[str]:
    """Return the parameters as the kernel's next_arg() splits them, its quotes taken away."""
    words = re.findall(r'(?:[^ "]|"[^"]*")+', text)
    return [word.replace('"', "") for word in words]


def test_ipxe_in_a_folder_of_its_own() -> None:
    text = ipxe.configuration(Menu((ENTRY,), "a"), PurePosixPath("ipxe/x/boot.ipxe"))
    (script,) = text.values()
    assert "kernel ../../a/vmlinuz " in script
    assert "initrd --name initrd1.img ../../a/y.img ||" in script


def test_who_may_write() -> None:
    (office, bench) = nfs.exports(sites.rich())  # the third tree is another server's
    assert (office.writers, office.readers) == ((), ("10.77.0.0/24", "10.78.0.0/16"))
    assert (bench.writers, bench.readers) == (("10.77.0.20",), ("10.77.0.0/24", "10.78.0.0/16"))
    networks = ("10.77.0.0/24",)
    writers_of = {
        "no address": sites.plain(clients=(Client(sites.BENCH1, mode="rw"),)),
        "everybody": sites.plain(trees=(Tree("office", PurePosixPath("/o"), mode="rw"),)),
        "in a menu": sites.plain(groups=(Group("w", "office", mode="rw"),), timeout=3),
    }
    for name, site in writers_of.items():
        (export,) = nfs.exports(site)
        assert (export.writers, export.readers) == (networks, ()), name
    alone = sites.plain(
        groups=(Group("w", "office", mode="rw"),),
        clients=(Client(sites.BENCH1, address=IPv4Address("10.77.0.9"), group="w"),),
    )
    assert nfs.exports(alone)[0].writers == ("10.77.0.9",)


def test_who_is_the_dns_server() -> None:
    assert "port=0" not in dnsmasq.configuration(sites.plain())
    assert "port=0" not in dnsmasq.configuration(sites.plain(dns=(sites.SERVER,)))
    assert "port=0" in dnsmasq.configuration(sites.plain(dns=(IPv4Address("10.77.0.9"),)))


def test_what_a_proxy_cannot_have() -> None:
    proxy = sites.plain(proxy=True, subnets=(Subnet(sites.NETWORK),), loaders=Loaders(ipxe=None))
    for make in (dhcpd.configuration, kea.configuration):
        with pytest.raises(ServerError, match="dnsmasq can"):
            make(proxy)
    written = writers.write(proxy)
    assert [name for name, _ in written.left_out] == ["dhcpd", "kea", "nginx", "ipxe"]
    with pytest.raises(ServerError, match="kea: nothing to write: it cannot be a proxyDHCP server"):
        writers.write(proxy, ("kea",))
    with pytest.raises(ServerError, match="as proxy"):
        sites.plain(proxy=True)


def test_what_needs_subnets_and_urls() -> None:
    bare = sites.plain(subnets=())
    for make in (dnsmasq.configuration, dhcpd.configuration, kea.configuration, exports.configuration):
        with pytest.raises(ServerError, match=r"no \[\[subnet\]\]"):
            make(bare)
    with pytest.raises(ServerError, match="http-url"):
        nginx.configuration(bare)
    with pytest.raises(UsageError, match="did you mean dnsmasq"):
        writers.write(bare, ("dnsmask",))


def test_every_file_says_whose_it_is_and_is_the_same_twice() -> None:
    written = writers.write(sites.rich())
    assert written.left_out == ()
    assert all(MARK in text and text.endswith("\n") for text in written.files.values())
    assert written == writers.write(sites.rich())
    json.loads(written.files[PurePosixPath("etc/kea/kea-dhcp4.conf")])
    assert not any(path.is_absolute() for path in written.files)


FILES = {PurePosixPath("etc/b.conf"): f"# {MARK}\nb\n", PurePosixPath("etc/a/a.conf"): f"# {MARK}\na\n"}


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_files_are_put_in_place(tmp_path: Path) -> None:
    changes = place.plan(tmp_path, FILES)
    assert names(tmp_path) == []
    place.apply(changes)
    assert names(tmp_path) == ["etc/a/a.conf", "etc/b.conf"]
    assert (tmp_path / "etc/b.conf").read_text() == f"# {MARK}\nb\n"
    assert (tmp_path / "etc/b.conf").stat().st_mode & 0o7777 == 0o644
    assert place.plan(tmp_path, FILES) == ()


def test_servers_may_read_it_under_any_umask(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        place.apply(place.plan(tmp_path / "out", FILES))
    finally:
        os.umask(previous)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*")}
    assert modes == {"etc": 0o755, "a": 0o755, "a.conf": 0o644, "b.conf": 0o644}


def test_what_is_not_ours_is_kept(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/b.conf").write_text("by hand\n")
    with pytest.raises(ServerError, match="etc/b.conf: is there already, and not written by mkpxeinit"):
        place.plan(tmp_path, FILES)
    assert names(tmp_path) == ["etc/b.conf"]
    (_, change) = place.plan(tmp_path, FILES, force=True)
    assert "-by hand\n" in change.diff()
    assert f"+# {MARK}\n" in change.diff()


@pytest.mark.parametrize("kind", ["folder", "link", "fifo"])
def test_places_that_are_no_files(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "etc/b.conf"
    target.parent.mkdir()
    if kind == "folder":
        target.mkdir()
    elif kind == "link":
        target.symlink_to("/etc/passwd")
    else:
        os.mkfifo(target)
    with pytest.raises(ServerError, match="etc/b.conf: cannot be replaced"):
        place.plan(tmp_path, FILES, force=True)


@pytest.mark.parametrize("fails", [1, 2])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, fails: int) -> None:
    """The second file's failure takes the first one back; the first one's leaves no other."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/b.conf").write_text(f"# {MARK}\nold\n")
    changes = place.plan(tmp_path, FILES)
    count = 0
    owner: Any = os if step == "fsync" else Path
    real = getattr(owner, step)

    def failing(*arguments: object) -> object:
        nonlocal count
        count += 1
        if count == fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    monkeypatch.setattr(owner, step, failing)
    with pytest.raises(ServerError, match="No space left on device"):
        place.apply(changes)
    monkeypatch.undo()
    assert names(tmp_path) == ["etc/b.conf"]
    assert (tmp_path / "etc/b.conf").read_text() == f"# {MARK}\nold\n"
