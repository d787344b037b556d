"""The files that come with this package: the client's `init/` and `busybox-configs/`.

A wheel has them in `mkpxeinit/data`; in a checkout they lie beside the package.
"""

from pathlib import Path

from mkpxeinit.errors import MkpxeinitError

_HERE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Return the folder `name` of this installation; MkpxeinitError if it is incomplete."""
    for candidate in (_HERE / "data" / name, _HERE.parent / name):
        if candidate.is_dir():
            return candidate
    raise MkpxeinitError(f"{_HERE / 'data' / name}: missing; mkpxeinit is not installed completely")
