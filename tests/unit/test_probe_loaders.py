"""What loaders' configurations come to, boot files by their bytes, and roots as the client reads them."""

import struct
from pathlib import Path
from uuid import UUID

import pytest

from mkpxeinit.netboot.probe import bootfiles, grub_config, ipxe_script, pxelinux_config, rootspec
from mkpxeinit.netboot.probe.entry import Entry
from mkpxeinit.netboot.probe.fileset import Place, place
from mkpxeinit.netboot.probe.wire import ProbeError

MAC = "52:54:00:00:00:01"


def nothing(name: str) -> None:
    return None


def test_where_pxelinux_looks() -> None:
    names = pxelinux_config.names(MAC, "10.77.0.1")
    assert names[0] == "pxelinux.cfg/01-52-54-00-00-00-01"
    assert names[1:4] == ["pxelinux.cfg/0A4D0001", "pxelinux.cfg/0A4D000", "pxelinux.cfg/0A4D00"]
    assert names[-1] == "pxelinux.cfg/default" and len(names) == 10
    assert pxelinux_config.names(MAC, None) == [names[0], names[-1]]
    uuid = UUID("B8945908-D6A6-41A9-611D-74A6AB80B83D")
    # Seen of pxelinux 6.04, in a machine with that UUID.
    first = "pxelinux.cfg/085994b8-a6d6-a941-611d-74a6ab80b83d"
    assert pxelinux_config.names(MAC, "10.77.0.1", uuid) == [first, *names]


def test_pxelinux() -> None:
    text = """
DEFAULT two
append quiet
label one
  kernel v1
  append initrd=a,b root=/dev/nfs
Label two
  LINUX v2
  initrd c
label disk
  localboot 0
"""
    read = pxelinux_config.read(text, nothing)
    assert read.entries == (
        Entry("one", "v1", ("a", "b"), "root=/dev/nfs"),
        Entry("two", "v2", ("c",), "quiet"),
    )
    assert read.default == read.entries[1]


@pytest.mark.parametrize(
    ("head", "default"),
    [("default vesamenu.c32", "one"), ("ui menu.c32\ndefault two", "two"), ("default disk", None),
     ("default one\nontimeout two extra", "two"), ("", "one"), ("default nowhere", None)],
)  # fmt: skip
def test_what_pxelinux_starts_by_itself(head: str, default: str | None) -> None:
    text = f"{head}\nlabel one\nkernel a\nlabel two\nkernel b\nlabel disk\nlocalboot 0\n"
    read = pxelinux_config.read(text, nothing)
    assert (read.default.label if read.default else None) == default
    assert bool(read.modules) == (".c32" in head)


def test_pxelinux_includes_and_their_end() -> None:
    files = {"more": "label a\nkernel k\n", "round": "include round\n"}
    assert pxelinux_config.read("include more\n", files.get).entries[0].kernel == "k"
    assert pxelinux_config.read("menu include more Title\n", files.get).entries[0].kernel == "k"
    assert "not there" in pxelinux_config.read("include none\n", files.get).notes[0]
    assert "too many" in pxelinux_config.read("include round\n", files.get).notes[0]


GRUB = """
set default=b  # a comment
set who="${net_default_mac}"
if [ "$who" = "52:54:00:00:00:01" ]; then
  set default=a
elif [ -s /there ]; then set default='not ; this'; else
  set default=2
fi
menuentry 'A { "x" }' --class x --id a { linux (tftp,10.0.0.1)/v1 x="y z" m=$who
  initrd /i1 /i2
}
submenu "more" {
  menuentry "B" --id b {
    if [ "$who" != "52:54:00:00:00:09" ]; then
      linuxefi /v2 \\
        quiet
    fi
    initrd /i3
  }
}
menuentry 'C' { linux /v3
 initrd $prefix/i4 }
"""


def test_grub() -> None:
    read = grub_config.read(GRUB, nothing, MAC, None, "/grub")
    assert read.entries == (
        Entry("a", "/v1", ("/i1", "/i2"), f"x=y z m={MAC}"),
        Entry("b", "/v2", ("/i3",), "quiet"),
        Entry("C", "/v3", ("/grub/i4",), ""),
    )
    assert read.default == read.entries[0] and not read.notes


def test_grub_for_another_client() -> None:
    other = grub_config.read(GRUB, nothing, "52:54:00:00:00:02", None, "/grub")
    assert other.default is not None and other.default.label == "C"
    there = grub_config.read(GRUB, {"/there": "x"}.get, "52:54:00:00:00:02", None, "/grub")
    assert there.default is None


