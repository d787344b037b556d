"""modprobe.d of a tree: what is read, what kmod reads, what reaches an image and what busybox makes of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mkpxeinit import build
from mkpxeinit.hardware import drivers
from mkpxeinit.hardware.inventory import Device, Inventory
from mkpxeinit.hardware.pci import PciClass
from mkpxeinit.image.compress import Compressor
from mkpxeinit.image.entry import File
from mkpxeinit.kernel import modprobed
from mkpxeinit.kernel.index import read_index
from mkpxeinit.kernel.modprobed import Settings, read_settings
from mkpxeinit.reason import Reason
from mkpxeinit.selection import closure, select
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import RELEASE, Link, Tree, kernel_tree, make_tree, unpack

MODPROBE = shutil.which("modprobe", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
STATEMENTS = r"""# a comment
options a-b one=1 \
  two=2
options c x=a\\b y=a\ b # z
 blacklist  d-e  trailing
alias a-* b-c
install i-j /bin/true $CMDLINE_OPTS
remove k /bin/false
softdep m pre: n-o post: p
options c again=1
"""
BAD = "blacklist\n\t# x\nalias only\nremove k\noptions nothing\ninclude /etc/foo\nnonsense x\n#fine\n\n"


def settings_of(root: Path, tree: Tree) -> Settings:
    return read_settings(Sysroot.open(make_tree(root, tree)))


def shown(found: Settings) -> list[str]:
    """Return the statements as `modprobe --showconfig` prints them: by kind, in their order."""
    lines = []
    for kind in ("blacklist", "install", "remove", "alias", "options", "softdep"):
        for each in found.of_kind(kind):
            if kind == "alias":
                lines.append(f"alias {each.text.replace('-', '_')} {each.module}")
            else:
                lines.append(f"{kind} {each.module} {each.text}".strip())
    return [" ".join(line.split()) for line in lines]


def kmod(root: Path, folders: tuple[str, ...] = modprobed.FOLDERS) -> list[str]:
    """Return what kmod reads from the folders of `root`."""
    assert MODPROBE is not None, "kmod is not installed"
    words = [MODPROBE, *(word for folder in folders for word in ("-C", f"{root}{folder}")), "-c"]
    said = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    lines = [" ".join(line.split()) for line in said.partition("\n# End of")[0].splitlines()]
    return [line for line in lines if line not in of_this_machine()]


def of_this_machine() -> frozenset[str]:
    """Return what kmod adds from the kernel's command line and modules here, whatever the folders."""
    words = [str(MODPROBE), "-C", "/dev/null", "-c"]
    said = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    return frozenset(" ".join(line.split()) for line in said.splitlines())


def test_statements(tmp_path: Path) -> None:
    found = settings_of(tmp_path, {"etc/modprobe.d/a.conf": STATEMENTS})
    assert shown(found) == [
        "blacklist d_e",
        "install i_j /bin/true $CMDLINE_OPTS",
        "remove k /bin/false",
        "alias a_* b_c",
        "options a_b one=1 two=2",
        r"options c x=a\b y=a b # z",
        "options c again=1",
        "softdep m pre: n-o post: p",
    ]
    assert found.notes == ()
    wheres = [each.where.rpartition(":")[2] for each in found.statements]
    assert wheres == ["2", "4", "5", "6", "7", "8", "9", "10"]
    assert found.blacklist == {"d_e": f"{tmp_path}/etc/modprobe.d/a.conf:5"}


def test_statements_are_those_of_kmod(tmp_path: Path) -> None:
    found = settings_of(tmp_path, {"etc/modprobe.d/a.conf": STATEMENTS + BAD})
    theirs = [line.replace("n_o", "n-o").replace("post:", " post:") for line in kmod(tmp_path)]
    assert sorted(shown(found)) == sorted(theirs)


def test_what_is_no_statement_is_named(tmp_path: Path) -> None:
    found = settings_of(tmp_path, {"lib/modprobe.d/a.conf": BAD + "blacklist \x1b[1m\nblacklist x\r\n"})
    place = f"{tmp_path}/lib/modprobe.d/a.conf"
    assert [note.partition(": not understood, so ignored: ")[0] for note in found.notes] == [
        f"{place}:{number}" for number in (1, 2, 3, 4, 5, 6, 7, 10, 11)
    ]
    assert found.notes[2].endswith("ignored: alias only")
    assert all(note.isprintable() for note in found.notes)
    assert found.statements == ()


