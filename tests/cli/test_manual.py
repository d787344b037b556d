"""The manual pages: written by the command that packages call, read by man and mandoc, complete."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mkpxeinit import parameters
from mkpxeinit.cli.main import group
from mkpxeinit.dropins import PHASES
from mkpxeinit.hooks import config, scripts, state
from mkpxeinit.manual import places
from mkpxeinit.netboot import description, table

CONTEXT = group.context_class(group, info_name="mkpxeinit")
VERBS = group.list_commands(CONTEXT)
DOCS = Path(__file__).resolve().parents[2] / "docs"


def write(folder: Path, date: str = "1763769600") -> Path:
    words = [sys.executable, "-m", "mkpxeinit.manual", str(folder)]
    subprocess.run(words, check=True, env={"SOURCE_DATE_EPOCH": date, "PATH": "/usr/bin:/bin"}, timeout=60)
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("manual"))


def plain(path: Path) -> str:
    """Return a page's text as it is read, without markup and line breaks."""
    text = re.sub(r"\\f[BIR]", "", path.read_text()).replace("\\-", "-").replace("\\e", "\\")
    text = text.replace("\\(aq", "'").replace("\\&", "").replace("\\(ti", "~")
    return " ".join(text.split())


def told(text: str | None) -> str:
    """Return what a help says as a page has it: on one line, and without backticks."""
    return " ".join(str(text).replace("`", "").split())


def test_files(written: Path) -> None:
    names = {path.name for path in (written / "man").iterdir()}
    verbs = {f"mkpxeinit-{verb}.8" for verb in VERBS}
    others = {"mkpxeinit.toml.5", "mkpxeinit.d.5", "mkpxeinit-hardware.7", "mkpxeinit-json.7"}
    assert names == {"mkpxeinit.8", "pxeinit.7", "pxeinit-codes.7", *others, *verbs}
    shells = {
        str(path.relative_to(written)) for path in (written / "completions").rglob("*") if path.is_file()
    }
    assert shells == {
        "completions/bash/mkpxeinit",
        "completions/zsh/_mkpxeinit",
        "completions/fish/mkpxeinit.fish",
    }
    (head,) = re.findall(r"^\.TH .*", (written / "man/mkpxeinit.8").read_text(), re.MULTILINE)
    assert '"2025-11-22"' in head


def test_the_same_twice(written: Path, tmp_path: Path) -> None:
    again = write(tmp_path)
    for path in written.rglob("*"):
        if path.is_file():
            assert (again / path.relative_to(written)).read_bytes() == path.read_bytes()


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="Debian package mandoc")
def test_mandoc_has_nothing_to_say(written: Path) -> None:
    pages = sorted(map(str, (written / "man").iterdir()))
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.skipif(shutil.which("man") is None, reason="Debian package man-db")
def test_man_has_nothing_to_say(written: Path) -> None:
    for path in sorted((written / "man").iterdir()):
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(path)],
            capture_output=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0 and done.stderr == b"", path


def test_every_verb_is_in_the_overview(written: Path) -> None:
    text = plain(written / "man/mkpxeinit.8")
    for verb in VERBS:
        command = group.get_command(CONTEXT, verb)
        assert command is not None
        assert f"mkpxeinit-{verb}(8) {command.get_short_help_str(200)}" in text


def parts(command: click.Command) -> Iterator[click.Command]:
    """All commands below a group."""
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        yield each
        yield from parts(each)


def test_every_command_of_a_group_is_in_its_page(written: Path) -> None:
    found = group.get_command(CONTEXT, "hook")
    assert found is not None
    text = plain(written / "man/mkpxeinit-hook.8")
    below = list(parts(found))
    assert {"install", "remove", "status", "run", "add", "update"} <= {each.name for each in below}
    for each in below:
        assert re.search(rf'"([a-z]+ )?{each.name} \[OPTIONS\]', text), each.name
        assert told(str(each.help).split("\n\n", maxsplit=1)[0]) in text
        for option in each.params:
            if isinstance(option, click.Option):
                assert str(option.opts[-1]) in text and told(option.help) in text
        for line in str(each.epilog).splitlines()[2:]:
            assert " ".join(line.split()) in text


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_in_its_page(written: Path, verb: str) -> None:
    command = group.get_command(CONTEXT, verb)
    assert command is not None
    context = command.context_class(command, info_name=verb, parent=CONTEXT)
    page = written / f"man/mkpxeinit-{verb}.8"
    tags = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", plain(page).partition('"OPTIONS"')[2]))
    options = [each for each in command.get_params(context) if each.param_type_name == "option"]
    assert len(options) >= 2
    for each in options:
        assert set(each.opts) <= tags, each.opts
        assert told(getattr(each, "help", "")) in plain(page), each.opts
    for line in str(command.epilog).splitlines()[2:]:
        assert " ".join(line.split()) in plain(page)


def test_the_hooks_page_is_whole(written: Path) -> None:
    """What is done, by which scripts, what is kept, and the exit code that a package manager sees."""
    text = plain(written / "man/mkpxeinit-hook.8")
    assert "WHAT HAPPENS" in text and "HOOK FAILED" in text
    assert all(f"/{each.path}" in text for each in scripts.scripts(tuple(scripts.KINDS)))
    assert str(state.FILE) in text and ".TP 10 With --as-hook" in text


