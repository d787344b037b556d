"""docs/json.md: each output's fields and their types are those that the page names, no more and no fewer."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from mkpxeinit.cli.boot import as_object
from mkpxeinit.cli.main import group
from mkpxeinit.cli.serve import _show_json
from mkpxeinit.hooks import state
from mkpxeinit.netboot.serve_reports import Event
from pxelab.smoke import Phase, SmokeResult
from tests.cli.conftest import Run
from tests.cli.hooking import NEW, kernel
from tests.unit.images import TRAILER, entry
from tests.unit.small import RELEASE, make_tree, module_path
from tests.unit.test_firmware import module

PAGE = Path(__file__).resolve().parents[2] / "docs/json.md"
TYPES = {"text", "number", "number with a fraction", "true or false", "null", "object", "list"}
# Objects whose keys are names, and how the page writes these; of "" it says nothing about what is inside.
NAMED = {"trees": "NAME", "groups": "NAME", "totals": "KIND", "generations[].options": ""}
NIC = "00:03.0 Ethernet controller [0200]: Intel 82542 [8086:1000] (rev 02)\n"
STATE = "phase.early=1.0\nphase.root=2.5\ncode=PXE-INIT-root-dns\nhandover=4.0\nmode=farm\n"
Shape = dict[str, set[str]]
Told = Callable[..., object]


def documented() -> dict[str, Shape]:
    """The fields and their types, by the command that the page names."""
    found: dict[str, Shape] = {}
    section = re.compile(r"^## `mkpxeinit (.*?) --json`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    for title, body in section.findall(PAGE.read_text()):
        found[title] = {}
        for names, types in re.findall(r"^\| (`.*?) \| (.*?) \| \S.* \|$", body, re.MULTILINE):
            assert set(types.split(", ")) <= TYPES, types
            for name in re.findall(r"`([^`]+)`", names):
                assert name not in found[title], name
                found[title][name] = set(types.split(", "))
    return found


def kind(value: object) -> str:
    names = {str: "text", int: "number", float: "number with a fraction", bool: "true or false"}
    return "null" if value is None else names.get(type(value), type(value).__name__.replace("dict", "object"))


def fields(value: object, where: str = "") -> Iterator[tuple[str, str]]:
    """Each field of a value with its type; of a list or an object also what is in it."""
    if where:
        yield where, kind(value)
    if isinstance(value, list):
        for each in value:
            yield from fields(each, f"{where}[]")
    elif isinstance(value, dict) and NAMED.get(where) != "":
        for name, each in value.items():
            yield from fields(each, f"{where}.{NAMED.get(where, name)}".lstrip("."))


def agree(command: str, *values: object) -> None:
    """The values have the fields of the page, with all their types; lists and objects by what is in them."""
    real: Shape = {}
    for value in values:
        for where, what in fields(value):
            real.setdefault(where, set()).add(what)
    said = documented()[command]
    for where, types in list(real.items()):
        inside = any(each.startswith((f"{where}.", f"{where}[")) for each in real)
        if inside and types in ({"list"}, {"object"}):
            del real[where]
        elif "number" in types and "number with a fraction" in said.get(where, ()):
            real[where] = types - {"number"} | {"number with a fraction"}  # a fraction of nought
    assert real == said


@pytest.fixture
def told(run: Run) -> Told:
    def answer(*words: object) -> object:
        done = run(*map(str, words), "--json")
        assert done.code in (0, 1), done.stderr
        return json.loads(done.stdout)

    return answer


def test_every_output_is_on_the_page() -> None:
    """Each verb, or command of a group, that has --json."""
    context = click.Context(group)
    having = set()
    for verb in group.list_commands(context):
        found = group.get_command(context, verb)
        assert found is not None
        parts = {f"{verb} {name}": each for name, each in getattr(found, "commands", {}).items()}
        for words, each in (parts or {verb: found}).items():
            if any("--json" in option.opts for option in each.params):
                having.add(words)
    assert {re.sub(r" --\w+", "", title) for title in documented()} == having


@pytest.fixture
def lacking(root: Path) -> Path:
    """A tree with a driver that names firmware, which the tree lacks."""
    (root / f"lib/modules/{RELEASE}/{module_path('r8169')}").write_bytes(module("rtl/1"))
    return root


def test_build(told: Told, lacking: Path) -> None:
    words = ("build", "--sysroot", lacking, "-o", "image", "--module", "r8169")
    agree("build", told(*words), told(*words, "--dry-run"))


def test_list_and_why(told: Told, run: Run, root: Path) -> None:
    assert run("build", "--sysroot", root, "-o", "image").code == 0
    agree("list", told("list", "image"))
    agree("why", told("why", "image", "e1000"))


def test_diff(told: Told, tmp_path: Path, run: Run, root: Path) -> None:
    common = (entry(b"lib", 0o040755), entry(b"lib/modules", 0o040755), entry(b"lib/modules/1", 0o040755))
    link, node = entry(b"a", 0o120777, b"x"), entry(b"b", 0o020600, device=(5, 1))
    plain = (entry(b"a", 0o100644, b"1"), entry(b"b", 0o100644, b"2"), entry(b"c", 0o100644, b"3"))
    for name, entries in (("odd", (*common, link, node)), ("plain", (*common, *plain))):
        (tmp_path / name).write_bytes(b"".join(entries) + TRAILER)
    odd, even = tmp_path / "odd", tmp_path / "plain"
    assert run("build", "--sysroot", root, "-o", tmp_path / "own", "--cmdline", "quiet").code == 0
    own = tmp_path / "own"
    agree(
        "diff",
        told("diff", odd, even),
        told("diff", even, odd),
        told("diff", own, odd),
        told("diff", odd, own),
    )


def test_check(told: Told, run: Run, lacking: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("nothing\n")
    (tmp_path / "both").write_text(NIC + "01:00.0 0200: 10ec:8168\n")
    (tmp_path / "odd").write_text(NIC + "00:04.0 0200: 1234:5678\n02:00.0 0280: 8086:24f3\n")
    usb = {"class": "network", "businfo": "usb@1:2", "configuration": {"driver": "r8152"}}
    (tmp_path / "usb").write_text(json.dumps(usb))
    image = tmp_path / "image"
    assert run("build", "--sysroot", lacking, "-o", image, "--hardware", tmp_path / "both").code == 0
    agree("check", told("check", image, *(tmp_path / each for each in ("bad", "both", "odd", "usb"))))


def test_prepare_and_server_config(told: Told, root: Path) -> None:
    (root / "etc").mkdir(exist_ok=True)
    agree("prepare --list", told("prepare", "--list"), told("prepare", "--list", "--sysroot", root))
    agree("server-config --list", told("server-config", "--list"))


def test_publish(told: Told, run: Run, root: Path, tftp: Path) -> None:
    words = ("publish", "--tftp-root", tftp)
    empty = told(*words, "--list")
    one = ("--sysroot", root, "--name", "pc", "--module", "r8169")
    assert run(*words, *one).code == 0
    first = told(*words, "--list")
    assert run(*words, *one, "--append", "quiet", "--group", "lab", "--mac", "52:54:00:00:00:01").code == 0
    joined = told(*words, "--list")
    assert run(*words, "--group", "new", "--mac", "52:54:00:00:00:02").code == 0
    assert run(*words, "--generation", "pc.2").code == 0
    assert run(*words, "--group", "lab", "--generation", "tree").code == 0
    agree("publish --list", empty, first, joined, told(*words, "--list"))
    (tftp / "generations/pc.2/vmlinuz").write_bytes(b"damaged")
    agree("publish --check", told(*words, "--check"))


def test_hook_status(told: Told, run: Run, root: Path) -> None:
    """One tree is published, one has an image alone, one is not there."""
    trees = {"pc": 'tftp-root = "/tftp"', "here": 'output = "/"', "away": 'sysroot = "/none"'}
    config = "".join(f'[[hook.tree]]\nname = "{name}"\n{line}\n' for name, line in trees.items())
    make_tree(root, kernel(NEW) | {"tftp": None, "etc/mkpxeinit.toml": config})
    words = ("publish", "--tftp-root", root / "tftp", "--sysroot", root, "--name", "pc", "--module", "r8169")
    assert run(*words).code == 0
    failure = state.Failure("update", "pc", "", 1, "a disk is full")
    state.write(Path(f"{root}{state.FILE}"), (failure,))
    agree("hook status", told("hook", "status", "--root", root, "--kind", "debian"))


def test_verify_server(told: Told) -> None:
    agree("verify-server", told("verify-server", "--server", "127.0.0.1", "--root-path", "no root"))


def test_serve(capsys: pytest.CaptureFixture[str]) -> None:
    _show_json(Event("192.0.2.7", "phase lease at 4.3 s", True))
    agree("serve", json.loads(capsys.readouterr().out))


def test_boot() -> None:
    phases = (Phase("kernel", 7.25),)
    whole = SmokeResult(True, "running", phases, power_off_seconds=2.5, log=Path("console"))
    results = (as_object(whole), as_object(SmokeResult(False, "no login", phases)))
    agree("boot", *(json.loads(json.dumps(each)) for each in results))


def test_timeline(told: Told, tmp_path: Path) -> None:
    (tmp_path / "state").write_text(STATE)
    agree("timeline", told("timeline", tmp_path / "state"))


def test_doctor(told: Told) -> None:
    agree("doctor", told("doctor"))
