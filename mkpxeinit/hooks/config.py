"""The tables `[hook]` and `[[hook.tree]]` of mkpxeinit.toml: docs/hooks.md is their reference."""

from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mkpxeinit import build
from mkpxeinit.dropins import DEFAULT as DROP_INS
from mkpxeinit.errors import ServerError, UsageError, printable
from mkpxeinit.image.compress import Compressor
from mkpxeinit.meant import meant
from mkpxeinit.netboot import description, publish, table, values
from mkpxeinit.netboot.parts import BuildOptions
from mkpxeinit.netboot.site import Site
from mkpxeinit.netboot.table import Table

CONFIG = PurePosixPath("/etc/mkpxeinit.toml")
_OWN = "root"
FAILURES = ("report", "fail")


@dataclass(frozen=True, slots=True)
class Publishing:
    """Where a tree's kernel and image are published; `site` None: `append` is what the loader gives."""

    tftp_root: Path
    tree: str
    append: str
    keep: int | None
    site: Site | None
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HookTree:
    """A tree that the hooks make images for.

    `output` is the folder for them: None, none lies outside of the TFTP root; `boot` inside the tree is
    named by `inside`. `build` has the options, without an output.
    """

    name: str
    build: build.Options
    strict: bool = False
    output: Path | None = None
    inside: PurePosixPath | None = None
    publishing: Publishing | None = None


@dataclass(frozen=True, slots=True)
class HookConfig:
    """All trees; `fail`: a hook that fails is an error for the package manager."""

    trees: tuple[HookTree, ...] = ()
    fail: bool = False


def read(path: Path, cache: Path | None = None) -> HookConfig:
    """Return what the file `path` says of hooks, nothing if there is no such file.

    ServerError, one line, names the file, the table and the key. Builds use `cache`, None for none.
    """
    if not path.exists() and not path.is_symlink():
        return HookConfig()
    top = table.read(path)
    site = description.read(path) if "server" in top.values else None
    try:
        hook = top.table("hook")
        if site is None:
            top.end()
        fail = hook.text("on-failure", _policy) == "fail"
        trees = []
        for number, each in enumerate(hook.tables("tree"), 1):
            each.name = f"[[hook.tree]] {number}"
            trees.append(_tree(each, path.parent, site, cache))
        hook.end()
        _check_names(tuple(trees))
    except ServerError as error:
        raise ServerError(f"{printable(path)}: {error}") from error
    return HookConfig(tuple(trees), fail)


def _policy(text: str) -> str:
    if text not in FAILURES:
        raise ServerError(f"there is no {text!r}{meant(text, FAILURES)}")
    return text


def _check_names(trees: tuple[HookTree, ...]) -> None:
    names = [each.name for each in trees]
    for name in names:
        if names.count(name) > 1:
            raise ServerError(f"[[hook.tree]]: {names.count(name)} are named {name!r}; give them a `name`")


def _tree(given: Table, folder: Path, site: Site | None, cache: Path | None) -> HookTree:
    described = given.text("tree", values.name)
    if described and site is None:
        raise given.error("tree", "is of use with a [server] and a [tree.NAME] in the same file")
    tree = site.tree(described) if site and described else None
    sysroot = Path(given.text("sysroot", values.path) or (tree.path if tree else "/"))
    name = given.text("name", values.name) or described or _name(given, sysroot)
    inner = given.table("build")
    inner.name = f"[hook.tree.build] of {given.name}"
    options, strict, told = _build(inner, folder, build.Options(sysroot, cache=cache))
    release = given.text("kernel-release", values.kernel_release)
    if tree is not None:
        said = publish.described(tree)
        default = build.Options(sysroot)
        taken = {key: value for key, value in said.items() if getattr(options, key) == getattr(default, key)}
        options = replace(options, **taken)
        told = {**{key.replace("_", "-"): str(value) for key, value in taken.items()}, **told}
    options = replace(options, kernel_release=release or options.kernel_release)
    output = given.text("output", values.path)
    publishing = _publishing(given, name, site if tree else None, told)
    if publishing and name == _OWN:
        raise given.error("name", "is needed: this machine's own tree has none to be published by")
    given.end()
    return HookTree(
        name=name,
        build=options,
        strict=strict,
        output=Path(output) if output else None,
        inside=PurePosixPath("/boot") if output is None and publishing is None else None,
        publishing=publishing,
    )


def _name(given: Table, sysroot: Path) -> str:
    """Return a name for the tree: its folder's, a word for this machine's own."""
    if sysroot == Path("/"):
        return _OWN
    try:
        return values.name(sysroot.name)
    except ServerError as error:
        raise given.error("name", f"is needed: the folder's {error}") from error


def _publishing(given: Table, name: str, site: Site | None, told: dict[str, Any]) -> Publishing | None:
    root = given.text("tftp-root", values.path)
    append = given.text("append", values.cmdline)
    keep = given.number("keep", 1, 1000)
    if site is None and root is None:
        for key, value in (("append", append), ("keep", keep)):
            if value is not None:
                raise given.error(key, "is for what is published: give `tftp-root`, or a described `tree`")
        return None
    if site is not None and append is not None:
        raise given.error("append", "is said by the described tree's cmdline")
    if site is not None and name not in [each.name for each in site.trees]:
        raise given.error("name", "has to be that of the described tree")
    where = root or (site.tftp_root if site else None)
    assert where is not None
    return Publishing(Path(where), name, append or "", keep, site, told)


def _build(given: Table, folder: Path, options: build.Options) -> tuple[build.Options, bool, dict[str, Any]]:
    """Return `options` with what the table says, if firmware may lack, and what was said, as texts."""
    told = {key: value for key, value in given.values.items() if key != "strict"}
    strict = given.flag("strict")
    said = replace(
        options,
        cmdline=given.text("cmdline", values.cmdline) or "",
        compressor=given.text("compress", _compressor),
        strip_modules=given.flag("strip-modules"),
        busybox=given.text("busybox", _path),
        drop_ins=given.texts("drop-in-dirs", _path) or (DROP_INS,),
    )
    common: BuildOptions = description.build_options(given, folder)
    more = {each.name: getattr(common, each.name) for each in fields(BuildOptions)}
    return replace(said, **more), strict, told


def _compressor(text: str) -> Compressor:
    try:
        return Compressor.parse(text)
    except UsageError as error:
        raise ServerError(str(error)) from error


def _path(text: str) -> Path:
    return Path(values.path(text))
