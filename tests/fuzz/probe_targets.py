"""The readers of what servers answer, and of what loaders' configurations say."""

from collections.abc import Callable
from pathlib import Path
from unittest import mock

from mkpxeinit.errors import printable
from mkpxeinit.netboot.probe import (
    bootfiles,
    dhcp_codec,
    dns,
    grub_config,
    ipxe_script,
    nfs,
    nfs3,
    nfs4,
    pxelinux_config,
    rootspec,
    rpc,
    tftp,
)
from mkpxeinit.netboot.probe.entry import Configuration
from mkpxeinit.netboot.probe.fileset import place
from mkpxeinit.netboot.probe.interface import unpack_datagram
from mkpxeinit.netboot.serve_reports import Clients, read_report
from tests.fuzz.target import Target
from tests.unit import nfs_replies as made
from tests.unit import test_probe_dhcp, test_probe_dns, test_probe_loaders, test_probe_nfs

_MAC = "52:54:00:00:00:01"


def _dhcp(data: bytes, folder: Path) -> None:
    unpack_datagram(data)
    offer = dhcp_codec.read_answer(data, test_probe_dhcp.XID, test_probe_dhcp.MAC, "10.0.0.1")
    if offer is not None:
        for code in (1, 3, 6, 54):
            assert len(offer.addresses(code)) <= 16
        str((offer.boot_file, offer.root_path, offer.lease, offer.suboption(9), offer.server))


def _dns(data: bytes, folder: Path) -> None:
    reply = dns.read_reply(data, test_probe_dns.ASKED)
    assert reply is None or len(reply.addresses) <= 64


def _rpc(data: bytes, folder: Path) -> None:
    found = rpc.result(data, 7)
    if found is not None:
        found.opaque()


def _tree(module: object, make: Callable[[], nfs.Tree]) -> Callable[[bytes, Path], None]:
    def run(data: bytes, folder: Path) -> None:
        with mock.patch.object(module, "Connection", made.replaying(data)):
            tree = make()
            init = nfs.find(tree, "/sbin/init")
            assert len(tree.read(init, 100)) <= 100
            assert tree.access(init, 3) <= 3

    return run


def _exports(data: bytes, folder: Path) -> None:
    with mock.patch.object(nfs3, "Connection", made.replaying(data)):
        assert len(nfs3.Mount("10.0.0.1", 0, 1).exports()) <= 256


def _tftp(data: bytes, folder: Path) -> None:
    """A transfer's packets, each with its length before it."""
    reading = tftp._Reading("f", b"", 100_000, 1000)
    at = 0
    while at + 2 <= len(data) and not reading.done:
        size = int.from_bytes(data[at : at + 2], "big")
        reading.take(data[at + 2 : at + 2 + size])
        at += 2 + size
    assert len(reading.head) <= 1000 and reading.size <= 100_000


def _judge(read: Configuration) -> None:
    assert all(note.isprintable() for note in read.notes)
    assert len(read.entries) <= 65
    for entry in read.entries:
        assert len(entry.cmdline) < 1 << 20
    assert read.default is None or read.default in read.entries


def _pxelinux(data: bytes, folder: Path) -> None:
    text = data.decode("utf-8", "replace")
    _judge(pxelinux_config.read(text, lambda name: text if name == "round" else None))


def _grub(data: bytes, folder: Path) -> None:
    text = data.decode("utf-8", "replace")
    _judge(grub_config.read(text, lambda name: text if name == "/round" else None, _MAC, None, "/grub"))


def _ipxe(data: bytes, folder: Path) -> None:
    _judge(ipxe_script.read(data.decode("utf-8", "replace"), {"mac": _MAC, "next-server": "10.0.0.1"}))


def _root(data: bytes, folder: Path) -> None:
    spec = rootspec.parse(data.decode("utf-8", "surrogateescape"), "root-path")
    assert spec.path.startswith("/") and spec.path.isprintable() and spec.versions
    assert all(name.isprintable() and " " not in name for name in spec.servers)


def _place(data: bytes, folder: Path) -> None:
    text = data.decode("utf-8", "replace")
    place(text).beside(text)


