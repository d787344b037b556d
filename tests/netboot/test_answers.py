"""Real DHCP servers with generated configurations: what is whose, in real exchanges."""

import os
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

import pytest

from mkpxeinit.netboot.parts import Subnet
from pxelab import Lab
from tests.netboot import sites
from tests.netboot.servers import DHCP_SERVERS, add_port, ask, ask_boot_server, serve_dhcp
from tests.netboot.sites import BENCH1, BENCH2, BENCH3, HTTP

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a laboratory needs root")

ASKS = [1, 3, 6, 12, 15, 17, 42, 43, 51, 54, 60, 66, 67]  # what firmware asks for, and pxeinit
OFFICE = "10.77.0.1:/srv/trees/office,vers=4.1,nconnect=4"
STRANGER = "52:54:00:77:09:{:02x}"


def request(
    number: int, arch: int | None = None, *, vendor: str = "PXEClient", mac: str | None = None, **more: str
) -> dict[str, Any]:
    """A DISCOVER as firmware of that architecture sends it; `more` are options in hexadecimal, `o77=`."""
    options = {key[1:]: value for key, value in more.items()}
    if arch is not None:
        options["93"] = f"{arch:04x}"
        options["94"] = "010310"
        options["60"] = f"{vendor}:Arch:{arch:05}:UNDI:003016".encode().hex()
    return {"mac": mac or STRANGER.format(number), "options": options, "asks": ASKS}


def text(answer: dict[str, dict[str, str]], option: int) -> str:
    return bytes.fromhex(answer["options"].get(str(option), "")).rstrip(b"\0").decode()


def addresses(answer: dict[str, dict[str, str]], option: int) -> list[str]:
    data = bytes.fromhex(answer["options"].get(str(option), ""))
    return [str(IPv4Address(data[at : at + 4])) for at in range(0, len(data), 4)]


