"""dhcp.sh: rounds on all interfaces at once, which lease is of use, and what the servers are asked."""

import pytest

from tests.init.fakeroot import DOOMSDAY, LEASE, FakeRoot, Result
from tests.init.test_lease import run

# Shell code for udhcpc: until the fake clock, which the client's looks move on, shows 8 s; for ever.
UNTIL_8 = 'while read -r now rest < /proc/uptime; [ "${now%%.*}" -lt 8 ]; do :; done'
FOR_EVER = "while :; do :; done"
USELESS = {name: value for name, value in LEASE.items() if name != "rootpath"}


def asked(root: FakeRoot) -> list[list[str]]:
    """The arguments of each question, without the one for help."""
    return [words for words in root.calls("udhcpc") if words != ["--help"]]


def option(words: list[str], name: str) -> list[str]:
    return [words[number + 1] for number, word in enumerate(words) if word == name]


def vendors(root: FakeRoot) -> list[str]:
    return [option(words, "-V")[0] for words in asked(root)]


def test_the_question(root: FakeRoot) -> None:
    root.nic()
    root.dhcp()
    run(root)
    (words,) = asked(root)
    assert {"-n", "-q", "-f", "-a300"} < set(words)
    assert option(words, "-i") == ["eth0"]
    assert option(words, "-s") == ["/lib/pxeinit/dhcp-event"]
    assert option(words, "-V") == ["pxeinit"]
    assert option(words, "-t") == ["3"]
    assert {"rootpath", "mtu", "search", "ntpsrv", "staticroutes", "58", "59"} < set(option(words, "-O"))
    assert option(words, "-x") == option(words, "-r") == []
    assert "-C" not in words


