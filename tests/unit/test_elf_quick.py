"""ELF headers that are as usual are read quickly; pyelftools, which reads the others, agrees."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mkpxeinit import elf
from mkpxeinit.errors import ProgramError
from tests.unit.test_firmware import module

Look = Callable[[bytes], object]


def said(look: Look, data: bytes) -> object:
    try:
        return look(data)
    except ProgramError:
        return ProgramError


def by_pyelftools(monkeypatch: pytest.MonkeyPatch, look: Look, data: bytes) -> object:
    with monkeypatch.context() as patch:
        patch.setattr(elf, "_header", lambda begin: None)
        return said(look, data)


LOOKS: tuple[Look, ...] = (
    lambda data: elf.inspect(data, "m.ko"),
    lambda data: elf.section(data, ".modinfo", "m.ko"),
    lambda data: elf.machine(data[: elf.HEADER], "m.ko"),
)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("little", [True, False])
def test_both_say_the_same_of_damaged_files(monkeypatch: pytest.MonkeyPatch, bits: int, little: bool) -> None:
    whole = module("a.fw", "b.fw", bits=bits, little=little)
    numbers = random.Random(bits + little)
    samples = [whole, *(whole[:length] for length in range(0, len(whole), 7))]
    for _ in range(100):
        changed = bytearray(whole)
        for _ in range(numbers.choice((1, 1, 2, 5))):
            changed[numbers.randrange(4, len(whole))] = numbers.choice((0, 1, 2, 255, numbers.randrange(256)))
        samples.append(bytes(changed))
    quick = 0
    for look in LOOKS:
        for data in samples:
            assert said(look, data) == by_pyelftools(monkeypatch, look, data), data.hex()
            quick += elf._header(data[: elf.HEADER]) is not None
    assert quick > 100


def test_static_programs(monkeypatch: pytest.MonkeyPatch, host_busybox: Path) -> None:
    data = host_busybox.read_bytes()
    assert elf._whole_and_static(data) is not None
    found = elf.inspect(data, "busybox")
    assert found == by_pyelftools(monkeypatch, LOOKS[0], data)
    with pytest.raises(ProgramError, match="truncated"):
        elf.inspect(data[:-100], "busybox")


def test_what_needs_a_loader_is_looked_at_closely() -> None:
    data = Path("/bin/sh").resolve().read_bytes()
    assert elf._header(data[: elf.HEADER]) is not None
    assert elf._whole_and_static(data) is None
    assert (elf.inspect(data, "sh").interpreter or "").startswith("/lib")
