"""`mkpxeinit prepare`."""

from collections import Counter
from pathlib import Path

import click

from mkpxeinit.errors import UsageError, printable
from mkpxeinit.prepare import prepare
from mkpxeinit.prepare.catalogue import CHANGES, choose
from mkpxeinit.prepare.change import Change
from mkpxeinit.prepare.prepare import Proposals
from mkpxeinit.sysroot import Sysroot

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
@click.option(
    "--sysroot", type=click.Path(path_type=Path), metavar="DIR", help="The installed system, a folder."
)
@click.option("--only", multiple=True, metavar="NAME", help="Make this change and no others; repeatable.")
@click.option("--skip", multiple=True, metavar="NAME", help="Do not make this change; repeatable.")
@click.option(
    "--list",
    "listed",
    is_flag=True,
    help="Print the changes and why; with --sysroot also how far each is there.",
)
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
    changes = choose(only, skip)
    if sysroot is None:
        if not listed:
            raise UsageError("--sysroot is missing: the folder of the installed system")
        for change in changes:
            click.echo(f"{change.name:{_WIDTH}}  {change.reason}")
        return
    tree = prepare.open_tree(sysroot)
    if listed:
        if prepare.is_interrupted(tree):
            _log(f"{tree.show('')}: an earlier run was interrupted; run prepare once more, or --undo")
        for each in prepare.states(tree, changes):
            click.echo(f"{each.change.name:{_WIDTH}}  {each.state:7}  {each.change.reason}")
    elif undo:
        count = prepare.undo(tree, frozenset(change.name for change in changes), frozenset(skip), _log)
        _log(f"{printable(sysroot)}: {'as it was' if count else 'nothing to undo'}")
    elif dry_run:
        _dry_run(tree, changes, chroot)
    else:
        done = prepare.prepare(tree, changes, frozenset(skip), chroot, _log)
        _report(tree, done, verbose)


def _dry_run(tree: Sysroot, changes: tuple[Change, ...], chroot: bool) -> None:
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


def _log(text: str) -> None:
    click.echo(f"mkpxeinit: {text}", err=True)