def test_whoever_renews_it_finds_how_it_was_asked_for(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(values=USELESS)
    base = "run/pxeinit/lease/eth0"
    run(root, "pxeinit.clientid=0102")
    assert [root.read(f"{base}/{name}") for name in ("vendor-class", "client-id")] == ["pxeinit", "0102"]
    root.dhcp()
    run(root, "pxeinit.vendor=office")
    assert [root.read(f"{base}/{name}") for name in ("vendor-class", "client-id")] == ["office", "mac"]


@pytest.mark.parametrize(
    ("cmdline", "has", "has_not"),
    [
        ("pxeinit.arp=no", [], ["-a300"]),
        ("pxeinit.clientid=none", ["-C"], ["-x"]),
        ("pxeinit.clientid=0102ff", ["-C", "0x3d:0102ff"], []),
        ("pxeinit.vendor=office", ["office"], ["pxeinit"]),
        ("pxeinit.vendor=PXEClient:x", ["PXEClient:x", "0x5d:0000", "0x5e:010310"], ["pxeinit"]),
    ],
)
def test_what_can_be_asked_otherwise(
    root: FakeRoot, cmdline: str, has: list[str], has_not: list[str]
) -> None:
    root.nic()
    root.dhcp()
    run(root, cmdline)
    (words,) = asked(root)
    assert set(has) <= set(words)
    assert not set(has_not) & set(words)


@pytest.mark.parametrize("word", ["invalid option -- ", "unrecognized option: "])
@pytest.mark.parametrize(
    ("refused", "asked_with"),
    [([], ["-a300"]), (["-a300"], ["-a300", "-a"]), (["-a300", "-a"], ["-a300", "-a", ""])],
)
def test_a_busybox_that_cannot_probe(
    root: FakeRoot, refused: list[str], asked_with: list[str], word: str
) -> None:
    """It is asked again at once with less, and without a round being lost."""
    root.nic()
    root.dhcp()
    for option in refused:
        root.fake("udhcpc", when=f"{option} ", fails=1, says=f"udhcpc: {word}'3'")
    said = run(root)
    assert said.warnings == said.codes == []
    assert [" ".join(w for w in words if w.startswith("-a")) for words in asked(root)] == asked_with
    assert vendors(root) == ["pxeinit"] * len(asked_with)


def test_an_option_that_is_not_the_probe(root: FakeRoot) -> None:
    root.nic()
    root.fake("udhcpc", when="-f ", fails=1, says="udhcpc: invalid option -- 'O'")
    said = finish(root)
    assert said.reports("PXE-INIT-lease-none")
    assert len(asked(root)) == 5


def test_a_lease_without_root_path_is_of_no_use_while_one_is_needed(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(values=LEASE)
    root.dhcp(values=USELESS, fails=[0, -1])
    said = run(root)
    assert said.warnings == said.codes == []
    assert "the answer on eth0 has no root-path, and the command line none: asking on" in said.console
    assert root.read("run/pxeinit/lease/eth0/root-path") == "/srv/tree"
    # Other servers give a root-path to the class PXEClient alone.
    assert vendors(root) == ["pxeinit", "PXEClient:Arch:00000:UNDI:003016"]


@pytest.mark.parametrize(
    "cmdline", ["nfsroot=/x", "root=nfs:/x", "root=/dev/sda1", "root=/dev/nfs nfsroot=/x"]
)
def test_without_the_need_any_lease_is_of_use(root: FakeRoot, cmdline: str) -> None:
    root.nic()
    root.dhcp(values=USELESS)
    said = run(root, cmdline)
    assert len(asked(root)) == 1
    assert said.console.endswith("status 0\n")


@pytest.mark.parametrize("cmdline", ["", "root=/dev/nfs", "root=nfs", "root=nfs4:"])
def test_when_no_better_comes_a_useless_lease_is_taken(root: FakeRoot, cmdline: str) -> None:
    root.nic()
    root.dhcp(values=USELESS)
    said = run(root, cmdline)
    assert said.warnings == ["no lease with a root-path came; the one of 10.0.2.2 on eth0 is taken"]
    assert said.console.endswith("status 0\n")
    assert vendors(root) == ["pxeinit", "PXEClient:Arch:00000:UNDI:003016", "pxeinit"]
    assert root.calls("sleep") == [["1"], ["1"]]


def test_a_given_class_stays(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(values=USELESS)
    run(root, "pxeinit.vendor=office")
    assert vendors(root) == ["office"] * 3


@pytest.mark.parametrize(
    ("efi", "arch", "shown", "sent"),
    [
        (False, "", "00000", "0000"),
        (True, "", "00007", "0007"),
        (True, "x86_64", "00007", "0007"),
        (True, "aarch64", "00011", "000b"),
    ],
)
def test_a_question_like_a_roms(root: FakeRoot, efi: bool, arch: str, shown: str, sent: str) -> None:
    root.nic()
    root.dhcp()
    root.write("sys/class/dmi/id/product_uuid", "00112233-4455-6677-8899-aabbccddeeff")
    if efi:
        root.folder("sys/firmware/efi")
    if arch:
        root.write("proc/sys/kernel/arch", arch)
    run(root, code="dhcp_useless=yes; choose_vendor 2; ask_round")
    (words,) = asked(root)
    assert option(words, "-V") == [f"PXEClient:Arch:{shown}:UNDI:003016"]
    assert option(words, "-x") == [
        f"0x5d:{sent}",
        "0x5e:010310",
        "0x6100112233445566778899aabbccddeeff".replace("0x61", "0x61:00", 1),
    ]


@pytest.mark.parametrize(
    "text", ["", "Not Settable", "0011-22", "$(touch /canary)-4455-6677-8899-aabbccddeeff", "x" * 32]
)
def test_a_uuid_that_is_none(root: FakeRoot, text: str) -> None:
    root.write("sys/class/dmi/id/product_uuid", text)
    assert root.run('read_uuid; echo "[$uuid]"').console == "[]\n"


def test_udhcpc_that_succeeds_without_a_lease_is_asked_again(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(values={"ip": "127.0.0.1"})
    root.write("proc/uptime", f"{DOOMSDAY - 100}.00 1.00")
    said = run(root)
    assert said.status == -9
    assert "PXE-INIT-lease-none" in said.codes
    assert "is not one that a host can have" in (root.read("run/pxeinit/log") or "")


def test_addresses_in_use(root: FakeRoot) -> None:
    root.nic()
    root.fake(
        "udhcpc", when=" -f ", fails=1, says="udhcpc: offered address is in use (got ARP reply), declining"
    )
    said = run(root, "panic=5")
    assert said.reports("PXE-INIT-lease-duplicate")
    assert said.codes == ["PXE-INIT-lease-duplicate"]
    assert said.console.endswith("status 1\n")
    assert (root.read("run/pxeinit/udhcpc.log") or "").count("eth0: udhcpc: offered address is in use") == 3


def test_three_quick_rounds_then_growing_delays(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(fails=[1] * 7 + [0])
    root.fake("od", prints="0")
    said = run(root)
    assert said.console.endswith("status 0\n")
    assert said.reports("PXE-INIT-lease-none")
    assert said.codes == ["PXE-INIT-lease-none"]
    assert "52:54:00:12:34:56" in said.console
    # Second by second, for a link may come meanwhile.
    assert root.calls("sleep") == [["1"]] * (1 + 2 + 4 + 8 + 10)
    order = [words[0] for words in root.all_calls() if words[0] == "sleep" or "-f" in words]
    assert order[:5] == ["udhcpc", "udhcpc", "udhcpc", "sleep", "udhcpc"]
    waits = [line for line in said.console.splitlines() if "then trying again: a DHCP answer on eth0" in line]
    assert [line.split("waiting ")[1].split()[0] for line in waits] == ["1", "2", "4", "8", "10"]


@pytest.mark.parametrize("panic", ["", "panic=0"])
def test_the_wait_has_no_end_and_is_jittered(root: FakeRoot, panic: str) -> None:
    root.nic()
    # A second at a time, it costs this machine time to let the fake one's pass.
    root.write("proc/uptime", f"{DOOMSDAY - 250}.00 1.00")
    said = run(root, panic)
    assert said.status == -9
    lines = [line for line in said.console.splitlines() if "then trying again" in line]
    delays = [int(line.split("waiting ")[1].split()[0]) for line in lines]
    assert sum(delays) >= 250 - 20 - 10
    for delay, limit in zip(delays, [2, 4, 8, 16] + [20] * 20, strict=False):
        assert limit // 2 <= delay <= limit


def test_with_panic_it_is_a_failure_and_a_reboot(booting: FakeRoot) -> None:
    booting.fake("udhcpc", when=" -f ", fails=1)
    said = booting.boot("panic=7")
    assert said.status == -9
    assert said.reports("PXE-INIT-lease-none")
    assert len(asked(booting)) == 3
    assert booting.calls("sleep") == [["7"]]
    assert booting.calls("reboot") == [["-f"]]


def test_a_link_that_goes_is_waited_for(root: FakeRoot) -> None:
    root.nic()
    root.dhcp(fails=[1, 0])
    root.fake(
        "udhcpc",
        when=" -f ",
        fails=[1, -1],
        does='[ "$count" -gt 0 ] || echo 0 > /sys/class/net/eth0/carrier',
    )
    root.fake(
        "usleep",
        when=" 50000 ",
        fails=[-1] * 9 + [0],
        does='[ "$count" -lt 9 ] || echo 1 > /sys/class/net/eth0/carrier',
    )
    said = run(root)
    assert said.console.endswith("status 0\n")
    assert "still waiting for a link on eth0" in said.console


def test_a_link_that_comes_ends_a_long_delay(root: FakeRoot) -> None:
    root.nic("eth0")
    root.nic("eth1", carrier="0")
    root.dhcp("eth1")
    plug = '[ "$count" -lt 20 ] || echo 1 > /sys/class/net/eth1/carrier'
    root.fake("sleep", fails=[-1] * 200, does=plug)
    said = run(root)
    assert "lease: eth1 has" in said.console
    # Found within a second, whatever was left of the delay.
    assert len(root.calls("sleep")) == 21


def test_a_card_that_appears_during_a_delay_is_asked_too(root: FakeRoot) -> None:
    root.nic("eth0")
    root.nic("usb0")
    root.dhcp("usb0")
    root.place("sys/class/net/usb0").rename(root.place("sys/later"))
    root.fake("sleep", fails=[-1] * 200, does='[ "$count" -ne 3 ] || /bin/mv /sys/later /sys/class/net/usb0')
    assert "lease: usb0 has" in run(root).console


def test_bootif_without_an_answer_leaves_room_for_the_others(root: FakeRoot) -> None:
    root.nic("eth0")
    root.nic("eth1", mac="52:54:00:00:00:02")
    root.dhcp("eth0")
    said = run(root, "BOOTIF=01-52-54-00-00-00-02")
    assert said.warnings == [
        "BOOTIF=52:54:00:00:00:02 gets no DHCP answer: the other interfaces are taken too (eth0 eth1)"
    ]
    assert [option(words, "-i")[0] for words in asked(root)][:3] == ["eth1"] * 3
    assert "lease: eth0 has" in said.console
    assert said.codes == []


def test_the_first_of_several_wins(root: FakeRoot) -> None:
    for number in (0, 1, 2):
        root.nic(f"eth{number}", carrier="0" if number == 2 else "1")
    root.dhcp("eth1")
    said = run(root)
    assert "lease: eth1 has 10.0.2.15/24" in said.console
    assert root.state()["interface"] == "eth1"
    assert {option(words, "-i")[0] for words in asked(root)} == {"eth0", "eth1"}


def test_a_useless_answer_does_not_win_against_a_slower_one(root: FakeRoot) -> None:
    for name in ("eth0", "eth1"):
        root.nic(name)
    root.dhcp("eth0", values=USELESS)
    root.dhcp("eth1")
    root.fake("udhcpc", when="-i eth1 ", fails=-1, does=UNTIL_8)
    said = run(root)
    assert "lease: eth1 has" in said.console
    assert len(asked(root)) == 2
    assert "link set eth0 down" in [" ".join(words) for words in root.calls("ip")]


def test_a_slow_loser_does_not_hold_the_winner_up(root: FakeRoot) -> None:
    for name in ("eth0", "eth1"):
        root.nic(name)
    root.fake("udhcpc", when="-i eth0 ", does=FOR_EVER)
    root.dhcp("eth1")
    assert "lease: eth1 has" in run(root).console


def test_the_losers_udhcpc_is_stopped(root: FakeRoot) -> None:
    for name in ("eth0", "eth1"):
        root.nic(name)
    root.fake("udhcpc", when="-i eth0 ", does=f"echo $$ > /tmp/loser; {FOR_EVER}")
    root.dhcp("eth1")
    root.fake("udhcpc", when="-i eth1 ", fails=-1, does="until [ -s /tmp/loser ]; do :; done")
    said = run(root, code='phase_lease; read -r pid < /tmp/loser; kill -0 "$pid" 2>/dev/null || echo gone')
    assert said.console.endswith("gone\n")


def test_a_server_that_offers_and_never_confirms_does_not_hold_a_round_for_ever(root: FakeRoot) -> None:
    root.nic()
    root.fake("udhcpc", when=" -f ", does=FOR_EVER)
    root.fake(
        "usleep", does='read -r now rest < /proc/uptime; echo "$((${now%%.*} + 1)).00 0.00" > /proc/uptime'
    )
    said = finish(root)
    assert said.codes == ["PXE-INIT-lease-none"]
    assert len(asked(root)) == 3
    assert said.console.endswith("status 1\n")
    assert 3 + 3 * 12 <= float(said.console.split("] PXE-INIT")[0].split("[")[-1]) <= 3 + 3 * 14


def test_none_of_several_answers(root: FakeRoot) -> None:
    for name in ("eth0", "eth1"):
        root.nic(name)
    root.dhcp("eth1", fails=[1, 1, 1, 0])
    said = run(root)
    assert said.reports("PXE-INIT-lease-none")
    assert "no DHCP answer on eth0 eth1 after 3 rounds" in said.console
    assert said.console.endswith("status 0\n")


def test_quiet_is_silent_for_3_s(root: FakeRoot) -> None:
    root.nic()
    root.dhcp()
    # The clock stands, whatever the number of looks.
    root.fake("usleep")
    assert run(root, "quiet").console == "status 0\n"


def test_quiet_is_silent_for_no_longer(root: FakeRoot) -> None:
    root.nic()
    root.dhcp()
    root.fake("udhcpc", when=" -f ", fails=-1, does=UNTIL_8)
    said = run(root, "quiet")
    lines = said.console.splitlines()
    # The fake clock makes a second of each look.
    assert [line.split("] ")[-1] for line in lines[:-1]] == ["still waiting for a DHCP answer on eth0 (3 s)"]
    assert lines[-1] == "status 0"


def finish(root: FakeRoot) -> Result:
    return run(root, "panic=5")


def test_udhcpcs_words_are_kept(root: FakeRoot) -> None:
    root.nic()
    root.fake("udhcpc", when=" -f ", fails=1, says="udhcpc: no lease, failing")
    finish(root)
    assert root.read("run/pxeinit/udhcpc.log") == "\n".join(["eth0: udhcpc: no lease, failing"] * 3)
    assert root.names("run/pxeinit") == ["lease", "log", "state", "udhcpc.log"]
