"""`mkpxeinit publish`."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import click

from mkpxeinit import build, parameters
from mkpxeinit.cli import complete, publish_show
from mkpxeinit.cli.build import GROUPS, chosen
from mkpxeinit.cli.build import command as build_command
from mkpxeinit.cli.forms import DIR, FILE, WORD, Checked, GroupedCommand, OneOf, Whole
from mkpxeinit.cli.say import log as _log
from mkpxeinit.cli.say import warn, working
from mkpxeinit.errors import PublishError, UsageError, printable
from mkpxeinit.netboot import description, generation, loaders, moves, publish, values
from mkpxeinit.netboot.published import Published
from mkpxeinit.netboot.site import Site

# Options of `build` that mean the same here.
_BUILDING = tuple(
    each
    for each in build_command.params
    if each.name not in ("sysroot", "output", "dry_run", "verbose", "as_json", "quiet")
    and isinstance(each, click.Option)
)
_NOTHING: tuple[Any, ...] = (None, False, "", ())


class _Publish(GroupedCommand):
    groups: ClassVar = {
        "What is published": ("sysroot", "tftp_root", "name", "config", "image", "append", "allow_secrets"),
        "Who boots it": ("group", "macs", "default", "timeout", "console"),
        "Generations": ("list_", "as_json", "rollback", "chosen_generation", "remove_group", "keep", "check"),
        "Loaders": ("wanted_loaders", "update_loaders", "take_over"),
        "The image, as for build": tuple(
            name
            for heading in GROUPS.values()
            for name in heading
            if name in [each.name for each in _BUILDING]
        ),
    }


def _with_building(command: click.Command) -> click.Command:
    command.params[:0] = _BUILDING
    return command


@_with_building
@click.command(
    name="publish",
    cls=_Publish,
    short_help="Publish kernel, image and loaders in a TFTP root, as a new generation.",
    epilog="""\b
Examples:
  mkpxeinit publish --sysroot /netboot/pxeclient --tftp-root /srv/tftp
  mkpxeinit publish --sysroot DIR --tftp-root DIR --append 'console=ttyS0 quiet' --keep 3
  mkpxeinit publish --sysroot DIR --tftp-root DIR --group canary --mac 52:54:00:12:34:56
  mkpxeinit publish --tftp-root DIR --generation pxeclient.4          (canary was fine: for everybody)
  mkpxeinit publish --tftp-root DIR --group canary --generation pxeclient.3
  mkpxeinit publish --tftp-root DIR --rollback
  mkpxeinit publish --tftp-root DIR --list
  mkpxeinit publish --tftp-root DIR --check
  mkpxeinit publish --config mkpxeinit.toml --name debian12
