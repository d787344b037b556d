"""`mkpxeinit hook`: kernels come and go, and the images follow."""

import json
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click

from mkpxeinit.cli.forms import DIR, Group, OneOf
from mkpxeinit.cli.hook_run import STATE, kept_by_default
from mkpxeinit.cli.hook_run import command as running
from mkpxeinit.cli.say import log as _log
from mkpxeinit.cli.say import warn
from mkpxeinit.errors import HookError, SysrootError, printable
from mkpxeinit.hooks import config as settings
from mkpxeinit.hooks import scripts, standing, state
from mkpxeinit.hooks.config import HookConfig
from mkpxeinit.hooks.state import Failure
from mkpxeinit.sysroot import Sysroot

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
    packaged = scripts.packaged(sysroot)
    for each in scripts.remove(sysroot, scripts.scripts(kinds or tuple(scripts.KINDS))):
        owned = "; it is the package's, which may bring it back" if each.script.path in packaged else ""
        _log(f"{each.shown}: removed{owned}")


@command.command(
    short_help="Say which hooks are in place, what is open, which clients are behind.",
    epilog="""\b
Examples:
  mkpxeinit hook status
  mkpxeinit hook status --root /netboot/pxeclient --json | jq .open
""",
)
@_ROOT
@_KIND
@STATE
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def status(root: Path, kinds: tuple[str, ...], kept: Path | None, as_json: bool) -> int:
    """Say which hooks are in place, which trees they serve, what is open, and which clients are behind.

    Exit code 1 if a script is missing or changed, something failed and is open, or the newest kernel of a
    tree has no image, or is not the one that clients boot.
    """
    sysroot = Sysroot.open(root)
    found = scripts.look(sysroot, _wanted(sysroot, kinds))
    configured = _configured(sysroot)
    failures = _failures(sysroot, kept)
    remarks = _lacking(sysroot, configured)
    standings = standing.of_all(configured, sysroot)
    ok = not failures and all(each.state == "installed" for each in found)
    ok = ok and not any(each.problems for each in standings)
    if as_json:
        told = {
            "ok": ok,
            "scripts": [
                {"path": f"/{each.script.path}", "kind": each.script.kind, "state": each.state}
                for each in found
            ],
            "trees": [each.name for each in configured.trees],
            "kernels": [asdict(each) for each in standings],
            "open": [asdict(each) for each in failures],
            "remarks": remarks,
        }
        click.echo(json.dumps(told, indent=2))
        return 0 if ok else 1
    for each in found:
        click.echo(f"{each.state:10} {each.script.kind:15} {each.shown}")
    for tree in configured.trees:
        click.echo(f"{'tree':10} {tree.name:15} {printable(tree.build.sysroot)}")
    for standing_ in standings:
        for problem in standing_.problems:
            click.echo(f"{'behind':10} {standing_.tree:15} {problem}")
    for failure in failures:
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(failure.when))
        by = f"--config {printable(failure.config)}, " if failure.config else ""
        click.echo(f"{'open':10} {when}: {by}{failure}")
    for line in remarks:
        warn(line)
    return 0 if ok else 1


command.add_command(running)


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


def _failures(sysroot: Sysroot, given: Path | None) -> tuple[Failure, ...]:
    """Return what is open: of the file `given`, else what the tree's own runs, and this user's, have kept."""
    if given is not None:
        return state.read(given)
    places = [kept_by_default()] if sysroot.root == _HOST else []
    with suppress(SysrootError):
        places.append(sysroot.resolve(state.FILE))
    found = [failure for place in dict.fromkeys(places) for failure in state.read(place)]
    return tuple(dict.fromkeys(found))


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
