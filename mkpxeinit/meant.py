"""What somebody probably meant who named something that is not there: the one place that guesses."""

from collections.abc import Iterable


def close(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Return at most `count` of `names` that look like `name`, the likeliest first."""
    import difflib  # only those who mistype wait for it

    return difflib.get_close_matches(name, list(names), count)


def meant(name: str, names: Iterable[str]) -> str:
    """Return what to add to "no X is named NAME": the one that was probably meant, else those there are."""
    known = tuple(names)
    if found := close(name, known, 1):
        return f"; did you mean {found[0]}?"
    return f"; there are: {', '.join(known)}" if known else "; there are none"
