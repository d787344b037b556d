"""What all verbs have in common: -h, -q, --json where data comes out, colours on terminals alone, guesses."""

import json
import os
import pty
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest

from mkpxeinit.cli import main
from mkpxeinit.cli.main import group
from tests.cli.conftest import Hook, Run, command
from tests.unit.small import RELEASE, make_tree

CONTEXT = group.context_class(group)
VERBS = group.list_commands(CONTEXT)


def commands(above: click.Group = group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each verb, and of each command below one."""
    for name in above.list_commands(CONTEXT):
        yield (*words, name)
        found = above.get_command(CONTEXT, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*words, name))


COMMANDS = list(commands())
# Verbs that print no data: they write files, or what they print is the file itself.
WITHOUT_DATA = {"cat", "extract", "busybox"}
SITE = """
[server]
address = "192.0.2.1"
adress = "192.0.2.1"
[[subnet]]
network = "192.0.2.0/24"
[tree.a]
path = "/a"
"""
NIC = b"00:03.0 Ethernet controller [0200]: Intel 82542 [8086:1000] (rev 02)\n"
STATE = "phase.early=1.0\nphase.root=2.5\nhandover=4.0\nmode=farm\n"


@pytest.fixture
def image(run: Run, root: Path, tmp_path: Path) -> Path:
    assert run("build", "--sysroot", root, "-o", tmp_path / "image", "--module", "r8169").code == 0
    return tmp_path / "image"


def test_commands_of_groups() -> None:
    assert {("hook",), ("hook", "status"), ("hook", "run", "add")} < set(COMMANDS)


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_short_help(run: Run, words: tuple[str, ...]) -> None:
    short, long = run(*words, "-h"), run(*words, "--help")
    assert short == long and short.code == 0
    text = short.stdout.decode()
    examples = text.partition("\n  Examples:\n    ")[2]
    assert (
        " ".join(("mkpxeinit", *words))
        in examples.replace("--as-hook ", "").replace("--config site.toml ", "")
        and "--quiet" in text
        and "-h, --help" in text
    )
    assert max(map(len, text.splitlines())) <= 110


def test_json_wherever_data_comes_out() -> None:
    for verb in VERBS:
        found = group.get_command(CONTEXT, verb)
        assert found is not None
        # Of a group's parts the one that tells something.
        parts = [found, *found.commands.values()] if isinstance(found, click.Group) else [found]
        options = {name for part in parts for each in part.params for name in each.opts}
        assert ("--json" in options) == (verb not in WITHOUT_DATA), verb


def test_list_and_why(run: Run, image: Path) -> None:
    listed = json.loads(run("list", "--json", image).stdout)
    paths = run("list", image).stdout.decode().splitlines()
    assert [each["path"] for each in listed["entries"]] == paths
    last = listed["segments"][-1]
    assert last["offset"] < last["offset"] + last["packed"] <= image.stat().st_size
    assert sum(each["entries"] for each in listed["segments"]) == len(paths)
    devices = [each for each in listed["entries"] if each["device"]]
    assert {each["type"] for each in devices} == {"c"} and devices[0]["target"] is None
    (why,) = json.loads(run("why", "--json", image, "realtek").stdout)
    assert why["path"].rpartition("/")[2].startswith("realtek.ko") and why["chain"][0] == "softdep of r8169"
    done = run("why", "--json", image, "realtek", "nothing-like-it")
    assert done.code == 1 and json.loads(done.stdout) == [why]
    every = json.loads(run("why", "--json", "--all", image).stdout)
    assert {each["path"] for each in every} == set(paths) - {"."}


def test_build(run: Run, root: Path, tmp_path: Path) -> None:
    dry = json.loads(run("build", "--sysroot", root, "--json", "--dry-run", "-o", tmp_path / "i").stdout)
    assert dry["size"] is None and dry["release"] == RELEASE and not (tmp_path / "i").exists()
    made = json.loads(run("build", "--sysroot", root, "--json", "-o", tmp_path / "i").stdout)
    assert made["size"] == (tmp_path / "i").stat().st_size
    assert {**made, "size": None} == dry and "e1000" in made["modules"]
    paths = run("list", tmp_path / "i").stdout.decode().splitlines()
    assert [each["path"] for each in made["entries"]] == paths


def test_prepare_and_server_config(run: Run, root: Path) -> None:
    rows = json.loads(run("prepare", "--list", "--json").stdout)
    assert "fstab" in [each["change"] for each in rows] and all(each["state"] is None for each in rows)
    (root / "etc").mkdir(exist_ok=True)
    rows = json.loads(run("prepare", "--list", "--json", "--sysroot", root).stdout)
    assert all(each["state"] and each["reason"] for each in rows)
    rows = json.loads(run("server-config", "--list", "--json").stdout)
    names = [line.split()[0] for line in run("server-config", "--list").stdout.decode().splitlines()]
    assert [each["name"] for each in rows] == names
    for words in (["prepare", "--json", "--sysroot", root], ["server-config", "--json"]):
        done = run(*words)
        assert (done.code, done.stderr) == (2, "mkpxeinit: --json is for --list\n")


def test_timeline(run: Run, tmp_path: Path) -> None:
    (tmp_path / "state").write_text(STATE)
    found = json.loads(run("timeline", "--json", tmp_path / "state").stdout)
    assert [each["name"] for each in found["steps"]][-1] and found["steps"][-1]["begin"] >= 2.5
    assert not (tmp_path / "cwd/state.svg").exists()
    assert run("timeline", "--json", tmp_path / "state", "-o", tmp_path / "plot.svg").code == 0
    assert ElementTree.parse(tmp_path / "plot.svg")


def test_quiet(run: Run, root: Path, tmp_path: Path) -> None:
    """Remarks go, errors and what was left out stay; also before the verb."""
    assert "modules" in run("build", "--sysroot", root, "-o", tmp_path / "a").stderr
    for words in (["build", "-q"], ["-q", "build"], ["--quiet", "build", "--quiet"]):
        done = run(*words, "--sysroot", root, "-o", tmp_path / "a", "-v")
        assert (done.code, done.stderr) == (0, "")
    done = run("-q", "build", "--sysroot", tmp_path / "no")
    assert done.code == 1 and done.stderr.startswith("mkpxeinit: ")
    listing = run("publish", "--list", "-q", "--tftp-root", tmp_path)
    assert "means nothing" not in listing.stderr


def terminal(words: list[str], *looks: Callable[[bytes], object], **env: str) -> bytes:
    """Return what a command shows on a terminal; each of `looks` is given it whenever there is more."""
    ours, theirs = pty.openpty()
    base = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm"}
    done = subprocess.Popen([command(), *words], stdout=theirs, stderr=theirs, env=base | env)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # EIO: the other side is closed
            break
        if not piece:
            break
        seen += piece
        for look in looks:
            look(seen)
    os.close(ours)
    done.wait(60)
    return seen


def test_colour(run: Run) -> None:
    red = b"\x1b[31m\x1b[1mmkpxeinit:\x1b[0m no verb"
    assert terminal(["nonsense"]).startswith(red)
    assert b"\x1b[32mok" in terminal(["doctor", "build"])
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        for words in (["nonsense"], ["doctor", "build"]):
            assert b"\x1b" not in terminal(words, **env)
    assert terminal(["nonsense"], NO_COLOR="").startswith(red)
    assert "\x1b" not in run("nonsense").stderr and b"\x1b" not in run("doctor", "build").stdout


def test_progress(run: Run, root: Path, tmp_path: Path) -> None:
    """The build waits for its inventory, a pipe, until the terminal has said what it does."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = ["build", "--sysroot", str(root), "--hardware", str(pipe), "-o", str(tmp_path / "image")]
    answered: list[bytes] = []

    def look(seen: bytes) -> None:
        if re.search(rb"reading the tree, \d+ s", seen) and not answered:
            answered.append(seen)
            pipe.write_bytes(NIC)

    seen = terminal(words, look)
    assert answered and (tmp_path / "image").exists()
    # Each line stands alone: what was there before is taken away.
    shown = [line.rpartition(b"\x1b[K")[2] for line in seen.split(b"\r\n")]
    assert shown.pop() == b"" and all(line.startswith(b"mkpxeinit: ") for line in shown) and len(shown) >= 1


@pytest.mark.parametrize(("more", "env"), [(["-q"], {}), ([], {"TERM": "dumb"})])
def test_no_progress(root: Path, tmp_path: Path, more: list[str], env: dict[str, str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = ["build", *more, "--sysroot", str(root), "--hardware", str(pipe), "-o", str(tmp_path / "image")]

    def answer() -> None:
        with pipe.open("wb") as file:
            time.sleep(1)  # longer than it takes until a line would be shown
            file.write(NIC)

    thread = threading.Thread(target=answer)
    thread.start()
    seen = terminal(words, **env)
    thread.join()
    assert (tmp_path / "image").exists() and b"reading" not in seen and b"\x1b[K" not in seen


def test_diff_has_colours_on_terminals(run: Run, root: Path, tmp_path: Path) -> None:
    for name, option in (("a", "panic=1"), ("b", "panic=2")):
        assert run("build", "--sysroot", root, "-o", tmp_path / name, "--cmdline", option).code == 0
    seen = terminal(["diff", str(tmp_path / "a"), str(tmp_path / "b")])
    assert b"\x1b[33m!\x1b[0m etc/cmdline" in seen
    assert b"\n! etc/cmdline" in run("diff", tmp_path / "a", tmp_path / "b").stdout


@pytest.mark.parametrize("words", [(), ("hook",), ("hook", "run")], ids=" ".join)
def test_without_a_verb_the_help_is_shown(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.code, done.stdout) == (2, b"")
    assert done.stderr == run(*words, "-h").stdout.decode()


def test_quiet_hooks(run: Run, root: Path, hook: Hook) -> None:
    """Also in the commands of a group, and behind each word; what is missing and what fails stays."""
    make_tree(root, {"usr/bin/mkpxeinit": "", "usr/bin/dpkg": "", "etc/mkpxeinit.toml": "[[hook.tree]]\n"})
    where = ("--root", root, "--kind", "debian")
    assert "written" in run("hook", "install", *where).stderr
    for words in (("hook", "remove", "-q"), ("-q", "hook", "install"), ("hook", "-q", "remove")):
        done = run(*words, *where)
        assert (done.code, done.stdout, done.stderr) == (0, b"", ""), words
    assert "image of kernel" in hook("update").stderr
    for before, behind in (((), ("-q",)), (("-q",), ())):
        done = hook(*before, "update", *behind)
        assert (done.code, done.stderr) == (0, "")
    assert run("hook", "status", "-q", *where).stdout.startswith(b"absent ")
    (root / f"lib/modules/{RELEASE}/modules.dep").write_bytes(b"damaged")
    done = hook("-q", "update")
    assert done.code == 1 and "HOOK FAILED: update, tree pc: " in done.stderr
    assert re.search(r"this is mended: mkpxeinit hook run --config \S+ update$", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["buidl"], "no verb 'buidl'; did you mean build?"),
        (["hook", "statu"], "no command 'statu'; did you mean status?; see mkpxeinit hook --help"),
        (["hook", "xyzzy"], "no command 'xyzzy'; there are: install, remove, status, run"),
        (["hook", "run", "ad", "1"], "no command 'ad'; did you mean add?; see mkpxeinit hook run --help"),
        (["hook", "status", "--rot", "/"], "no such option: --rot; did you mean --root?"),
        (["hook", "install", "--kind", "debain"], "'--kind': there is no 'debain'; did you mean debian?"),
        (["publish", "--loader", "pxelinx"], "'--loader': there is no 'pxelinx'; did you mean pxelinux?"),
        (["doctor", "bulid"], "there is no 'bulid'; did you mean build?"),
        (["doctor", "xyzzy"], "there is no 'xyzzy'; there are: build, publish, "),
        (["serve", "--nfs", "kernl"], "'--nfs': there is no 'kernl'; did you mean kernel?"),
        (["serve", "--http", "ngnix"], "'--http': there is no 'ngnix'; did you mean nginx?"),
        (["serve", "--mode", "fram"], "'--mode': there is no 'fram'; did you mean farm?"),
        (["server-config", "--mode", "fram"], "'--mode': there is no 'fram'; did you mean farm?"),
        (["server-config", "--only", "dnsmask", "--config", "{good}"], "'dnsmask'; did you mean dnsmasq?"),
        (["verify-server", "--arch", "uefi-x46"], "there is no 'uefi-x46'; did you mean uefi-x64?"),
        (["build", "--compress", "zst"], "'zst' is no compressor (NAME[:LEVEL]); did you mean zstd?"),
        (["build", "--bus", "pci,ubs"], "no bus is named 'ubs'; did you mean usb?"),
        (["build", "--bus", "none,usb"], "none and other buses: one of them only"),
        (["boot", "image", "--memory", "1G"], "'--memory': '1G' is not a valid whole number"),
        (["boot", "image", "--memory", "1"], "'--memory': 1 is not in the range 64 or more"),
        (["verify-server", "--timeout", "0"], "'--timeout': 0.0 is not in the range 0.5 to 120"),
        (["boot", "image", "--timeout", "long"], "'--timeout': 'long' is not a valid number of seconds"),
        (
            ["hook", "run", "--config", "{hook}", "add", "6.1.0-1-tset"],
            f"a kernel 6.1.0-1-tset; did you mean {RELEASE}?",
        ),
        (["build", "--sysrot", "."], "no such option: --sysrot; did you mean --sysroot?"),
        (["build", "--sysroot", "{root}", "--driver", "e100"], "has no such module; close to it: e1000"),
        (["build", "--sysroot", "{root}", "--module", "r816"], "has no such module; close to it: r8169"),
        (["prepare", "--only", "fstb"], "no change is called 'fstb'; did you mean fstab?"),
        (["server-config", "--config", "{site}"], "[server]: adress: no such key; did you mean address?"),
        (["build", "--sysrot", "a\nb", "--x\x1b[2J"], "no such option: --sysrot; did you mean --sysroot?"),
        (["\x1b[2J"], r"no verb '\x1b[2J'"),
    ],
)
def test_what_was_meant(
    run: Run, root: Path, config: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "good.toml").write_text(SITE.replace('adress = "192.0.2.1"', ""))
    places = {"site": tmp_path / "site.toml", "good": tmp_path / "good.toml", "hook": config, "root": root}
    done = run(*(each.format(**places) for each in words))
    assert done.code in (1, 2) and says in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and "\x1b" not in done.stderr


# Options whose values may be empty: no kernel parameters.
EMPTY = {"--cmdline", "--append"}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_empty_values(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Of a variable that is not set, say: each is refused, before anything is done."""
    found: click.Command = group
    for word in words:
        assert isinstance(found, click.Group)
        found = found.get_command(CONTEXT, word) or group
    for each in found.params:
        option = each.opts[-1] if isinstance(each, click.Option) else ""
        if option and (getattr(each, "is_flag", False) or option in EMPTY):
            continue
        given = [option, ""] if option else ["", "x"]
        code, said = main.run([*words, *given]), capsys.readouterr()
        assert (code, said.out) == (2, ""), (option, said)
        assert said.err.startswith("mkpxeinit: Invalid value for ") and said.err.count("\n") == 1, option


@pytest.mark.parametrize(
    ("cmdline", "says"),
    [
        ("quiet pxeinit.mod=ro", "the client knows no parameter pxeinit.mod; did you mean pxeinit.mode?"),
        ("pxeinit.mode=readonly", "the client knows pxeinit.mode=farm|overlay|ro|rw, not readonly"),
        ("pxeinit.break=laese", "handoff|switch, not laese"),
        ("pxeinit.xyzzy", "the client knows no parameter pxeinit.xyzzy; pxeinit(7) lists them"),
        ("pxeinit.shell pxeinit.mode=ro pxeinit.report=udp://a:1 xyzzy=1", ""),
    ],
)
def test_parameters_of_the_client(run: Run, root: Path, tmp_path: Path, cmdline: str, says: str) -> None:
    """A doubt is said, also with -q, and the image is made: a newer client may know more."""
    done = run("build", "-q", "--sysroot", root, "-o", tmp_path / "i", "--cmdline", cmdline)
    assert done.code == 0 and (tmp_path / "i").exists()
    assert (
        done.stderr == ""
        if not says
        else says in done.stderr and done.stderr.startswith("mkpxeinit: --cmdline: ")
    )


def test_keys_of_drop_ins(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.toml").write_text('module = ["nfs"]\n')
    done = run("build", "--sysroot", root, "--drop-in-dir", tmp_path / "d", "--dry-run")
    assert done.code == 1 and "unknown key; known: modules, " in done.stderr
    assert "; did you mean modules?" in done.stderr and done.stderr.count("\n") == 1
