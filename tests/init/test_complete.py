"""Nothing in init/ is left out: every code is produced by a test, every command is in the list of applets."""

import re
from pathlib import Path

import pytest

from mkpxeinit import busybox as bb
from tests.init.fakeroot import ALWAYS, INIT, SOMETIMES, FakeRoot
from tests.init.parts import APPLETS, BUSYBOX, ORIGINAL

SCRIPTS = sorted(path for path in [*INIT.iterdir(), *INIT.glob("lib/*")] if path.is_file())
REFERENCE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
CODE = re.compile(r"PXE-INIT-[a-z0-9-]+")


def asserted_codes() -> set[str]:
    """The codes that a test expects to be reported, or compares with those that were."""
    found = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        if path != Path(__file__):
            text = path.read_text()
            found.update(re.findall(r'(?:reports\(|codes == \[|, )"(PXE-INIT-[a-z0-9-]+)"', text))
    return found


def test_every_code_is_produced() -> None:
    produced = {code for path in SCRIPTS for code in CODE.findall(path.read_text())}
    assert len(produced) > 20
    assert asserted_codes() == produced


def test_the_reference_has_every_code_parameter_and_phase() -> None:
    produced = {code for path in SCRIPTS for code in CODE.findall(path.read_text())}
    assert set(CODE.findall(REFERENCE)) == produced
    own = set(re.findall(r"^        (\w+)=?\*?\)", own_parameters(), re.MULTILINE))
    assert {"mode", "dev", "shell"} < own
    assert set(re.findall(r"`pxeinit\.(\w+)[=`]", REFERENCE)) == own
    (phases,) = re.findall(r'^phase_names="(.*)"$', (INIT / "lib/param.sh").read_text(), re.MULTILINE)
    assert re.findall(r"^\| `(\w+)` \| [^|]+ \|$", REFERENCE, re.MULTILINE)[:9] == phases.split()


def own_parameters() -> str:
    """The part of param.sh that reads what stands behind "pxeinit."."""
    text = (INIT / "lib/param.sh").read_text()
    return text[text.index("take_own_param()") : text.index("phase_names=")]


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.name for path in SCRIPTS])
def test_a_code_names_its_phase(path: Path) -> None:
    phases = "early|drivers|network|lease|root|writable|tree|handoff|switch"
    for code in CODE.findall(path.read_text()):
        assert re.fullmatch(rf"PXE-INIT-({phases})-[a-z]+(-[a-z]+)*", code)


def test_what_is_faked_is_in_the_list_of_applets() -> None:
    needs = bb.read_needs(APPLETS)
    assert {*ALWAYS, *SOMETIMES} - {*needs.required, *needs.optional} == set()


def applets_run(root: FakeRoot, cmdline: str) -> set[str]:
    """Boot with a logging stand-in for every applet of busybox; return those that ran."""
    required = bb.read_needs(APPLETS).required
    listed = root.execute(ORIGINAL, "--list").console.split()
    for name in listed:
        place = root.place(f"bin/{name}")
        if name not in ALWAYS and name not in ("sh", "ash", "busybox", "[", "[["):
            place.unlink(missing_ok=True)
            program = ORIGINAL if name in SOMETIMES else BUSYBOX
            text = f'#!{BUSYBOX} sh\necho {name} >> /fake/ran\nexec {program} {name} "$@"'
            root.write(f"bin/{name}", text, 0o755)
    assert set(required) <= {*listed, *ALWAYS}
    said = root.boot(cmdline)
    assert said.status == 0, said.console
    return {*(root.read("fake/ran") or "").split(), *(words[0] for words in root.all_calls())}


# busybox ash takes its own applets before those in PATH.
@pytest.mark.parametrize("root", ["dash"], indirect=True)
@pytest.mark.parametrize(
    "mode", ["farm", "overlay pxeinit.switch=pivot_root", "ro pxeinit.dev=copy pxeinit.shell"]
)
def test_a_boot_needs_no_applet_that_is_not_required(booting: FakeRoot, mode: str) -> None:
    booting.fake("mount", when="-t overlay", fails=255)
    booting.fake("mount", when="overlay /newroot ")
    ran = applets_run(booting, f"pxeinit.mode={mode}")
    assert {"mkdir", "env", "udhcpc", "dd"} < ran
    assert ran - set(bb.read_needs(APPLETS).required) == set()
