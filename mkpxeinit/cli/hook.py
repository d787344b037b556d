"""`mkpxeinit hook`: kernels come and go, and the images follow."""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import click

from mkpxeinit import cache
from mkpxeinit.cli import complete
from mkpxeinit.cli.forms import DIR, FILE, Checked, Group, OneOf
from mkpxeinit.cli.say import log as _log
from mkpxeinit.cli.say import warn
from mkpxeinit.errors import HookError, SysrootError, printable
from mkpxeinit.hooks import config as settings
from mkpxeinit.hooks import run as work
from mkpxeinit.hooks import scripts, state
from mkpxeinit.hooks.config import HookConfig
from mkpxeinit.hooks.state import Failure
from mkpxeinit.meant import meant
from mkpxeinit.netboot import values
from mkpxeinit.sysroot import Sysroot

FAIL_CODE = 10  # what the hook scripts take for "an error for the package manager"
_HOST = Path("/")

_ROOT = click.option(
    "--root",
    type=DIR,
    default=_HOST,
    metavar="DIR",
    help="The tree whose package manager is meant. [default: /, this machine]",
)
_KIND = click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=OneOf(*scripts.KINDS),
    metavar="NAME",
    help=f"{', '.join(scripts.KINDS)}; repeatable. [default: those that the tree has a use for]",
)
_CONFIG = click.option(
    "--config",
    type=FILE,
    metavar="FILE",
    help=f"The configuration, mkpxeinit.toml(5). [default: {settings.CONFIG}]",
)


@click.group(
    name="hook",
    cls=Group,
    short_help="Have images follow the kernels that a package manager installs.",
    epilog="""\b
Examples:
  mkpxeinit hook install --root /netboot/pxeclient
  mkpxeinit hook status
  mkpxeinit hook run update              (after mending what failed, or a change by hand)
""",
)
def command() -> None:
    """Build and publish images when a package manager installs, upgrades or removes a kernel.

    Which trees, which options and where to is said by /etc/mkpxeinit.toml: mkpxeinit.toml(5).
    """


@command.command(
    short_help="Put the hooks' scripts into a tree.",
    epilog="""\b
Examples:
  mkpxeinit hook install                              (this machine's own package manager)
  mkpxeinit hook install --root /netboot/pxeclient
  mkpxeinit hook install --root DIR --kind kernel-install
""",
)
@_ROOT
@_KIND
@click.option("--force", is_flag=True, help="Replace files in their places that are not ours.")
def install(root: Path, kinds: tuple[str, ...], force: bool) -> None:
    """Put the hooks of the tree's package manager in place.

    They do nothing until a [[hook.tree]] of the configuration names a tree.
    """
    sysroot = Sysroot.open(root)
    wanted = _wanted(sysroot, kinds)
    for each in scripts.install(sysroot, wanted, force):
        _log(f"{each.shown}: {'written' if each.state == 'absent' else 'replaced'}")
    for line in _lacking(sysroot):
        warn(line)


@command.command(
    short_help="Take the hooks' scripts out of a tree.",
    epilog="""\b
Examples:
  mkpxeinit hook remove --root /netboot/pxeclient
  mkpxeinit hook remove --root DIR --kind debian
""",
)
@_ROOT
@_KIND
def remove(root: Path, kinds: tuple[str, ...]) -> None:
    """Take the hooks' scripts away. Images, and what is published, stay."""
    sysroot = Sysroot.open(root)
    for each in scripts.remove(sysroot, scripts.scripts(kinds or tuple(scripts.KINDS))):
        _log(f"{each.shown}: removed")


@command.command(
    short_help="Say which hooks are in place, and what is open.",
    epilog="""\b
Examples:
  mkpxeinit hook status
  mkpxeinit hook status --root /netboot/pxeclient --json | jq .open
""",
)
@_ROOT
@_KIND
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def status(root: Path, kinds: tuple[str, ...], as_json: bool) -> int:
    """Say which hooks are in place, which trees they serve, and what failed and is still open.

    Exit code 1 if a script is missing or changed, or something is open.
    """
    sysroot = Sysroot.open(root)
    found = scripts.look(sysroot, _wanted(sysroot, kinds))
    configured = _configured(sysroot)
    failures = _failures(sysroot)
    remarks = _lacking(sysroot, configured)
    ok = not failures and all(each.state == "installed" for each in found)
    if as_json:
        told = {
            "ok": ok,
            "scripts": [
                {"path": f"/{each.script.path}", "kind": each.script.kind, "state": each.state}
                for each in found
            ],
            "trees": [each.name for each in configured.trees],
            "open": [asdict(each) for each in failures],
            "remarks": remarks,
        }
        click.echo(json.dumps(told, indent=2))
        return 0 if ok else 1
    for each in found:
        click.echo(f"{each.state:10} {each.script.kind:15} {each.shown}")
    for tree in configured.trees:
        click.echo(f"{'tree':10} {tree.name:15} {printable(tree.build.sysroot)}")
    for failure in failures:
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(failure.when))
        click.echo(f"{'open':10} {when}: {failure}")
    for line in remarks:
        warn(line)
    return 0 if ok else 1


@command.group(
    name="run",
    short_help="Do what a hook does.",
    epilog="""\b
Examples:
  mkpxeinit hook run update
  mkpxeinit hook run --config site.toml add 6.1.0-56-amd64
""",
)
@_CONFIG
@click.option(
    "--as-hook",
    is_flag=True,
    help="For hook scripts: exit code 0 also after a failure, which is kept for `hook status`; or "
    f'{FAIL_CODE} with on-failure = "fail".',
)
@click.pass_context
def run_(context: click.Context, config: Path | None, as_hook: bool) -> None:
    """Build, publish and remove what [[hook.tree]] asks for.

    A tree that fails keeps its old image, and does not keep the others from theirs.
    """
    context.obj = (config, as_hook)


