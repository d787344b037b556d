"""What `mkpxeinit busybox` makes of a real source, Debian's: compiled once, and kept in the cache."""

import re
import subprocess
from pathlib import Path

import pytest

from mkpxeinit import busybox, busybox_config, elf, resources
from mkpxeinit.busybox_build import MAX_SIZE
from pxelab import busyboxes

# What ash brings along, and busybox itself.
BESIDES = {"ash", "busybox"}


@pytest.mark.slow
def test_what_it_can_do() -> None:
    """It runs here, and has the applets of the list and no others."""
    ours = busyboxes.ours()
    said = subprocess.run(
        [ours, "--list"], capture_output=True, check=True, text=True, timeout=10
    ).stdout.split()
    assert busybox.applet_names(ours.read_bytes()) == tuple(said)
    needs = busybox.read_needs(resources.folder("busybox-configs") / "applets.txt")
    wanted = {*needs.required, *needs.optional, *busybox_config.EXTRA_APPLETS}
    assert set(said) - BESIDES == wanted - BESIDES
    assert ours.stat().st_size < MAX_SIZE


@pytest.fixture
def host_busybox() -> Path:
    """This machine's static busybox, an oracle."""
    path = Path("/bin/busybox")
    if not path.exists() or elf.inspect(path.read_bytes(), "busybox").interpreter is not None:
        pytest.skip("no static busybox on this machine")
    return path


def script(busybox: Path, text: str) -> str:
    """Return what a shell of `busybox` prints, errors and all."""
    done = subprocess.run(
        [busybox, "sh", "-c", text], capture_output=True, timeout=60, env={"PATH": "/nowhere", "LC_ALL": "C"}
    )
    return (done.stdout + done.stderr).decode("utf-8", "backslashreplace")


@pytest.mark.slow
def test_checks_say_the_same_with_musl(host_busybox: Path) -> None:
    """Each allow-list of the client takes and refuses the same bytes: C libraries differ in patterns."""
    init = resources.folder("init")
    texts = [path.read_text() for path in (init / "dhcp-event", *sorted(init.glob("lib/*.sh")))]
    functions = re.findall(
        r"^is_\w+\(\) \{(?: [^\n]*\}$|\n.*?^\}$)", "\n".join(texts), re.MULTILINE | re.DOTALL
    )
    names = [text.partition("(")[0] for text in functions]
    assert {"is_path", "is_root_path", "is_hostname", "is_modalias", "is_bond_options"} <= set(names)
    loop = """
i=1
while [ $i -lt 128 ]; do
    char=$(printf "\\\\$(printf %03o $i).")
    char=${char%.}
    for value in "/a${char}b" "a${char}b" "mode=${char}1" "${char}" "1${char}2"; do
        for name in $names; do
            $name "$value" 2>/dev/null && echo "$i $name"
        done
    done
    i=$((i + 1))
done
"""
    text = "\n".join((f"blank=' ' names='{' '.join(names)}'", *functions, loop))
    ours = script(busyboxes.ours(), text).splitlines()
    # A slash is taken; a newline and a backslash are not.
    assert "47 is_path" in ours
    assert {"10 is_root_path", "92 is_root_path", "92 is_path"}.isdisjoint(ours)
    assert ours == script(host_busybox, text).splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "printf 'ab\\1' | od -An -tu2",
        "printf 'abcdef' | od -An -v -tu1 -j 2 -N 3",
        "printf 'abc' | head -c 2",
        "stat -c %u:%a /etc/passwd",
        "printf x | md5sum",
        "[ 4294967295 -gt 3600 ] && echo larger",
        "echo $((0xffffffff + 1))",
        "printf 'a b' | awk -v x=1 '{ print $2 x }'",
        "printf 'a\\0b' | tr '\\0' '\\n'",
        "timeout -s KILL 1 sleep 9; echo $?",
        "cp --help 2>&1 | grep -c -e -d",
        "udhcpc --help 2>&1 | grep -o -e '-a.MSEC.'",
        "tar -C /etc -cf - -- passwd | tar -xOf - | wc -c",
    ],
)
def test_programs_say_the_same(host_busybox: Path, command: str) -> None:
    """What the client asks of them, as Debian's busybox does it."""
    assert script(busyboxes.ours(), command) == script(host_busybox, command) != ""


@pytest.mark.long
def test_the_same_bytes_twice(tmp_path: Path) -> None:
    """Each build has a scratch folder of its own, and its own order of processes."""
    busyboxes.build(busyboxes.source(), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == busyboxes.ours().read_bytes()