def test_codes_have_what_to_do(written: Path) -> None:
    text = plain(written / "man/pxeinit-codes.7")
    codes = set(re.findall(r"^### (PXE-INIT-\S+)$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE))
    assert len(codes) > 20
    for code in codes:
        assert re.search(rf'"{code}" \.IP \\\(bu 2 Cause: .*? Look at: .*? Mend: ', text), code


def test_drop_ins_are_a_page(written: Path) -> None:
    text = plain(written / "man/mkpxeinit.d.5")
    assert all(
        f"{key} =" in text or f"[[{key}]]" in text for key in ("modules", "programs", "files", "hooks")
    )


OWN = re.compile(r"\b((?:mkpxeinit|pxeinit)[\w.-]*\(\d\))")


def test_pages_name_what_is_installed(written: Path) -> None:
    """No page of docs/, which only a checkout has; and each page that is named is there."""
    there = {re.sub(r"\.(\d)$", r"(\1)", path.name) for path in (written / "man").iterdir()}
    assert "mkpxeinit.toml(5)" in there
    for path in (written / "man").iterdir():
        text = plain(path)
        assert not re.search(r"docs/|\b[\w-]+\.md\b|\bdecision|\binit/|tests/", text), path
        assert set(OWN.findall(text)) <= there, path


def constants(path: Path) -> Iterator[str]:
    """The texts in a program that are no docstrings."""
    tree = ast.parse(path.read_text())
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and not any(isinstance(each, ast.Call) for each in getattr(node, "decorator_list", ()))
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_messages_name_what_is_installed(written: Path) -> None:
    """Helps too, which are docstrings of what has a decorator."""
    there = {re.sub(r"\.(\d)$", r"(\1)", path.name) for path in (written / "man").iterdir()}
    named = set()
    for path in (DOCS.parent / "mkpxeinit").rglob("*.py"):
        if "manual" in path.parts:
            continue  # it reads docs/
        for text in constants(path):
            named_page = re.search(r"docs/|\b[\w-]+\.md\b", text)
            assert text == parameters.PAGE or not named_page, f"{path}: {text}"
            named |= set(OWN.findall(text))
    assert len(named) >= 4
    assert named <= there


def test_the_wheel_has_what_pages_are_made_from() -> None:
    text = (DOCS.parent / "pyproject.toml").read_text()
    only = tomllib.loads(text)["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert {each.removeprefix("docs/") for each in only if each.startswith("docs/")} == places.PAGES
    assert {taken.page for each in places.VERBS.values() for taken in each} <= places.PAGES


def test_every_parameter_and_code_is_in_pxeinit(written: Path) -> None:
    """That docs/client.md has them all holds tests/init/test_complete.py."""
    text = plain(written / "man/pxeinit.7")
    page = (DOCS / "client.md").read_text()
    names = [each.name for each in parameters.read()]
    assert {"root", "nfsroot", "ip", "BOOTIF", "pxeinit.mode", "pxeinit.shell"} <= set(names)
    assert set(re.findall(r"`(pxeinit\.\w+)", page.partition("## Parameters")[2])) <= set(names)
    assert all(name in text for name in names)
    codes = set(re.findall(r"PXE-INIT-[a-z0-9-]+", page))
    assert len(codes) > 20 and codes <= set(re.findall(r"PXE-INIT-[a-z0-9-]+", text))
    modes = next(each for each in parameters.read() if each.name == "pxeinit.mode").values
    assert set(modes) >= {"farm", "overlay", "ro", "rw"}
    assert next(each for each in parameters.read() if each.name == "pxeinit.break").values == PHASES


FULL = """
[server]
address = "192.0.2.1"
[[subnet]]
network = "192.0.2.0/24"
[tree.a]
path = "/a"
[tree.a.build]
[group.g]
tree = "a"
[[client]]
mac = "52:54:00:12:34:56"
[loaders]
"""


def test_every_key_is_in_mkpxeinit_toml(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader is asked: what it asks its tables for is what a page has to have."""
    asked: dict[str, set[str]] = {}
    end = table.Table.end

    def record(given: table.Table) -> None:
        asked.setdefault(given.name, set()).update(given._asked)
        end(given)

    monkeypatch.setattr(table.Table, "end", record)
    (tmp_path / "site.toml").write_text(FULL)
    description.read(tmp_path / "site.toml")
    folder = tmp_path / "tree"
    folder.mkdir()
    lines = f'[hook]\n[[hook.tree]]\nsysroot = "{folder}"\nname = "x"\ntftp-root = "/x"\n[hook.tree.build]\n'
    (tmp_path / "hook.toml").write_text(lines)
    config.read(tmp_path / "hook.toml")
    assert {"[hook]", "[[hook.tree]] 1"} <= set(asked), set(asked)
    assert {"[server]", "[[subnet]] 1", "[tree.a]", "[tree.a.build]", "[loaders]"} <= set(asked)
    page = (written / "man/mkpxeinit.toml.5").read_text().replace("\\-", "-")
    typed = set(re.findall(r"\\fB(.*?)\\fR", page))
    headings = " ".join(re.findall(r"^\.SS .*", page, re.MULTILINE))
    for name, keys in asked.items():
        for key in keys - {"build"} if name else ():
            assert key in typed, f"{name}: {key}"
    assert all(f"[{key}" in headings for key in ("server", "subnet", "tree", "group", "client", "loaders"))
    assert "[tree.NAME.build]" in typed


@pytest.mark.parametrize("words", [[], ["a", "b"], ["--help"]])
def test_wrong_usage(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkpxeinit.manual", *words], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: python -m mkpxeinit.manual OUTDIR\n"


def test_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "man").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "mkpxeinit.manual", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and done.stderr.startswith(f"mkpxeinit.manual: {tmp_path}/man: ")
    assert done.stderr.count("\n") == 1