def test_grub_goes_on_with_other_files() -> None:
    files = {"/grub/52:54:00:00:00:01.cfg": "menuentry x { linux /k\ninitrd /i\n}\n", "/r": "source /r\n"}
    text = "if [ -f $prefix/$net_default_mac.cfg ]; then configfile ${prefix}/${net_default_mac}.cfg; fi\n"
    read = grub_config.read(text, files.get, MAC, None, "/grub")
    assert read.default == Entry("x", "/k", ("/i",), "")
    assert not grub_config.read(text, files.get, "52:54:00:00:00:02", None, "/grub").entries
    assert "not there" in grub_config.read("source /r\n", files.get, MAC, None, "/grub").notes[0]
    straight = grub_config.read("linux /k\ninitrd /i\nboot\n", nothing, MAC, None, "/grub")
    assert straight.default == Entry("", "/k", ("/i",), "")


def test_grub_that_is_not_understood() -> None:
    texts = ["fi\nelse\n}\n}\n", "if", "menuentry", "menuentry {", "set", "source", "'", '"', "\\"]
    texts += ["a" * 100_000, "if [ ${a} -gt 3 ]; then", "{" * 5000, "set a=$a$a$a\n" * 4000]
    for text in texts:
        read = grub_config.read(text, nothing, MAC, None, "/grub")
        assert all(note.isprintable() for note in read.notes)


def test_where_grub_looks() -> None:
    names = grub_config.names("/efi/grubx64.efi", MAC, "10.77.0.1")
    assert names[0] == "/grub/grub.cfg-01-52-54-00-00-00-01"
    assert "/grub/grub.cfg-0A4D0001" in names and "/boot/grub/grub.cfg" in names
    assert "/efi/grub/grub.cfg" in names and names.index("/grub/grub.cfg") < names.index(
        "/boot/grub/grub.cfg"
    )


IPXE = """#!ipxe
set base http://10.0.0.1/${net0/mac:hexhyp}
iseq ${net0/mac} 52:54:00:00:00:01 && goto one ||
goto other
:one
kernel --name k ${base}/v initrd=i quiet || goto fail
initrd ${base}/i || goto fail
boot || goto fail
:other
chain --autofree next.ipxe || shell
:fail
exit
"""


def test_ipxe() -> None:
    read = ipxe_script.read(IPXE, {"mac": MAC})
    base = "http://10.0.0.1/52-54-00-00-00-01"
    assert read.default == Entry("", f"{base}/v", (f"{base}/i",), "quiet")
    other = ipxe_script.read(IPXE, {"mac": "52:54:00:00:00:02"})
    assert (other.default, other.chain) == (None, "next.ipxe")


def test_ipxe_menu_and_circles() -> None:
    menu = "#!ipxe\nmenu x\nitem a A\nitem b B\nchoose --timeout 5 --default b target && goto ${target}\n"
    menu += ":a\nkernel a\nboot\n:b\nkernel b\nboot\n"
    read = ipxe_script.read(menu, {})
    assert read.default is not None and read.default.kernel == "b"
    assert "circle" in ipxe_script.read(":a\ngoto a\n", {}).notes[0]
    assert "no label" in ipxe_script.read("goto x\n", {}).notes[0]
    ipxe_script.read("set a ${a}${a}${a}\n" * 1000, {"a": "x"})
    ipxe_script.read("set a ${${${a}}}\n${\n}&&||\n &&\n || ||\n", {"a": "a"})


def test_boot_files_by_their_bytes() -> None:
    grub = Path("/usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi").read_bytes()
    pxelinux = Path("/usr/lib/PXELINUX/pxelinux.0").read_bytes()
    assert (bootfiles.firmware_of(grub), bootfiles.loader_of("x", grub)) == ("x64", "grub")
    assert (bootfiles.firmware_of(pxelinux), bootfiles.loader_of("x", pxelinux)) == ("bios", "pxelinux")
    assert bootfiles.firmware_of(b"#!ipxe\n") == "script"
    assert bootfiles.firmware_of(b"MZ" + bytes(58) + b"\xff\xff\xff\x7f") == "bios"
    assert bootfiles.firmware_of(b"MZ") == "bios"
    assert bootfiles.loader_of("a/snponly.efi", b"") == "ipxe"
    assert bootfiles.loader_of("shimx64.efi", b"") == "shim"
    assert bootfiles.loader_of("boot.bin", b"\0") == ""