@pytest.fixture(params=DHCP_SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab.open() as lab:
        yield lab


FIRMWARE = [
    (request(1, 0), "pxelinux.0"),
    (request(2), "pxelinux.0"),
    (request(3, 7), "grubnetx64.efi"),
    (request(4, 9), "grubnetx64.efi"),
    (request(5, 11), "grubnetaa64.efi"),
    (request(6, 16, vendor="HTTPClient"), f"{HTTP}snponly.efi"),
    (request(7, 19, vendor="HTTPClient"), f"{HTTP}ipxe-arm64.efi"),
    (request(8, 0, o77="69505845"), f"{HTTP}boot.ipxe"),
    (request(9, 7, o175="010101"), f"{HTTP}boot.ipxe"),
    (request(10, 6), ""),
]


def test_each_firmware_is_told_its_file(lab: Lab, server: str) -> None:
    serve_dhcp(lab, server, sites.rich(lab.folder))
    answers = ask(lab, add_port(lab), [asked for asked, _ in FIRMWARE])
    assert [answer and answer["file"] for answer in answers] == [file for _, file in FIRMWARE]
    for answer, (asked, file) in zip(answers, FIRMWARE, strict=True):
        if file and not file.startswith("http:"):
            assert answer["next_server"] == "10.77.0.1", asked


def test_firmware_without_a_loader_is_told_none(lab: Lab, server: str) -> None:
    """With Secure Boot nothing is known that could be loaded by HTTP."""
    serve_dhcp(lab, server, sites.rich(lab.folder, loaders=sites.secure()))
    pxe, http = ask(lab, add_port(lab), [request(1, 7), request(2, 16, vendor="HTTPClient")])
    assert pxe["file"] == "shimx64.efi"
    assert http is None or (http["file"], text(http, 67)) == ("", "")


def test_firmware_that_insists(lab: Lab, server: str) -> None:
    """Options 60 and 43 go to PXEClient, 60 alone to HTTPClient, neither to others."""
    serve_dhcp(lab, server, sites.rich(lab.folder))
    pxe, old, http, other = ask(
        lab,
        add_port(lab),
        [
            request(1, 7),
            request(2, 0),
            request(3, 16, vendor="HTTPClient"),
            request(4, o60=b"pxeinit".hex()),
        ],
    )
    for answer in (pxe, old):
        assert text(answer, 60) == "PXEClient"
        assert answer["options"]["43"].removesuffix("ff") == "060108"
    assert text(http, 60) == "HTTPClient"
    assert "43" not in http["options"]
    assert "43" not in other["options"]
    assert text(other, 60) == ""


def test_named_clients_and_others(lab: Lab, server: str) -> None:
    """Address, host name and tree by hardware address; option 17 to the letter, commas and all."""
    serve_dhcp(lab, server, sites.rich(lab.folder))
    port = add_port(lab)
    one, two, other = ask(lab, port, [request(0, mac=BENCH1), request(0, mac=BENCH2), request(3)])
    assert (one["address"], text(one, 12), text(one, 17)) == (
        "10.77.0.20",
        "bench1",
        "10.77.0.1:/srv/trees/bench",
    )
    assert (text(two, 12), text(two, 17)) == ("bench2", "10.77.0.1:/srv/trees/bench")
    assert (text(other, 12), text(other, 17)) == ("", OFFICE)
    for answer in (two, other):
        assert IPv4Address("10.77.0.100") <= IPv4Address(answer["address"]) <= IPv4Address("10.77.0.150")
    for answer in (one, two, other):
        assert addresses(answer, 3) == ["10.77.0.1"]
        assert addresses(answer, 6) == ["10.77.0.1", "10.77.0.2"]
        assert addresses(answer, 42) == ["10.77.0.3", "10.77.0.4"]
        assert text(answer, 15) == "lab.example"
        assert int(answer["options"]["51"], 16) == 7200


def test_client_of_another_subnet_is_not_misplaced(lab: Lab, server: str) -> None:
    """A reserved address of a network that is not here is not given out here."""
    serve_dhcp(lab, server, sites.rich(lab.folder))
    (answer,) = ask(lab, add_port(lab), [request(0, mac=BENCH3)])
    assert answer is None or answer["address"] != "10.78.3.3"


def test_nothing_but_what_was_asked_for(lab: Lab, server: str) -> None:
    """The plain site names no router, no script by HTTP, and every client its own host name."""
    serve_dhcp(lab, server, sites.plain(tftp_root=lab.folder))
    plain, ipxe, http = ask(
        lab,
        add_port(lab),
        [request(1, 7), request(2, 7, o175="010101"), request(3, 16, vendor="HTTPClient")],
    )
    assert addresses(plain, 3) == []
    assert (ipxe["file"], ipxe["next_server"]) == ("boot.ipxe", "10.77.0.1")
    assert http["file"] == ""
    assert text(http, 60) == ""


def test_proxy_gives_the_file_and_no_address(lab: Lab) -> None:
    """Beside another server: nothing but PXE's own options to the first question, the file to the second."""
    site = sites.rich(lab.folder, proxy=True, clients=(), subnets=(Subnet(sites.NETWORK),))
    serve_dhcp(lab, "dnsmasq", site)
    asked = [
        request(1, 0),
        request(2, 7),
        request(3, 9),
        request(4, 11),
        request(5, 0, o175="010101"),
        request(6, 7, o175="010101"),
    ]
    offers = ask(lab, add_port(lab), asked)
    for answer, again in zip(offers, asked, strict=True):
        assert answer["address"] == "0.0.0.0"
        assert text(answer, 60) == "PXEClient"
        assert not {"1", "3", "6", "12", "15", "17", "51"} & set(answer["options"])
        if "43" in answer["options"]:
            again["options"] |= {"43": boot_item(answer["options"]["43"])}
    (nobody,) = ask(lab, "client0", [request(7, o60=b"pxeinit".hex())])
    assert nobody is None
    files = [answer and (answer["file"], answer["next_server"]) for answer in ask_boot_server(lab, asked)]
    assert files == [
        ("pxelinux.0", "10.77.0.1"),
        ("grubnetx64.efi", "10.77.0.1"),
        ("grubnetx64.efi", "10.77.0.1"),
        ("grubnetaa64.efi", "10.77.0.1"),
        (f"{HTTP}boot.ipxe", "10.77.0.1"),
        (f"{HTTP}boot.ipxe", "10.77.0.1"),
    ]


def boot_item(menu: str) -> str:
    """Return the choice of the only item of a menu: PXE_BOOT_SERVERS (8) to PXE_BOOT_ITEM (71), layer 0."""
    data, at = bytes.fromhex(menu), 0
    found = []
    while data[at] != 255:
        if data[at] == 8:
            found.append(data[at + 2 : at + 4])
        at += 2 + data[at + 1]
    assert len(found) == 1
    return f"4704{found[0].hex()}0000ff"
