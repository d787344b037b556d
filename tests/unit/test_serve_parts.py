"""The parts of `serve` that need no network of their own: reports, HTTP, the site that it makes."""

import http.client
import re
import threading
import time
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path, PurePosixPath

import pytest

from mkpxeinit.errors import ServerError
from mkpxeinit.netboot import serve_nfs, serve_nginx, serve_process, serve_site
from mkpxeinit.netboot.parts import Tree
from mkpxeinit.netboot.serve_http import HttpServer
from mkpxeinit.netboot.serve_reports import Clients, Event, read_report
from tests.unit.small import kernel_tree, make_tree

MAC = "52:54:00:12:34:56"


def report(text: str) -> Event | None:
    return read_report(f"<30>Nov 21 21:00:00 pxeinit: {text}".encode("utf-8", "surrogateescape"))


def test_reports() -> None:
    good = '{"mac":"52:54:00:12:34:56","host":"pc1","uptime":3.25,"event":"phase","name":"root"}'
    assert report(good) == Event(MAC, "phase root at 3.2 s (pc1)")
    failed = '{"mac":"52:54:00:12:34:56","host":"","uptime":4,"event":"failure","name":"PXE-INIT-root-dns",'
    assert report(failed + '"text":"no \\"x\\""}') == Event(
        MAC, 'failed: PXE-INIT-root-dns no "x" at 4.0 s', failed=True
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "[" * 3000,
        '{"mac":"x","event":"phase","name":"root"}',
        '{"mac":["52:54:00:12:34:56"],"event":"phase","name":"root"}',
        '{"mac":"52:54:00:12:34:56","event":"boom","name":"root"}',
        '{"mac":"52:54:00:12:34:56","event":"phase","name":7}',
        '{"mac":"52:54:00:12:34:56","event":["phase"],"name":"a"}',
    ],
)
def test_what_is_no_report(text: str) -> None:
    assert report(text) is None


def test_no_syslog_of_ours() -> None:
    for data in (
        b"",
        b"\xff" * 9000,
        b'{"mac":"52:54:00:12:34:56","event":"phase","name":"root"}',
        b"<30>x: {}",
    ):
        assert read_report(data) is None


def test_reports_are_shown_safely() -> None:
    text = (
        '{"mac":"52:54:00:12:34:56","uptime":true,"event":"failure","name":"\\u001b[2J","text":"%s\\n"}'
        % ("x" * 5000)
    )
    event = report(text)
    assert event is not None and event.what.isprintable() and len(event.what) < 700
    for odd in ("1e999", "NaN", "-1", "1" * 400):
        event = report(f'{{"mac":"{MAC}","uptime":{odd},"event":"phase","name":"root"}}')
        assert event == Event(MAC, "phase root"), odd


def test_clients_that_are_made_up_have_an_end() -> None:
    clients = Clients()
    for number in range(1200):
        clients.heard(Event(f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}", "phase root"))
    assert len(clients.seen) == 1000
    assert clients.heard(Event("52:54:00:00:00:00", "phase tree")) is not None


def test_the_log_of_dnsmasq() -> None:
    """Lines as dnsmasq 2.89 writes them."""
    clients = Clients("/tmp/x/tftp")
    assert clients.log_line(f"dnsmasq-dhcp: DHCPDISCOVER(br0) {MAC}") is None
    assert clients.log_line(f"dnsmasq-dhcp: 123 DHCPACK(br0) 10.77.0.140 {MAC} pc1") == Event(
        MAC, "DHCP: has 10.77.0.140 (pc1)"
    )
    assert clients.log_line("dnsmasq-tftp: sent /tmp/x/tftp/a b to 10.77.0.140") == Event(
        MAC, "loaded /a b (TFTP)"
    )
    lost = clients.log_line("dnsmasq-tftp: file /tmp/x/tftp/vmlinuz not found for 10.77.0.140")
    assert lost == Event(MAC, "asked in vain for /vmlinuz (TFTP)")
    for usual in ("pxelinux.cfg/0A4D", "grub/grub.cfg-0A"):
        assert clients.log_line(f"dnsmasq-tftp: file /tmp/x/tftp/{usual} not found for 10.77.0.140") is None
    assert clients.log_line("dnsmasq: something else") is None
    assert clients.table() == [f"{MAC}  10.77.0.140  pc1  asked in vain for /vmlinuz (TFTP)"]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[http.client.HTTPConnection, list[tuple[str, str]]]]:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "a").write_text("content")
    (root / ".hidden").write_text("x")
    (tmp_path / "outside").write_text("x")
    (root / "link").symlink_to("../outside")
    heard: list[tuple[str, str]] = []
    with HttpServer("127.0.0.1", 0, root, lambda *words: heard.append(words)) as server:
        port = server._server.server_port
        yield http.client.HTTPConnection("127.0.0.1", port, timeout=5), heard


