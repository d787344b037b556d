"""`mkpxeinit hook run`: what the hooks' scripts call, and what can be run by hand."""

import os
import shlex
import syslog
import time
from dataclasses import dataclass, replace
from pathlib import Path

import click

from mkpxeinit import cache
from mkpxeinit.cli import complete
from mkpxeinit.cli.forms import DIR, FILE, Checked, Group
from mkpxeinit.cli.say import log as _log
from mkpxeinit.cli.say import warn
from mkpxeinit.errors import HookError, UsageError, printable
from mkpxeinit.hooks import config as settings
from mkpxeinit.hooks import run as work
from mkpxeinit.hooks import state, transaction
from mkpxeinit.hooks.config import HookConfig
from mkpxeinit.hooks.state import Failure
from mkpxeinit.meant import meant
from mkpxeinit.netboot import values
from mkpxeinit.sysroot import Sysroot

FAIL_CODE = 10  # what the hook scripts take for "an error for the package manager"
STATE = click.option(
    "--state",
    "kept",
    type=FILE,
    metavar="FILE",
    help="Where what is open is kept. "
    f"[default: {state.FILE}; for others than root in $XDG_STATE_HOME/mkpxeinit]",
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options of `hook run` say."""

    config: Path | None
    as_hook: bool
    state: Path

    @property
    def name(self) -> str:
        """The configuration's path, as failures have it: empty for the one that hooks have."""
        if self.config is None or self.config == Path(settings.CONFIG):
            return ""
        return str(self.config.absolute())


@click.group(
    name="run",
    cls=Group,
    short_help="Do what a hook does.",
    epilog="""\b
Examples:
  mkpxeinit hook run update
  mkpxeinit hook run --config site.toml add 6.1.0-56-amd64
""",
)
@click.option(
    "--config",
    type=FILE,
    metavar="FILE",
    help=f"The configuration, mkpxeinit.toml(5). [default: {settings.CONFIG}]",
)
@click.option(
    "--as-hook",
    is_flag=True,
    help="For hook scripts: exit code 0 also after a failure, which is kept for `hook status`; or "
    f'{FAIL_CODE} with on-failure = "fail", or if --initrd was not written.',
)
@STATE
@click.pass_context
def command(context: click.Context, config: Path | None, as_hook: bool, kept: Path | None) -> None:
    """Build, publish and remove what [[hook.tree]] asks for.

    A tree that fails keeps its old image, and does not keep the others from theirs.
    """
    context.obj = _Asked(config, as_hook, kept or kept_by_default())


def kept_by_default() -> Path:
    """Return the file in which this user has what is open."""
    return state.default_file(os.environ, os.geteuid())


_RELEASE = click.argument("release", type=Checked(values.kernel_release), shell_complete=complete.HOOKED)
_VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, help="Say more: also remarks that are the same each time."
)


@command.command(
    short_help="A kernel was installed: build its images.",
    epilog="""\b
Examples:
  mkpxeinit hook run add 6.1.0-56-amd64
  mkpxeinit hook run --as-hook add 6.1.0-56-amd64     (as a package manager's hook calls it)
""",
)
@_RELEASE
@click.option(
    "--initrd",
    type=FILE,
    metavar="FILE",
    help="Write an image for this machine's own boot entry, too (kernel-install's staging area).",
)
@_VERBOSE
@click.pass_obj
def add(asked: _Asked, release: str, initrd: Path | None, verbose: bool) -> int:
    """Build the images of kernel RELEASE for each tree that has it, and publish it where it is the newest."""
    return _run(asked, work.Event("add", release), verbose, initrd=initrd)


@command.command(
    name="remove",
    short_help="A kernel was removed: its images go.",
    epilog="""\b
Examples:
  mkpxeinit hook run remove 6.1.0-49-amd64
""",
)
@_RELEASE
@_VERBOSE
@click.pass_obj
def remove_kernel(asked: _Asked, release: str, verbose: bool) -> int:
    """Remove the images of kernel RELEASE from trees that do not have it any more.

    The last image of a tree that boots is kept.
    """
    return _run(asked, work.Event("remove", release), verbose)


@command.command(
    short_help="Build again what is there, and what failed.",
    epilog="""\b
Examples:
  mkpxeinit hook run update
  mkpxeinit hook run update -v                        (also what is the same each time)
  mkpxeinit hook run update --sysroot /netboot/pxeclient --wait
""",
)
@click.argument(
    "added",
    metavar="[RELEASE]...",
    nargs=-1,
    type=Checked(values.kernel_release),
    shell_complete=complete.HOOKED,
)
@click.option(
    "--sysroot",
    type=DIR,
    metavar="DIR",
    help="Only for the [[hook.tree]] with that sysroot.",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until no package manager is at work in DIR, and do it again if one was meanwhile.",
)
@_VERBOSE
@click.pass_obj
def update(asked: _Asked, added: tuple[str, ...], sysroot: Path | None, wait: bool, verbose: bool) -> int:
    """Build again: the newest kernel's image, those that are there, and those that failed; publish.

    Kernels RELEASE that have just come get their images, too.
    """
    event = work.Event("update", added=added)
    if not wait:
        return _run(asked, event, verbose, sysroot=sysroot)
    if sysroot is None:
        raise UsageError("--wait: is of use with --sysroot, which says where")
    tree = Sysroot.open(sysroot)
    while True:
        before = transaction.wait(tree, _log)
        code = _run(asked, event, verbose, sysroot=sysroot)
        if transaction.look(tree) == before:
            return code


