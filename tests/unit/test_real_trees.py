"""Images of real distributions' kernels, with modinfo, depmod and busybox as oracles."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from mkpxeinit import build, content
from mkpxeinit.hardware.pci import network_subclass
from mkpxeinit.image.read import open_image
from mkpxeinit.kernel.builtin import has_devices
from mkpxeinit.kernel.index import ModuleIndex, normal_name, plain_path, read_index
from mkpxeinit.kernel.release import choose_release
from mkpxeinit.reason import Reason
from mkpxeinit.selection import Selected, Selection
from mkpxeinit.sysroot import Sysroot
from tests.unit.small import unpack
from tests.unit.test_index import at_once, line_by_line

pytestmark = [
    pytest.mark.tree,
    pytest.mark.skipif(os.geteuid() != 0, reason="making a tree needs root"),
]
MODINFO = shutil.which("modinfo", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
DEPMOD = shutil.which("depmod", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@dataclass(frozen=True)
class Real:
    """A distribution's tree, what its kernel says, and its image unpacked by GNU cpio."""

    root: Path
    release: str
    index: ModuleIndex
    image_size: int
    out: Path

    @property
    def modules(self) -> Path:
        return self.out / "lib/modules" / self.release


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Real:
    from pxelab import trees

    root = Path(trees.debian(request.param))
    tree = Sysroot.open(root)
    release = choose_release(tree).release
    folder = tmp_path_factory.mktemp("image")
    result = build.write(build.plan(build.Options(sysroot=root, output=folder / "image"), {}))
    out = unpack((folder / "image").read_bytes(), folder / "out")
    return Real(root, release, read_index(tree, release), result.size, out)


def test_lists_are_read_at_once(real: Real) -> None:
    """Real lists take the quick way, and the slow one says the same."""
    for name in ("dep", "alias"):
        text = (real.root / "lib/modules" / real.release / f"modules.{name}").read_text()
        quick = at_once(text, name)
        assert quick is not None and quick == line_by_line(text, name)


def test_depmod_finds_what_the_image_says(real: Real, tmp_path: Path) -> None:
    """depmod reads the modules themselves: their symbols give the dependencies, .modinfo the aliases."""
    assert DEPMOD is not None, "kmod is not installed"
    made = tmp_path / "lib/modules" / real.release
    shutil.copytree(real.modules, made)
    for path in made.glob("modules.*"):
        path.unlink()
    (made / "modules.builtin").write_bytes((real.modules / "modules.builtin").read_bytes())
    words = [DEPMOD, "-C", "/dev/null", "-b", str(tmp_path), real.release]
    subprocess.run(words, capture_output=True, check=True)
    for name in ("modules.dep", "modules.alias", "modules.softdep"):
        lines = {frozenset(line.replace(":", " : ", 1).split()) for line in statements(made / name)}
        ours = {frozenset(line.replace(":", " : ", 1).split()) for line in statements(real.modules / name)}
        assert ours == lines, name


def statements(path: Path) -> list[str]:
    """Return the lines of a list without comments."""
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def test_modules_are_unpacked_and_keep_their_signature(real: Real) -> None:
    for name in ("e1000", "nfsv4", "r8169"):
        path = real.index.modules[name].path
        packed = real.root / "lib/modules" / real.release / path
        tool = {".xz": ["xz", "-dc"], ".zst": ["zstd", "-dc"]}.get(packed.suffix, ["cat"])
        plain = subprocess.run([*tool, packed], capture_output=True, check=True).stdout
        assert (real.modules / plain_path(path)).read_bytes() == plain
        assert plain.endswith(b"~Module signature appended~\n")


@pytest.fixture
def chroot(real: Real, host_busybox: Path, tmp_path: Path) -> Path:
    """A root with the image's modules under the name of the running kernel, which busybox asks for."""
    root = tmp_path / "root"
    shutil.copytree(real.modules, root / "lib/modules" / os.uname().release)
    shutil.copy(host_busybox, root / "busybox")
    return root


def asked_busybox(chroot: Path, name: str) -> list[str]:
    """Return the paths that busybox would load for a name or modalias."""
    words = ["chroot", str(chroot), "/busybox", "modprobe", "-D", name]
    said = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    return [line.split()[1].partition("/kernel/")[2] for line in said.splitlines()]


def test_busybox_loads_the_same(real: Real, chroot: Path) -> None:
    for line in (real.modules / "modules.dep").read_text().splitlines():
        path, _, needs = line.partition(":")
        name = Path(path).name.removesuffix(".ko")
        expected = {each.removeprefix("kernel/") for each in (path, *needs.split())}
        assert set(asked_busybox(chroot, name)) == expected, name


@pytest.mark.parametrize(
    ("modalias", "module"),
    [
        ("pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00", "e1000"),
        ("pci:v000010ECd00008168sv00001043sd00008677bc02sc00i00", "r8169"),
        ("pci:v000014E4d0000165Fsv00001028sd0000022Fbc02sc00i00", "tg3"),
        ("virtio:d00000001v00001AF4", "virtio_net"),
        ("vmbus:635161f83edfc546913ff2d2f965ed0e", "hv_netvsc"),
        ("mdio:00000000000111001100100100010100", "realtek"),
        ("nfs4", "nfs"),
    ],
)
def test_busybox_finds_drivers_by_modalias(chroot: Path, modalias: str, module: str) -> None:
    assert asked_busybox(chroot, modalias)[-1].endswith(f"/{module}.ko")


