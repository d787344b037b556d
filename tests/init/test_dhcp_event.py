"""dhcp-event: what a server says becomes one checked value a file, or nothing."""

import shutil

import pytest

from tests.init.fakeroot import FakeRoot, Result
from tests.init.test_check import HOSTILE

ANSWER = {
    "interface": "eth0", "ip": "10.0.2.15", "subnet": "255.255.255.0", "mask": "24", "lease": "86400",
    "router": "10.0.2.2 10.0.2.3", "dns": "10.0.2.3 1.1.1.1", "ntpsrv": "10.0.2.4", "domain": "lab",
    "search": "lab example.org", "hostname": "c1", "siaddr": "10.0.2.5", "serverid": "10.0.2.6",
    "mtu": "1400", "rootpath": "nfs:[fd00::1]:/srv/a b,vers=4.2", "boot_file": "pxelinux.0",
    "staticroutes": "0.0.0.0/0 10.0.2.2 10.1.0.0/16 10.0.2.3", "opt58": "00000e10", "opt59": "00002a30",
    "msstaticroutes": "10.9.0.0/16 10.0.2.9", "tftp": "10.0.2.7", "bootfile": "other.0",
}  # fmt: skip
FILES = {
    "router": "router", "dns": "dns", "ntpsrv": "ntp", "domain": "domain", "search": "search",
    "hostname": "hostname", "siaddr": "next-server", "serverid": "server", "lease": "lease-seconds",
    "mtu": "mtu", "rootpath": "root-path", "boot_file": "boot-file", "mask": "prefix",
}  # fmt: skip
KEPT = {
    "address": "10.0.2.15", "obtained": "3.00", "routes": "0.0.0.0/0,10.0.2.2 10.1.0.0/16,10.0.2.3",
    "t1": "3600", "t2": "10800", **{file: ANSWER[name] for name, file in FILES.items()},
}  # fmt: skip


def event(root: FakeRoot, values: dict[str, str], what: str = "bound") -> Result:
    """One event; the client has taken away what an earlier question brought."""
    if what == "bound":
        shutil.rmtree(root.folder("run/pxeinit/lease"))
    root.folder("run/pxeinit/lease")
    return root.execute("/lib/pxeinit/dhcp-event", what, env=values)


def lease(root: FakeRoot, interface: str = "eth0") -> dict[str, str | None]:
    base = f"run/pxeinit/lease/{interface}"
    return (
        {name: root.read(f"{base}/{name}") for name in root.names(base)} if root.place(base).exists() else {}
    )


def snapshot(root: FakeRoot) -> set[str]:
    """All that exists, but the fakes' own notes and the client's folder."""
    found = {str(path.relative_to(root.path)) for path in root.path.rglob("*")}
    return {name for name in found if not name.startswith(("run/", "fake/"))}


@pytest.mark.parametrize("what", ["bound", "renew"])
def test_an_answer_is_kept_a_value_a_file(root: FakeRoot, what: str) -> None:
    said = event(root, ANSWER, what)
    assert (said.status, said.console) == (0, "")
    assert lease(root) == KEPT
    assert root.names("run/pxeinit/lease") == ["eth0"]


def test_a_short_answer(root: FakeRoot) -> None:
    event(root, {"interface": "eth0", "ip": "10.0.2.15"})
    assert lease(root) == {"address": "10.0.2.15", "prefix": "24", "obtained": "3.00"}


def test_a_new_answer_replaces_the_old_one_whole(root: FakeRoot) -> None:
    event(root, ANSWER)
    event(root, {"interface": "eth0", "ip": "10.0.2.16", "mask": "16"}, "renew")
    assert lease(root) == {"address": "10.0.2.16", "prefix": "16", "obtained": "3.00"}


def test_an_answer_that_is_there_stays(root: FakeRoot) -> None:
    """A script that outlived its udhcpc may come any time."""
    event(root, ANSWER)
    other = {"interface": "eth0", "ip": "10.0.2.99"}
    assert root.execute("/lib/pxeinit/dhcp-event", "bound", env=other).status == 0
    assert lease(root) == KEPT
    assert root.names("run/pxeinit/lease") == ["eth0"]


