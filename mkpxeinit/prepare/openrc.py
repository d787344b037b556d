"""OpenRC's runlevels in a tree, rc-update(8)."""

from collections.abc import Iterable

from mkpxeinit.prepare.change import Remove, path
from mkpxeinit.prepare.view import View

_FOLDER = "etc/runlevels"


def switch_off(view: View, services: Iterable[str]) -> tuple[Remove, ...]:
    """Return the removals that take `services` out of all runlevels."""
    return tuple(
        Remove(path(f"{_FOLDER}/{level}/{service}"))
        for level in view.names(_FOLDER)
        for service in services
        if view.kind(f"{_FOLDER}/{level}/{service}") == "link"
    )
