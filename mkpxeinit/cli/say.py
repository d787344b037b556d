"""What goes to stderr, in one place: -q silences remarks, and colour is for terminals alone."""

import os
import sys
from typing import Any

import click

_state = {"quiet": False}


def set_quiet(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Take -q from the command line, also where it stands before the verb."""
    _state["quiet"] = _state["quiet"] or value


def reset() -> None:
    """Forget -q: each run of the command line begins anew."""
    _state["quiet"] = False


def is_quiet() -> bool:
    """Say whether only errors and warnings are wanted."""
    return _state["quiet"]


def shows_progress() -> bool:
    """Say whether somebody looks at stderr who wants to see how far it is."""
    return sys.stderr.isatty() and not is_quiet()


def coloured(text: str, colour: str, *, err: bool = False, **style: Any) -> str:
    """Return `text` in `colour` if its stream is a terminal that has colours and nobody minds.

    https://no-color.org: NO_COLOR counts when it is there and not empty.
    """
    stream = sys.stderr if err else sys.stdout
    wanted = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style(text, fg=colour, **style) if wanted else text


def log(text: str) -> None:
    """Print a remark, which -q silences."""
    if not is_quiet():
        warn(text)


def warn(text: str) -> None:
    """Print what has to be known in any case: something was left out, or does not fit."""
    click.echo(f"mkpxeinit: {text}", err=True)


def error(text: str) -> None:
    """Print why it failed, as one line."""
    line = " ".join(part.strip() for part in text.splitlines())
    click.echo(f"{coloured('mkpxeinit:', 'red', err=True, bold=True)} {line}", err=True)