""",
)
@click.option(
    "--sysroot",
    type=DIR,
    metavar="DIR",
    help="The installed system: its kernel is published, with an image that is built for it. With --check, "
    "where the tree is now. [default: that of --config]",
)
@click.option(
    "--tftp-root",
    type=DIR,
    metavar="DIR",
    help="The folder that the TFTP server (or HTTP server) serves. [default: that of --config]",
)
@click.option(
    "--name",
    metavar="TREE",
    type=Checked(values.name),
    shell_complete=complete.PUBLISHED,
    help="Name of the tree; several can be published side by side. [default: the folder's name]",
)
@click.option(
    "--config",
    type=FILE,
    metavar="FILE",
    help="Description of the site, mkpxeinit.toml(5): tree, clients, groups, menu are taken from it.",
)
@click.option(
    "--image",
    type=FILE,
    metavar="FILE",
    help="Publish this image; none is built.",
)
@click.option(
    "--append",
    default="",
    metavar="PARAMETERS",
    shell_complete=complete.PARAMETERS,
    help="Kernel parameters that the loader gives, such as nfsroot=SERVER:/PATH if DHCP does not say it.",
)
@click.option("--allow-secrets", is_flag=True, help="Publish an image although it has private files or keys.")
@click.option(
    "--group",
    metavar="NAME",
    type=Checked(values.name),
    shell_complete=complete.GROUPS,
    help="A group of clients with a generation of its own: the new one, or that of --generation.",
)
@click.option(
    "--mac",
    "macs",
    multiple=True,
    metavar="ADDRESS",
    type=Checked(values.mac),
    help="Put this client, by its hardware address, into --group; repeatable.",
)
@click.option("--default", is_flag=True, help="Clients of no group boot this tree. [default: the first one]")
@click.option(
    "--timeout",
    type=Whole(0, 3600),
    metavar="SECONDS",
    help="How long the loaders show their menu. [default: 0, no menu]",
)
@click.option(
    "--console",
    metavar="ttySN[,SPEED]",
    type=Checked(values.console),
    shell_complete=complete.CONSOLES,
    help="Serial line on which the loaders speak too.",
)
@click.option("--list", "list_", is_flag=True, help="List the generations and who boots them.")
@click.option("--json", "as_json", is_flag=True, help="With --list or --check: as one JSON object.")
@click.option(
    "--rollback",
    type=WORD,
    is_flag=False,
    flag_value="previous",
    metavar="[GENERATION]",
    shell_complete=complete.GENERATIONS,
    help="Back to the previous generation, or to this one: of the tree, or of --group.",
)
@click.option(
    "--generation",
    "chosen_generation",
    type=WORD,
    metavar="GENERATION",
    shell_complete=complete.GENERATIONS,
    help="Switch to a generation that is there: for everybody, or for --group ('tree': that of everybody).",
)
@click.option(
    "--remove-group",
    metavar="NAME",
    type=Checked(values.name),
    shell_complete=complete.GROUPS,
    help="Dissolve a group: its clients boot what everybody boots.",
)
@click.option(
    "--keep",
    type=Whole(1),
    metavar="N",
    help="Remove generations but the newest N of each tree, those in use, the previous ones, and those used "
    "within the last 15 minutes. [default: remove none]",
)
@click.option("--check", is_flag=True, help="Compare what is served with the tree, and say what is wrong.")
@click.option(
    "--loader",
    "wanted_loaders",
    multiple=True,
    type=OneOf(*loaders.NAMES),
    metavar="NAME",
    help=f"Fail if this loader is not found: {', '.join(loaders.NAMES)}; repeatable. "
    "[default: take what is there]",
)
@click.option(
    "--update-loaders",
    is_flag=True,
    help="Replace loaders of another version too; when no client is booting.",
)
@click.option(
    "--take-over",
    is_flag=True,
    help="Replace loaders' configurations that mkpxeinit did not write; they are kept under another name.",
)
def command(**given: Any) -> int:
    """Publish kernel, image and loaders in a TFTP root, as a new generation that clients get at once.

    The switch is atomic: a client that boots meanwhile gets all old or all new files. What is served is
    readable by all machines of the network, so images with private files are refused.
    """
    site = description.read(given["config"]) if given["config"] else None
    tftp_root = given["tftp_root"] or (Path(site.tftp_root) if site else None)
    if tftp_root is None:
        raise UsageError("--tftp-root is missing")
    actions = [
        name for name in ("list_", "check", "rollback", "chosen_generation", "remove_group") if given[name]
    ]
    if len(actions) > 1:
        raise UsageError("one of --list, --check, --rollback, --generation, --remove-group")
    if given["as_json"] and actions not in (["list_"], ["check"]):
        raise UsageError("--json is for --list and --check")
    if given["macs"] and not given["group"]:
        raise UsageError("--mac is for --group")
    if given["list_"]:
        _only("--list", {"as_json"})
        return publish_show.show(tftp_root, given["as_json"])
    if given["check"]:
        _only("--check", {"as_json", "sysroot", "name"})
        return publish_show.check(tftp_root, given["sysroot"], given["name"], given["as_json"])
    if actions or not (given["sysroot"] or site):
        return _change(tftp_root, given)
    return _publish(tftp_root, site, given)


def _only(action: str, allowed: set[str]) -> None:
    """UsageError if an option was given that means nothing with `action`."""
    context = click.get_current_context()
    for each in context.command.params:
        name = str(each.name)
        given = context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        if (
            given
            and each.opts[0] not in action.split()
            and name not in {*allowed, "tftp_root", "config", "quiet"}
        ):
            raise UsageError(f"{each.opts[0]} means nothing with {action}")


def _publish(tftp_root: Path, site: Site | None, given: dict[str, Any]) -> int:
    start = time.monotonic()
    if site is not None and given["append"]:
        raise UsageError("--append: with --config the description says it (cmdline)")
    tree = site.tree(given["name"]) if site else None
    sysroot = given["sysroot"] or (Path(tree.path) if tree else None)
    assert sysroot is not None
    options = chosen({**given, "sysroot": sysroot})
    told = _told(given)
    if tree is not None:
        options, more = _described(options, tree)
        told = {**more, **told}
    wanted = publish.Options(
        tftp_root=tftp_root,
        build=options,
        tree=tree.name if tree else given["name"] or publish.tree_name(sysroot),
        strict=given["strict"],
        image=given["image"],
        cmdline=given["append"],
        told=told,
        group=given["group"],
        clients=given["macs"],
        site=site,
        default=given["default"],
        timeout=given["timeout"],
        console=given["console"],
        keep=given["keep"],
        loaders=given["wanted_loaders"],
        update_loaders=given["update_loaders"],
        take_over=given["take_over"],
        allow_secrets=given["allow_secrets"],
    )
    with working("publishing"):
        outcome = publish.publish(wanted, _log)
    for option, text in (("--append", given["append"]), ("--cmdline", given["cmdline"])):
        for doubt in parameters.doubts(text):
            warn(f"{option}: {doubt}")
    manifest = outcome.manifest
    who = f"group {given['group']}" if given["group"] else f"tree {manifest.tree}"
    what = "is published" if outcome.new else "is served already, and nothing has changed"
    _log(
        f"{printable(tftp_root)}: {manifest.name} {what} for {who}: kernel {manifest.release}, image of "
        f"{manifest.image.size} bytes, {time.monotonic() - start:.1f} s"
    )
    _log_removed(outcome.removed)
    return 0


def _told(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the build as they were given, for the manifest; the cache changes no image."""
    told = {}
    building = (each for each in _BUILDING if each.name not in ("cache", "no_cache"))
    for each in (*building, *(each for each in command.params if each.name == "image")):
        value = given[str(each.name)]
        if value not in _NOTHING:
            told[max(each.opts, key=len).lstrip("-")] = _plain(value)
    return told


