"""check.sh: each allow-list against a table of bad values, and against an oracle of Python's."""

import ipaddress
import os
import re
from collections.abc import Callable, Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.init.fakeroot import FakeRoot

# What no check may ever let through.
HOSTILE = (
    "", " ", "\n", "a\nb", "1\n", "\n1", "$(touch /canary)", "`touch /canary`", "${PATH}", "a;b", "a|b",
    "a&b", "a>b", "'", '"', "\\", "a'b", 'a"b', "*", "?", "[a]", "a{b,c}", "!", "#", "\t", "\r", "\x7f",
    "\x1b[31m", "é", "\udcff", "-n", "--help", "..", "../..", "x" * 3000, "1" * 3000, "/" * 3000,
    "1.2.3.4 ", " 1.2.3.4", "eth0\n", "a,b c", ";touch /canary;",
    "';touch /canary;'", '";touch /canary;"', "\n touch /canary\n",
)  # fmt: skip
GOOD = {
    "is_number": ("0", "007", "4294967295", "9999999999"),
    "is_seconds": ("0", "-1", "30"),
    "is_ipv4": ("0.0.0.0", "255.255.255.255", "10.0.2.15"),
    "is_host_ipv4": ("10.0.2.15", "1.0.0.0", "169.254.1.1", "223.255.255.254"),
    "is_ipv6": ("::1", "fe80::1", "2001:db8::5054:ff:fe12:3456", "::ffff:10.0.0.1"),
    "is_hostname": (
        "a",
        "nfs",
        "nfs.lab",
        "A-1.example.org",
        "10.0.0.1",
        "a.",
        "x" * 63,
        ".".join(["x" * 63] * 3 + ["x" * 61]),
    ),
    "is_path": ("/", "/srv/tree", "/a b", "/a..b/c", "/...", "/srv/%s", "/a:b", "/" + "x" * 1023),
    "is_mount_options": ("", "vers=4.2,proto=tcp", "rsize=1048576", "addr=::1"),
    "is_interface": ("eth0", "enp0s3", "eno1.100", "a" * 15, "wan_2-x"),
    "is_mac": ("52:54:00:12:34:56", "AA:bb:CC:dd:EE:ff"),
    "is_mtu": ("576", "1500", "9000", "65535"),
    "is_route": ("0.0.0.0/0,10.0.0.1", "10.1.0.0/16,0.0.0.0", "10.1.2.3/32,10.0.0.1"),
    "is_vendor": ("pxeinit", "PXEClient:Arch:00007:UNDI:003016", "a/b_c.d-e"),
    "is_client_id": ("mac", "none", "0152", "01525400123456", "FFfe"),
    "is_netconsole": (
        "@/,@10.0.0.9/",
        "6665@10.0.0.2/eth0,6666@10.0.0.9/52:54:00:12:34:56",
        "+r@/,@fd00::1/",
    ),
}
BAD = {
    "is_number": ("-1", "+1", "1.0", "0x10", "99999999999", "1 2"),
    "is_seconds": ("-", "--1", "1-", "1s"),
    "is_ipv4": (
        "1.2.3",
        "1.2.3.4.5",
        "1..2.3",
        ".1.2.3",
        "1.2.3.4.",
        "01.2.3.4",
        "256.1.1.1",
        "1.2.3.0x4",
        "1.2.3.1e",
    ),
    "is_host_ipv4": ("0.0.0.0", "127.0.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    "is_ipv6": ("1", "1:2", ":::", "fe80::1%eth0", "g::1", "[::1]", ":" * 2 + "1" * 45),
    "is_hostname": (
        ".a",
        "a..b",
        "-a",
        "a-",
        "a.-b",
        "a_b",
        "a..",
        "x" * 64,
        ".".join(["x" * 63] * 3 + ["x" * 62]),
        "a:b",
    ),
    "is_path": (
        "a",
        "srv/tree",
        "/a/../b",
        "/..",
        "/a/..",
        "/a,b",
        "/a$b",
        "/" + "x" * 1024,
        "/a\\040b",
        "/a[b]",
    ),
    "is_mount_options": ("a b", "a;b", "a/b", "x" * 513),
    "is_interface": (".", "..", "a/b", "a" * 16, "-a", "eth0:1", "a b"),
    "is_mac": (
        "52:54:00:12:34",
        "52:54:00:12:34:56:78",
        "52-54-00-12-34-56",
        "5g:54:00:12:34:56",
        "525400123456",
    ),
    "is_mtu": ("575", "65536", "0", "99999999999"),
    "is_route": (
        "10.0.0.0/33,10.0.0.1",
        "10.0.0.0/8",
        "10.0.0.0,10.0.0.1",
        "10.0.0.0/8,x",
        "10.0.0/8,10.0.0.1",
        "10.0.0.0/8,10.0.0.1,10.0.0.2",
        "10.0.0.0/,10.0.0.1",
        "/8,10.0.0.1",
        ",",
        "/,",
    ),
    "is_vendor": ("-x", "a b", "x" * 129, "a,b"),
    "is_client_id": ("01", "015", "0x0152", "0g52", "1" * 130, "uuid", "MAC"),
    "is_netconsole": (
        "10.0.0.9",
        "@10.0.0.9",
        "@/,10.0.0.9/",
        "/,@10.0.0.9/",
        "@/,@10.0.0.9",
        "@/,@a b/",
        "@/,@/" + "x" * 200,
    ),
}


def ask(root: FakeRoot, check: str, values: Iterable[str]) -> list[bool]:
    """One shell for all the values."""
    listed = [value for value in values]
    said = root.run(f'for v; do if {check} "$v"; then echo yes; else echo no; fi; done', *listed)
    assert set(said.console.split()) <= {"yes", "no"}, said.console
    assert not root.place("canary").exists()
    answers = [word == "yes" for word in said.console.split()]
    assert len(answers) == len(listed)
    return answers


@pytest.mark.parametrize("check", GOOD)
def test_good_values_pass(root: FakeRoot, check: str) -> None:
    assert dict(zip(GOOD[check], ask(root, check, GOOD[check]), strict=True)) == dict.fromkeys(
        GOOD[check], True
    )


@pytest.mark.parametrize("check", GOOD)
def test_bad_values_do_not(root: FakeRoot, check: str) -> None:
    allowed = {
        "is_mount_options": {"", "-n", "--help", "..", "x" * 100},
        "is_path": {"/" * 100},
        # A class is only ever compared.
        "is_vendor": {"..", "../.."},
    }
    bad = [value for value in (*HOSTILE, *BAD[check]) if value not in allowed.get(check, set())]
    assert dict(zip(bad, ask(root, check, bad), strict=True)) == dict.fromkeys(bad, False)


def _python_ipv4(value: str) -> bool:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return value.isascii()


ORACLES: dict[str, Callable[[str], bool]] = {
    "is_number": lambda value: re.fullmatch(r"[0-9]{1,10}", value) is not None,
    "is_seconds": lambda value: re.fullmatch(r"-?[0-9]{1,10}", value) is not None,
    "is_ipv4": _python_ipv4,
    "is_interface": lambda value: re.fullmatch(r"(?!\.{1,2}$|-)[a-zA-Z0-9_.-]{1,15}", value) is not None,
    "is_mac": lambda value: re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", value) is not None,
    "is_hostname": lambda value: (
        re.fullmatch(r"(?!-)[a-zA-Z0-9-]{1,63}(?<!-)(\.(?!-)[a-zA-Z0-9-]{1,63}(?<!-))*\.?", value) is not None
        and len(value) <= 253
    ),
    "is_path": lambda value: (
        re.fullmatch(r"/[a-zA-Z0-9/._@%+=:~ -]*", value) is not None
        and ".." not in value.split("/")
        and len(value) <= 1024
    ),
}
_BYTES = st.binary(max_size=40).filter(lambda data: b"\0" not in data).map(os.fsdecode)
_NEAR = st.text(st.sampled_from("0123456789aAfF.:/-_ ,\n$'\"*"), max_size=20)
_QUADS = st.lists(st.integers(0, 300).map(str), min_size=3, max_size=5).map(".".join)
_MACS = st.lists(st.sampled_from(["00", "aF", "9", "gg", "52"]), min_size=5, max_size=7).map(":".join)


@pytest.mark.parametrize("check", ORACLES)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(values=st.lists(_BYTES | _NEAR | _QUADS | _MACS, min_size=60, max_size=200))
def test_the_checks_agree_with_their_oracle(root: FakeRoot, check: str, values: list[str]) -> None:
    expected = [ORACLES[check](value) for value in values]
    assert list(zip(values, ask(root, check, values), strict=True)) == list(
        zip(values, expected, strict=True)
    )
