"""Completion, asked for in real shells: bash, zsh and fish press Tab, the program answers."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mkpxeinit.cli.completion import NAMES, SCRIPTS
from tests.cli.conftest import command
from tests.unit.small import RELEASE, make_tree

SECONDS = 60.0
Complete = Callable[[str], list[str]]

# What readline does at Tab, done by hand: the function is called with the words, its answer printed.
_BASH = r"""
. "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_KEY=9 COMP_TYPE=9
options=
compopt() { options="$options $*"; }
# As readline takes a line apart: at blanks, and at = and : which are words of their own.
eval "$(printf '%s' "$2" | "$3" -c '
import re, shlex, sys
text = sys.stdin.read()
words = re.findall(r"[=:]+|[^\s=:]+", text)
if not text or text[-1].isspace(): words.append("")
print("COMP_WORDS=(" + " ".join(map(shlex.quote, words)) + ")")')"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_mkpxeinit mkpxeinit "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
[ -z "$options" ] || printf '<%s>\n' $options
"""


@pytest.fixture
def here(tmp_path: Path, root: Path) -> Path:
    """A folder with the scripts, a tree with two releases, and the command by its name."""
    make_tree(root, {"lib/modules/5.10.0-9-old/modules.dep": ""})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mkpxeinit").symlink_to(command())
    for shell, text in SCRIPTS.items():
        path = tmp_path / NAMES[shell]
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path


def environment(here: Path) -> dict[str, str]:
    return {
        "PATH": f"{here}/bin:{os.environ['PATH']}",
        "HOME": str(here),
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
    }


def bash(here: Path, line: str) -> list[str]:
    words = ["bash", "--norc", "-c", _BASH, "bash", str(here / NAMES["bash"]), line, sys.executable]
    done = subprocess.run(
        words, capture_output=True, text=True, env=environment(here), cwd=here, timeout=SECONDS, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def fish(here: Path, line: str) -> list[str]:
    script = f"source {here / NAMES['fish']}; complete -C -- $argv[1]"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script, line],
        capture_output=True, text=True, env=environment(here), cwd=here, timeout=SECONDS, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return [row.partition("\t")[0] for row in done.stdout.splitlines()]


def zsh(here: Path, line: str) -> list[str]:
    """Type the line into a zsh on a terminal and press Tab; what it lists is between two marks."""
    (here / ".zshrc").write_text(
        f"PS1='' PS2='' RPS1=''\nunsetopt zle_bracketed_paste\nfpath=({here}/zsh $fpath)\n"
        "autoload -Uz compinit\ncompinit -u -d ./dump\n"
        "zstyle ':completion:*' list-colors ''\nzstyle ':completion:*' verbose no\n"
        "LISTMAX=10000\nsetopt no_list_beep no_list_packed\n"
        "zle -C all complete-word list\n"
        "list() { compstate[list]=; unset 'compstate[vared]'; functions[compadd]='"
        'local -a found; builtin compadd -O found "$@"; print -rl -- $found >>./found; '
        'builtin compadd "$@"\'; _main_complete; unfunction compadd; print -r -- END >>./found }\n'
        "bindkey '^I' all\nprint READY\n"
    )
    found = here / "found"
    found.unlink(missing_ok=True)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(here)
        os.execvpe("zsh", ["zsh", "-i"], environment(here) | {"ZDOTDIR": str(here)})
    try:
        _until(terminal, lambda seen: b"READY" in seen)
        os.write(terminal, line.encode() + b"\t")
        _until(terminal, lambda seen: found.exists() and "END" in found.read_text().split())
        return list(dict.fromkeys(found.read_text().split()[:-1]))  # compsys asks twice
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


def _until(terminal: int, done: Callable[[bytes], bool]) -> None:
    seen, end = b"", time.monotonic() + SECONDS
    while not done(seen):
        assert time.monotonic() < end, seen
        if select.select([terminal], [], [], 0.05)[0]:
            seen += os.read(terminal, 65536)


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}


@pytest.fixture(params=SHELLS)
def complete(request: pytest.FixtureRequest, here: Path) -> Complete:
    if shutil.which(request.param) is None:
        pytest.skip(f"Debian package {request.param}")
    shell = SHELLS[request.param]
    return lambda line: [each.removesuffix(" ") for each in shell(here, line)]


def test_verbs_and_options(complete: Complete) -> None:
    assert set(complete("mkpxeinit ser")) == {"server-config", "serve"}
    (here,) = complete("mkpxeinit build --kernel-r")
    assert here == "--kernel-release"


def test_releases_and_modules(complete: Complete, root: Path) -> None:
    assert set(complete(f"mkpxeinit build --sysroot {root} --kernel-release ")) == {RELEASE, "5.10.0-9-old"}
    assert complete(f"mkpxeinit build --sysroot {root} --driver e100") == ["e1000"]


def test_phases(complete: Complete) -> None:
    """As separate words, and behind the option's own equals sign, at which bash takes words apart."""
    line = "mkpxeinit build --cmdline pxeinit.break=l"
    assert complete(line)[-1].removeprefix("pxeinit.break=") == "lease"
    assert complete("mkpxeinit build --cmdline=pxeinit.break=le")[-1].rpartition("=")[2] == "lease"
    modes = {each.rpartition("=")[2] for each in complete("mkpxeinit build --cmdline pxeinit.mode=")}
    assert modes == {"farm", "overlay", "ro", "rw"}


def test_files(complete: Complete, here: Path) -> None:
    (here / "an-image.img").write_text("")
    found = complete("mkpxeinit list an-im")
    # bash and readline complete files themselves when they are told to.
    assert found in (["an-image.img"], ["<-o>", "<default>"])


def test_a_tree_with_hostile_names(here: Path, root: Path) -> None:
    """What a tree says is data: no shell evaluates it, and a line is a line."""
    hostile = ("$(touch pwned)", "`touch pwned`", "a;touch pwned")
    for name in hostile:
        make_tree(root, {f"lib/modules/{name}/modules.dep": ""})
    for name, shell in SHELLS.items():
        if shutil.which(name):
            found = " ".join(shell(here, f"mkpxeinit build --sysroot {root} --kernel-release "))
            assert RELEASE in found, name
    assert not (here / "pwned").exists()


@pytest.mark.parametrize(
    "words", ["build --sysroot /no/such --driver", "why /no/such", "publish --tftp-root /no --generation"]
)
def test_nothing_to_say_is_no_error(here: Path, words: str) -> None:
    asked = {"_MKPXEINIT_COMPLETE": "zsh_complete", "COMP_WORDS": "\n".join(words.split())}
    done = subprocess.run(
        [command()], env=environment(here) | asked, capture_output=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
