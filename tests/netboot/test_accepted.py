"""Every server's own check accepts what is written for it, whatever may stand in comments and titles."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from mkpxeinit.netboot import (
    dhcpd,
    dnsmasq,
    exports,
    ganesha,
    grub,
    ipxe,
    kea,
    nginx,
    pxelinux,
    tftpd,
    values,
)
from mkpxeinit.netboot.entries import make_menu, unversioned
from mkpxeinit.netboot.parts import Client, Subnet
from mkpxeinit.netboot.site import Site
from pxelab import Lab, LabError, rpc, trees
from tests.netboot import checkers, servers, sites

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")

# What may stand in a comment or a title: one printable line, and in it what some syntax takes for its own.
TEXTS = (
    "plain",
    "a \"quoted\" 'word'",
    "ends with a backslash \\",
    "\\",
    "# ; } { ) ( */ /* //",
    "$HOME ${net0/mac} $(reboot) `reboot` %s %n",
    "&& reboot || ; reboot",
    "a,b,tag:x,set:y",
    "^key ${",
    "Zürich – 網路 ☃",
    "' --id 'x' { reboot }",
    '"; filename "evil"; #',
    "x" * 200,
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.open() as lab:
        yield lab


def hostile(text: str, tftp_root: Path) -> Site:
    """The rich site with `text` wherever a text may be."""
    site = sites.rich(tftp_root)
    return dataclasses.replace(
        site,
        subnets=tuple(dataclasses.replace(each, comment=text) for each in site.subnets),
        trees=tuple(dataclasses.replace(each, title=text) for each in site.trees),
        clients=tuple(dataclasses.replace(each, comment=text) for each in site.clients),
    )


@pytest.mark.parametrize("text", TEXTS)
def test_texts_in_all_servers(lab: Lab, text: str) -> None:
    values.text(text)
    site = hostile(text, lab.folder)
    assert "syntax check OK" in checkers.dnsmasq(lab, dnsmasq.configuration(site))
    checkers.dhcpd(lab, dhcpd.configuration(site))
    checkers.kea(lab, kea.configuration(site))


@pytest.mark.parametrize("text", TEXTS)
def test_titles_in_grub(tmp_path: Path, text: str) -> None:
    """GRUB's parser accepts it, and a shell, which quotes as GRUB does, reads the very title out of it."""
    menu = make_menu(hostile(text, tmp_path), unversioned)
    config = grub.configuration(menu)[grub.FILE]
    checkers.grub(config, tmp_path)
    (line,) = [line for line in config.splitlines() if line.endswith("--id 'office' {")]
    words = line.removeprefix("menuentry ").removesuffix(" {")
    done = subprocess.run(["sh", "-c", f"printf '%s\\n' {words}"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{text.strip()}\n--id\noffice\n"


@pytest.mark.parametrize("text", TEXTS)
def test_titles_in_line_syntaxes(tmp_path: Path, text: str) -> None:
    """pxelinux and iPXE have no quotes: the title is the rest of its line, and no other line is like it."""
    menu = make_menu(hostile(text, tmp_path), unversioned)
    config = pxelinux.configuration(menu)[pxelinux.FOLDER / "default"]
    assert sum(line.startswith("label ") for line in config.splitlines()) == len(menu.shown(menu.default))
    assert "^" not in config
    script = ipxe.configuration(menu)[ipxe.FILE]
    items = [line for line in script.splitlines() if line.startswith("item ")]
    assert len(items) == len(menu.shown(menu.default))
    for words in (line.split()[2:] for line in items):
        assert words, "iPXE needs a text"
        assert not {"&&", "||", ";"}.intersection(words)
        assert not any(word.startswith("#") or "${" in word for word in words)


@pytest.mark.parametrize("site", [sites.plain(), sites.rich()], ids=["plain", "rich"])
@pytest.mark.parametrize(
    "changes", [{}, {"timeout": 0}, {"console": None}, {"loaders": sites.secure()}, {"other_tftp": True}]
)
def test_variants(lab: Lab, tmp_path: Path, site: Site, changes: dict[str, object]) -> None:
    site = dataclasses.replace(site, tftp_root=PurePosixPath(lab.folder), **changes)  # type: ignore[arg-type]
    checkers.dnsmasq(lab, dnsmasq.configuration(site))
    checkers.dhcpd(lab, dhcpd.configuration(site))
    checkers.kea(lab, kea.configuration(site))
    checkers.grub(grub.configuration(make_menu(site, unversioned))[grub.FILE], tmp_path)
    if site.http_url:
        checkers.nginx(lab, nginx.configuration(site))


def test_proxy_and_many_clients(lab: Lab, tmp_path: Path) -> None:
    proxy = sites.plain(proxy=True, subnets=(Subnet(sites.NETWORK),), tftp_root=PurePosixPath(lab.folder))
    checkers.dnsmasq(lab, dnsmasq.configuration(proxy))
    clients = tuple(
        Client(f"52:54:00:00:{number // 256:02x}:{number % 256:02x}", f"c{number}", mode="ro")
        for number in range(1000)
    )
    many = sites.plain(clients=clients, tftp_root=PurePosixPath(lab.folder))
    checkers.dnsmasq(lab, dnsmasq.configuration(many))
    checkers.dhcpd(lab, dhcpd.configuration(many))
    checkers.kea(lab, kea.configuration(many))
    checkers.grub(grub.configuration(make_menu(many, unversioned))[grub.FILE], tmp_path)


def test_the_checks_refuse_what_is_wrong(lab: Lab, tmp_path: Path) -> None:
    """Else the tests above would say nothing."""
    site = sites.rich(lab.folder)
    wrong = (
        (checkers.dnsmasq, dnsmasq.configuration(site) + "dhcp-host=nonsense,,,,\ndhcp-range=x\n"),
        (checkers.dhcpd, dhcpd.configuration(site).replace(";", "", 1)),
        (checkers.kea, kea.configuration(site).replace("subnet4", "subnet5")),
        (checkers.nginx, nginx.configuration(site).replace(";", "", 1)),
    )
    for check, text in wrong:
        with pytest.raises(checkers.Refused):
            check(lab, text)
    with pytest.raises(checkers.Refused):
        checkers.grub("menuentry 'x' {\n", tmp_path)


def test_ganesha_starts_with_all_exports(lab: Lab) -> None:
    """It would run on without an export that it does not like; the log says so."""
    site = sites.rich()
    trees = []
    for tree in site.trees:
        folder = lab.folder / tree.name
        folder.mkdir()
        trees.append(dataclasses.replace(tree, path=PurePosixPath(folder)))
    site = dataclasses.replace(site, trees=tuple(trees))
    assert start_ganesha(lab, ganesha.configuration(site)) == []
    broken = ganesha.configuration(site).replace("Squash = No_Root_Squash", "Squash = Nobody_Knows")
    assert start_ganesha(lab, broken)


def start_ganesha(lab: Lab, text: str) -> list[str]:
    """Start Ganesha, wait until it answers or gives up, end it; return what it has against the text."""
    lab.need_rpcbind()
    for state in ("/run/ganesha", "/var/lib/nfs/ganesha"):
        lab.space.path(Path(state)).mkdir(parents=True, exist_ok=True)
    folder = servers.folder_of(lab, "ganesha-check")
    (folder / "ganesha.conf").write_text(text)
    log = folder / "log"
    words = ["ganesha.nfsd", "-F", "-L", log, "-f", folder / "ganesha.conf", "-p", folder / "pid"]
    process = lab.space.start("ganesha-check", list(map(str, words)))
    with contextlib.suppress(LabError):
        lab.wait_rpc(2049, rpc.NFS_PROGRAM, 4, 20.0)
    process.stop()
    lines = log.read_text(errors="replace").splitlines()
    assert lines
    return [
        line
        for line in lines
        if any(part in line for part in (" :CONFIG :", " :EXPORT :", "Errors found", "Could not create"))
        and " :EVENT :" not in line
        and "RADOS" not in line
    ]


def test_exportfs_reads_all(lab: Lab) -> None:
    """exportfs(8) parses the file, and knows each path and its clients; the kernel here has no NFS server."""
    config = lab.folder / "exports"
    config.write_text("")
    lab.space.run(["mount", "--bind", str(config), "/etc/exports"])
    for name in ("etab", "rmtab"):
        lab.space.path(Path("/var/lib/nfs") / name).touch()
    config.write_text(exports.configuration(sites.rich()))
    assert "unknown" not in exportfs(lab, "-ra")
    table = lab.space.path(Path("/var/lib/nfs/etab")).read_text()
    found = {tuple(line.split("(")[0].split()): line for line in table.splitlines()}
    assert sorted(found) == [
        ("/srv/trees/bench", "10.77.0.0/24"),
        ("/srv/trees/bench", "10.77.0.20"),
        ("/srv/trees/bench", "10.78.0.0/16"),
        ("/srv/trees/office", "10.77.0.0/24"),
        ("/srv/trees/office", "10.78.0.0/16"),
    ]
    for who, line in found.items():
        assert ("(rw," in line) == (who[1] == "10.77.0.20")
        assert ",no_root_squash," in line
        assert ",no_subtree_check," in line
    config.write_text("/srv 10.77.0.0/24(ro,nonsense)\n")
    assert "unknown keyword" in exportfs(lab, "-ra")


def exportfs(lab: Lab, *words: str) -> str:
    return lab.space.run(["exportfs", *words], check=False).stderr.decode()


@pytest.fixture
def tftp_root(lab: Lab) -> Path:
    root = servers.folder_of(lab, "tftp")
    (root / "folder").mkdir()
    (root / "folder/file").write_text("it is here\n")
    for path in (root, root / "folder", root / "folder/file"):
        path.chmod(0o755)
    return root


def test_tftpd_hpa_starts_and_serves(lab: Lab, tftp_root: Path) -> None:
    given = shell_values(tftpd.hpa(sites.plain(tftp_root=PurePosixPath(tftp_root))))
    options = [*given["TFTP_OPTIONS"].split(), given["TFTP_DIRECTORY"]]
    # As Debian's init script starts it, but for --listen, which would fork.
    words = ["in.tftpd", "--foreground", "--user", given["TFTP_USERNAME"], "--address", given["TFTP_ADDRESS"]]
    server = servers.start(lab, "tftpd-hpa", [*words, *options], port=69)
    assert fetch(lab, "folder/file") == "it is here\n"
    assert fetch(lab, "/folder/file") == "it is here\n"
    server.stop()


def test_atftpd_starts_and_serves(lab: Lab, tftp_root: Path) -> None:
    """Its package cannot be installed beside tftpd-hpa, so it is fetched and unpacked."""
    given = shell_values(tftpd.advanced(sites.plain(tftp_root=PurePosixPath(tftp_root))))
    assert given["USE_INETD"] == "false"
    program = debian_package("atftpd") / "usr/sbin/atftpd"
    words = [str(program), "--daemon", "--no-fork", "--user", "root", "--logfile", "-"]
    words += given["OPTIONS"].split()
    server = servers.start(lab, "atftpd", words, port=69)
    assert fetch(lab, "folder/file") == "it is here\n"
    server.stop()


def debian_package(name: str) -> Path:
    """Return the folder with what is in a Debian package, fetched once and cached."""
    folder = trees.cache_folder() / "packages" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with trees.locked(folder.with_suffix(".lock")):
        if not folder.exists():
            fresh = folder.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            script = 'cd "$1" && apt-get -q download "$2" && dpkg-deb -x ./*.deb . && rm ./*.deb'
            subprocess.run(["sh", "-c", script, "-", str(fresh), name], check=True, capture_output=True)
            fresh.rename(folder)
    return folder


def shell_values(text: str) -> dict[str, str]:
    """Return what a shell makes of an /etc/default file."""
    done = subprocess.run(
        ["sh", "-c", f"{text}\nset"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value.strip("'") for name, _, value in pairs}


def fetch(lab: Lab, name: str) -> str:
    target = lab.folder / "fetched"
    target.unlink(missing_ok=True)
    lab.space.run(["busybox", "tftp", "-g", "-r", name, "-l", str(target), str(sites.SERVER)], timeout=20)
    return target.read_text()


def test_nginx_serves_the_tftp_root(lab: Lab, tftp_root: Path) -> None:
    """By the URL that the clients are given; no listing, no dotted names, nothing beside the folder."""
    site = sites.plain(tftp_root=PurePosixPath(tftp_root), http_url=sites.HTTP)
    (tftp_root / "grubnetx64.efi").write_bytes(b"MZ")
    (tftp_root / ".new.tmp").write_text("half")
    (tftp_root.parent / "secret").write_text("no")
    config = checkers.nginx_files(lab, nginx.configuration(site))
    lab.space.start("nginx", ["nginx", "-p", str(config.parent), "-c", str(config), "-g", "daemon off;"])
    base = sites.HTTP
    assert web(lab, f"{base}folder/file", wait=10) == (0, "it is here\n")
    for name in ("", "folder/", ".new.tmp", "../secret", "%2e%2e/secret", "nothing"):
        status, body = web(lab, base + name)
        assert status != 0, body


def web(lab: Lab, url: str, wait: float = 0) -> tuple[int, str]:
    """Return wget's exit status and what came; a server that is not up yet is waited for, some seconds."""
    end = time.monotonic() + wait
    while True:
        done = lab.space.run(["busybox", "wget", "-q", "-O", "-", url], check=False)
        if done.returncode == 0 or time.monotonic() > end:
            return done.returncode, done.stdout.decode()
        time.sleep(0.1)
