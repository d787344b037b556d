"""param.sh: the command line, hostile or not."""

import pytest

from tests.init.fakeroot import FakeRoot
from tests.init.test_check import HOSTILE

SHOW = """for name in root nfsroot ip nameserver bootif init panic \\
    quiet mode dev farm switch break shell debug bootdev netconsole arp vendor clientid; do
    eval "value=\\$param_$name"
    printf '%s=%s\\0' "$name" "$value"
done"""
DEFAULTS = {
    "quiet": "no",
    "mode": "farm",
    "dev": "auto",
    "farm": "bind",
    "switch": "auto",
    "shell": "no",
    "debug": "no",
    "arp": "yes",
    "clientid": "mac",
}


def parse(root: FakeRoot, cmdline: str, image: str = "") -> tuple[dict[str, str], str]:
    """The parameters that differ from the defaults, and what the console said."""
    root.write("proc/cmdline", cmdline)
    root.write("etc/cmdline", image)
    said = root.run(f"read_params; echo -----; {SHOW}").console
    console, _, values = said.partition("-----\n")
    assert not root.place("canary").exists()
    pairs = dict(value.split("=", 1) for value in values.split("\0")[:-1])
    return {key: value for key, value in pairs.items() if value != DEFAULTS.get(key, "")}, console


@pytest.mark.parametrize(
    ("cmdline", "expected"),
    [
        ("", {}),
        (
            "root=/dev/nfs nfsroot=10.0.2.2:/srv,vers=3 ro",
            {"root": "/dev/nfs", "nfsroot": "10.0.2.2:/srv,vers=3"},
        ),
        ("  \t quiet\t\tdebug ", {"quiet": "yes", "debug": "yes"}),
        ('nfsroot="/a b" quiet', {"nfsroot": "/a b", "quiet": "yes"}),
        ('"nfsroot=/a b" quiet', {"nfsroot": "/a b", "quiet": "yes"}),
        ('nfsroot=/a" "b quiet', {"nfsroot": "/a b", "quiet": "yes"}),
        ('nfsroot="/open quiet', {"nfsroot": "/open quiet"}),
        ('root="" panic=5', {"panic": "5"}),
        ("panic=-1 init=/bin/sh", {"panic": "-1", "init": "/bin/sh"}),
        ("panic=1 panic=2", {"panic": "2"}),
        ("quiet -- root=/x panic=3", {"quiet": "yes"}),
        ("a=-- panic=3 --x", {"panic": "3"}),
        ("nameserver=1.1.1.1 nameserver=::1", {"nameserver": " 1.1.1.1 ::1"}),
        ("BOOTIF=01-52-54-00-AB-CD-EF", {"bootif": "52:54:00:ab:cd:ef"}),
        ("BOOTIF=52:54:00:ab:cd:ef", {"bootif": "52:54:00:ab:cd:ef"}),
        ("BOOTIF=52-54-00-ab-cd-ef", {"bootif": "52:54:00:ab:cd:ef"}),
        ("pxeinit.mode=overlay pxeinit.dev=tar", {"mode": "overlay", "dev": "tar"}),
        ("pxeinit.farm=symlink pxeinit.switch=pivot_root", {"farm": "symlink", "switch": "pivot_root"}),
        ("pxeinit.break=tree pxeinit.shell pxeinit.debug", {"break": "tree", "shell": "yes", "debug": "yes"}),
        ("ip=dhcp root=nfs:/x", {"ip": "dhcp", "root": "nfs:/x"}),
        ("ip=eth0:dhcp ip=10.0.0.2 bootdev=eth1", {"ip": "eth0:dhcp 10.0.0.2", "bootdev": "eth1"}),
        ("pxeinit.arp=no pxeinit.clientid=none", {"arp": "no", "clientid": "none"}),
        ("pxeinit.vendor=PXEClient:x pxeinit.clientid=0102", {"vendor": "PXEClient:x", "clientid": "0102"}),
        ("netconsole=@/eth0,@10.0.0.9/", {"netconsole": "@/eth0,@10.0.0.9/"}),
        ("param_init=/evil PATH=/evil IFS=x pxeinitx=1", {}),
        ("* [a] ? ~ # ; & | quiet", {"quiet": "yes"}),
    ],
)
def test_words_become_parameters(root: FakeRoot, cmdline: str, expected: dict[str, str]) -> None:
    assert parse(root, cmdline) == (expected, "")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("pxeinit.mode=fram", "pxeinit.mode='fram' is ignored: it takes one of: farm overlay ro rw"),
        ("pxeinit.dev=", "pxeinit.dev='' is ignored"),
        ("pxeinit.farm=x", "pxeinit.farm='x' is ignored"),
        ("pxeinit.switch=x", "pxeinit.switch='x' is ignored"),
        ("pxeinit.break=*", "pxeinit.break='*' is ignored"),
        ("pxeinit.arp=maybe", "pxeinit.arp='maybe' is ignored: it takes one of: yes no"),
        ("pxeinit.vendor=-x", "pxeinit.vendor='-x' is ignored: not a vendor class"),
        (
            "pxeinit.clientid=uuid",
            "pxeinit.clientid='uuid' is ignored: it takes mac, none or hexadecimal digits",
        ),
        ("netconsole=10.0.0.9", "netconsole='10.0.0.9' is ignored: not the kernel's form"),
        ("bootdev=a/b", "bootdev='a/b' is ignored: not an interface's name"),
        ('"ip=a b"', "ip='a b' is ignored: not the kernel's form"),
        ("ip=*", "ip='*' is ignored"),
        ("pxeinit.moed=farm", "unknown parameter 'pxeinit.moed=farm'"),
        ("pxeinit.", "unknown parameter 'pxeinit.'"),
        ("panic=soon", "panic='soon' is ignored"),
        ("init=sbin/init", "init='sbin/init' is ignored"),
        ("init=/../x", "init='/../x' is ignored"),
        ("nameserver=dns.lab", "nameserver='dns.lab' is ignored"),
        ("BOOTIF=01-52-54-00", "BOOTIF='01-52-54-00' is ignored"),
        ("BOOTIF=20-52-54-00-ab-cd-ef", "BOOTIF='20-52-54-00-ab-cd-ef' is ignored"),
    ],
)
def test_bad_words_are_dropped_with_a_warning(root: FakeRoot, word: str, said: str) -> None:
    values, console = parse(root, word)
    assert values == {}
    assert f"warning: {said}" in console
    assert len(console.splitlines()) == 1