def _run(
    asked: _Asked,
    event: work.Event,
    verbose: bool,
    *,
    initrd: Path | None = None,
    sysroot: Path | None = None,
) -> int:
    """Do it, keep what is open, tell of it; return the exit code."""
    before = tuple(each for each in _kept(asked.state) if each.config == asked.name)
    found, outcome = HookConfig(), work.Outcome(0, (), ())
    release = ""  # what goes wrong first is not about one
    lacking = initrd  # the file that is still to be written
    try:
        found = _configured(asked.config)
        outcome = work.run(_chosen(found, sysroot), event, before, work.Voice(_log, verbose))
        release = event.release
        if lacking is not None:
            work.write_initrd(found, release, lacking, _cache())
            _log(f"{printable(lacking)}: image of kernel {release} for this machine's own boot entry")
            lacking = None
    except Exception as error:
        outcome = outcome.failing(Failure(event.action, "", release, int(time.time()), work.cause_of(error)))
    else:
        outcome = outcome.cleared(found, before, release)
    if not (outcome.touched or outcome.failed or initrd):
        if not asked.as_hook:
            _nothing(found, event)
        if verbose:
            _log("nothing to do: no [[hook.tree]] has to do with this")
    outcome = outcome.by(asked.name)
    _tell(outcome, _keep(asked, outcome))
    if asked.as_hook:
        _to_syslog(outcome.failed)
    if not asked.as_hook:
        return 1 if outcome.open else 0
    return FAIL_CODE if lacking or (outcome.failed and found.fail) else 0


def _cache() -> Path | None:
    return cache.default_folder(os.environ, os.geteuid())


def _configured(path: Path | None) -> HookConfig:
    if path is not None and not path.exists():
        raise HookError(f"{printable(path)}: no such file")
    return settings.read(path or Path(settings.CONFIG), _cache())


def _chosen(found: HookConfig, sysroot: Path | None) -> HookConfig:
    """Return the configuration with the trees at `sysroot` alone, with all if that is None."""
    if sysroot is None:
        return found
    place = sysroot.resolve()
    trees = tuple(each for each in found.trees if each.build.sysroot.resolve() == place)
    if not trees:
        raise HookError(f"no [[hook.tree]] of the configuration has the sysroot {printable(sysroot)}")
    return replace(found, trees=trees)


def _again(config: str) -> str:
    """Return the command that makes good what failed with a configuration."""
    given = f"--config {shlex.quote(config)} " if config else ""
    return printable(f"mkpxeinit hook run {given}update")


def _tell(outcome: work.Outcome, still: tuple[Failure, ...]) -> None:
    """Say loudly what failed, and what is open from before."""
    for failure in outcome.failed:
        warn(f"HOOK FAILED: {failure}")
    if outcome.failed:
        again = _again(outcome.failed[0].config)
        warn(f"what was there before, if anything, is kept. When this is mended: {again}")
    for failure in still:
        if failure not in outcome.open:
            warn(f"still open from before: {failure}; {_again(failure.config)} tries again")


def _to_syslog(failed: tuple[Failure, ...]) -> None:
    """Have what failed in the journal, or the system's log, where people look for it."""
    if failed:
        syslog.openlog("mkpxeinit", syslog.LOG_PID, syslog.LOG_DAEMON)
    for failure in failed:
        syslog.syslog(syslog.LOG_ERR, f"HOOK FAILED: {failure}")


def _nothing(found: HookConfig, event: work.Event) -> None:
    if not found.trees:
        raise HookError("no [[hook.tree]] in the configuration; see mkpxeinit.toml(5)")
    if event.action == "add":
        there = meant(event.release, work.releases(found))
        raise HookError(f"no tree of the configuration has a kernel {event.release}{there}")


def _kept(path: Path) -> tuple[Failure, ...]:
    try:
        return state.read(path)
    except HookError as error:
        warn(f"{error}; going on without it")
        return ()


def _keep(asked: _Asked, outcome: work.Outcome) -> tuple[Failure, ...]:
    """Keep what is open now, and return it; that it cannot be kept is said, and no error."""
    path = asked.state
    if not (outcome.open or path.exists()):
        return ()
    try:
        with state.locked(path):
            now = state.merge(_kept(path), outcome.done, outcome.open, asked.name)
            state.write(path, now)
            return now
    except Exception as error:
        warn(f"what failed could not be kept: {work.cause_of(error)}")
        return outcome.open
