import pytest

from mkpxeinit.kernel.circle import find_circle


@pytest.mark.parametrize(
    ("needs", "circle"),
    [
        ({}, ()),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, ()),
        ({"a": ["a"]}, ("a", "a")),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a", "d"], "d": []}, "abca"),
    ],
)
def test_circle(needs: dict[str, list[str]], circle: tuple[str, ...]) -> None:
    found = find_circle(needs)
    start = circle.index(found[0]) if found else 0
    assert found == ((*circle[start:-1], *circle[: start + 1]) if circle else ())
    assert all(need in needs[name] for name, need in zip(found, found[1:], strict=False))


def test_long_chain() -> None:
    chain = {str(n): [str(n + 1)] for n in range(100_000)}
    assert find_circle(chain) == ()
    assert len(find_circle({**chain, "100000": ["0"]})) == 100_002