def _plain(value: Any) -> Any:
    """Return `value` for JSON; what was parsed, as text."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, bool):
        return value
    if hasattr(value, "target") and hasattr(value, "source"):
        return printable(f"{value.source or value.tree}:/{value.target}")
    return printable(value)


def _described(options: build.Options, tree: description.Tree) -> tuple[build.Options, dict[str, Any]]:
    """Return `options` with what the description says of the tree where the command line says nothing."""
    default = build.Options(options.sysroot)
    said = publish.described(tree)
    taken = {name: value for name, value in said.items() if getattr(options, name) == getattr(default, name)}
    return replace(options, **taken), {name.replace("_", "-"): _plain(value) for name, value in taken.items()}


def _change(tftp_root: Path, given: dict[str, Any]) -> int:
    """Change who boots what, without a new generation."""
    group, name = given["group"], given["chosen_generation"] or given["rollback"]
    if name is None and not (given["remove_group"] or given["keep"] or given["macs"]):
        raise UsageError("--sysroot is missing (or --list, --check, --rollback, --generation, --keep)")
    doing = ("--rollback", "--generation", "--remove-group", "--mac", "--keep")
    words = [each for each, value in zip(doing, _asked(given), strict=True) if value]
    groups = {"group", "macs"} if not given["remove_group"] else set()
    _only(" ".join(words), {"name", "keep", "take_over", *groups})
    said: list[str] = []

    def move(state: Published) -> Published:
        if given["remove_group"]:
            said.append(f"group {given['remove_group']} is dissolved")
            return moves.without_group(state, given["remove_group"])
        if group and given["macs"]:
            tree = _tree(
                state,
                given["name"] or (None if name in (None, "previous", "tree") else name.rpartition(".")[0]),
            )
            state = moves.with_clients(state, group, tree, given["macs"])
            said.append(f"group {group} has {', '.join(given['macs'])} now")
        if name is None:
            return state
        if given["rollback"] == "previous":
            state, found = moves.back(state, "" if group else _tree(state, given["name"]), group)
        elif group:
            found = name
            state = moves.to_group(state, group, None if name == "tree" else name)
        else:
            found = name
            state.tree(generation.split_name(name)[0])
            state = moves.to_tree(state, name)
        said.append(f"{found} is served for {f'group {group}' if group else 'its tree'}")
        return state

    _, removed = publish.change(tftp_root, move, _log, keep=given["keep"], take_over=given["take_over"])
    for line in said:
        _log(f"{printable(tftp_root)}: {line}")
    _log_removed(removed)
    return 0


def _asked(given: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(given[each] for each in ("rollback", "chosen_generation", "remove_group", "macs", "keep"))


def _tree(state: Published, name: str | None) -> str:
    """Return `name`, or the only tree; PublishError if it is not published, or there are several."""
    if name is not None:
        state.tree(name)
        return name
    if not state.trees:
        raise PublishError("nothing is published here; mkpxeinit publish --sysroot DIR does it")
    if len(state.trees) != 1:
        raise PublishError(f"which tree? Published are: {', '.join(state.trees)}; say so with --name")
    return next(iter(state.trees))


def _log_removed(removed: tuple[str, ...]) -> None:
    if removed:
        _log(f"removed: {', '.join(removed)}")