def test_kernels_and_archives() -> None:
    kernel = bytearray(0x3200)
    kernel[0x202:0x206], kernel[0x20E:0x210] = b"HdrS", struct.pack("<H", 0x2E00)
    kernel[0x3000:0x3014] = b"6.1.0-9-amd64 (x) #1"
    assert bootfiles.kernel_release(bytes(kernel)) == "6.1.0-9-amd64"
    assert bootfiles.kernel_release(b"<html>") is None
    assert bootfiles.kernel_release(b"") is None
    kernel[0x20E:0x210] = struct.pack("<H", 0xFFFF)
    assert bootfiles.kernel_release(bytes(kernel)) == ""
    assert bootfiles.archive_of(b"\0\0\0\x28\xb5\x2f\xfd") == "zstd"
    assert bootfiles.archive_of(b"070701") == "cpio"
    assert bootfiles.archive_of(b"<html>") is None


def test_places() -> None:
    loader = Place("tftp", "10.0.0.1", "efi/grub.efi")
    assert str(loader) == "tftp://10.0.0.1/efi/grub.efi"
    assert loader.beside("x").name == "efi/x" and loader.beside("/x").name == "/x"
    assert Place("tftp", "h", "pxelinux.0").beside("pxelinux.cfg/default").name == "pxelinux.cfg/default"
    assert loader.beside("http://h/a") == Place("http", "h", "/a")
    web = place("http://h:8080/a/b?c=d")
    assert str(web) == "http://h:8080/a/b?c=d" and str(web.beside("x")) == "http://h:8080/a/x"
    for text in ("http://", "ftp://h/a", "http://h/\n", "http://h:99999/", "tftp://h", "http://[x/"):
        with pytest.raises(ProbeError):
            place(text)


@pytest.mark.parametrize(
    ("text", "servers", "path", "versions"),
    [
        ("/x", (), "/x", ("4.2", "4.1", "4.0", "3")),
        ("10.0.0.1:/x,vers=3,ro", ("10.0.0.1",), "/x", ("3",)),
        ("a,b.lab,[fe80::1]:/x", ("a", "b.lab", "fe80::1"), "/x", ("4.2", "4.1", "4.0", "3")),
        ("nfs:a:/x:vers=4", ("a",), "/x", ("4.2", "4.1", "4.0")),
        ("/x/%s,v4.1", (), "/x/10.0.0.9", ("4.1",)),
    ],
)
def test_roots(text: str, servers: tuple[str, ...], path: str, versions: tuple[str, ...]) -> None:
    spec = rootspec.parse(text, "root-path", "10.0.0.9")
    assert (spec.servers, spec.path, spec.versions) == (servers, path, versions)


@pytest.mark.parametrize(
    "text",
    ["", "x", "a:b", "ftp://a/b", "a b:/x", "-a:/x", "[x]:/y", "/x\n", "/a/../b", "a:/x;y", "/" + "x" * 2000],
)
def test_what_is_no_root(text: str) -> None:
    with pytest.raises(ProbeError, match="is no root"):
        rootspec.parse(text, "root-path")


@pytest.mark.parametrize(
    ("text", "given", "path", "squashfs"),
    [
        ("a:/srv/live/x.squashfs,vers=3", "", "/srv/live", "x.squashfs"),
        ("a:/x.squashfs", "", "/", "x.squashfs"),
        ("a:/srv/x.squashfs", "LiveOS/root.img", "/srv/x.squashfs", "LiveOS/root.img"),
        ("a:/srv", "/root.img", "/srv", "root.img"),
        ("a:/srv/x.squashfs.old", "", "/srv/x.squashfs.old", ""),
    ],
)
def test_a_root_that_is_a_file(text: str, given: str, path: str, squashfs: str) -> None:
    """As init/lib/squashfs.sh has it."""
    spec = rootspec.parse(text, "root-path", "", given)
    assert (spec.path, spec.squashfs) == (path, squashfs)


@pytest.mark.parametrize("given", ["../x", "a/../x", "a;b", "x\n"])
def test_what_is_no_file_for_a_root(given: str) -> None:
    with pytest.raises(ProbeError, match="is no file's path"):
        rootspec.parse("a:/srv", "root-path", "", given)


def test_roots_of_the_command_line() -> None:
    assert rootspec.from_cmdline("quiet") is None
    assert rootspec.from_cmdline("root=/dev/nfs nfsroot=a:/x") == ("a:/x", "nfsroot=")
    assert rootspec.from_cmdline("root=nfs4:a:/x") == ("a:/x,vers=4", "root=")
    assert rootspec.from_cmdline("root=nfs") is None
    with pytest.raises(ProbeError, match="root=/dev/sda1"):
        rootspec.from_cmdline("root=/dev/sda1")
