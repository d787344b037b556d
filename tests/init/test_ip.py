"""ip.sh: ip= in the kernel's forms and in dracut's, one or several."""

import pytest

from tests.init.fakeroot import FakeRoot, Result
from tests.init.test_check import HOSTILE

FIELDS = "mode client server gateway mask hostname device dns ntp mtu"
SHOW = (
    'echo "$ip_mode|$ip_client|$ip_server|$ip_gateway|$ip_mask|$ip_hostname|$ip_device|'
    '$ip_dns|$ip_ntp|$ip_mtu"'
)


def run(root: FakeRoot, cmdline: str, code: str = SHOW) -> Result:
    root.write("proc/cmdline", cmdline)
    return root.run(f"read_params; read_ip_param; {code}")


def fields(line: str) -> dict[str, str]:
    """The fields that are not empty."""
    pairs = zip(FIELDS.split(), line.strip("\n").split("|"), strict=True)
    return {name: value for name, value in pairs if value}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((word, {"mode": "dhcp"}) for word in ("", "dhcp", "on", "any", "both", "bootp")),
        ("auto6", {"mode": "auto6"}),
        ("dhcp6", {"mode": "dhcp6"}),
        ("either6", {"mode": "dhcp6"}),
        ("10.0.0.2", {"mode": "static", "client": "10.0.0.2"}),
        ("10.0.0.2::10.0.0.1", {"mode": "static", "client": "10.0.0.2", "gateway": "10.0.0.1"}),
        ("10.0.0.2:10.0.0.1", {"mode": "static", "client": "10.0.0.2", "server": "10.0.0.1"}),
        ("eth0:dhcp", {"mode": "dhcp", "device": "eth0"}),
        ("eth0:on:1400", {"mode": "dhcp", "device": "eth0", "mtu": "1400"}),
        ("eth0.5:auto6", {"mode": "auto6", "device": "eth0.5"}),
        (":::::eth1:dhcp", {"mode": "dhcp", "device": "eth1"}),
        (
            "10.0.0.2:10.0.0.1:10.0.0.254:255.255.0.0:c1:eth0:off",
            {
                "mode": "static",
                "client": "10.0.0.2",
                "server": "10.0.0.1",
                "gateway": "10.0.0.254",
                "mask": "255.255.0.0",
                "hostname": "c1",
                "device": "eth0",
            },
        ),
        (
            "10.0.0.2::::::none:1.1.1.1:8.8.8.8",
            {"mode": "static", "client": "10.0.0.2", "dns": "1.1.1.1 8.8.8.8"},
        ),
        ("10.0.0.2:::::::1.1.1.1", {"mode": "static", "client": "10.0.0.2", "dns": "1.1.1.1"}),
        ("10.0.0.2::::::off::8.8.8.8", {"mode": "static", "client": "10.0.0.2", "dns": "8.8.8.8"}),
        ("10.0.0.2::::::off:::10.0.0.9", {"mode": "static", "client": "10.0.0.2", "ntp": "10.0.0.9"}),
        ("10.0.0.2::::::dhcp:1.1.1.1", {"mode": "dhcp", "client": "10.0.0.2", "dns": "1.1.1.1"}),
        (
            "10.0.0.2::10.0.0.1:255.0.0.0::eth0:none:9000",
            {
                "mode": "static",
                "client": "10.0.0.2",
                "gateway": "10.0.0.1",
                "mask": "255.0.0.0",
                "device": "eth0",
                "mtu": "9000",
            },
        ),
        ("::::c1::dhcp", {"mode": "dhcp", "hostname": "c1"}),
        ("::::c1::off", {"mode": "dhcp", "hostname": "c1"}),
        ("::::::auto6", {"mode": "auto6"}),
    ],
)
def test_ip_in_its_forms(root: FakeRoot, value: str, expected: dict[str, str]) -> None:
    said = run(root, f"ip={value}")
    assert said.warnings == []
    assert fields(said.console) == expected


STATIC = {"mode": "static", "client": "10.0.0.2"}


