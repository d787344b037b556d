"""The public interface: its names stay, it is loaded when it is used, and it says what the command says."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mkpxeinit
from mkpxeinit import (
    ImageOptions,
    MkpxeinitError,
    UsageError,
    api,
    build_image,
    check_image,
    plan_image,
    read_image,
    write_image,
)
from tests.unit.small import RELEASE, kernel_tree, make_tree

ROOT = Path(__file__).resolve().parents[2]
NIC = "00:03.0 Ethernet controller [0200]: Intel 82542 [8086:1000] (rev 02)\n"
# What other programs rely on. A name that goes is a new major version.
NAMES = {
    *("BuiltImage", "CheckedMachine", "ImageEntry", "ImageOptions", "ImagePlan", "MkpxeinitError"),
    *("PlannedEntry", "UsageError", "__version__"),
    *("build_image", "check_image", "plan_image", "read_image", "write_image"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree", kernel_tree())


def test_names() -> None:
    assert set(mkpxeinit.__all__) == NAMES == set(dir(mkpxeinit))
    assert all(getattr(mkpxeinit, name) is not None for name in NAMES)
    api = (ROOT / "docs/api.md").read_text()
    assert {name for name in NAMES if f"`{name}" in api} == NAMES


PINNED = Path(__file__).with_name("public_api.txt")


def described() -> Iterator[str]:
    """Yield the public interface as lines: what is in the source of each public name, without its insides."""
    tree = ast.parse(Path(api.__file__).read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in NAMES:
            yield from _function(node)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "AnyPath":
            yield ast.unparse(node)
        elif isinstance(node, ast.ClassDef) and node.name in NAMES:
            yield from (f"@{ast.unparse(each)}" for each in node.decorator_list)
            yield f"class {node.name}"
            for part in node.body:
                if isinstance(part, ast.AnnAssign) and not ast.unparse(part.target).startswith("_"):
                    yield f"    {ast.unparse(part)}"
                elif isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
                    yield from (f"    {line}" for line in _function(part))
    for error in (MkpxeinitError, UsageError):
        yield f"class {error.__name__}({', '.join(base.__name__ for base in error.__bases__)})"


def _function(node: ast.FunctionDef) -> Iterator[str]:
    yield from (f"@{ast.unparse(each)}" for each in node.decorator_list)
    assert node.returns is not None
    yield f"def {node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"


def test_what_was_promised_stays() -> None:
    """A line that goes, or is another one, is a new major version: docs/api.md.

    Fields and parameters with a default may come; then the file is changed, too.
    """
    assert list(described()) == PINNED.read_text().splitlines()


def test_the_page_has_every_field_and_parameter() -> None:
    page = (ROOT / "docs/api.md").read_text()
    words = set(re.findall(r"`([A-Za-z_]+)(?:\(.*?\))?`", page))
    words |= {word for call in re.findall(r"`\w+\((.*?)\)`", page) for word in re.findall(r"\w+", call)}
    named = set()
    for line in described():
        if found := re.match(r"    (?:def )?(\w+)", line):
            named.add(found[1])
        elif line.startswith("def "):
            named |= {each.arg for each in _arguments(line)}
    assert {"sysroot", "content", "device", "with_firmware"} <= named
    assert named <= words


def _arguments(line: str) -> list[ast.arg]:
    (function,) = ast.parse(f"{line}: ...").body
    assert isinstance(function, ast.FunctionDef)
    return [*function.args.args, *function.args.kwonlyargs]


def test_importing_loads_nothing() -> None:
    script = (
        "import sys, mkpxeinit\n"
        "print(*[n for n in sys.modules if n.startswith('mkpxeinit.')])\n"
        "print({'libarchive', 'zstandard', 'elftools', 'click'} & set(sys.modules))\n"
        "from mkpxeinit import plan_image\n"
        "print('click' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", "set()", "False"]


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'bake_image'"):
        getattr(mkpxeinit, "bake_image")  # noqa: B009
    with pytest.raises(ImportError):
        exec("from mkpxeinit import bake_image")


def test_plan_write_read(root: Path, tmp_path: Path) -> None:
    output = tmp_path / "image"
    plan = plan_image(ImageOptions(sysroot=root, output=output, modules=["r8169"], cmdline="panic=5"))
    assert not output.exists()
    assert plan.release == RELEASE and plan.output == output and {"r8169", "realtek"} <= set(plan.modules)
    why = {str(each.path).rpartition("/")[2]: each.why for each in plan.entries}
    assert any(
        name.startswith("realtek.ko") and chain[0] == "softdep of r8169" for name, chain in why.items()
    )
    built = write_image(plan)
    assert built.path == output and built.size == output.stat().st_size and built.plan is plan
    with read_image(output) as entries:
        found = {str(each.path): (each.kind, each.mode, b"".join(each.content())) for each in entries}
    assert found["etc/cmdline"] == ("-", 0o644, b"panic=5\n")
    assert {(str(each.path), each.kind, each.mode) for each in plan.entries} == {
        (path, kind, mode) for path, (kind, mode, _) in found.items()
    }


def test_the_command_makes_the_same(root: Path, tmp_path: Path) -> None:
    build_image(
        ImageOptions(sysroot=str(root), output=str(tmp_path / "a"), buses=["pci"], compressor="gzip:9")
    )
    words = [
        "build",
        "--sysroot",
        root,
        "-o",
        tmp_path / "b",
        "--bus",
        "pci",
        "--compress",
        "gzip:9",
        "--json",
    ]
    command = [sys.executable, "-m", "mkpxeinit", *map(str, words), "--no-cache", "--no-drop-ins"]
    said = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert said["size"] == (tmp_path / "b").stat().st_size and said["release"] == RELEASE


def test_check(root: Path, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(NIC)
    (tmp_path / "odd").write_text("00:03.0 0200: 1234:5678\n")
    (tmp_path / "bad").write_text("nothing\n")
    image = tmp_path / "image"
    build_image(ImageOptions(sysroot=root, output=image, hardware=[tmp_path / "good"]))
    good, odd, bad = check_image(image, [tmp_path / "good", tmp_path / "odd", tmp_path / "bad"])
    assert good.covered and good.lacking == ()
    assert not odd.covered and odd.lacking == ("driver oddnic",)
    assert not bad.covered and str(tmp_path / "bad") in bad.lacking[0]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"buses": ["pcie"]}, "no bus is named 'pcie'; did you mean pci?"),
        ({"modules": "nfs"}, "modules: a list is needed, ['nfs']"),
        ({"pci_classes": ["2"]}, "PCI class '2'"),
        ({"compressor": "lz4"}, "'lz4' is no compressor (NAME[:LEVEL]); there are: zstd"),
        ({"cmdline": "a\nb"}, "one line of printable characters"),
        ({"files": ["/no/such/file:/x"]}, "/no/such/file"),
        ({"sysroot": "/no/such/tree"}, "/no/such/tree"),
    ],
)
def test_wrong_options(root: Path, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(MkpxeinitError) as caught:
        plan_image(ImageOptions(**{"sysroot": root, **wrong}))  # type: ignore[arg-type]
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_no_options(root: Path) -> None:
    with pytest.raises(UsageError, match="ImageOptions are needed, not PosixPath"):
        plan_image(root)  # type: ignore[arg-type]


def test_no_image(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no image")
    with pytest.raises(MkpxeinitError, match="neither a cpio archive"), read_image(tmp_path / "x") as entries:
        list(entries)


def test_the_example(root: Path, tmp_path: Path) -> None:
    """docs/examples/rebuild.py: a build, one that changes something, one that is refused."""
    (tmp_path / "good").write_text(NIC)
    image = tmp_path / "image"

    def rebuild(*inventories: str) -> tuple[int, str]:
        words = [sys.executable, str(ROOT / "docs/examples/rebuild.py"), str(root), str(image), *inventories]
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
        return done.returncode, done.stdout + done.stderr

    code, said = rebuild("good")
    assert code == 0 and re.search(rf"image: kernel {RELEASE}, \d+ bytes, \d+ files differ\n$", said), said
    before = image.read_bytes()
    assert rebuild("good")[1].endswith(", 0 files differ\n")
    (tmp_path / "odd").write_text(NIC + "00:04.0 0200: abcd:0001\n")
    code, said = rebuild("good", "odd")
    assert code == 1 and "odd would not boot: " in said, said
    assert image.read_bytes() == before and not (tmp_path / "image.new").exists()
    assert rebuild("no-such-file") == (1, "rebuild: no-such-file: No such file or directory\n")
    assert rebuild()[0] == 1
