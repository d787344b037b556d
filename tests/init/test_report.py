"""report.sh: JSON lines for a server, and the log for the real system."""

import json
from typing import Any

import pytest

from tests.init.fakeroot import FakeRoot

PREPARE = "report_ready=yes; lease_interface=eth0; param_report=10.0.2.9:5140; > /dev/log"


def sent(root: FakeRoot) -> list[dict[str, Any]]:
    calls = root.calls("logger")
    assert all(words[:4] == ["-t", "pxeinit", "-p", "daemon.info"] for words in calls)
    return [json.loads(words[4]) for words in calls]


def test_a_boot_is_reported(booting: FakeRoot) -> None:
    booting.fake("syslogd", does="> /dev/log")
    said = booting.boot("pxeinit.report=udp://10.0.2.9:5140")
    assert said.warnings == []
    lines = sent(booting)
    names = ["drivers", "network", "lease", "root", "writable", "tree", "handoff", "switch", "handover"]
    assert [line["name"] for line in lines] == names
    assert {line["event"] for line in lines} == {"phase"}
    assert {line["mac"] for line in lines} == {"52:54:00:12:34:56"}
    assert all(line["uptime"] >= 3 for line in lines)
    assert booting.calls("syslogd") == [["-n", "-R", "10.0.2.9:5140", "-O", "/dev/null"]]
    # The real system's own comes there.
    assert not booting.place("dev/log").exists()


def test_without_the_parameter_nothing_is_sent(booting: FakeRoot) -> None:
    booting.boot()
    assert booting.calls("syslogd") == booting.calls("logger") == []


def test_what_was_before_the_lease_comes_after_it(root: FakeRoot) -> None:
    root.nic()
    root.lease(hostname="bench7")
    early = "param_report=h:1; uptime_now=1.50; send_report phase early; send_report failure CODE why"
    root.run(f"{early}; echo kept; {PREPARE}; report_ready=no; uptime_now=9.00; send_report phase root")
    assert sent(root) == [
        {"mac": "52:54:00:12:34:56", "host": "bench7", "uptime": uptime, **rest}
        for uptime, rest in (
            (1.5, {"event": "phase", "name": "early"}),
            (1.5, {"event": "failure", "name": "CODE", "text": "why"}),
            (9.0, {"event": "phase", "name": "root"}),
        )
    ]
    assert not root.place("run/pxeinit/report").exists()


def test_a_failure_says_what_and_why(root: FakeRoot) -> None:
    root.run(f"{PREPARE}; report CODE what why try")
    (line,) = sent(root)
    assert (line["event"], line["name"], line["text"]) == ("failure", "CODE", "what: why")
    assert line["mac"] == line["host"] == ""


@pytest.mark.parametrize("text", ['a"b', "back\\slash", '"', "\\", '\\"\\', "plain", "$(reboot) `x` %s *"])
def test_values_are_data(root: FakeRoot, text: str) -> None:
    root.run(f'{PREPARE}; send_report failure CODE "$1"', text)
    assert sent(root)[0]["text"] == text


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb", "'a?b'"), ("tab\t\x1b[0m", "'tab??[0m'"), ("ü", "'??'")]
)
def test_what_is_unprintable_is_not_sent(root: FakeRoot, text: str, shown: str) -> None:
    root.run(f'{PREPARE}; send_report failure CODE "$1"', text)
    assert sent(root)[0]["text"] == shown


def test_a_daemon_that_does_not_come_is_not_waited_for_long(root: FakeRoot) -> None:
    code = PREPARE.replace("> /dev/log", ":")
    root.run(f"{code}; send_report phase one; send_report phase two; end_report; end_report")
    assert len(root.calls("syslogd")) == 1
    assert len(root.calls("usleep")) == 21
    assert len(sent(root)) == 2


@pytest.mark.parametrize("value", ["udp://10.0.2.9:5140", "udp://log.lab:514"])
def test_targets(root: FakeRoot, value: str) -> None:
    said = root.run(f'take_own_param "report={value}" "{value}"; echo $param_report')
    assert said.console == value.removeprefix("udp://") + "\n"


@pytest.mark.parametrize(
    "value",
    ["", "h:1", "tcp://h:1", "udp://h", "udp://h:", "udp://:1", "udp://h:x", "udp://h:65536", "udp://-R:1"],
)
def test_targets_that_are_none(root: FakeRoot, value: str) -> None:
    said = root.run(f'take_own_param "report={value}" "{value}"; echo "[$param_report]"')
    assert said.warnings == [f"pxeinit.report='{value}' is ignored: not udp://HOST:PORT"]
    assert said.console.endswith("[]\n")


@pytest.mark.parametrize("limit", ["ratelimit", "off", "on", None])
def test_the_log_is_handed_to_the_journal(root: FakeRoot, limit: str | None) -> None:
    if limit is not None:
        root.write("proc/sys/kernel/printk_devkmsg", limit)
    root.write("run/pxeinit/log", "pxeinit: [1.00] a\nmount %s \\n\npxeinit:   why: b")
    root.write("dev/kmsg", "")
    # A file here, where each line would replace the one before.
    said = root.run("rm /dev/kmsg; hand_log; echo status $?")
    assert said.console == "status 0\n"
    assert root.read("dev/kmsg") == "<15>pxeinit:   why: b"
    assert root.read("proc/sys/kernel/printk_devkmsg") == (limit if limit is not None else "on")


def test_a_machine_without_a_kernel_log(root: FakeRoot) -> None:
    root.folder("dev/kmsg")
    root.write("run/pxeinit/log", "one")
    assert root.run("hand_log; echo go on").console == "go on\n"
    assert root.run("rm /run/pxeinit/log; hand_log; echo go on").console == "go on\n"