_RELEASE = click.argument("release", type=Checked(values.kernel_release), shell_complete=complete.HOOKED)
_VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, help="Say more: also remarks that are the same each time."
)


@run_.command(
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
def add(given: tuple[Path | None, bool], release: str, initrd: Path | None, verbose: bool) -> int:
    """Build the images of kernel RELEASE for each tree that has it, and publish it where it is the newest."""
    return _run(given, work.Event("add", release), verbose, initrd)


@run_.command(
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
def remove_kernel(given: tuple[Path | None, bool], release: str, verbose: bool) -> int:
    """Remove the images of kernel RELEASE; the last one that boots is kept."""
    return _run(given, work.Event("remove", release), verbose)


@run_.command(
    short_help="Build again what is there, and what failed.",
    epilog="""\b
Examples:
  mkpxeinit hook run update
  mkpxeinit hook run update -v                        (also what is the same each time)
""",
)
@_VERBOSE
@click.pass_obj
def update(given: tuple[Path | None, bool], verbose: bool) -> int:
    """Build again: the newest kernel's image, those that are there, and those that failed; publish."""
    return _run(given, work.Event("update"), verbose)


def _run(
    given: tuple[Path | None, bool], event: work.Event, verbose: bool, initrd: Path | None = None
) -> int:
    """Do it, keep what failed, tell of it; return the exit code."""
    path, as_hook = given
    kept = state.default_file(os.environ, os.geteuid())
    before = _kept(kept)
    place = cache.default_folder(os.environ, os.geteuid())
    found, outcome = HookConfig(), work.Outcome(0, (), ())
    release = ""  # what goes wrong first is not about one
    try:
        if path is not None and not path.exists():
            raise HookError(f"{printable(path)}: no such file")
        found = settings.read(path or Path(settings.CONFIG), place)
        outcome = work.run(found, event, before, work.Voice(_log, verbose))
        release = event.release
        if initrd is not None:
            work.write_initrd(found, release, initrd, place)
            _log(f"{printable(initrd)}: image of kernel {release} for this machine's own boot entry")
    except Exception as error:
        outcome = outcome.failing(Failure(event.action, "", release, int(time.time()), work.cause_of(error)))
    else:
        outcome = outcome.cleared(found, before, release)
    if not (outcome.touched or outcome.failed or initrd):
        if not as_hook:
            _nothing(found, event)
        if verbose:
            _log("nothing to do: no [[hook.tree]] has to do with this")
    _tell(outcome, _keep(kept, outcome))
    if not outcome.failed:
        return 0
    if as_hook:
        return FAIL_CODE if found.fail else 0
    return 1


def _tell(outcome: work.Outcome, still: tuple[Failure, ...]) -> None:
    """Say loudly what failed, and what is open from before."""
    for failure in outcome.failed:
        warn(f"HOOK FAILED: {failure}")
    if outcome.failed:
        warn(
            "what was there before is kept, and clients boot that. When this is mended: "
            "mkpxeinit hook run update"
        )
    for failure in still:
        if failure not in outcome.failed:
            warn(f"still open from before: {failure}; mkpxeinit hook run update tries again")


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


def _keep(path: Path, outcome: work.Outcome) -> tuple[Failure, ...]:
    """Keep what is open now, and return it; that it cannot be kept is said, and no error."""
    if not (outcome.failed or path.exists()):
        return ()
    try:
        with state.locked(path):
            now = state.merge(_kept(path), outcome.done, outcome.failed)
            state.write(path, now)
            return now
    except Exception as error:
        warn(f"what failed could not be kept: {work.cause_of(error)}")
        return outcome.failed


def _wanted(sysroot: Sysroot, kinds: tuple[str, ...]) -> tuple[scripts.Script, ...]:
    found = kinds or scripts.kinds_of(sysroot)
    if not found:
        raise HookError(
            f"{sysroot.show('/')}: no dpkg, pacman, apk or kernel-install here; choose with --kind "
            f"({', '.join(scripts.KINDS)})"
        )
    return scripts.scripts(found)


def _configured(sysroot: Sysroot) -> HookConfig:
    try:
        path = sysroot.resolve(settings.CONFIG)
    except SysrootError:
        return HookConfig()
    return settings.read(path)


def _failures(sysroot: Sysroot) -> tuple[Failure, ...]:
    try:
        return state.read(sysroot.resolve(state.FILE))
    except SysrootError:
        return ()


def _lacking(sysroot: Sysroot, configured: HookConfig | None = None) -> list[str]:
    """Return what the hooks of the tree still need."""
    remarks = []
    places = [f"{folder}/mkpxeinit" for folder in ("usr/bin", "usr/local/bin", "bin", "usr/sbin")]
    if not any(sysroot.exists(each) for each in places):
        remarks.append(
            f"{sysroot.show('/')}: has no program mkpxeinit in /usr/bin or /usr/local/bin: its hooks do "
            "nothing until it is installed there"
        )
    if not (configured or _configured(sysroot)).trees:
        remarks.append(
            f"{sysroot.show(settings.CONFIG)}: has no [[hook.tree]]: the hooks do nothing until it names "
            "one; see mkpxeinit.toml(5)"
        )
    return remarks
