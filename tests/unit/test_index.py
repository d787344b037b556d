from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mkpxeinit.errors import KernelError
from mkpxeinit.kernel import index as kernel_index
from mkpxeinit.kernel.index import ModuleIndex, plain_path, read_index
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import RELEASE, make_tree

FOLDER = f"lib/modules/{RELEASE}"


def index_of(root: Path, **files: str) -> ModuleIndex:
    """Read an index from lists given without `modules.`; a list of modules is always there."""
    lists = {"dep": "kernel/a.ko:\n"} | files
    return read_index(
        Sysroot.open(make_tree(root, {f"{FOLDER}/modules.{k}": v for k, v in lists.items()})), RELEASE
    )


def test_dep(tmp_path: Path) -> None:
    index = index_of(
        tmp_path, dep="kernel/x/a-b.ko.xz: kernel/c.ko.zst kernel/d.ko\nkernel/c.ko.zst:\nkernel/d.ko:\n"
    )
    module = index.modules["a_b"]
    assert (module.path, module.plain_path, module.needs) == (
        "kernel/x/a-b.ko.xz",
        "kernel/x/a-b.ko",
        ("c", "d"),
    )
    assert list(index.modules) == ["a_b", "c", "d"]


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_plain_path(suffix: str) -> None:
    assert plain_path(f"kernel/a.b/c.ko{suffix}") == "kernel/a.b/c.ko"


@pytest.mark.parametrize(
    ("name", "line", "says"),
    [
        ("dep", "kernel/b.ko", "no colon"),
        ("dep", "kernel/b.txt:", "not the path of a module"),
        ("dep", "/kernel/b.ko:", "not the path of a module"),
        ("dep", "kernel/../../../../etc/b.ko:", "not the path of a module"),
        ("dep", "kernel/b.ko: kernel/../c.ko", "not the path of a module"),
        ("dep", "kernel/\x1b[0m.ko:", "not the path of a module"),
        ("dep", "\x00\x01\x02", "no colon"),
        ("dep", "kernel/b.ko: kernel/c.ko", "b needs c, which has no line"),
        ("dep", "kernel/other/a.ko:", "module a is listed twice"),
        ("dep", "kernel/b.ko: kernel/b.ko", "a circle: b needs b; run depmod again"),
        (
            "dep",
            "kernel/b.ko: kernel/c.ko\nkernel/c.ko: kernel/b.ko kernel/a.ko",
            "a circle: b needs c needs b;",
        ),
        ("alias", "alias pci:v1", "not an alias"),
        ("alias", "alias", "not an alias"),
        ("alias", "options a b c", "not an alias"),
        ("softdep", "softdep", "not a soft dependency"),
        ("softdep", "alias x y", "not a soft dependency"),
        ("weakdep", "garbage", "not a soft dependency"),
        ("builtin", "kernel/no-module", "not the path of a module"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, name: str, line: str, says: str) -> None:
    good = {"dep": "kernel/a.ko:\n"}.get(name, "# a comment\n")
    with pytest.raises(KernelError) as caught:
        index_of(tmp_path, **{name: f"{good}{line}\n"})
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/{FOLDER}/modules.{name}:2: ")
    assert says in message and "depmod" in message
    assert message.isprintable()


def test_no_dep(tmp_path: Path) -> None:
    tree = Sysroot.open(make_tree(tmp_path, {f"{FOLDER}/kernel/a.ko": ""}))
    with pytest.raises(KernelError, match=rf"modules\.dep: missing; make it with: depmod -b \S+ {RELEASE}"):
        read_index(tree, RELEASE)


def test_soft_dependencies(tmp_path: Path) -> None:
    index = index_of(
        tmp_path,
        softdep=(
            "# x\nsoftdep r8169 pre: realtek\nsoftdep a-b pre: x y post: z\n"
            "softdep cifs gcm\nsoftdep cifs pre: aes\n"
        ),
        weakdep="weakdep a_b w\n",
    )
    names = {module: [(soft.kind, soft.names) for soft in softs] for module, softs in index.soft.items()}
    assert names == {
        "r8169": [("softdep", ("realtek",))],
        "a_b": [("softdep", ("x", "y", "z")), ("weakdep", ("w",))],
        "cifs": [("softdep", ("aes",))],
    }


def test_lookup(tmp_path: Path) -> None:
    index = index_of(
        tmp_path,
        dep="kernel/a-b.ko:\nkernel/crc1.ko:\nkernel/crc2.ko:\n",
        builtin="kernel/net/af_packet.ko\n",
        alias=(
            "alias crypto-crc crc1\nalias crypto-crc crc2\nalias a_b crc1\n"
            "alias pci:v00008086d*sv*sd*bc*sc*i* crc2\nalias of:N*T*Cvendor,thing crc1\n"
        ),
    )
    assert index.lookup("a-b") == ("a_b",)  # a name before an alias
    assert index.lookup("a_b") == ("a_b",)
    assert index.lookup("af-packet") == ("af_packet",)
    assert index.lookup("crypto-crc") == index.lookup("crypto_crc") == ("crc1", "crc2")
    assert index.lookup("pci:v00008086d00001000sv00000000sd00000000bc02sc00i00") == ("crc2",)
    assert index.lookup("of:NethernetT(null)Cvendor,thing") == ("crc1",)
    assert index.lookup("pci:v00008087d") == ()
    assert index.lookup("nothing") == ()


def line_by_line(text: str, name: str) -> object:
    """Return what the parser that finds wrong lines makes of a list, or its error."""
    lines = ((f"f:{n}", line) for n, line in enumerate(text.splitlines(), 1))
    said = ((where, line) for where, line in lines if line and not line.isspace() and line[0] != "#")
    try:
        if name == "dep":
            return list(kernel_index._parse_dep(said).items())
        return list(kernel_index._parse_alias(said))
    except KernelError as error:
        return str(error)


def at_once(text: str, name: str) -> object:
    """Return what the quick parser makes of a list; None if it leaves it to the other."""
    if name == "dep":
        modules = kernel_index._quick_dep(text)
        return None if modules is None else list(modules.items())
    aliases = kernel_index._quick_alias(text)
    return None if aliases is None else list(aliases)


DEP = "kernel/x/a-b.ko.xz: kernel/c.ko.zst kernel/d.ko\nkernel/c.ko.zst:\nkernel/d.ko: \n"
ALIAS = "# x\n# y\nalias pci:v1* a\nalias b c_d\nalias net-pf-1 e\n"


@pytest.mark.parametrize(("text", "name"), [(DEP, "dep"), (ALIAS, "alias"), ("", "dep")])
def test_a_list_is_read_at_once(text: str, name: str) -> None:
    if text:
        assert at_once(text, name) == line_by_line(text, name)
    assert at_once(text.rstrip("\n"), name) in (None, [])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("kernel/a.ko:\n\n", "dep"),
        ("kernel/../a.ko:\n", "dep"),
        ("/kernel/a.ko:\n", "dep"),
        ("kernel/a.ko:\nkernel/b/a.ko:\n", "dep"),
        ("kernel/a.ko: kernel/b.ko\n", "dep"),
        ("kernel/a.txt:\n", "dep"),
        ("kernel/a\x1b.ko:\n", "dep"),
        ("kernel/a.ko:\x85kernel/b.ko:\n", "dep"),
        ("alias x\nalias alias c d\n", "alias"),
        ("alias x\ny alias c d\n", "alias"),
        ("alias x alias\nalias c d\n", "alias"),
        ("alias x y z\nalias\n", "alias"),
        ("alias x\ny\n", "alias"),
        ("alias a\x0bb c\n", "alias"),
        ("alias a b\x1d\n", "alias"),
        ("alias a b-c\n", "alias"),
        ("alias a b\nalias\tc d\n", "alias"),
        (" alias a b\n", "alias"),
        ("alias a\u2028b c\n", "alias"),
        ("options a b\n", "alias"),
        ("#\x0balias a b\nalias c d\n", "alias"),
    ],
)
def test_what_is_odd_is_looked_at_line_by_line(text: str, name: str) -> None:
    assert at_once(text, name) is None