@pytest.mark.parametrize("what", ["deconfig", "leasefail", "", "$(touch /canary)"])
def test_other_events_change_nothing(root: FakeRoot, what: str) -> None:
    event(root, ANSWER)
    event(root, {**ANSWER, "ip": "10.9.9.9"}, what)
    assert lease(root) == KEPT


def test_a_refusal_is_told(root: FakeRoot) -> None:
    said = event(root, {"interface": "eth0", "message": "wrong\nnetwork $(touch /canary)"}, "nak")
    assert said.warnings == ["DHCP on eth0: the server says no: 'wrong?network $(touch /canary)'"]
    assert lease(root) == {}


def test_what_stands_in_for_what(root: FakeRoot) -> None:
    other = {"siaddr": "", "tftp": "tftp.lab", "boot_file": "", "staticroutes": ""}
    event(root, {**ANSWER, **other})
    kept = lease(root)
    assert kept["next-server"] == "tftp.lab"
    assert kept["boot-file"] == "other.0"
    assert kept["routes"] == "10.9.0.0/16,10.0.2.9"


@pytest.mark.parametrize(
    ("t1", "t2", "expected"),
    [
        ("", "", ("43200", "75600")),
        ("00000000", "ffffffff", ("43200", "75600")),
        ("00015180", "00015181", ("86400", "75600")),
        ("0000", "000000000e10", ("43200", "75600")),
        ("$(touch /canary)", "zzzzzzzz", ("43200", "75600")),
    ],
)
def test_renewal_times(root: FakeRoot, t1: str, t2: str, expected: tuple[str, str]) -> None:
    event(root, {"interface": "eth0", "ip": "10.0.2.15", "lease": "86400", "opt58": t1, "opt59": t2})
    kept = lease(root)
    assert (kept["t1"], kept["t2"]) == expected


def test_without_a_lease_time_there_is_nothing_to_renew(root: FakeRoot) -> None:
    event(root, {"interface": "eth0", "ip": "10.0.2.15", "opt58": "00000e10"})
    assert lease(root).keys() == {"address", "prefix", "obtained"}


@pytest.mark.parametrize("name", ["hostname", "domain"])
def test_what_udhcpc_spoilt_is_dropped(root: FakeRoot, name: str) -> None:
    said = event(root, {"interface": "eth0", "ip": "10.0.2.15", name: "bad"})
    assert said.warnings == [f"DHCP on eth0: {name} 'bad' is dropped: not valid"]
    assert name not in lease(root)


def test_an_ipv6_address(root: FakeRoot) -> None:
    event(root, {"interface": "eth0", "ipv6": "fd00::5"})
    assert lease(root) == {"address6": "fd00::5/128"}
    for bad in (
        "fd00::$(touch /canary)",
        "fe80::1",
        "ff02::1",
        "::",
        "::1",
        "0000:0000:0000:0000:0000:0000:0000:0001",
        "0:0:0:0:0:0:0:0",
        "10.0.0.1",
        "fd00:::1",
        "x",
        "a" * 60,
    ):
        said = event(root, {"interface": "eth0", "ipv6": bad})
        assert said.status == 1
        assert "is not one that a host can have" in said.warnings[0]
        assert lease(root) == {}


def test_what_comes_with_an_ipv6_address(root: FakeRoot) -> None:
    values = {
        "lease": "600",
        "dns": "fd00::1 $(touch /canary) 10.0.0.1 fd00::2",
        "search": "lab ../x a_b",
        "router": "1",
    }
    said = event(root, {"interface": "eth0", "ipv6": "fd00::5", **values})
    kept = {"address6": "fd00::5/128", "dns": "fd00::1 fd00::2", "search": "lab"}
    assert lease(root) == kept
    assert len(said.warnings) == 5
    for time in ("never", "4294967295", "$(touch /canary)"):
        event(root, {"interface": "eth0", "ipv6": "fd00::6", "lease": time})
        assert lease(root).get("lease-seconds", "no") == (time if time == "4294967295" else "no")


