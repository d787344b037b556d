"""The cache of builds: what comes from it is what a build without it makes, or it is not used."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from mkpxeinit import build
from mkpxeinit.cache import Cache, default_folder
from mkpxeinit.elf import Machine
from mkpxeinit.image import assemble, compress, cpio
from mkpxeinit.image.compress import Compressor
from mkpxeinit.image.entry import CharDevice, Directory, Entry, File, FirmwareFile, ModuleFile, Symlink
from mkpxeinit.kernel import modulefile
from mkpxeinit.kernel.modulefile import Findings, Stored
from tests.unit.small import RELEASE, kernel_tree, make_tree, module_path

KEY, OTHER = "a" * 64, "b" * 64
MODULE = f"lib/modules/{RELEASE}/{module_path('e1000')}"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_what_is_stored_comes_back(cache: Cache, tmp_path: Path) -> None:
    assert cache.load(KEY) is None
    cache.store(KEY, b"segment")
    assert bytes(cache.load(KEY) or b"") == b"segment"
    assert cache.load(OTHER) is None
    assert cache.notes == []
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [KEY]
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "cache" / KEY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[:40],
        lambda data: b"",
        lambda data: b"x" + data[1:],
        lambda data: data.replace(KEY.encode(), OTHER.encode()),
    ],
)
def test_what_is_damaged_is_not_taken(cache: Cache, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    cache.store(KEY, b"segment")
    path = tmp_path / "cache" / KEY
    path.write_bytes(damage(path.read_bytes()))
    assert cache.load(KEY) is None
    assert cache.notes == [f"{path}: damaged; made anew"]
    cache.store(KEY, b"segment")
    assert bytes(cache.load(KEY) or b"") == b"segment"


def test_a_file_that_is_none(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "cache" / KEY)
    assert cache.load(KEY) is None
    assert cache.notes == [f"{tmp_path}/cache/{KEY}: not a regular file; made anew"]


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_of_others_is_not_used(cache: Cache, tmp_path: Path, mode: int) -> None:
    cache.store(KEY, b"segment")
    (tmp_path / "cache").chmod(mode)
    assert cache.load(KEY) is None
    cache.store(OTHER, b"segment")
    assert not (tmp_path / "cache" / OTHER).exists()
    assert len(cache.notes) == 1 and "others can write there" in cache.notes[0]


def test_a_link_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    cache = Cache(tmp_path / "link")
    cache.store(KEY, b"segment")
    assert not list((tmp_path / "real").iterdir())
    assert "no folder" in cache.notes[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_a_folder_that_somebody_else_owns(cache: Cache, tmp_path: Path) -> None:
    cache.store(KEY, b"segment")
    os.chown(tmp_path / "cache", 1, 1)
    assert cache.load(KEY) is None


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file" / "cache")
    cache.store(KEY, b"segment")
    assert cache.load(KEY) is None
    assert cache.notes[0] == f"{tmp_path}/file/cache: nothing cached: Not a directory"


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=4000)
    keys = [f"{number:064}" for number in range(6)]
    for age, key in enumerate(keys[:3]):
        cache.store(key, bytes(1000))
        os.utime(tmp_path / "cache" / key, (1000 + age, 1000 + age))
    assert cache.load(keys[0])  # used now: the youngest
    cache.store(keys[3], bytes(1000))
    left = {path.name for path in (tmp_path / "cache").iterdir()}
    assert left == {keys[0], keys[2], keys[3]}
    cache.store(keys[4], bytes(2001))  # more than half of all: not worth it
    assert {path.name for path in (tmp_path / "cache").iterdir()} == left


def test_what_was_abandoned_goes(cache: Cache, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    for name, age in (("old.part", 7200), ("new.part", 60)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    cache.store(KEY, b"segment")
    assert {path.name for path in folder.iterdir()} == {"new.part", KEY}


def test_a_store_that_fails_leaves_nothing(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    cache.store(KEY, b"segment")
    assert list((tmp_path / "cache").iterdir()) == []
    assert cache.notes == [f"{tmp_path}/cache: nothing cached: No space left on device"]


def test_several_at_once(tmp_path: Path) -> None:
    """Each of them reads what is whole or nothing, while others write and remove."""
    contents = {f"{number:064}": bytes([number]) * 3000 for number in range(4)}

    def work(number: int) -> list[str]:
        cache = Cache(tmp_path / "cache", limit=10_000)
        for key, content in list(contents.items())[number % 4 :] * 20:
            found = cache.load(key)
            assert found in (None, content)
            cache.store(key, content)
        return cache.notes

    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(work, range(8)))
    assert not list((tmp_path / "cache").glob("*.part"))


@pytest.mark.parametrize(
    ("environment", "user", "folder"),
    [
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, 0, "/x/mkpxeinit/build"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, 5, "/h/.cache/mkpxeinit/build"),
        ({"HOME": "/root"}, 0, "/var/cache/mkpxeinit"),
        ({"HOME": "/h"}, 5, "/h/.cache/mkpxeinit/build"),
        ({}, 5, None),
        ({"HOME": "here"}, 5, None),
    ],
)
def test_where_it_is(environment: dict[str, str], user: int, folder: str | None) -> None:
    assert default_folder(environment, user) == (Path(folder) if folder else None)


# What builds make of it.


@pytest.fixture
def options(tmp_path: Path) -> build.Options:
    root = make_tree(tmp_path / "tree", kernel_tree())
    with (root / MODULE).open("ab") as file:
        file.write(os.urandom(20_000))
    strong = Compressor.parse("zstd:19")
    return build.Options(root, tmp_path / "image", compressor=strong, cache=tmp_path / "c")


def image(options: build.Options, epoch: str = "0") -> bytes:
    decided = build.plan(options, {"SOURCE_DATE_EPOCH": epoch})
    assert build.write(decided).notes == ()
    assert options.output is not None
    return options.output.read_bytes()


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the size of each archive that is compressed."""
    sizes: list[int] = []
    real = compress.Packer.finish

    def counting(packer: compress.Packer, multiple: int) -> bytes:
        sizes.append(packer.size)
        return real(packer, multiple)

    monkeypatch.setattr(compress.Packer, "finish", counting)
    return sizes