ODD = st.text(st.sampled_from("ab/:.-ko \n\n\t*#\x0b\x85"), max_size=20)


@settings(max_examples=500, deadline=None)
@given(
    dep=st.lists(st.sampled_from(["kernel/a.ko", "b.ko.gz", ":", " ", "\n", ":\n", "-"]) | ODD, max_size=8),
    alias=st.lists(st.sampled_from(["alias ", "alias a b\n", "x", " ", "\n", "# c\n"]) | ODD, max_size=8),
)
def test_both_ways_of_reading_agree(dep: list[str], alias: list[str]) -> None:
    for name, text in (("dep", "".join(dep)), ("alias", "".join(alias))):
        quick = at_once(text, name)
        assert quick is None or quick == line_by_line(text, name)


WORDS = st.text(st.sampled_from("ab/:._-ko \t.*[]\\\x00\udcff#pre"), max_size=30)
LINES = st.lists(
    WORDS
    | WORDS.map("kernel/{}.ko:".format)
    | WORDS.map("alias {} x".format)
    | WORDS.map("softdep a pre: {}".format),
    max_size=8,
).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(dep=LINES, alias=LINES, soft=LINES, builtin=LINES, modinfo=LINES, asked=WORDS)
def test_any_text_is_read_or_refused(
    dep: str, alias: str, soft: str, builtin: str, modinfo: str, asked: str
) -> None:
    """Never another exception than ours."""
    texts = {"modules.dep": dep, "modules.alias": alias, "modules.softdep": soft, "modules.builtin": builtin}
    texts["modules.builtin.modinfo"] = modinfo

    class Fake(Sysroot):
        __slots__ = ()

        def exists(self, path: object) -> bool:
            return str(path).rpartition("/")[2] in texts

        is_file = exists

        def read_text(self, path: object) -> str:
            return texts[str(path).rpartition("/")[2]]

    try:
        index = kernel_index.read_index(Fake(Path("/nowhere")), RELEASE)
    except KernelError as error:
        assert str(error).isprintable()
    else:
        index.lookup(asked)
        index.with_builtins().lookup(asked)
        for module in index.modules.values():
            assert ".." not in module.path.split("/")


def test_a_line_too_short_and_one_too_long(tmp_path: Path) -> None:
    """Six words, two of them `alias`, on two lines that begin with it: read as a whole, all seems right."""
    with pytest.raises(KernelError, match=r"modules.alias:1: not an alias: 'alias a'"):
        index_of(tmp_path, alias="alias a\nalias b c d\n")


def test_patterns_that_are_too_long_match_nothing(tmp_path: Path) -> None:
    index = index_of(tmp_path, alias=f"alias x:{'*' * 4095} a\nalias y:{'*' * 4000} a\n")
    assert (index.lookup("x:1"), index.lookup("y:1")) == ((), ("a",))
