"""Circles in modules.dep, which no loader of modules can begin with."""

import graphlib
from collections.abc import Iterable, Mapping


def find_circle(needs: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return modules each of which needs the next, the last being the first again; none if it is right."""
    graph = {name: names for name, names in needs.items() if names}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return tuple(reversed(error.args[1]))  # graphlib's has what is needed in front
    return ()