@pytest.mark.parametrize(
    ("value", "expected", "warning"),
    [
        ("off", {"mode": "dhcp"}, "ip='off' is ignored: a network root needs an address"),
        ("none", {"mode": "dhcp"}, "ip='none' is ignored"),
        ("yes", {"mode": "dhcp"}, "ip='yes' is ignored: not a way to get an address"),
        ("rarp", {"mode": "dhcp"}, "not a way to get an address"),
        ("[2001:db8::2]::::::off", {"mode": "dhcp"}, "IPv6 addresses come by ip=auto6 alone"),
        ("a*b:dhcp", {"mode": "dhcp"}, "not the kernel's form"),
        ("a$b:dhcp", {"mode": "dhcp"}, "not the kernel's form"),
        ("-a:dhcp", {"mode": "dhcp"}, "not an interface's name"),
        ("eth0:dhcp:70", {"mode": "dhcp", "device": "eth0"}, "ip (its MTU)='70' is ignored"),
        ("eth0:dhcp::52:54:00:00:00:01", {"mode": "dhcp", "device": "eth0"}, "ip (its hardware address)"),
        ("300.0.0.2::::::off", {"mode": "dhcp"}, "ip (its client)='300.0.0.2' is ignored"),
        ("10.0.0.2:0.0.0.0:::::off", STATIC, "ip (its server)='0.0.0.0'"),
        ("10.0.0.2::0.0.0.0::::off", STATIC, "ip (its gateway)"),
        (
            "10.0.0.2:::255.0.0.255:::off",
            STATIC,
            "ip (its mask)='255.0.0.255' is ignored: not a netmask; 255.255.255.0",
        ),
        ("10.0.0.2::::-c::off", STATIC, "ip (its host name)='-c'"),
        ("10.0.0.2:::::..:off", STATIC, "ip (its device)='..'"),
        ("10.0.0.2::::::rarp", {"mode": "dhcp", "client": "10.0.0.2"}, "ip='rarp' is ignored"),
        ("10.0.0.2::::::off:dns.lab", STATIC, "ip (its DNS server)='dns.lab'"),
        ("10.0.0.2::::::off::dns.lab", STATIC, "ip (its DNS server)='dns.lab'"),
        ("10.0.0.2::::::off:::pool.ntp.org", STATIC, "ip (its NTP server)='pool.ntp.org'"),
        ("10.0.0.2::::::off::::more", STATIC, "ip (what follows its NTP server)='more'"),
        ("10.0.0.2::::::off:1400:52:54:00:00:00:01", {**STATIC, "mtu": "1400"}, "ip (its hardware address)"),
    ],
)
def test_what_is_wrong_in_ip_is_dropped(
    root: FakeRoot, value: str, expected: dict[str, str], warning: str
) -> None:
    said = run(root, f"ip={value}")
    *warnings, shown = said.console.strip().splitlines()
    assert fields(shown) == expected
    assert len(warnings) == 1
    assert warning in warnings[0]


@pytest.mark.parametrize(
    ("cmdline", "main", "more"),
    [
        ("ip=eth0:dhcp ip=10.0.1.2:::::eth1:off", "eth0", ["10.0.1.2:::::eth1:static::::"]),
        ("ip=10.0.1.2:::::eth1:off ip=eth0:dhcp", "eth1", [":::::eth0:dhcp::::"]),
        ("ip=a:dhcp ip=b:dhcp ip=c:dhcp bootdev=b", "b", [":::::a:dhcp::::", ":::::c:dhcp::::"]),
        ("ip=a:dhcp ip=b:dhcp bootdev=z", "a", [":::::b:dhcp::::"]),
        ("ip=dhcp bootdev=eth2", "eth2", []),
        ("bootdev=eth2", "eth2", []),
        ("ip=nonsense ip=eth1:dhcp", "eth1", []),
        ("ip=nonsense", "", []),
    ],
)
def test_several(root: FakeRoot, cmdline: str, main: str, more: list[str]) -> None:
    said = run(root, cmdline, 'echo "$ip_device"; echo $ip_more')
    device, others = said.console.split("\n")[-3:-1]
    assert device == main
    assert others.split() == more


def test_the_loaders_lines_replace_the_images(root: FakeRoot) -> None:
    root.write("etc/cmdline", "ip=eth0:dhcp ip=eth1:dhcp")
    assert run(root, "quiet", 'echo "$ip_device$ip_more"').console.split() == ["eth0", ":::::eth1:dhcp::::"]
    assert run(root, "ip=10.0.0.2", 'echo "$ip_client$ip_more"').console.split() == ["10.0.0.2"]


def test_loading_twice_is_loading_once(root: FakeRoot) -> None:
    said = run(
        root, "ip=10.0.0.2:10.0.0.1::::eth0:off:1.1.1.1::10.0.0.9:", f'{SHOW}; load_ip "$ip_main"; {SHOW}'
    )
    first, second = said.console.splitlines()
    assert first == second


def test_hostile_values_are_data(root: FakeRoot) -> None:
    for form in (
        "{}",
        "{}:dhcp",
        "10.0.0.2::::{}:eth0:off",
        "eth0:dhcp:{}",
        "10.0.0.2:{}:{}:{}:{}:{}:{}:{}:{}:{}",
    ):
        values = [form.replace("{}", value) for value in HOSTILE]
        said = root.run(
            f'for v; do param_ip=; param_ip_file=; take_ip "$v"; read_ip_param; {SHOW}; done', *values
        )
        for line in said.console.splitlines():
            assert line.isprintable() and line.isascii()
            if "|" in line and "warning" not in line:
                assert set(line) <= set(
                    "abcdefghijklmnopqrstuvwxyz0123456789.|- ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                ), line
        assert not root.place("canary").exists()


MASKS = {f"{(0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF:032b}": bits for bits in range(33)}


def test_masks(root: FakeRoot) -> None:
    good = {
        ".".join(str(int(mask[at : at + 8], 2)) for at in range(0, 32, 8)): bits
        for mask, bits in MASKS.items()
    }
    said = root.run('for m; do mask_to_prefix "$m" && echo $prefix; done', *good)
    assert [int(word) for word in said.console.split()] == list(good.values())


def test_masks_with_holes(root: FakeRoot) -> None:
    bad = [
        "255.0.255.0",
        "255.255.0.128",
        "254.255.0.0",
        "255.255.255.1",
        "255.255.255",
        "24",
        "",
        "1.1.1.1",
        "x",
        "*",
    ]
    assert root.run('for m; do mask_to_prefix "$m" && echo "$m"; done', *bad).console == ""
