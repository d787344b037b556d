from pathlib import Path

import pytest

from mkpxeinit import busybox, busybox_config, resources
from mkpxeinit.errors import MkpxeinitError

CONFIGS = resources.folder("busybox-configs")
# Applets whose option has another name.
OPTIONS = {"sh": "SH_IS_ASH", "nbd-client": "NBDCLIENT"}


def write(folder: Path, **fragments: str) -> Path:
    for name in busybox_config.FRAGMENTS:
        (folder / name).write_text(fragments.get(name.partition(".")[0], ""))
    return folder


def test_each_applet_of_the_list_is_on() -> None:
    options = busybox_config.read_fragments(CONFIGS)
    needs = busybox.read_needs(CONFIGS / "applets.txt")
    for name in (*needs.required, *needs.optional, *busybox_config.EXTRA_APPLETS):
        option = "CONFIG_" + OPTIONS.get(name, name.upper())
        assert options[option] == "y", name


@pytest.mark.parametrize(
    "option", ["STATIC", "FEATURE_SH_STANDALONE", "FEATURE_UDHCPC_ARPING", "FEATURE_SEAMLESS_GZ"]
)
def test_what_the_client_relies_on(option: str) -> None:
    assert busybox_config.read_fragments(CONFIGS)[f"CONFIG_{option}"] == "y"


def test_all_else_goes_off() -> None:
    options = {"CONFIG_ASH": "y", "CONFIG_VI": "n", "CONFIG_OSNAME": '"x"'}
    completed = 'CONFIG_ASH=y\nCONFIG_VI=y\nCONFIG_OSNAME="Linux"\nCONFIG_ED=y\nCONFIG_LEN=80\n'
    completed += "# CONFIG_B is not set\n"
    assert busybox_config.first_config(options) == 'CONFIG_ASH=y\n# CONFIG_VI is not set\nCONFIG_OSNAME="x"\n'
    assert busybox_config.strict_config(completed, options).splitlines() == [
        "CONFIG_ASH=y",
        "# CONFIG_VI is not set",
        'CONFIG_OSNAME="x"',
        "# CONFIG_ED is not set",
        "CONFIG_LEN=80",
    ]


def test_unknown_options() -> None:
    options = {"CONFIG_A": "y", "CONFIG_B": "n", "CONFIG_C": "7", "CONFIG_D": "y"}
    assert busybox_config.unknown("CONFIG_A=y\nCONFIG_C=8\n# CONFIG_D is not set\n", options) == (
        "CONFIG_C",
        "CONFIG_D",
    )


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("# a\n\nASH=y\n", "base.config:3: not CONFIG_NAME=VALUE"),
        ("CONFIG_ASH=y \n", "base.config:1: not CONFIG_NAME=VALUE"),
        ('CONFIG_A="$(x)\\"\n', "base.config:1: not CONFIG_NAME=VALUE"),
        ("CONFIG_A=y\nCONFIG_A=n\n", "base.config:2: CONFIG_A is set twice"),
        ("CONFIG_Ä=y\n", "base.config: not ASCII"),
    ],
)
def test_damaged_fragments(tmp_path: Path, lines: str, says: str) -> None:
    with pytest.raises(MkpxeinitError) as caught:
        busybox_config.read_fragments(write(tmp_path, base=lines))
    assert says in str(caught.value)


def test_twice_in_two_files_and_missing(tmp_path: Path) -> None:
    write(tmp_path, base="CONFIG_A=y\n", extra="CONFIG_A=y\n")
    with pytest.raises(MkpxeinitError, match=r"extra.config:1: CONFIG_A is set twice"):
        busybox_config.read_fragments(tmp_path)
    (tmp_path / "client.config").unlink()
    with pytest.raises(MkpxeinitError, match=r"client.config: No such file or directory"):
        busybox_config.read_fragments(tmp_path)
