"""`mkpxeinit prepare`."""

import json
from collections import Counter
from pathlib import Path

import click

from mkpxeinit.cli import complete
from mkpxeinit.cli.forms import DIR, WORD
from mkpxeinit.cli.say import log as _log
from mkpxeinit.cli.say import working
from mkpxeinit.errors import UsageError, printable
from mkpxeinit.prepare import prepare
from mkpxeinit.prepare.catalogue import CHANGES, choose
from mkpxeinit.prepare.change import Change
from mkpxeinit.prepare.prepare import Proposals
from mkpxeinit.sysroot import Sysroot

_REASONS = {change.name: change.reason for change in CHANGES}
_WIDTH = max(len(change.name) for change in CHANGES)


@click.command(
    name="prepare",
    short_help="Make a tree ready to be a root that many clients share.",
    epilog="""\b
Examples:
  mkpxeinit prepare --list                                   (the changes, and why)
  mkpxeinit prepare --sysroot /netboot/pxeclient --dry-run   (what would be changed)
  mkpxeinit prepare --sysroot /netboot/pxeclient
  mkpxeinit prepare --sysroot /netboot/pxeclient --undo
""",
)
@click.option("--sysroot", type=DIR, metavar="DIR", help="The installed system, a folder.")
@click.option(
    "--only",
    type=WORD,
    multiple=True,
    metavar="NAME",
    shell_complete=complete.words(_REASONS),
    help="Make this change and no others; repeatable.",
)
@click.option(
    "--skip",
    type=WORD,
    multiple=True,
    metavar="NAME",
    shell_complete=complete.words(_REASONS),
    help="Do not make this change; repeatable.",
)
@click.option(
    "--list",
    "listed",
    is_flag=True,
    help="Print the changes and why; with --sysroot also how far each is there.",
)
@click.option("--json", "as_json", is_flag=True, help="With --list: as one JSON list.")
@click.option("--dry-run", is_flag=True, help="Print a patch of what would be changed, and write nothing.")
@click.option("--undo", is_flag=True, help="Put back what was changed; all, or as --only and --skip say.")
@click.option(
    "--chroot",
    is_flag=True,
    help="Let the tree's own ldconfig, systemd-hwdb and journalctl make what clients would make at boot. "
    "Without it no program of the tree runs.",
)
@click.option("-v", "--verbose", is_flag=True, help="Name each file.")
def command(
    sysroot: Path | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    listed: bool,
    as_json: bool,
    dry_run: bool,
    undo: bool,
    chroot: bool,
    verbose: bool,
) -> None:
    """Make the installed system in --sysroot ready to be a root that many clients share, read-only.

    Each change has a name and a reason. What is as it should be, or was arranged by hand, is left alone, so
    that a second run changes nothing. What was there before is kept in the tree, in /.mkpxeinit, for --undo.
    """
    if listed + dry_run + undo > 1:
        raise UsageError("--list, --dry-run and --undo: one of them only")
    if as_json and not listed:
        raise UsageError("--json is for --list")
    changes = choose(only, skip)
    if not changes:
        raise UsageError("--only and --skip leave no change")
    if sysroot is None:
        if not listed:
            raise UsageError("--sysroot is missing: the folder of the installed system")
        _print([(change.name, None, change.reason) for change in changes], as_json)
        return
    tree = prepare.open_tree(sysroot)
    if listed:
        if prepare.is_interrupted(tree):
            _log(f"{tree.show('')}: an earlier run was interrupted; run prepare once more, or --undo")
        states = prepare.states(tree, changes)
        _print([(each.change.name, each.state, each.change.reason) for each in states], as_json)
    elif undo:
        with working("putting back"):
            count = prepare.undo(tree, frozenset(change.name for change in changes), frozenset(skip), _log)
        _log(f"{printable(sysroot)}: {'as it was' if count else 'nothing to undo'}")
    elif dry_run:
        _dry_run(tree, changes, chroot)
    else:
        with working("preparing"):
            done = prepare.prepare(tree, changes, frozenset(skip), chroot, _log)
        _report(tree, done, verbose)


def _print(rows: list[tuple[str, str | None, str]], as_json: bool) -> None:
    """Print the changes: name, how far it is there (None: of no tree), and why."""
    if as_json:
        found = [{"change": name, "state": state, "reason": why} for name, state, why in rows]
        click.echo(json.dumps(found, indent=2))
        return
    for name, state, why in rows:
        click.echo(f"{name:{_WIDTH}}  {'' if state is None else f'{state:7}  '}{why}")


def _dry_run(tree: Sysroot, changes: tuple[Change, ...], chroot: bool) -> None:
    with working("looking at the tree"):
        proposals = prepare.propose(tree, changes, chroot)
    for line in prepare.preview(tree, proposals):
        click.echo(line)
    _notes(proposals)


def _report(tree: Sysroot, proposals: Proposals, verbose: bool) -> None:
    """Say what was done, a line for each change."""
    for change, proposal in proposals:
        if not proposal.edits:
            continue
        if verbose:
            for edit in proposal.edits:
                _log(f"{change.name}: {type(edit).__name__.lower()} /{printable(edit.path)}")
        else:
            kinds = Counter(type(edit).__name__.lower() for edit in proposal.edits)
            _log(f"{change.name}: {', '.join(f'{kind} {count}' for kind, count in kinds.items())}")
    _notes(proposals)
    count = sum(bool(proposal.edits) for _, proposal in proposals)
    _log(f"{tree.show('')}: {count} changes made" if count else f"{tree.show('')}: nothing to do")


def _notes(proposals: Proposals) -> None:
    for change, proposal in proposals:
        for note in proposal.notes:
            _log(f"{change.name}: {printable(note)}")