def test_files_by_http(web: tuple[http.client.HTTPConnection, list[tuple[str, str]]]) -> None:
    connection, heard = web
    for method, length in (("HEAD", 0), ("GET", 7)):
        connection.request(method, "/a")
        answer = connection.getresponse()
        assert (answer.status, len(answer.read()), answer.getheader("Content-Length")) == (200, length, "7")
    assert heard == [("127.0.0.1", "loads /a")]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/folder",
        "/folder/",
        "/none",
        "/.hidden",
        "/../outside",
        "/%2e%2e/outside",
        "/link",
        "//etc/passwd",
    ],
)
def test_what_http_does_not_give(
    web: tuple[http.client.HTTPConnection, list[tuple[str, str]]], path: str
) -> None:
    connection, _ = web
    connection.request("GET", path)
    answer = connection.getresponse()
    assert (answer.status, answer.read() == b"x") == (404, False)


def test_http_writes_nothing(web: tuple[http.client.HTTPConnection, list[tuple[str, str]]]) -> None:
    connection, _ = web
    connection.request("PUT", "/a", body=b"y")
    assert connection.getresponse().status == 501


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with HttpServer("127.0.0.1", 0, tmp_path, lambda *_: None) as server:
        port = server._server.server_port
        with pytest.raises(ServerError, match=f"port {port}: Address already in use; another port"):
            HttpServer("127.0.0.1", port, tmp_path, lambda *_: None)
    assert not any("serve_forever" in str(each) for each in threading.enumerate())


@pytest.mark.parametrize(
    ("address", "first", "last"),
    [
        ("10.0.0.1/24", "10.0.0.128", "10.0.0.254"),
        ("10.0.0.200/24", "10.0.0.1", "10.0.0.127"),
        ("10.0.0.1/29", "10.0.0.4", "10.0.0.6"),
    ],
)
def test_the_addresses_of_clients(address: str, first: str, last: str) -> None:
    request = serve_site.Request("eth0", Tree("pc", PurePosixPath("/srv/pc")))
    site = serve_site.make_site(request, IPv4Interface(address), Path("/run/x"))
    (subnet,) = site.subnets
    assert (str(subnet.first), str(subnet.last)) == (first, last)
    assert site.http_url == f"http://{IPv4Interface(address).ip}/" and site.report == 5140
    assert f"nfsroot={IPv4Interface(address).ip}:/srv/pc" in site.cmdline(site.choice())


def test_networks_that_are_too_small_and_ports() -> None:
    request = serve_site.Request("eth0", Tree("pc", PurePosixPath("/srv/pc")), http_port=8080, report_port=1)
    with pytest.raises(ServerError, match="too few addresses"):
        serve_site.make_site(request, IPv4Interface("10.0.0.1/30"), Path("/run/x"))
    only = IPv4Address("10.0.0.2")
    tree = Tree("pc", PurePosixPath("/srv/pc"))
    given = serve_site.Request("eth0", tree, addresses=(only, only), http_port=8080)
    site = serve_site.make_site(given, IPv4Interface("10.0.0.1/30"), Path("/run/x"))
    assert site.http_url == "http://10.0.0.1:8080/"


def test_programs(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="ls .*: .*No such file or directory"):
        serve_process.run(["ls", str(tmp_path / "none")])
    with pytest.raises(ServerError, match="not finished after 0 s"):
        serve_process.run(["sleep", "9"], seconds=0.1)


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_process, "_PATH", "/nowhere")
    with pytest.raises(ServerError, match="dnsmasq is not installed; .*apt-get install dnsmasq-base"):
        serve_process.program("dnsmasq")


def test_a_server_that_does_not_obey_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_process, "_STOP_SECONDS", 0.2)
    words = ["sh", "-c", "trap '' TERM; echo one; printf two; while :; do sleep 0.1; done"]
    server = serve_process.Server(words, tmp_path / "log")
    while not (said := server.lines()):
        assert server.running
    assert said == ["one"]
    server.stop()
    assert not server.running and (tmp_path / "log").read_text().startswith("one\n")


