"""`mkpxeinit server-config` as installed: words, exit codes, files."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run

SIMPLE = ("--server", "192.0.2.1", "--tree", "/srv/trees/office", "--subnet", "192.0.2.0/24")
SITE = """
[server]
address = "192.0.2.1"
[[subnet]]
network = "192.0.2.0/24"
[tree.office]
path = "/srv/trees/office"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    return path


def test_list(run: Run) -> None:
    done = run("server-config", "--list")
    assert done.code == 0
    listed = [line.split()[0] for line in done.stdout.decode().splitlines()]
    dhcp, nfs = ["dnsmasq", "dhcpd", "kea"], ["exports", "ganesha"]
    assert listed == [*dhcp, *nfs, "tftpd-hpa", "atftpd", "nginx", "pxelinux", "grub", "ipxe"]


def test_one_file_is_stdout_alone(run: Run, config: Path) -> None:
    done = run("server-config", "--config", config, "--only", "exports")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.decode().splitlines()[1:] == [
        "/srv/trees/office 192.0.2.0/24(ro,no_root_squash,no_subtree_check,sync)"
    ]


def test_several_files_are_named(run: Run, config: Path) -> None:
    done = run("server-config", "--config", config)
    assert done.code == 0
    assert done.stderr == "mkpxeinit: nginx: left out: no http-url\n"
    heads = [line for line in done.stdout.decode().splitlines() if line.startswith("==> ")]
    assert heads[0] == "==> /etc/dnsmasq.d/mkpxeinit.conf <=="
    assert "==> /srv/tftp/grub/grub.cfg <==" in heads
    assert len(heads) == 10


def test_options_alone_say_the_same(run: Run, config: Path) -> None:
    only = ("--only", "dnsmasq,exports", "--only", "pxelinux")
    described = run("server-config", "--config", config, *only)
    simple = run("server-config", *SIMPLE, *only)
    assert simple.code == described.code == 0
    assert simple.stdout == described.stdout
    more = (
        *("--range", "192.0.2.10-192.0.2.20", "--router", "192.0.2.254", "--interface", "eth1"),
        *("--tftp-root", "/t", "--http-url", "http://192.0.2.1/", "--domain", "x.example"),
        *("--dns", "192.0.2.2", "--dns", "192.0.2.3", "--mode", "overlay", "--nfs-options", "vers=3"),
        *("--cmdline", "quiet"),
    )
    text = run("server-config", *SIMPLE, *more, "--only", "dnsmasq,pxelinux").stdout.decode()
    for line in (
        "interface=eth1",
        "tftp-root=/t",
        "dhcp-range=set:subnet0,192.0.2.10,192.0.2.20,255.255.255.0,43200",
        "dhcp-option=tag:subnet0,option:router,192.0.2.254",
        'dhcp-option=option:root-path,"192.0.2.1:/srv/trees/office,vers=3"',
        'dhcp-boot=tag:ipxe,"http://192.0.2.1/boot.ipxe",,192.0.2.1',
        "domain=x.example",
        "dhcp-option=option:dns-server,192.0.2.2,192.0.2.3",
        "==> /t/pxelinux.cfg/default <==",
        "  append root=/dev/nfs nfsroot=192.0.2.1:/srv/trees/office,vers=3 pxeinit.mode=overlay quiet",
    ):
        assert line in text.splitlines(), line
    proxy = run("server-config", *SIMPLE, "--proxy", "--only", "dnsmasq").stdout.decode()
    assert "dhcp-range=192.0.2.0,proxy,255.255.255.0" in proxy.splitlines()


