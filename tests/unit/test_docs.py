"""The pages of docs/: links lead somewhere, every code has its entry, every page can be found."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import click
import pytest

from mkpxeinit.cli.main import group
from tests.unit.small import RELEASE, busybox, kernel_tree, make_tree, module_path
from tests.unit.test_firmware import module

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
CODE = re.compile(r"PXE-INIT-[a-z0-9-]+")


def without_code(text: str) -> str:
    """Return a page's text without fenced blocks and words in backticks."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(text: str) -> set[str]:
    """Return what headings are linked by, as GitHub and mkdocs make it."""
    found = set()
    for title in re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()
        found.add(re.sub(r" +", "-", re.sub(r"[^\w\- ]", "", plain).strip()))
    return found


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links(page: Path) -> None:
    text = without_code(page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = (page.parent / name).resolve() if name else page.resolve()
        assert path.exists(), f"{page}: {target}"
        assert path.is_relative_to(ROOT), f"{page}: {target}"
        if anchor:
            assert "--" not in anchor, f"{page}: {target}: mkdocs makes one dash of several"
            assert anchor in anchors(path.read_text()), f"{page}: {target}"


def test_every_page_is_linked() -> None:
    """From README or from reference.md, which README links to."""
    linked = set()
    for page in (ROOT / "README.md", DOCS / "reference.md"):
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text()):
            linked.add((page.parent / target).resolve())
    pages = {page.resolve() for page in DOCS.glob("*.md")}
    assert pages - linked - {(DOCS / "index.md").resolve()} == set()


def entries(text: str) -> dict[str, str]:
    """Return the entries of troubleshooting.md by their codes."""
    parts = re.split(r"^### (PXE-INIT-\S+)$", text, flags=re.MULTILINE)
    codes, bodies = parts[1::2], parts[2::2]
    assert len(set(codes)) == len(codes)
    return dict(zip(codes, (each.partition("\n## ")[0] for each in bodies), strict=True))


def test_every_code_has_its_entry() -> None:
    produced = {
        code
        for path in (ROOT / "init").rglob("*")
        if path.is_file()
        for code in CODE.findall(path.read_text())
    }
    found = entries((DOCS / "troubleshooting.md").read_text())
    assert len(produced) > 20
    assert set(found) == produced
    for code, body in found.items():
        heads = re.findall(r"^- \*\*(.*?):\*\* \S", body, re.MULTILINE)
        assert heads == ["Cause", "Look at", "Mend"], code


def test_entries_stand_under_their_phase() -> None:
    phase = ""
    for line in (DOCS / "troubleshooting.md").read_text().splitlines():
        if line.startswith("## "):
            phase = line.removeprefix("## Phase ")
        elif line.startswith("### "):
            assert line.split("-")[2] == phase, line


def test_the_reference_has_every_verb() -> None:
    text = (DOCS / "reference.md").read_text()
    for verb in group.list_commands(group.context_class(group)):
        assert f"| `{verb}` |" in text, verb


VERB = re.compile(r"(?:^|[\s`$(])mkpxeinit ([a-z][a-z-]+)((?: [^`\n]*)?)")


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_commands_in_examples_are_ones(page: Path) -> None:
    """Each verb and long option of a command in a shell block is there."""
    context = group.context_class(group, info_name="mkpxeinit")
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for verb, rest in VERB.findall(line.partition("  #")[0]):
                command = group.get_command(context, verb)
                assert command is not None, f"{page}: {line}"
                words = rest.split()
                if isinstance(command, click.Group) and words:
                    command = command.get_command(context, words[0])
                    assert command is not None, f"{page}: {line}"
                known = {name for each in command.get_params(context) for name in each.opts}
                given = set(re.findall(r"(?<=\s)--[a-z][a-z-]*", re.split(r"[|;]|&&", rest)[0]))
                assert given <= known | {"--help"}, f"{page}: {line}: {given - known}"


def test_pictures_are_whole() -> None:
    for target in re.findall(r"!\[[^]]*\]\(([^)]+\.svg)\)", (ROOT / "README.md").read_text()):
        assert ElementTree.parse(ROOT / target).getroot().tag.endswith("svg"), target


def shown(picture: Path) -> list[str]:
    """The lines of the terminal's picture; numbers, blanks, and which modules are the largest, are one."""
    root = ElementTree.parse(picture).getroot()
    rows = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    lines = (re.sub(r"lib/modules/[^/]+/", "lib/modules/RELEASE/", row) for row in rows)
    alike = (re.sub(r"^( +\d+ lib/).*", r"\1…", line) for line in lines)
    return [re.sub(r"\d+(\.\d+)?", "9", re.sub(r" +", " ", line)) for line in alike]


def test_the_terminal_shows_what_is_printed_today(tmp_path: Path) -> None:
    """The script makes the picture again, of a small tree that is like the real one."""
    applets = (ROOT / "busybox-configs/applets.txt").read_text().splitlines()
    names = [word.lstrip("?") for line in applets if not line.startswith("#") for word in line.split()]
    files = kernel_tree() | {"bin/busybox": busybox([*names, "busybox", "[", "[["])}
    files[f"lib/modules/{RELEASE}/modules.softdep"] = "softdep r8169 pre: realtek\n"
    files[f"lib/modules/{RELEASE}/{module_path('r8169')}"] = module("rtl/1", "rtl/2")
    tree = make_tree(tmp_path / "tree", files)
    script = [sys.executable, ROOT / "tools/record", tree, tmp_path / "session.svg"]
    subprocess.run(list(map(str, script)), check=True, timeout=120)
    assert str(tmp_path) not in (tmp_path / "session.svg").read_text()
    made, kept = shown(tmp_path / "session.svg"), shown(DOCS / "session.svg")
    assert made == kept and sum(line.startswith("$ ") for line in kept) == 4


def test_the_site_leads_to_every_page() -> None:
    """Once: `nav` of mkdocs.yml, decisions too."""
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    listed = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", nav, re.MULTILINE)
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_the_longest_delay_is_that_of_the_client() -> None:
    ceiling = re.search(r"^backoff_ceiling=(\d+)", (ROOT / "init/lib/backoff.sh").read_text(), re.MULTILINE)
    told = re.search(r"delays of up to (\d+) seconds", (DOCS / "troubleshooting.md").read_text())
    assert ceiling and told and ceiling[1] == told[1]


@pytest.mark.skipif(shutil.which("mkdocs") is None, reason="Debian package mkdocs")
def test_mkdocs_has_nothing_to_say(tmp_path: Path) -> None:
    words = ["mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "site/tutorial/index.html").exists()