def ended(words: str, log: Path) -> serve_process.Server:
    server = serve_process.Server(["sh", "-c", words], log)
    while server.running:
        time.sleep(0.01)
    return server


def test_the_last_words_of_a_server(tmp_path: Path) -> None:
    """What it says, what it writes into its own log (which comes later than its start), and what is worst."""
    own = tmp_path / "own"
    for number, (words, shown) in enumerate(
        [
            ("true", "it said nothing"),
            ("echo one; echo two", "two"),
            (f"echo one; echo three >{own}", "three"),
            (f"echo a BAD: cause; echo the BAD: rest >{own}; echo and so on >>{own}", "cause; rest"),
        ]
    ):
        server = ended(words, tmp_path / f"log{number}")
        server.own_log, server.worst = own, re.compile("BAD: (.*)")
        assert server.last_words() == shown
        server.stop()


REFUSED = (
    "01/12/2026 04:01:39 : epoch 6b0e46a3 : vm : nfs-ganesha-9[main] main :MAIN :FATAL :Failed to "
    "PR_SET_IO_FLUSHER with EPERM. Take a look at config option allow_set_io_flusher_fail to see if you "
    "should allow it"
)


@pytest.mark.parametrize(("refusing", "starts"), [(True, 2), (False, 1)])
def test_ganesha_without_a_capability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusing: bool, starts: int
) -> None:
    """A stand-in with the words of release 6.5, that wants a line which older ones refuse."""
    program = tmp_path / "bin/ganesha.nfsd"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\ncp $5 {tmp_path}/$$.seen\n"
        f"grep -q Flusher $5 && : >$3 && : >{tmp_path}/up && exec sleep 60\n"
        + (f"echo '{REFUSED}' >$3\n" if refusing else "echo 'x :DBUS :CRIT :no bus\nx :C :FATAL :no' >$3\n")
        + "echo libganesha_nfsd.so.6.5 >>$3\nexit 2\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(serve_process, "_PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(serve_nfs, "_RPCBIND", ())
    monkeypatch.setattr(serve_nfs, "_BLKID", ())
    monkeypatch.setattr(serve_nfs, "_made", lambda *_: None)
    monkeypatch.setattr(serve_nfs, "_answers", lambda port, *_: port == 111 or (tmp_path / "up").exists())
    request = serve_site.Request("eth0", Tree("pc", PurePosixPath("/srv/pc")))
    site = serve_site.make_site(request, IPv4Interface("10.0.0.1/24"), Path("/run/x"))
    with serve_process.Guard() as guard:
        if refusing:
            with serve_nfs.serving(site, "ganesha", tmp_path, guard) as (server,):
                assert server.running
            assert not server.running
        else:
            with (
                pytest.raises(ServerError, match=r"ganesha\.nfsd does not answer: no$"),
                serve_nfs.serving(site, "ganesha", tmp_path, guard),
            ):
                pass
    told = [path.read_text() for path in tmp_path.glob("*.seen")]
    assert len(told) == starts
    assert sum("    Allow_Set_Io_Flusher_Fail = true;\n" in each for each in told) == starts - 1


def test_which_nfs_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "filesystems"
    table.write_text("nodev\tproc\nnodev\tnfs\n")
    assert not serve_nfs.kernel_has_nfsd(table)
    table.write_text("nodev\tproc\nnodev\tnfsd\n")
    assert serve_nfs.kernel_has_nfsd(table)
    monkeypatch.setattr(serve_nfs, "kernel_has_nfsd", lambda: True)
    monkeypatch.setattr(serve_nfs, "search", lambda name: f"/sbin/{name}")
    assert serve_nfs.choose("auto") == "kernel" and serve_nfs.choose("ganesha") == "ganesha"
    monkeypatch.setattr(serve_nfs, "search", lambda name: None)
    assert serve_nfs.choose("auto") == "ganesha"


def test_which_http_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for where, auto in (("/usr/sbin/nginx", "nginx"), (None, "python")):
        monkeypatch.setattr(serve_nginx, "search", lambda name, where=where: where)
        assert [serve_nginx.choose(kind) for kind in serve_nginx.KINDS] == [auto, "nginx", "python"]