def _bootfile(data: bytes, folder: Path) -> None:
    assert bootfiles.firmware_of(data).isprintable()
    bootfiles.loader_of("x", data)
    release = bootfiles.kernel_release(data)
    assert release is None or len(release) <= 64 and release.isascii()
    bootfiles.archive_of(data)


def _report(data: bytes, folder: Path) -> None:
    event = read_report(data)
    clients = Clients("/tftp")
    if event is not None:
        assert event.client.isascii() and len(event.client) == 17 and len(event.what) < 2500
        clients.heard(event)
    for line in printable(data.decode("utf-8", "replace")), data.decode("ascii", "backslashreplace"):
        clients.log_line(printable(line))
    assert all(line.isprintable() for line in clients.table())


def _packets(*packets: bytes) -> bytes:
    return b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)


_OFFER = test_probe_dhcp.answer(
    test_probe_dhcp.OFFER + b"\x11\x04/x/y\x06\x04\x0a\0\0\1\x2b\x08\x09\x05\x80\0\x02hi\xff\x34\x01\x03\xff",
    file=b"\x43\x03a.0\xff",
    sname=b"\x42\x01x\xff",
)
_ALIAS = test_probe_dns.reply(
    test_probe_dns.record(5, b"\x01a\xc0\x10") + test_probe_dns.record(1, b"\x0a\0\0\3", b"\x01a\xc0\x10"), 2
)
_REPORT = (
    f'<30>Nov 21 21:00:00 pxeinit: {{"mac":"{_MAC}","host":"pc","uptime":3.25,"event":"failure",'
    '"name":"PXE-INIT-root-dns","text":"no \\"x\\""}'
).encode()
_KERNEL = bytes(0x202) + b"HdrS" + bytes(8) + b"\x80\x00" + bytes(0x70) + b"6.1.0-9-amd64 (x)"
_PE = b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0\x64\x86" + bytes(100) + b"grub_"
_MENU = "default a\ninclude round\nlabel a\nkernel k\nappend initrd=i quiet\nmenu default\nontimeout a\n"

PROBE_TARGETS = (
    Target("dhcp-answer", (_OFFER, test_probe_dhcp.datagram(_OFFER)), _dhcp),
    Target("dns-answer", (_ALIAS,), _dns),
    Target("rpc-answer", (test_probe_nfs.accepted(7, rpc.opaque(b"abc")),), _rpc),
    Target("nfs3", (made.TREE3,), _tree(nfs3, lambda: nfs3.Nfs3("10.0.0.1", 0, b"root", 1))),
    Target("nfs4", (made.TREE4,), _tree(nfs4, lambda: nfs4.Nfs4("10.0.0.1", 0, 0, "/x", 1))),
    Target("nfs-exports", (made.EXPORTS,), _exports),
    Target(
        "tftp",
        (
            _packets(
                b"\0\x06blksize\x001408\0tsize\x001500\0", b"\0\3\0\1" + bytes(1408), b"\0\3\0\2" + bytes(92)
            ),
            _packets(b"\0\3\0\1" + bytes(512), b"\0\3\0\2"),
        ),
        _tftp,
    ),
    Target("pxelinux-cfg", (_MENU.encode(), b"ui vesamenu.c32\nlabel x\nlinux k\ninitrd a,b\n"), _pxelinux),
    Target("grub-cfg", (test_probe_loaders.GRUB.encode(), b"source /round\nlinux /k\n"), _grub),
    Target("ipxe-script", (test_probe_loaders.IPXE.encode(),), _ipxe),
    Target("root-path", (b"nfs:a.lab,[fe80::1]:/x/y:vers=4.1,port=2049,ro", b"/x/%s,v3"), _root),
    Target("boot-url", (b"http://h:80/a/b?c", b"tftp://[fe80::1]/x"), _place),
    Target("client-report", (_REPORT, f"DHCPACK(br0) 10.0.0.1 {_MAC} pc1".encode()), _report),
    Target("boot-file", (_KERNEL, _PE, b"#!ipxe\n"), _bootfile),
)