def test_folders_and_what_hides(tmp_path: Path) -> None:
    places: dict[str, dict[str, str | Link]] = {
        "etc": {"a.conf": "1", "n.conf": Link("/dev/null"), "d.conf/x": "no"},
        "run": {"a.conf": "2", "b.conf": "3"},
        "usr/local/lib": {"b.conf": "4", "c.conf": "5"},
        "usr/lib": {"c.conf": "6", "0.conf": "7", "n.conf": "8"},
        "lib": {"0.conf": "10", "z.conf": "11", ".z.conf": "12", "y.txt": "13", "y.conf~": "14"},
    }
    tree: Tree = {
        f"{folder}/modprobe.d/{name}": f"blacklist m{text}\n" if isinstance(text, str) else text
        for folder, files in places.items()
        for name, text in files.items()
    }
    found = settings_of(tmp_path, tree)
    assert list(found.blacklist) == ["m7", "m1", "m3", "m5", "m11"]
    assert shown(found) == kmod(tmp_path)


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    """They hide files of their name in later folders, as for kmod before 34; newer ones pass over them."""
    tree: Tree = {
        "etc/modprobe.d/l.conf": Link("nowhere"),
        "usr/lib/modprobe.d/l.conf": "blacklist m1\n",
        "usr/lib/modprobe.d/m.conf": "blacklist m2\n",
    }
    found = settings_of(tmp_path, tree)
    assert list(found.blacklist) == ["m2"]
    said = subprocess.run(["modprobe", "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.split()[2].partition(".")[0]) < 34:
        assert shown(found) == kmod(tmp_path)
    else:
        assert kmod(tmp_path) == ["blacklist m1", "blacklist m2"]


def test_links_stay_in_the_tree(tmp_path: Path) -> None:
    (tmp_path / "secret.conf").write_text("blacklist secret\n")
    tree: Tree = {
        "etc/modprobe.d": Link(str(tmp_path)),
        "run/modprobe.d/a.conf": Link("../" * 30 + f"{tmp_path}/secret.conf"),
    }
    assert settings_of(tmp_path / "tree", tree).statements == ()


@settings(max_examples=200, deadline=None)
@given(
    text=st.text("ab-_ \t\n\\#=*\x00\x1b\udcff" + "é", max_size=60).map(lambda t: f"options a {t}\nalias {t}")
)
def test_any_text_is_data(text: str) -> None:
    """What reaches the image is lines of the three kinds, whatever the tree says."""

    class Fake(Sysroot):
        __slots__ = ()

        def is_dir(self, path: object) -> bool:
            return path == "/etc/modprobe.d"

        def list(self, path: object) -> tuple[str, ...]:
            return ("a.conf",)

        def is_file(self, path: object) -> bool:
            return True

        def read_text(self, path: object) -> str:
            return text

    found = read_settings(Fake(Path("/nowhere")))
    modules = frozenset(each.module for each in found.statements)
    for line in modprobed.image_text(found, modules).splitlines():
        kind, first, second = line.split(" ", 2)
        assert kind in ("options", "alias") and line.isprintable() and "#" not in second
        assert (first if kind == "options" else second) in modules
    assert all(note.isprintable() for note in found.notes)


def small(root: Path, text: str) -> Path:
    return make_tree(root / "tree", kernel_tree() | {"etc/modprobe.d/t.conf": text})


def chosen(root: Path, text: str, *modules: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the modules of an image for class 02 and the remarks."""
    index = read_index(Sysroot.open(small(root, text)), RELEASE)
    found = select(index.with_builtins(), [PciClass("02")], modules)
    return found.names, tuple(note for note in found.notes if "not-there" not in note)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("oddnic", "PCI class 02"), ("marvell", "PHY driver"), ("virtio_net", "virtual network")],
)
def test_blacklisted_is_not_taken_for_devices(tmp_path: Path, name: str, reason: str) -> None:
    names, notes = chosen(tmp_path, f"# x\nblacklist {name.replace('_', '-')}\n")
    assert name not in names
    assert notes == (
        f"{name} left out ({reason}): {tmp_path}/tree/etc/modprobe.d/t.conf:2 blacklists it; "
        f"--module {name} takes it",
    )


def test_blacklisted_is_taken_by_name_and_for_others(tmp_path: Path) -> None:
    text = "blacklist oddnic\nblacklist libphy\nblacklist nfs\nblacklist e1000\nblacklist xhci_pci\n"
    names, notes = chosen(tmp_path, text, "oddnic", "xhci-pci")
    assert {"oddnic", "xhci_pci", "nfs"} <= names  # by name
    assert {"libphy", "e1000"} <= names  # r8169 needs the one, sunrpc has the other as softdep
    assert [note.partition(" ")[0] for note in notes] == ["e1000"]


def test_softdeps_and_aliases_extend_the_image(tmp_path: Path) -> None:
    text = "softdep e1000 pre: snd-hda my-alias\nalias my-alias xhci-pci\nsoftdep snd_hda post: e1000\n"
    names, _ = chosen(tmp_path, text)
    assert {"snd_hda", "xhci_pci"} <= names
    assert chosen(tmp_path / "b", "alias pci:v00009999d*sv*sd*bc02sc00i* snd_hda\n")[0] >= {"snd_hda"}


def test_alias_of_modprobe_d_comes_first(tmp_path: Path) -> None:
    text = "alias nfs4 snd_hda\nalias crc-a weak\nalias crypto-* off\nalias pci:v1* e1000\n"
    index = read_index(Sysroot.open(small(tmp_path, text)), RELEASE)
    assert index.lookup("nfs4") == ("snd_hda",)
    assert index.lookup("crc_a") == ("weak",)
    assert index.lookup("crypto-crc") == ()
    assert index.lookup("pci:v1234") == ("e1000",)


E1000_DEVICE = "pci:v00008086d00001000sv00000000sd00000000bc02sc00i00"
OVERRIDING = [
    ("alias pci:v00008086d00001000sv*sd*bc*sc*i* off\n", "off"),
    ("alias pci:v00008086* oddnic\nalias pci:* no-such\n", "oddnic no_such"),
    ("alias pci:v0000808?d00001000* off\n", "off"),
]


@pytest.mark.skipif(os.geteuid() != 0, reason="modules of a kernel release are looked up by kmod as root")
@pytest.mark.parametrize(("text", "theirs"), OVERRIDING)
def test_an_alias_of_modprobe_d_decides_alone(tmp_path: Path, text: str, theirs: str) -> None:
    """For devices too, as kmod has it: what modules.alias says of them is not looked at then."""
    assert MODPROBE is not None, "kmod is not installed"
    root = small(tmp_path, text)
    subprocess.run(
        [str(Path(MODPROBE).with_name("depmod")), "-b", str(root), RELEASE], capture_output=True, check=True
    )
    words = ["-C", f"{root}/etc/modprobe.d", "-d", str(root), "-S", RELEASE]
    said = subprocess.run(
        [MODPROBE, *words, "-R", E1000_DEVICE], capture_output=True, check=False, text=True
    ).stdout.split()
    index = read_index(Sysroot.open(root), RELEASE).with_builtins()
    assert theirs.split() == said
    found = drivers.find(index, [Inventory("pc", (Device("pc:1", E1000_DEVICE),))])
    assert [name for name, _ in found.modules] == [name for name in said if name in index.modules]
    assert all("e1000" not in index.lookup(E1000_DEVICE) for _ in said)


def test_what_an_alias_makes_void(tmp_path: Path) -> None:
    """busybox asks modules.alias all the same: the image's has no such line, and 02 takes no such driver."""
    index = read_index(Sysroot.open(small(tmp_path, OVERRIDING[0][0])), RELEASE)
    assert "e1000" in index.aliases_of and not any(
        each.module == "e1000" for each in index.effective_aliases()
    )
    plan = planned(tmp_path / "tree").plan
    (text,) = (
        item.entry.source
        for item in plan.items()
        if isinstance(item.entry, File) and item.entry.path.name == "modules.alias"
    )
    assert isinstance(text, bytes) and b" r8169\n" in text and b" e1000\n" not in text


def test_options_of_an_alias(tmp_path: Path) -> None:
    text = "alias nfs-four nfs\noptions nfs_four x=1\noptions nothing y=2\n"
    notes = [note for note in planned(small(tmp_path, text)).notes if "t.conf" in note]
    assert notes == [
        f"{tmp_path}/tree/etc/modprobe.d/t.conf:2: left out, busybox knows no options of an alias: "
        "write options nfs ..."
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="modules of a kernel release are looked up by kmod as root")
def test_closure_with_softdeps_is_that_of_kmod(tmp_path: Path) -> None:
    """Of several statements for one module kmod takes the first alone; we take all."""
    assert MODPROBE is not None, "kmod is not installed"
    text = "softdep e1000 pre: snd-hda post: my-alias\nalias my-alias xhci-pci\nsoftdep snd_hda post: weak\n"
    root = small(tmp_path, text)
    depmod = str(Path(MODPROBE).with_name("depmod"))
    softdep = root / f"lib/modules/{RELEASE}/modules.softdep"
    kept = softdep.read_text()
    subprocess.run([depmod, "-b", str(root), RELEASE], capture_output=True, check=True)
    softdep.write_text(kept)
    words = ["-C", f"{root}/etc/modprobe.d", "-d", str(root), "-S", RELEASE, "--show-depends", "e1000"]
    said = subprocess.run([MODPROBE, *words], capture_output=True, check=True, text=True).stdout
    theirs = {Path(line.split()[1]).stem.replace("-", "_") for line in said.splitlines()}
    names, _ = chosen(tmp_path / "ours", text)
    index = read_index(Sysroot.open(tmp_path / "ours/tree"), RELEASE)
    assert set(closure(index, {"e1000": Reason("test")}, [])) == theirs
    assert theirs == {"e1000", "snd_hda", "xhci_pci", "weak"} and theirs <= names


INSTALL = """install e1000 /bin/false; touch /tmp/canary
remove snd_hda /bin/false
options e1000 debug=16 name="a b" hash=#
options e1000 debug=16 name="a b"
options snd_hda x=1
options r8169 last=\\\\
blacklist e1000
blacklist snd_hda
alias my-alias r8169
alias other-alias snd_hda
alias none off
"""


def planned(root: Path) -> build.Build:
    options = build.Options(sysroot=root, output=root.parent / "image", compressor=Compressor.parse("none"))
    return build.plan(options, {})


def test_remarks_of_a_build(tmp_path: Path) -> None:
    root = small(tmp_path, INSTALL + "garbage\ninstall crc-* /bin/true\n")
    place = f"{root}/etc/modprobe.d/t.conf"
    notes = [note for note in planned(root).notes if note.startswith(place)]
    assert notes == [
        f"{place}:12: not understood, so ignored: garbage",
        f"{place}:1: install command of e1000 left out: images run none",
        f"{place}:3: left out, busybox cannot read it: options with # or a last \\",
        f"{place}:6: left out, busybox cannot read it: options with # or a last \\",
        f"{place}:13: install command of crc_a left out: images run none",
        f"{place}:13: install command of crc_b left out: images run none",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot, and GNU cpio makes device nodes as root only")
def test_what_busybox_makes_of_it(tmp_path: Path, host_busybox: Path) -> None:
    """Options, aliases and blacklists; the last hide from aliases only, since the client does not say -b."""
    build.write(planned(small(tmp_path, INSTALL)))
    out = unpack((tmp_path / "image").read_bytes(), tmp_path / "out")
    assert (out / "etc/modprobe.d/tree.conf").read_text() == (
        'options e1000 debug=16 name="a b"\nblacklist e1000\nalias my-alias r8169\nalias none off\n'
    )
    (out / "lib/modules" / RELEASE).rename(out / "lib/modules" / os.uname().release)
    shutil.copy(host_busybox, out / "bin/busybox")
    (out / "proc/cmdline").write_text("ro e1000.debug=3 modprobe.blacklist=r8169 quiet\n")

    def asked(*words: str) -> list[str]:
        """Return module and options of each line that busybox would do."""
        done = subprocess.run(
            ["chroot", str(out), "/bin/busybox", "modprobe", "-D", *words],
            capture_output=True,
            check=False,
            text=True,
        )
        return [line.rpartition("/")[2].strip() for line in done.stdout.splitlines()]

    assert asked("e1000") == ['e1000.ko debug=16 name="a b" debug=3']
    assert asked("-b", "e1000") == []
    assert asked("pci:v00008086d00001000sv00000000sd00000000bc02sc00i00") == []
    assert asked("none") == []
    assert asked("my-alias") == []  # of r8169, which the command line blacklists
    assert asked("r8169")[-1] == "r8169.ko"
    (out / "proc/cmdline").write_text("ro\n")
    assert asked("my-alias")[-1] == "r8169.ko"


def test_the_first_blacklist_is_named_and_files_are_sorted_by_bytes(tmp_path: Path) -> None:
    """As strcmp(3) has them: a byte that is no UTF-8 behind what is, although its surrogate is less."""
    names = ("\N{GRINNING FACE}.conf", b"\xff.conf".decode("utf-8", "surrogateescape"))
    tree = {f"etc/modprobe.d/{name}": "blacklist a\nblacklist a\n" for name in names[::-1]}
    found = read_settings(Sysroot.open(make_tree(tmp_path, tree)))
    assert [each.where.rpartition("/")[2] for each in found.statements[::2]] == [
        "\N{GRINNING FACE}.conf:1", r"\udcff.conf:1",
    ]  # fmt: skip
    assert found.blacklist["a"].endswith("/\N{GRINNING FACE}.conf:1")