def test_a_rebuild_packs_only_what_changed(options: build.Options, packed: list[int]) -> None:
    cold = image(options)
    assert len(packed) == 4
    packed.clear()
    assert image(options) == cold
    assert len(packed) == 2  # the configuration and this tree's programs are too small to be kept
    packed.clear()
    changed = replace(options, cmdline="quiet panic=5")
    warm = image(changed)
    assert len(packed) == 2
    assert warm == image(replace(changed, cache=None)) != cold


def touched(options: build.Options) -> build.Options:
    path = options.sysroot / MODULE
    state = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return options


@pytest.mark.parametrize(
    ("change", "epoch"),
    [
        (touched, "0"),
        (lambda options: options, "1700000000"),
        (lambda options: replace(options, compressor=Compressor.parse("zstd:18")), "0"),
        (lambda options: replace(options, modules=("iwlwifi",)), "0"),
        (lambda options: replace(options, busybox=options.sysroot / "bin/busybox"), "0"),
    ],
)
def test_whatever_changes_is_seen(
    options: build.Options, change: Callable[[build.Options], build.Options], epoch: str
) -> None:
    """Also the content of a module whose size and time are the same."""
    before = image(options)
    changed = change(options)
    warm = image(changed, epoch)
    assert warm == image(replace(changed, cache=None), epoch)
    assert warm != before


def test_all_of_an_entry_is_in_the_key(tmp_path: Path) -> None:
    path, other = PurePosixPath("a"), PurePosixPath("b")
    for name, data in (("m.ko", b"m"), ("m.ko.xz", b"m"), ("n.ko", b"n")):
        (tmp_path / name).write_bytes(data)
    plain, packed, changed = (ModuleFile(tmp_path / n, n, None) for n in ("m.ko", "m.ko.xz", "n.ko"))
    firmware = FirmwareFile(tmp_path / "m.ko.xz", "m", unpack=False)
    entries: list[Entry] = [
        Directory(path),
        Directory(path, 0o700),
        Directory(other),
        File(path, b"x"),
        File(path, b"y"),
        File(other, b"x"),
        File(path, b"x", 0o600),
        Symlink(path, "x"),
        Symlink(path, "y"),
        CharDevice(path, 1, 2),
        CharDevice(path, 1, 3),
        CharDevice(path, 2, 2),
        File(path, plain),
        File(path, packed),
        File(path, changed),
        File(path, replace(plain, machine=Machine("EM_X86_64", 64, True))),
        File(path, firmware),
        File(path, replace(firmware, unpack=True)),
    ]
    lines = [assemble._says(entry, assemble._loaded(entry)) for entry in entries]
    assert len(set(lines)) == len(entries), sorted(lines)


def test_other_versions_make_other_keys(
    options: build.Options, packed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    image(options)
    for module, name in ((compress, "version"), (cpio, "version")):
        packed.clear()
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda *_: "another")
            image(options)
        assert len(packed) == 4


def test_a_damaged_segment_is_made_again(options: build.Options) -> None:
    cold = image(options)
    assert options.cache is not None
    for path in options.cache.iterdir():
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    decided = build.plan(options, {})
    notes = build.write(decided).notes
    assert options.output is not None and options.output.read_bytes() == cold
    assert sum("damaged; made anew" in note for note in notes) >= 2
    assert image(options) == cold


def test_two_builds_at_once(options: build.Options, tmp_path: Path) -> None:
    def one(number: int) -> bytes:
        return image(replace(options, output=tmp_path / f"image{number}"))

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(one, range(8)))) == 1


def test_findings_spare_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.ko").write_bytes(b"content")
    file = Stored(tmp_path / "m.ko")
    first = Findings(keep=True)
    assert first.of("kind", file, lambda data: [data.decode(), "\udcff"]) == ("content", "\udcff")
    saved = first.dump()
    again = Findings(saved, keep=True)

    def never(data: bytes) -> list[str]:
        raise AssertionError("looked again")

    assert again.of("kind", file, never) == ("content", "\udcff")
    assert again.dump() is None
    assert again.of("other", file, lambda data: []) == ()
    monkeypatch.setattr(modulefile, "_MOST", 1)
    only = again.dump()
    assert only is not None and b"kind" in only and b"other" in only  # those of this run stay
    assert Findings(only).of("kind", file, lambda data: ["anew"]) == ("anew",)  # nothing is to be kept


def test_plans_write_nothing(options: build.Options) -> None:
    build.plan(options, {})
    assert options.cache is not None and not options.cache.exists()


def test_small_segments_are_not_kept(options: build.Options) -> None:
    image(options)
    assert options.cache is not None
    sizes = [path.stat().st_size for path in options.cache.iterdir() if path.name != "findings"]
    assert len(sizes) == 2 and min(sizes) > 4096