def test_size(real: Real) -> None:
    """As measured, 11.0 MB, and 11.2 with the oldest zstandard; a bound for what is chosen, not for bytes."""
    assert real.image_size < (11.8e6 if real.release.startswith("6.1.") else 13.5e6)


def test_stripped_modules_are_the_same_to_depmod_and_modinfo(real: Real, tmp_path: Path) -> None:
    def made(cache: Path | None) -> bytes:
        told = build.Options(sysroot=real.root, output=tmp_path / "image", strip_modules=True, cache=cache)
        build.write(build.plan(told, {}))
        return (tmp_path / "image").read_bytes()

    image = made(tmp_path / "cache")
    assert made(tmp_path / "cache") == image == made(None)
    assert len(image) < 0.87 * real.image_size
    out = unpack(image, tmp_path / "out")
    assert (out / "etc/pxeinit/unsigned").read_text() == ""
    modules = out / "lib/modules" / real.release
    paths = [path for path in modules.rglob("*.ko") if b"~Module signature appended~" in path.read_bytes()]
    assert paths == []
    before = [(real.modules / path.relative_to(modules)) for path in sorted(modules.rglob("*.ko"))]
    assert modinfo(*sorted(modules.rglob("*.ko"))) == modinfo(*before)
    lists = {path.name: path.read_text() for path in modules.glob("modules.*")}
    assert lists == {path.name: path.read_text() for path in real.modules.glob("modules.*")}


def modinfo(*paths: Path) -> list[str]:
    """Return what modinfo says of modules, without where they lie and what signed them."""
    assert MODINFO is not None, "kmod is not installed"
    said = subprocess.run([MODINFO, *paths], capture_output=True, check=True, text=True).stdout
    left = ("filename:", "sig_id:", "signer:", "sig_key:", "sig_hashalgo:", "signature:", "\t")
    return [line for line in said.splitlines() if not line.startswith(left)]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_images_of_initramfs_tools(suite: str) -> None:
    """The image that the tree's own tool made is read to its end and has the kernel's modules."""
    from pxelab import trees

    boot = Path(trees.debian(suite)) / "boot"
    path = next(boot.glob("initrd.img-*"), None)
    if path is None:
        pytest.skip(f"{boot} has no image of initramfs-tools")
    with open_image(path) as image:
        found = [each.record for each in image.entries()]
    release = path.name.removeprefix("initrd.img-")
    assert any(str(each.path) == f"usr/lib/modules/{release}/modules.dep" for each in found)
    assert any(str(each.path) == "init" and each.mode & 0o111 for each in found)
    assert sum(each.packed for each in image.segments) <= path.stat().st_size


def said_of(words: list[str]) -> list[list[str]]:
    """Return the firmware that `modinfo WORDS` tells of each module, in their order."""
    assert MODINFO is not None, "kmod is not installed"
    found: list[list[str]] = []
    for line in subprocess.run(
        [MODINFO, *words], capture_output=True, check=True, text=True
    ).stdout.splitlines():
        field, _, value = line.partition(":")
        if field == "filename":
            found.append([])
        elif field == "firmware":
            found[-1].append(value.strip())
    return found


def test_firmware_names_are_those_of_modinfo(real: Real) -> None:
    """For every network driver of the kernel, module by module: also wireless ones, which name patterns."""
    modules = [each for each in real.index.modules.values() if network_subclass(each.path) is not None]
    assert len(modules) > 400
    wanted = Selection(tuple(Selected(each, Reason("test")) for each in modules), ())
    read = content.read_modules(Sysroot.open(real.root), real.index, wanted)
    theirs = said_of([str(each.path) for each in read])
    assert [list(each.firmware) for each in read] == [list(dict.fromkeys(names)) for names in theirs]
    assert sum(map(len, theirs)) > 400


def test_built_in_drivers_are_those_of_modinfo(real: Real) -> None:
    """Also their aliases, since Debian's kernels have no firmware for built-in drivers."""
    assert MODINFO is not None, "kmod is not installed"
    # modinfo takes aliases of modules before built-in drivers.
    aliases = {normal_name(alias.pattern) for alias in real.index.aliases}
    listed = sorted(real.index.builtin - aliases)
    assert len(listed) > 150
    where = ["-b", str(real.root), "-k", real.release]
    assert said_of([*where, *listed]) == [list(real.index.builtin_modules[n].firmware) for n in listed]
    done = subprocess.run(
        [MODINFO, *where, "-F", "alias", *listed], capture_output=True, check=True, text=True
    )
    ours = [alias for name in listed for alias in real.index.builtin_modules[name].aliases]
    assert done.stdout.splitlines() == ours and len(ours) > 20
    assert not any(map(has_devices, real.index.builtin_modules.values()))  # since 6.18
