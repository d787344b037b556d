"""The manual pages: written by the command that packages call, read by man and mandoc, complete."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mkpxeinit import parameters
from mkpxeinit.cli.main import group
from mkpxeinit.dropins import PHASES
from mkpxeinit.hooks import config
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


def test_files(written: Path) -> None:
    names = {path.name for path in (written / "man").iterdir()}
    verbs = {f"mkpxeinit-{verb}.8" for verb in VERBS}
    assert names == {"mkpxeinit.8", "pxeinit.7", "mkpxeinit.toml.5", *verbs}
    shells = {
        str(path.relative_to(written)) for path in (written / "completions").rglob("*") if path.is_file()
    }
    assert shells == {
        "completions/bash/mkpxeinit",
        "completions/zsh/_mkpxeinit",
        "completions/fish/mkpxeinit.fish",
    }
    assert '"2025-11-22"' in (written / "man/mkpxeinit.8").read_text().splitlines()[1]


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
    for name in ("mkpxeinit.8", "mkpxeinit-build.8", "mkpxeinit-publish.8", "pxeinit.7", "mkpxeinit.toml.5"):
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(written / "man" / name)],
            capture_output=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0 and done.stderr == b"", name


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
        assert " ".join(str(each.help).split("\n\n", maxsplit=1)[0].split()) in text
        for option in each.params:
            if isinstance(option, click.Option):
                assert str(option.opts[-1]) in text and " ".join(str(option.help).split()) in text


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
        help_text = " ".join(str(getattr(each, "help", "")).split())
        assert help_text in plain(page), each.opts
    for line in str(command.epilog).splitlines()[2:]:
        assert " ".join(line.split()) in plain(page)


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
