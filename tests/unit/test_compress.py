import gzip
import lzma
import os
import shutil
import subprocess

import pytest
import zstandard

from mkpxeinit.errors import KernelError, UsageError
from mkpxeinit.image import compress
from mkpxeinit.image.compress import Compressor, choose, unpack_module

DATA = b"".join(b"%d some text that repeats itself\n" % (n % 977) for n in range(100_000))
LIMIT = 64 << 20
TOOLS = {"zstd": ["zstd", "-dc"], "gzip": ["gzip", "-dc"], "xz": ["xz", "-dc"]}


def packed_whole(data: bytes, compressor: Compressor) -> bytes:
    packer = compress.Packer(compressor)
    packer.put(data)
    return packer.finish()


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("level", ["", ":1"])
def test_the_tool_reads_it(name: str, level: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"no {name}")
    packed = packed_whole(DATA, Compressor.parse(name + level))
    assert len(packed) < len(DATA) / 5
    assert subprocess.run(TOOLS[name], input=packed, capture_output=True, check=True).stdout == DATA


def test_none() -> None:
    assert packed_whole(DATA, Compressor.parse("none")) == DATA


def test_zstd_is_the_same_for_any_number_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    for count in (1, 2, 7, None):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        seen.add(packed_whole(DATA * 4, Compressor.parse("zstd:3")))
    assert len(seen) == 1


@pytest.mark.parametrize("name", ["zstd:1", "zstd:8", "zstd:16", "gzip", "xz:0", "none"])
@pytest.mark.parametrize("size", [0, 1, compress._SMALL - 1, compress._SMALL, 9_000_000])
def test_pieces_make_no_difference(name: str, size: int) -> None:
    data = (DATA * (size // len(DATA) + 1))[:size]
    whole = packed_whole(data, Compressor.parse(name))
    for step in (999, 70_000, 5_000_000):
        packer = compress.Packer(Compressor.parse(name))
        for start in range(0, size, step):
            packer.put(memoryview(data)[start : start + step])
        assert (packer.finish(), packer.size) == (whole, size)
    if name.startswith("zstd"):
        reader = zstandard.ZstdDecompressor().decompressobj()
        assert reader.decompress(whole) == data


@pytest.mark.parametrize("size", [10, 11, 12, 13])
def test_the_end_is_filled_with_zeros(size: int) -> None:
    packer = compress.Packer(Compressor.parse("none"))
    packer.put(b"x" * size)
    assert packer.finish(4) == b"x" * size + bytes(-size % 4)


def test_larger_archives_have_the_window_of_0016() -> None:
    data = os.urandom(5_000_000)
    for name, window in (("zstd:1", 22), ("zstd:8", 22), ("zstd:19", 23)):
        packed = packed_whole(data, Compressor.parse(name))
        assert zstandard.get_frame_parameters(packed).window_size == 1 << window
    assert (
        zstandard.get_frame_parameters(packed_whole(data[:9000], Compressor.parse("zstd"))).content_size
        == 9000
    )


def test_gzip_has_no_time_and_no_name() -> None:
    packed = packed_whole(DATA, Compressor.parse("gzip"))
    assert packed[3:8] == bytes(5)


def test_xz_is_what_the_kernel_reads(tmp_path: os.PathLike[str]) -> None:
    """CRC32 (the kernel has no CRC64 in its boot code) and a dictionary of 1 MiB."""
    packed = packed_whole(DATA, Compressor.parse("xz:9"))
    assert packed[:6] == b"\xfd7zXZ\0" and packed[6:8] == b"\0\x01"
    lzma.decompress(packed, memlimit=(1 << 20) + (1 << 19))


@pytest.mark.parametrize(
    "text",
    ["", "lz4", "zstd:0", "zstd:20", "zstd:", "zstd:x", "gzip:10", "xz:10", "none:1", "ZSTD", "zstd:1\n"],
)
def test_no_compressor(text: str) -> None:
    with pytest.raises(UsageError, match="compressor"):
        Compressor.parse(text)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"RD_ZSTD": "y", "RD_GZIP": "y"}, "zstd"),
        ({"RD_GZIP": "y", "RD_XZ": "y"}, "gzip"),
        ({"RD_ZSTD": "n", "RD_XZ": "y"}, "xz"),
        ({"FOO": "y"}, "none"),
        (None, "gzip"),
    ],
)
def test_choice(config: dict[str, str] | None, name: str) -> None:
    assert choose(config).name == name


def test_the_kernel_cannot_read_it() -> None:
    compress.check_readable(Compressor.parse("xz"), None, "6.1")
    compress.check_readable(Compressor.parse("none"), {}, "6.1")
    with pytest.raises(KernelError) as caught:
        compress.check_readable(Compressor.parse("zstd:3"), {"RD_GZIP": "y"}, "4.19")
    assert str(caught.value) == (
        "--compress zstd:3: kernel 4.19 cannot unpack it (CONFIG_RD_ZSTD is not set); it can: gzip, none"
    )


def zstd_without_size(data: bytes) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(data) + packer.flush()


PACKED = {
    "m.ko": DATA,
    "m.ko.gz": gzip.compress(DATA),
    "m.ko.xz": lzma.compress(DATA, check=lzma.CHECK_CRC32),
    "m.ko.zst": zstandard.ZstdCompressor().compress(DATA),
}


@pytest.mark.parametrize("name", PACKED)
def test_unpack(name: str) -> None:
    assert unpack_module(PACKED[name], name, LIMIT) == DATA


def test_unpack_zstd_of_unknown_size() -> None:
    assert unpack_module(zstd_without_size(DATA), "m.ko.zst", LIMIT) == DATA
    with pytest.raises(ValueError, match="more than"):
        unpack_module(zstd_without_size(DATA), "m.ko.zst", 1000)


def test_zstd_of_unknown_size_cut_short() -> None:
    whole = zstd_without_size(DATA)
    for end in (0, 3, len(whole) // 2, len(whole) - 1):
        with pytest.raises(ValueError, match="^damaged: "):
            unpack_module(whole[:end], "m.ko.zst", LIMIT)


@pytest.mark.parametrize("name", list(PACKED)[1:])
@pytest.mark.parametrize("damage", ["cut", "empty", "rubbish", "changed"])
def test_damaged(name: str, damage: str) -> None:
    good = PACKED[name]
    middle = len(good) // 2
    bad = {
        "cut": good[:-20],
        "empty": b"",
        "rubbish": b"rubbish",
        "changed": good[:middle] + bytes(b ^ 255 for b in good[middle : middle + 8]) + good[middle + 8 :],
    }[damage]
    with pytest.raises(ValueError):
        assert unpack_module(bad, name, LIMIT) != DATA
        raise ValueError("zstd without checksum: other bytes")


@pytest.mark.parametrize("name", list(PACKED)[1:])
def test_a_bomb_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        unpack_module(PACKED[name], name, 1000)
