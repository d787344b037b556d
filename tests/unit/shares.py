"""Long series, of which `make test` takes a share: all of it is `long`, in `make test-all`."""

import pytest


def shares(step: int) -> pytest.MarkDecorator:
    """Return a parameter `step`: every `step`-th of a series, and a long test with all."""
    return pytest.mark.parametrize(
        "step", [pytest.param(step, id=f"1 in {step}"), pytest.param(1, id="all", marks=pytest.mark.long)]
    )