def test_what_nginx_writes_of_clients() -> None:
    clients = Clients()
    seen = clients.http_line("10.77.0.100 200 GET /generations/pc.1/vmlinuz")
    assert seen == Event("10.77.0.100", "loads /generations/pc.1/vmlinuz (HTTP)")
    seen = clients.http_line("10.77.0.100 404 GET /\\x1B[2J")
    assert seen == Event("10.77.0.100", "asked in vain for /\\x1B[2J (HTTP)")
    for other in ("10.77.0.100 200 HEAD /x", "2026/11/22 [notice] 200 GET /x", "10.77.0.100 200 GET", ""):
        assert clients.http_line(other) is None


@pytest.mark.parametrize("mounted", [False, True])
def test_the_kernels_server_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounted: bool
) -> None:
    """One that did not run: started, its grace period ended, stopped; the real one: tests/boot."""
    called: list[str] = []
    nfsd = tmp_path / "nfsd"
    nfsd.mkdir()
    if mounted:
        (nfsd / "threads").write_text("0\n")
    monkeypatch.setattr(serve_nfs, "_NFSD", nfsd)
    monkeypatch.setattr(serve_nfs, "_ETAB", tmp_path / "etab")
    monkeypatch.setattr(serve_nfs, "_answers", lambda port, *_: port == 111)
    monkeypatch.setattr(serve_nfs, "run", lambda words: called.append(" ".join(words)))

    class Mountd(serve_process.Guard):
        def start(self, words: Sequence[str], log: Path) -> serve_process.Server:
            called.append(" ".join(words))
            return super().start(["sleep", "60"], log)

    request = serve_site.Request("eth0", Tree("pc", PurePosixPath("/srv/pc")))
    site = serve_site.make_site(request, IPv4Interface("10.0.0.1/24"), Path("/run/x"))
    export = "10.0.0.0/24:/srv/pc"
    with Mountd() as guard, serve_nfs.serving(site, "kernel", tmp_path, guard) as servers:
        assert (nfsd / "v4_end_grace").read_text() == "Y\n"
        started = [f"exportfs -o ro,no_root_squash,no_subtree_check,sync {export}"]
        assert called == ["rpc.nfsd 8", "rpc.mountd -F", *started]
        (mountd,) = servers
    assert not mountd.running
    assert called[3:] == [f"exportfs -u {export}", "rpc.nfsd 0", *([] if mounted else [f"umount {nfsd}"])]


def test_the_kernels_exports_and_their_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By fakes of its programs, for not every kernel has the server: what is called, and undone."""
    called: list[str] = []
    guard = serve_process.Guard()
    etab = tmp_path / "etab"
    etab.write_text("/srv/other\t10.0.0.0/24(ro)\n")
    monkeypatch.setattr(serve_nfs, "_ETAB", etab)
    monkeypatch.setattr(serve_nfs, "_answers", lambda *_: True)
    monkeypatch.setattr(serve_nfs, "run", lambda words: called.append(" ".join(words)))
    request = serve_site.Request("eth0", Tree("pc", PurePosixPath("/srv/pc")))
    site = serve_site.make_site(request, IPv4Interface("10.0.0.1/24"), Path("/run/x"))
    with serve_nfs.serving(site, "kernel", tmp_path, guard) as servers:
        assert servers == []
        assert called == ["exportfs -o ro,no_root_squash,no_subtree_check,sync 10.0.0.0/24:/srv/pc"]
    assert called[1:] == ["exportfs -u 10.0.0.0/24:/srv/pc"]
    etab.write_text("/srv/pc\t10.0.0.0/24(rw)\n")
    with serve_nfs.serving(site, "kernel", tmp_path, guard):
        pass
    guard.__exit__()
    assert len(called) == 2, "somebody else's export stays as it is"


def test_its_images_are_built_with_the_cache(tmp_path: Path) -> None:
    tree = Tree("pc", PurePosixPath(str(make_tree(tmp_path / "pc", kernel_tree()))))
    said: list[str] = []
    for name in ("one", "two"):
        request = serve_site.Request("eth0", tree, cache=tmp_path / "cache")
        site = serve_site.make_site(request, IPv4Interface("10.0.0.1/24"), tmp_path / name)
        serve_site.fill(request, site, said.append)
        damaged = max((tmp_path / "cache").iterdir(), key=lambda path: path.stat().st_size)
        damaged.write_bytes(b"x")
    assert f"{damaged}: damaged; made anew" in said