OTHERS = {
    "staticroutes": "routes", "msstaticroutes": "routes", "opt58": "t1", "opt59": "t2", "tftp": "next-server",
    "bootfile": "boot-file",
}  # fmt: skip
LETTERS = set("abcdefghijklmnopqrstuvwxyz0123456789-.")
CHARACTERS = {
    "routes": set("0123456789./, "),
    "t1": set("0123456789"),
    "t2": set("0123456789"),
    "next-server": LETTERS,
    "boot-file": LETTERS | set("/[],"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_hostile_values_of_other_options_are_dropped(root: FakeRoot, name: str) -> None:
    before = snapshot(root)
    for value in (*HOSTILE, "10.0.0.0/8 $(touch /canary)", "10.0.0.0/8 10.0.0.1 x", "* *"):
        said = event(root, {"interface": "eth0", "ip": "10.0.2.15", "lease": "60", name: value})
        assert said.status == 0
        kept = lease(root).get(OTHERS[name])
        assert set(kept or "") <= CHARACTERS[OTHERS[name]]
        assert all(line.isprintable() and line.isascii() for line in said.console.splitlines())
    assert snapshot(root) == before


@pytest.mark.parametrize("name", FILES)
def test_hostile_values_are_dropped(root: FakeRoot, name: str) -> None:
    before = snapshot(root)
    plain = {"interface": "eth0", "ip": "10.0.2.15", "mask": "24"}
    for value in HOSTILE:
        said = event(root, {**plain, name: value})
        assert said.status == 0
        kept = lease(root).get(FILES[name])
        if name == "mask":
            assert kept == "24"
        elif name in ("rootpath", "boot_file"):
            # Their parts are checked again by the root phase; nothing that a shell reads differently is kept.
            assert kept is None or (
                kept == value and not set(value) & set("\n\t\r;|&<>'\"\\`$(){}*?!#\x1b\x7f")
            )
        else:
            # Lists keep what is valid among their words.
            assert set((kept or "").split()) <= set(value.split())
            assert kept is None or not set(kept) & set("$`;&|<>'\"\\*?!#{}()[]\n\t\x1b")
        assert all(line.isprintable() and line.isascii() for line in said.console.splitlines())
        assert len(said.console) < 200 + 150 * len(value.split())
    assert snapshot(root) == before
    assert lease(root).keys() <= {"address", "prefix", "obtained", "t1", "t2", FILES[name]}


@pytest.mark.parametrize(
    "name", ["ip", "interface", "message", "opt53", "subnet", "PATH", "IFS", "ENV", "folder"]
)
def test_hostile_variables_execute_nothing(root: FakeRoot, name: str) -> None:
    before = snapshot(root)
    for value in (*HOSTILE, "../../../canary", "/canary", "eth0/../../../../canary", "a/b"):
        for what in ("bound", "nak"):
            event(root, {"interface": "eth0", "ip": "10.0.2.15", name: value}, what)
    assert snapshot(root) == before
    assert set(root.names("run/pxeinit/lease")) <= {"eth0"}


@pytest.mark.parametrize(
    "address", ["", "0.0.0.0", "127.0.0.1", "255.255.255.255", "10.0.2", "10.0.2.15 10.0.2.16"]
)
def test_an_address_that_no_host_has_is_no_lease(root: FakeRoot, address: str) -> None:
    said = event(root, {**ANSWER, "ip": address})
    assert said.status == 1
    assert "is not one that a host can have" in said.console
    assert lease(root) == {}


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("staticroutes", "10.0.0.0/8 10.0.0.1 x y", "10.0.0.0/8,10.0.0.1"),
        ("staticroutes", "10.0.0.0/8", None),
        ("mask", "0", "24"),
        ("mask", "33", "24"),
        ("mask", "255.255.0.0", "24"),
        ("mask", "32", "32"),
        ("mtu", "575", None),
        ("mtu", "65536", None),
        ("mtu", "576", "576"),
        ("router", "10.0.2.2 evil 10.0.2.3", "10.0.2.2 10.0.2.3"),
        ("dns", "* /bin/*", None),
        ("search", "lab $(touch /canary) -x b.c", "lab b.c"),
        ("siaddr", "0.0.0.0", None),
        ("rootpath", "x" * 1025, None),
        ("boot_file", "x" * 256, None),
        ("boot_file", "x" * 255, "x" * 255),
        ("rootpath", "x" * 1024, "x" * 1024),
        ("lease", "4294967295", "4294967295"),
    ],
)
def test_limits(root: FakeRoot, name: str, value: str, kept: str | None) -> None:
    said = event(root, {"interface": "eth0", "ip": "10.0.2.15", name: value})
    assert lease(root).get({**FILES, **OTHERS}[name]) == kept
    assert bool(said.warnings) == (kept != value)