def test_files_and_differences(run: Run, config: Path, tmp_path: Path) -> None:
    words = ("server-config", "--config", config, "--only", "exports,grub", "--output", tmp_path / "out")
    dry = run(*words, "--dry-run")
    assert dry.code == 0
    assert b"--- /dev/null" in dry.stdout
    assert not (tmp_path / "out").exists()
    done = run(*words)
    assert (done.code, done.stdout) == (0, b"")
    assert done.stderr.splitlines() == [
        f"mkpxeinit: {tmp_path}/out/etc/exports.d/mkpxeinit.exports: written",
        f"mkpxeinit: {tmp_path}/out/srv/tftp/grub/grub.cfg: written",
    ]
    assert run(*words).stderr == "mkpxeinit: 2 of 2 files are as they should be already\n"
    config.write_text(SITE.replace("192.0.2.0/24", "192.0.2.0/25"))
    assert b"\n+/srv/trees/office 192.0.2.0/25(ro," in run(*words, "--dry-run").stdout
    assert "exports: replaced" in run(*words).stderr
    (tmp_path / "out/srv/tftp/grub/grub.cfg").write_text("mine\n")
    config.write_text(SITE)
    refused = run(*words)
    assert refused.code == 1
    assert refused.stderr == (
        f"mkpxeinit: {tmp_path}/out/srv/tftp/grub/grub.cfg: is there already, and not written by mkpxeinit; "
        "--force replaces it, --dry-run shows the difference\n"
    )
    assert "/25" in (tmp_path / "out/etc/exports.d/mkpxeinit.exports").read_text(), "all or nothing"
    assert b"\n-mine\n" in run(*words, "--dry-run").stdout
    assert run(*words, "--force").code == 0
    assert "/24" in (tmp_path / "out/etc/exports.d/mkpxeinit.exports").read_text()


def test_publish_is_in_charge_of_the_loaders(run: Run, config: Path, tmp_path: Path) -> None:
    state = tmp_path / "out/srv/tftp/generations/published.json"
    state.parent.mkdir(parents=True)
    state.write_text("{}")
    words = ("server-config", "--config", config, "--output", tmp_path / "out")
    done = run(*words)
    assert done.code == 0 and (tmp_path / "out/etc/dnsmasq.d/mkpxeinit.conf").exists()
    for name in ("pxelinux", "grub", "ipxe"):
        said = f"{name}: left out: mkpxeinit publish has filled /srv/tftp, and writes that itself"
        assert said in done.stderr
    assert [each.name for each in (tmp_path / "out/srv/tftp").iterdir()] == ["generations"]
    refused = run(*words, "--only", "grub,exports", "--force")
    assert refused.code == 1 and refused.stderr.count("\n") == 1
    assert "grub: nothing to write: mkpxeinit publish has filled /srv/tftp" in refused.stderr


def test_an_output_that_is_a_file(run: Run, config: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    done = run("server-config", "--config", config, "--only", "grub", "--output", tmp_path / "out")
    assert done.code == 1
    assert done.stderr.count("\n") == 1
    assert "out/srv/tftp/grub/grub.cfg: cannot be replaced: Not a directory" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--only", "dnsmask"), 2, "nothing to write is named 'dnsmask'; did you mean dnsmasq?"),
        (("--only", ","), 2, "--only has no name; --list shows them"),
        (("--only", "nginx"), 1, "nginx: nothing to write: no http-url"),
        (("--dry-run",), 2, "of use with --output only"),
        (("--server", "192.0.2.1"), 2, "--config and --server"),
    ],
)
def test_wrong_words(run: Run, config: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = run("server-config", "--config", config, *words)
    assert (done.code, done.stdout) == (code, b"")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--server", "192.0.2.1"), "--tree is missing"),
        ((*SIMPLE, "--range", "192.0.2.9"), "is not FIRST-LAST"),
        ((*SIMPLE, "--range", "192.0.2.9-192.0.3.9"), "range: 192.0.3.9 is not in that network"),
        ((*SIMPLE, "--mode", "rx"), "--mode"),
        ((*SIMPLE, "--cmdline", "it's"), "no ' in kernel parameters"),
        ((*SIMPLE, "--interface", "a b"), "--interface"),
        (("--tree", "../x"), "--tree"),
    ],
)
def test_wrong_options(run: Run, words: tuple[str, ...], said: str) -> None:
    done = run("server-config", *words)
    assert (done.code, done.stdout) == (2, b"")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_description(run: Run, tmp_path: Path) -> None:
    done = run("server-config", "--config", tmp_path / "none.toml")
    assert done.code == 1
    assert done.stderr == (
        f"mkpxeinit: {tmp_path}/none.toml: No such file or directory; "
        "mkpxeinit.toml(5) says what a description is\n"
    )
