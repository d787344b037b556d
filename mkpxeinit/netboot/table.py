"""TOML tables whose every key is taken by somebody, and whose errors name the table and the key."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mkpxeinit.errors import ServerError, os_cause, printable
from mkpxeinit.meant import meant
from mkpxeinit.sysroot import read_regular

MAX_FILE = 16 << 20  # bytes; a thousand clients with all their keys take 200 kB
MAX_LINE = (
    16 << 10
)  # bytes; what tomllib needs for dotted keys, which stand on one line, grows with their square

_T = TypeVar("_T")


@dataclass(slots=True)
class Table:
    """A table of a description; `name` is how messages name it. Each key is asked for once, then `end`."""

    name: str
    values: dict[str, Any]
    _asked: list[str] = field(default_factory=list)

    def text(self, key: str, check: Callable[[str], _T]) -> _T | None:
        """Return what `check` makes of the text at `key`, None if it is not there."""
        value = self._value(key)
        if value is None:
            return None
        return self._checked(key, value, check)

    def texts(self, key: str, check: Callable[[str], _T]) -> tuple[_T, ...] | None:
        """Return what `check` makes of each text in the list at `key`, None if it is not there."""
        value = self._value(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.error(key, 'has to be a list of texts: ["...", "..."]')
        return tuple(self._checked(key, each, check) for each in value)

    def needed(self, key: str, check: Callable[[str], _T]) -> _T:
        """Return as `text` does; it has to be there."""
        value = self.text(key, check)
        if value is None:
            raise self.error(key, "is missing")
        return value

    def number(self, key: str, least: int, most: int) -> int | None:
        """Return the whole number at `key`, None if it is not there."""
        value = self._value(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.error(key, f"has to be a whole number from {least} to {most}")
        return value

    def flag(self, key: str) -> bool:
        """Return the true or false at `key`; false if it is not there."""
        value = self._value(key)
        if not isinstance(value, bool | None):
            raise self.error(key, "has to be true or false, without quotes")
        return bool(value)

    def table(self, key: str) -> "Table":
        """Return the table at `key`, an empty one if it is not there."""
        return Table(self._inner(key), self._table(key, self._value(key)))

    def named(self, key: str, check: Callable[[str], str]) -> tuple[tuple[str, "Table"], ...]:
        """Return the tables `[KEY.NAME]` with their names, in the file's order."""
        found = self._table(key, self._value(key), f"has to be tables of their own: [{key}.NAME]")
        return tuple(
            (
                self._checked(key, name, check),
                Table(f"[{key}.{name}]", self._table(name, value, f"has to be a table: [{key}.{name}]")),
            )
            for name, value in found.items()
        )

    def tables(self, key: str) -> tuple["Table", ...]:
        """Return the tables `[[KEY]]`, in the file's order; messages count them from 1."""
        value = self._value(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.error(key, f"has to be tables that each begin with [[{key}]]")
        return tuple(Table(f"[[{key}]] {number}", each) for number, each in enumerate(value, 1))

    def end(self) -> None:
        """Raise ServerError for a key that nobody asked for."""
        for key in self.values:
            if key not in self._asked:
                known = sorted(self._asked)
                raise ServerError(f"{self._where(key)}: no such key{meant(key, known)}")

    def error(self, key: str, text: str) -> ServerError:
        """Return the error that `text` says of `key`."""
        return ServerError(f"{self._where(key)}: {text}")

    def _where(self, key: str) -> str:
        return printable(f"{self.name}: {key}" if self.name else key)

    def _inner(self, key: str) -> str:
        return f"[{self.name.strip('[]')}.{key}]" if self.name else f"[{key}]"

    def _value(self, key: str) -> Any:
        self._asked.append(key)
        return self.values.get(key)

    def _table(self, key: str, value: Any, text: str = "has to be a table") -> dict[str, Any]:
        if not isinstance(value, dict | None):
            raise self.error(key, text)
        return value or {}

    def _checked(self, key: str, value: Any, check: Callable[[str], _T]) -> _T:
        if not isinstance(value, str):
            raise self.error(key, f"has to be a text in quotes, not {value!r}")
        try:
            return check(value)
        except ServerError as error:
            raise self.error(key, str(error)) from error


def read(path: Path) -> Table:
    """Return the top table of the TOML file `path`; ServerError names the file and the cause."""
    shown = printable(path)
    try:
        data = read_regular(path.resolve(), MAX_FILE)
    except (OSError, RuntimeError) as error:
        cause = os_cause(error) if isinstance(error, OSError) and error.errno else str(error)
        raise ServerError(f"{shown}: {cause}; mkpxeinit.toml(5) says what a description is") from error
    if max(map(len, data.split(b"\n"))) > MAX_LINE:
        raise ServerError(
            f"{shown}: has a line of more than {MAX_LINE} bytes; lists may go over several lines"
        )
    try:
        return Table("", tomllib.loads(data.decode("utf-8")))
    except (ValueError, RecursionError) as error:  # a number of a thousand digits is a ValueError alone
        raise ServerError(f"{shown}: not TOML: {printable(error)}") from error
