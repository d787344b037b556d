"""Drop-ins: fragments that are right, all that can be wrong with one, and the page of docs/ about them."""

import os
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from mkpxeinit.dropins import DEFAULT, PHASES, plan_hooks, read_drop_ins
from mkpxeinit.errors import ProgramError
from tests.unit.doc_blocks import DOCS, files_in
from tests.unit.small import make_tree

HOOK = '[[hooks]]\nphase = "root"\nscript = "go"\n'


def test_all_keys(tmp_path: Path) -> None:
    make_tree(
        tmp_path,
        {
            "20-b.toml": 'modules = ["b"]\n',
            "10-a.toml": """
modules = ["x", "y"]
programs = ["/usr/sbin/tool", "other"]
[[files]]
source = "conf"
target = "/etc/conf"
[[files]]
sysroot = "/etc/x"
[[files]]
sysroot = "/etc/y"
target = "/etc/z"
[[hooks]]
phase = ["lease", "switch"]
script = "sub/go.sh"
order = 5
[[hooks]]
phase = "root"
when = "before"
script = "sub/go.sh"
""",
            "conf": "text",
            "sub/go.sh": "#!/bin/sh\n",
            "notes.txt": "not read",
            ".hidden.toml": "no TOML",
        },
    )
    found = read_drop_ins([tmp_path])
    assert [(name, str(reason)) for name, reason in found.modules] == [
        ("x", "drop-in 10-a.toml"),
        ("y", "drop-in 10-a.toml"),
        ("b", "drop-in 20-b.toml"),
    ]
    assert [name for name, _ in found.programs] == ["/usr/sbin/tool", "other"]
    assert [(each.source, each.tree, str(each.target)) for each in found.files] == [
        (tmp_path / "conf", None, "etc/conf"),
        (None, "/etc/x", "etc/x"),
        (None, "/etc/y", "etc/z"),
    ]
    hooks = plan_hooks(found.hooks)
    assert [str(item.entry.path).removeprefix("lib/pxeinit/hooks/") for item in hooks] == [
        "lease/05-go.sh",
        "switch/05-go.sh",
        "root.before/50-go.sh",
    ]
    assert all(item.entry.mode == 0o755 and str(item.reason) == "drop-in 10-a.toml" for item in hooks)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modules = [", ": Invalid value (at end of document); see mkpxeinit.d(5)"),
        ("\n\nx x", ":3: "),
        ('modules = ["a"]\nmodules = ["b"]\n', ":2: Cannot overwrite a value"),
        ("module = []", "module: unknown key; known: modules, programs, files, hooks"),
        ("drivers = []", "drivers: unknown key"),
        ('modules = "a"', "modules: not a list of names"),
        ("programs = [1]", "programs: not a list of names"),
        ('programs = [""]', "programs: not a list of names"),
        ("files = 3", "files: not an array of tables: [[files]]"),
        ('files = ["a:b"]', "files: not an array of tables"),
        ("[files]\nx = 1", "files: not an array of tables"),
        ('[[files]]\nsource = "none"\ntarget = "/x"', "[[files]] 1, source: "),
        ('[[files]]\nsource = "go"', "[[files]] 1, target: missing"),
        ('[[files]]\nsource = "go"\nsysroot = "/x"\ntarget = "/x"', "either `source`"),
        ('[[files]]\ntarget = "/x"', "either `source`"),
        ('[[files]]\nsource = "go"\ntarget = "../x"', "target: '../x' is no path in the image"),
        ('[[files]]\nsource = "go"\ntarget = "/run/x"', "/run is covered"),
        ('[[files]]\nsource = "go"\ntarget = "/x"\nmode = 7', "[[files]] 1, mode: unknown key"),
        ('[[hooks]]\nscript = "go"', "[[hooks]] 1, phase: missing"),
        ('[[hooks]]\nphase = "boot"\nscript = "go"', "unknown phase 'boot'; the phases: early, drivers"),
        ('[[hooks]]\nphase = ["root", 1]\nscript = "go"', "unknown phase 1"),
        ('[[hooks]]\nphase = []\nscript = "go"', "phase: missing"),
        ('[[hooks]]\nphase = "root"', "[[hooks]] 1, script: missing"),
        ('[[hooks]]\nphase = "root"\nscript = "none"', "/none: No such file or directory"),
        ('[[hooks]]\nphase = "root"\nscript = "text"', "does not begin with #!"),
        ('[[hooks]]\nphase = "root"\nscript = "a b"', "a name of letters"),
        ('[[hooks]]\nphase = "root"\nscript = "fifo"', "/fifo: not a regular file"),
        (f'{HOOK}when = "during"', 'when: neither "before" nor "after"'),
        ('[[hooks]]\nphase = "switch"\nwhen = "after"\nscript = "go"', "no hook can run after phase switch"),
        ('[[hooks]]\nphase = "early"\nwhen = "before"\nscript = "go"', "no hook can run before phase early"),
        (f"{HOOK}order = 100", "order: not a number from 0 to 99"),
        (f"{HOOK}order = true", "order: not a number"),
        (f"{HOOK}{HOOK}x = 1", "[[hooks]] 2, x: unknown key"),
        ('[[hooks]]\nphase = "root"\nscript = "loop"', "[[hooks]] 1, script: "),
        ('[[files]]\nsource = "loop"\ntarget = "/x"', "[[files]] 1, source: "),
        ('[[files]]\nsource = "a\\u0000b"\ntarget = "/x"', "embedded null"),
        ("x = " + "[" * 3000, ""),
        ("x = " + "9" * 5000, "digits"),
        ("#" * 70_000, ": larger than 65536 bytes"),
        ("\xff", ":1: not UTF-8"),
    ],
)
def test_wrong_fragments(tmp_path: Path, text: str, says: str) -> None:
    make_tree(tmp_path, {"go": "#!/bin/sh\n", "text": "text", "a b": "#!/bin/sh\n"})
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "x.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ProgramError) as caught:
        read_drop_ins([tmp_path])
    assert str(caught.value).startswith(f"{tmp_path}/x.toml:")
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="/none: No such file or directory; a folder with fragments"):
        read_drop_ins([tmp_path / "none"])
    (tmp_path / "file").write_text("")
    with pytest.raises(ProgramError, match="/file: Not a directory"):
        read_drop_ins([tmp_path / "file"])
    if not DEFAULT.exists():
        assert read_drop_ins([DEFAULT]).modules == ()
    (tmp_path / "x.toml").symlink_to("none")
    with pytest.raises(ProgramError, match=r"/x.toml: No such file"):
        read_drop_ins([tmp_path])
    (tmp_path / "x.toml").unlink()
    (tmp_path / "x.toml").symlink_to("x.toml")
    with pytest.raises(ProgramError, match=r"/x.toml: "):
        read_drop_ins([tmp_path])


