"""A reader of the builder, with good inputs to begin with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """A reader: `run` reads the bytes, in a folder of its own, and uses what it gets.

    Of a dear one that many times fewer inputs are taken.
    """

    name: str
    seeds: tuple[bytes, ...]
    run: Callable[[bytes, Path], None]
    dear: int = 1