def test_the_image_speaks_first_and_the_loader_last(root: FakeRoot) -> None:
    values, _ = parse(root, "panic=7", "panic=5 pxeinit.mode=ro init=/a -- quiet")
    assert values == {"panic": "7", "mode": "ro", "init": "/a"}


def test_a_line_without_newline_is_read_and_missing_files_are_not_missed(root: FakeRoot) -> None:
    root.write("proc/cmdline", b"quiet")
    root.place("etc/cmdline").unlink()
    assert root.run('read_params; echo "$param_quiet"').console == "yes\n"


@pytest.mark.parametrize(
    "name",
    [
        *("panic", "init", "nameserver", "BOOTIF", "bootdev", "netconsole"),
        *("pxeinit.mode", "pxeinit.break", "pxeinit.arp", "pxeinit.clientid", "pxeinit.x"),
    ],
)
def test_hostile_values_are_dropped_and_quoted_safely(root: FakeRoot, name: str) -> None:
    values = [value for value in HOSTILE if not (name == "init" and value.startswith("/"))]
    said = root.run(f'for v; do take_param "{name}=$v"; done; {SHOW}', *values)
    *words, last = said.console.splitlines()
    assert len(words) == len(values)
    for word in words:
        assert "warning: " in word
        assert word.isprintable()
        assert word.isascii()
        assert len(word) < 200
    assert [
        value for value in last.split("\0") if value.partition("=")[2] not in ("", *DEFAULTS.values())
    ] == []
    assert not root.place("canary").exists()


def test_what_the_kernel_plants_in_the_environment_has_no_effect(booting: FakeRoot) -> None:
    evil = booting.write("evil/mount", "#!/bin/sh\necho executed > /canary", 0o755)
    evil.with_name("env").write_bytes(evil.read_bytes())
    planted = {
        "PATH": "/evil", "IFS": "/", "ENV": "/evil/mount", "BASH_ENV": "/evil/mount", "PS4": "$(/evil/mount)",
        "param_init": "/evil", "param_mode": "ro", "lib": "/evil", "run_dir": "/evil", "root_server": "evil",
        "tree_init": "/evil", "new_root": "/evil", "LC_ALL": "C.UTF-8", "interface": "evil",
        "failure_codes": "evil", "ip_device": "evil0", "dev_folder": "/evil", "switch_way": "evil",
    }  # fmt: skip
    said = booting.boot("pxeinit.debug", env=planted)
    assert said.status == 0
    assert booting.calls("switch_root") == [["-c", "/dev/console", "/newroot", "/sbin/init"]]
    assert booting.state()["mode"] == "farm"
    assert not booting.place("canary").exists()