def test_two_hooks_of_one_name(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a.toml": HOOK, "b.toml": HOOK, "go": "#!/bin/sh\n"})
    with pytest.raises(ProgramError) as caught:
        plan_hooks(read_drop_ins([tmp_path]).hooks)
    assert str(caught.value).startswith(
        "drop-in b.toml: the hook /lib/pxeinit/hooks/root/50-go is there already, by drop-in a.toml; "
    )


def test_the_phases_are_those_of_init() -> None:
    words = (DOCS.parent / "init/init").read_text().split()
    assert tuple(words[number + 1] for number, word in enumerate(words) if word == "run_phase") == PHASES


def test_the_page_is_right(tmp_path: Path) -> None:
    """What docs/drop-ins.md shows is read, and shellcheck has nothing to say about its scripts."""
    shown = files_in("drop-ins.md")
    assert set(shown) == {"iscsi.toml", "iscsi-disk", "iscsi-login", "iscsi-mount"}
    make_tree(tmp_path, shown)
    found = read_drop_ins([tmp_path])
    assert [name for name, _ in found.modules] == ["iscsi_tcp", "sd_mod", "ext4"]
    assert [hook.path for hook in found.hooks] == [
        PurePosixPath("lib/pxeinit/hooks/lease/50-iscsi-login"),
        PurePosixPath("lib/pxeinit/hooks/tree/50-iscsi-mount"),
    ]
    scripts = [tmp_path / "iscsi-login", tmp_path / "iscsi-mount"]
    subprocess.run(["shellcheck", "--norc", "-s", "dash", *scripts], check=True)
