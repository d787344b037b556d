"""leave-anyway: told to leave while the server is silent, the machine does, and only then."""

import os

import pytest

from tests.init.fakeroot import FakeRoot, Result

VERBS = ("poweroff", "reboot", "halt", "kexec")
ASKS = 10  # without an answer, while services still end


def anyway(
    root: FakeRoot, *, gone: tuple[str, ...] = ("poweroff",), comm: str = "systemd", state: str = "S"
) -> Result:
    """Run it as systemd would have it: the FIFO "shutdown" closed, those of the verbs in `gone` removed."""
    root.write("leaving/shutdown", "")
    for verb in VERBS:
        if verb not in gone:
            os.mkfifo(root.place(f"leaving/{verb}"))
    root.write("proc/1/comm", comm)
    root.write("proc/1/stat", f"1 (a ) D name) {state} 0 1 1")
    return root.execute("/bin/sh", "/lib/pxeinit/leave-anyway", "10.0.2.2", "2049")


@pytest.fixture(autouse=True)
def shutdown(root: FakeRoot) -> None:
    root.write("shutdown", "#!/bin/sh\necho shutdown $*\n", 0o755)


def log(root: FakeRoot) -> str:
    return root.read("dev/kmsg") or ""


def silent(root: FakeRoot, *, after: int = 1) -> None:
    """The server answers so many questions, then none."""
    root.fake("nc", fails=[*[-1] * after, 1])


@pytest.mark.parametrize("verb", VERBS)
def test_services_have_their_time(root: FakeRoot, verb: str) -> None:
    silent(root)
    said = anyway(root, gone=(verb,))
    assert said.console == f"shutdown {verb}\n"
    assert len(root.calls("nc")) == 1 + ASKS
    assert set(map(tuple, root.calls("nc"))) == {("10.0.2.2", "2049")}
    assert f"silent: {verb} without the rest" in log(root)
    assert root.read("proc/sysrq-trigger") == "u"


@pytest.mark.parametrize(("comm", "state"), [("systemd-shutdow", "S"), ("systemd", "D")])
def test_not_when_the_last_unit_is_gone(root: FakeRoot, comm: str, state: str) -> None:
    silent(root)
    root.folder("proc/sysrq-trigger")
    assert anyway(root, comm=comm, state=state).console == "shutdown poweroff\n"
    assert len(root.calls("nc")) == 1 + 2


def test_one_missing_answer_is_nothing(root: FakeRoot) -> None:
    root.fake("nc", fails=[-1, 1, -1, 1, -1, 1, 0], does='[ "$count" -lt 6 ] || echo shutdown > /proc/1/comm')
    said = anyway(root, comm="systemd-shutdow")
    assert said.console == ""
    assert len(root.calls("nc")) == 7
    assert root.read("proc/sysrq-trigger") is None


@pytest.mark.parametrize("comm", ["shutdown", "busybox", "sh", ""])
def test_the_ordinary_way_goes_on_alone(root: FakeRoot, comm: str) -> None:
    silent(root)
    assert anyway(root, comm=comm, state="D").console == ""
    assert len(root.calls("nc")) == 2


@pytest.mark.parametrize("gone", [(), ("poweroff", "reboot"), VERBS])
def test_somebody_only_stopped_the_units(root: FakeRoot, gone: tuple[str, ...]) -> None:
    silent(root)
    assert anyway(root, gone=gone).console == ""
    assert len(root.calls("nc")) == 1


def test_no_answer_from_the_start(root: FakeRoot) -> None:
    """NFS over UDP or RDMA alone, say: silence would mean nothing."""
    silent(root, after=0)
    assert anyway(root).console == ""
    assert len(root.calls("nc")) == 1


def test_without_systemd_there_is_no_fifo(root: FakeRoot) -> None:
    root.folder("leaving")
    said = root.execute("/bin/sh", "/lib/pxeinit/leave-anyway", "10.0.2.2", "2049")
    assert said.status != 0
    assert log(root) == ""


def test_the_question(root: FakeRoot) -> None:
    """One fragment: xid, call, RPC version 2, program 100003, version 4, procedure 0, no credentials."""
    root.fake("nc", fails=1, does="/bin/cat > /tmp/question")
    anyway(root)
    words = root.place("tmp/question").read_bytes()
    numbers = [int.from_bytes(words[i : i + 4]) for i in range(0, len(words), 4)]
    assert numbers[0] == 1 << 31 | len(words) - 4
    assert numbers[2:] == [0, 2, 100003, 4, 0, 0, 0, 0, 0]


# The power button, where logind cannot say that it was pressed

INPUTS = """I: Bus=0011 Vendor=0001 Product=0001 Version=ab41
N: Name="AT Translated Set 2 keyboard"
H: Handlers=sysrq kbd event0 leds

I: Bus=0019 Vendor=0000 Product=0001 Version=0000
N: Name="Power Button"
P: Phys=LNXPWRBN/button/input0
H: Handlers=kbd event17

N: Name="Power Button of a stranger
H: Handlers=event3
"""


