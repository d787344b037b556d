"""Completion, asked for in real shells: bash, zsh and fish press Tab, the program answers."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from mkpxeinit.cli.completion import NAMES, SCRIPTS
from mkpxeinit.cli.main import group
from tests.cli.conftest import Run, command
from tests.unit.small import RELEASE, make_tree

SECONDS = 60.0
Complete = Callable[[str], list[str]]
Asked = Callable[..., list[str]]

# What readline does at Tab, done by hand: the function is called with the words, its answer printed.
_BASH = r"""
. "$1"
COMP_LINE=$2$4 COMP_POINT=${#2} COMP_KEY=9 COMP_TYPE=9
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


def bash(here: Path, line: str, after: str = "") -> list[str]:
    words = ["bash", "--norc", "-c", _BASH, "bash", str(here / NAMES["bash"]), line, sys.executable, after]
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


def zsh(here: Path, line: str, after: str = "") -> list[str]:
    """Type the line into a zsh on a terminal, go back before `after`, and press Tab."""
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
        os.write(terminal, (line + after).encode() + b"\x02" * len(after) + b"\t")
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


@pytest.fixture
def asked(run: Run) -> Asked:
    """What the program answers, as it is asked by the scripts; words are between blanks."""

    def answer(before: str, part: str = "", after: str = "") -> list[str]:
        words = {"COMP_WORDS": before, "COMP_ALL": f"mkpxeinit {before} {part} {after}"}
        env = {name: "\n".join(text.split()) for name, text in words.items()} | {"COMP_PART": part}
        done = run(env=env | {"_MKPXEINIT_COMPLETE": "zsh_complete"})
        assert (done.code, done.stderr) == (0, "")
        rows = [row.split("\t") for row in done.stdout.decode().splitlines() if row]
        return [value if kind == "plain" else f"<{kind}>" for kind, value, _ in rows]

    return answer


# Options whose values nobody can guess: addresses, numbers, names that are new.
UNKNOWN = {
    "publish": {"--mac", "--timeout", "--keep"},
    "server-config": {"--server", "--subnet", "--range", "--router", "--http-url", "--domain", "--dns"},
    "verify-server": {
        *("--mac", "--uuid", "--server", "--file", "--root-path", "--dns", "--init"),
        *("--timeout", "--file-timeout"),
    },
    "serve": {"--address", "--range", "--http-port", "--report-port"},
    "boot": {"--memory", "--timeout"},
}


def all_commands(above: click.Group, words: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in above.list_commands(click.Context(above)):
        found = above.get_command(click.Context(above), name)
        assert found is not None
        yield f"{words} {name}".strip(), found
        if isinstance(found, click.Group):
            yield from all_commands(found, f"{words} {name}")


def test_every_value_is_completed_or_cannot_be() -> None:
    for words, found in all_commands(group):
        lacking = {
            each.opts[-1]
            for each in found.params
            if not getattr(each, "is_flag", False)
            and each._custom_shell_complete is None
            and not isinstance(each.type, click.Path | click.Choice)
        }
        assert lacking == UNKNOWN.get(words, set()), words


def test_folders_and_files(asked: Asked) -> None:
    assert asked("build --sysroot") == ["<dir>"] == asked("server-config --tftp-root")
    assert asked("build --file") == ["<file>"] == asked("check")
    assert asked("hook status --root") == ["<dir>"]


def test_values_of_a_list(asked: Asked, here: Path) -> None:
    """Each once, also behind a comma; words that stand alone only there."""
    assert asked("build --bus", "pci,u") == ["pci,usb"]
    assert "none" in asked("build --bus")
    more = asked("build --bus", "pci,")
    assert "pci,virtio" in more and not {"pci,pci", "pci,none"} & set(more)
    assert asked("server-config --only", "dnsmasq,p") == ["dnsmasq,pxelinux"]
    assert asked("server-config --nfs-options", "vers=4.2,nc") == ["vers=4.2,nconnect=4"]
    assert not any("vers=3" in each for each in asked("server-config --nfs-options", "vers=4.2,"))
    assert asked("prepare --only", "fst") == ["fstab"]
    assert asked("prepare --only fstab --only", "fst") == []


def test_words_of_a_command_line(asked: Asked) -> None:
    assert asked("build --cmdline", "quiet pxeinit.mode=r") == [
        "quiet pxeinit.mode=ro",
        "quiet pxeinit.mode=rw",
    ]


def test_a_quote_that_is_open(here: Path) -> None:
    """zsh hands words over with their quotes; bash without."""
    if shutil.which("zsh") is None:
        pytest.skip("Debian package zsh")
    found = zsh(here, "mkpxeinit build --cmdline 'quiet pxeinit.break=le")
    assert found == ["quiet", "pxeinit.break=lease"]


def test_choices(asked: Asked) -> None:
    for verb in ("serve", "server-config"):
        assert asked(f"{verb} --mode") == ["farm", "overlay", "ro", "rw"]
    assert asked("hook install --kind", "a") == ["arch", "alpine"]
    assert asked("doctor", "b") == ["build", "boot", "busybox"]


def test_what_stands_behind_the_cursor(asked: Asked, here: Path, root: Path) -> None:
    both = {RELEASE, "5.10.0-9-old"}
    for after in (f"--sysroot {root}", f"-v --sysroot={root} -q"):
        assert set(asked("build --kernel-release", after=after)) == both
    assert asked("build --driver", "e100", f"--sysroot {root}") == ["e1000"]
    assert asked("build --kernel-release") == []


def test_programs_of_the_tree(asked: Asked, root: Path) -> None:
    make_tree(root, {"usr/bin/mount.nfs": "", "usr/sbin/mkfs": ""})
    assert asked(f"build --sysroot {root} --program", "m") == ["mkfs", "mount.nfs"]
    assert asked(f"build --sysroot {root} --program", "/usr/b") == ["/usr/bin/mount.nfs"]


def test_what_the_configuration_says(asked: Asked, here: Path, config: Path, root: Path) -> None:
    """The hooks' trees, and images whose kernel has gone; a description's trees; before or behind."""
    both = {RELEASE, "5.10.0-9-old"}
    assert set(asked(f"hook run --config {config} add")) == both
    (root / "boot").mkdir(exist_ok=True)
    (root / "boot/pxeinit-4.19.0-1-gone.img").write_text("")
    assert set(asked(f"hook run --config {config} remove")) == {*both, "4.19.0-1-gone"}
    site = here / "site.toml"
    site.write_text(
        f'[server]\naddress = "192.0.2.1"\n[[subnet]]\nnetwork = "192.0.2.0/24"\n[tree.x]\npath = "{root}"\n'
    )
    assert set(asked(f"publish --config {site} --kernel-release")) == both
    assert set(asked("publish --kernel-release", after=f"--config {site}")) == both
    assert asked(f"publish --config {site} --name") == ["x"]


def test_what_is_published(asked: Asked, run: Run, root: Path, tftp: Path) -> None:
    assert run("publish", "--sysroot", root, "--tftp-root", tftp, "--name", "pc").code == 0
    words = ("--group", "lab", "--mac", "52:54:00:00:00:01", "--generation", "pc.1")
    assert run("publish", "--tftp-root", tftp, *words).code == 0
    for option, found in (("--generation", "pc.1"), ("--group", "lab"), ("--name", "pc")):
        assert asked(f"publish --tftp-root {tftp} {option}") == [found]
        assert asked(f"publish {option}", after=f"--tftp-root {tftp}") == [found]


def test_releases_of_an_image(asked: Asked, here: Path, run: Run, root: Path) -> None:
    assert run("build", "--sysroot", root, "-o", here / "image").code == 0
    assert asked(f"check {here}/image --kernel-release") == [RELEASE]


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


def test_the_tree_stands_behind(here: Path, root: Path) -> None:
    """fish completes no line but from its end in a script."""
    line, after = "mkpxeinit build --kernel-release 5", f" --sysroot {root}"
    assert bash(here, line, after) == ["5.10.0-9-old"]
    if shutil.which("zsh"):
        assert zsh(here, line, after) == ["5.10.0-9-old"]


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
