import fnmatch
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mkpxeinit.hardware import modalias
from mkpxeinit.hardware.modalias import Matcher

E1000 = "pci:v00008086d0000100Esv*sd*bc*sc*i*"
DELL = "pci:v00008086d0000100Esv00001028sd*bc*sc*i*"
OTHER = "pci:v00008086d0000100Esv00001043sd*bc*sc*i*"


def test_pci_as_the_kernel_writes_it() -> None:
    assert modalias.pci("8086", "100e", "0200", ("1af4", "1100"), "00") == (
        "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00"
    )
    assert modalias.pci("8086", "100e", "0200") == ("pci:v00008086d0000100Esv????????sd????????bc02sc00i??")


def found(device: str, *patterns: str) -> set[str]:
    """Return the patterns that match; their modules have the same names."""
    return set(Matcher((each, each) for each in patterns).modules(device))


def test_what_is_unknown_fits_all() -> None:
    patterns = (E1000, DELL, OTHER, "pci:v*d*sv*sd*bc02sc00i*", "pci:v*d*sv*sd*bc03sc*i*")
    known = modalias.pci("8086", "100e", "0200", ("1028", "0001"), "00")
    assert found(known, *patterns) == {E1000, DELL, "pci:v*d*sv*sd*bc02sc00i*"}
    assert found(modalias.pci("8086", "100e", "0200"), *patterns) == set(patterns[:4])


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("usb:v0BDAp815[0-3]d*", "usb:v0BDAp8153d3100", "usb:v0BDAp8154d3100"),
        ("usb:v0BDAp815[!0-3]d*", "usb:v0BDAp8154d3100", "usb:v0BDAp8153d3100"),
        ("of:N*T*Cbrcm,genet-v5", "of:NethT(null)Cbrcm,genet-v5", "of:NethT(null)Cbrcm,genet-v4"),
        ("of:N*Cbrcm,genet_v5", "of:NethT(null)Cbrcm,genet-v5", "of:NethT(null)Cbrcm,genet"),
        ("mdio:0000??11*", "mdio:0000101100", "mdio:0000100000"),
        ("xen:vif", "xen:vif", "xen:vbd"),
        ("a:\\*", "a:*", "a:b"),
        ("a:[z-a]x", "a:?x", "a:mx"),
    ],
)
def test_patterns(pattern: str, yes: str, no: str) -> None:
    assert found(yes, pattern) == {pattern} and found(no, pattern) == set()


TEXT = st.text("ab01:-_", max_size=8)
GLOB = st.lists(
    st.sampled_from(["a", "b", "0", "1", ":", "*", "?", "[ab]", "[!a]", "[0-1]", "_"]), max_size=8
)


@settings(deadline=None)
@given(TEXT, GLOB)
def test_as_fnmatch_does(device: str, parts: list[str]) -> None:
    """Python's own fnmatch is the oracle where it agrees with fnmatch(3): without dashes and backslashes."""
    device, pattern = device.replace("-", "_"), "".join(parts)
    assert bool(found(device, pattern)) == fnmatch.fnmatchcase(device, pattern)


def test_a_hostile_pattern_is_no_trap() -> None:
    assert found("a:" + "a" * 2000 + "?", "a:" + "*a" * 40 + "*b") == set()


@settings(deadline=None)
@given(st.text(max_size=12), st.text("*?[]!^\\-ab]", max_size=12))
def test_any_pattern_ends(device: str, pattern: str) -> None:
    try:
        found(device, pattern)
    except re.error as error:
        pytest.fail(f"{pattern!r}: {error}")