def pressed(root: FakeRoot, *, times: int = 1, does: str = "", inputs: str = INPUTS) -> list[str]:
    """Press the button so many times, systemd holding its FIFO; return what shutdown was called with."""
    fifo = root.folder("leaving") / "shutdown"
    os.mkfifo(fifo)
    root.write("shutdown", "#!/bin/sh\necho $* > /tmp/verb\nkill -KILL 0\n", 0o755)
    root.write("proc/bus/input/devices", inputs)
    root.fake(
        "dd",
        fails=[*[0] * times, 1],
        does=f'[ "$status" -eq 0 ] || kill -KILL 0; echo >> /tmp/pressed; {does}',
    )
    held = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    try:
        assert root.execute("/bin/sh", "/lib/pxeinit/leave-anyway", "10.0.2.2", "2049").status == -9
    finally:
        os.close(held)
    return (root.read("tmp/verb") or "").split()


def test_a_press_that_nobody_follows(root: FakeRoot) -> None:
    silent(root)
    assert pressed(root) == ["poweroff"]
    assert len(root.calls("nc")) == 1 + 2
    assert root.calls("mknod") == [["-m", "400", "/leaving/button17", "c", "13", "81"]]
    assert root.calls("dd") == [["if=/leaving/button17", "of=/dev/null", "bs=96", "count=1"]]
    assert "silent: poweroff" in log(root)


def test_a_button_that_comes_late(root: FakeRoot) -> None:
    """Its driver is udev's to load, on a slow machine minutes after this began to look."""
    silent(root)
    root.write("inputs", INPUTS)
    late = "[ $status -eq 0 ] || cat /inputs > /proc/bus/input/devices"
    root.fake("sleep", when=" 10 ", fails=[*[0] * 20, 1], does=late)
    assert pressed(root, inputs="") == ["poweroff"]


def test_while_the_server_answers_a_press_is_logind_s(root: FakeRoot) -> None:
    root.fake("nc", fails=[-1, 1, -1])
    assert pressed(root, times=3) == []
    assert (root.read("tmp/pressed") or "x").count("\n") == 2
    assert len(root.calls("nc")) == 1 + 2 + 1 + 1


def test_a_press_that_systemd_follows(root: FakeRoot) -> None:
    silent(root)
    assert pressed(root, does="rm /leaving/shutdown") == []


@pytest.mark.parametrize("inputs", ["", INPUTS.replace("event17", "event32 event1x kbd"), INPUTS[-60:]])
def test_no_button(root: FakeRoot, inputs: str) -> None:
    """Looked for ten minutes long; then systemd leaves by itself or not at all."""
    end = '[ "$status" -eq 0 ] || (/bin/usleep 1; kill -KILL 0) &'
    root.fake("sleep", when=" 10 ", fails=[*[0] * 59, 1], does=end)
    assert pressed(root, inputs=inputs) == []
    assert [words[0] for words in root.calls("sleep")].count("10") == 60
    assert root.calls("dd") == []


# lib/leave.sh: what systemd is given


def watch(root: FakeRoot, options: str = "") -> Result:
    root.folder("newroot/usr/lib/systemd")
    root.write("newroot/usr/lib/systemd/systemd", "")
    root.folder("run/initramfs/proc")
    return root.run(
        "new_root=/newroot; root_address=10.0.2.2; root_options=$1; sort_options; watch_leaving; wait; "
        "echo status $?",
        options,
    )


def watchers(root: FakeRoot) -> list[list[str]]:
    return [words for words in root.calls("setsid") if "/leave-anyway" in words]


@pytest.mark.parametrize(
    ("options", "port"), [("", "2049"), (",soft,port=20049,timeo=9", "20049"), (",mountport=1", "2049")]
)
def test_systemd_is_told(root: FakeRoot, options: str, port: str) -> None:
    assert watch(root, options).console == "status 0\n"
    (call,) = watchers(root)
    assert call == ["chroot", "/run/initramfs", "@/busybox", "sh", "/leave-anyway", "10.0.2.2", port]
    units = "run/systemd/system"
    wanted = (root.read(f"{units}/sysinit.target.d/pxeinit-leave.conf") or "").splitlines()
    assert wanted[0] == "[Unit]"
    assert sorted(wanted[1:]) == sorted(f"Wants=pxeinit-leave@{verb}.socket" for verb in (*VERBS, "shutdown"))
    socket = (root.read(f"{units}/pxeinit-leave@.socket") or "").splitlines()
    assert {"Conflicts=%i.target", "ListenFIFO=/run/initramfs/leaving/%i", "RemoveOnStop=yes"} <= set(socket)
    assert "ExecStart=/run/initramfs/bin/busybox true" in (root.read(f"{units}/pxeinit-leave@.service") or "")


def test_others_are_not(root: FakeRoot) -> None:
    root.folder("newroot/etc/init.d")
    root.run("new_root=/newroot; root_address=10.0.2.2; watch_leaving; wait")
    assert not root.place("run/systemd").exists()
    assert watchers(root) == []


@pytest.mark.parametrize("without", ["nc", "port", "proc"])
def test_nobody_could_ask(root: FakeRoot, without: str) -> None:
    if without == "nc":
        root.place("bin/nc").unlink()
    if without == "proc":
        root.fake("mount", when="-t proc", fails=1)
    assert watch(root, ",port=x" if without == "port" else "").console == "status 0\n"
    assert watchers(root) == []
