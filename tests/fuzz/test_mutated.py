"""Good input with changes, for every reader: an error of ours or a result, within bounds, and nothing else.

In the ordinary run the same examples every time, some hundred for each reader; `make fuzz` takes others
each time, for as long as it is told.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.bounds import ours_or_a_result
from tests.fuzz.mutation import CHANGES, Change, changed
from tests.fuzz.runs import SETTINGS, repeat
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS, make_folder

CORPUS = Path(__file__).with_name("corpus")
RESULTS = Path("results/fuzz")  # as for boots that fail; `make fuzz` runs at the top


def check(target: Target, data: bytes, folder: Path) -> None:
    """Run a reader; keep the input if it fails."""
    try:
        with ours_or_a_result():
            target.run(data, folder)
    except BaseException as error:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{target.name}-{type(error).__name__}").write_bytes(data)
        raise


@pytest.fixture(params=TARGETS, ids=lambda target: target.name)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    made: Target = request.param
    make_folder(tmp_path)
    return made


def test_good_input(target: Target, tmp_path: Path) -> None:
    """The seeds themselves are read: what is refused at the first byte is no seed."""
    for seed in target.seeds:
        target.run(seed, tmp_path)


def test_what_was_found_once(target: Target, tmp_path: Path) -> None:
    for path in sorted(CORPUS.glob(f"{target.name}-*")):
        check(target, path.read_bytes(), tmp_path)


def test_changes(target: Target, tmp_path: Path) -> None:
    seen = 0

    @settings(SETTINGS, max_examples=SETTINGS.max_examples // target.dear)
    @given(st.integers(0, len(target.seeds) - 1), CHANGES)
    def run(number: int, changes: list[Change]) -> None:
        nonlocal seen
        seen += 1
        check(target, changed(target.seeds[number], changes, target.seeds), tmp_path)

    repeat(run)
    print(f"{target.name}: {seen} inputs")
