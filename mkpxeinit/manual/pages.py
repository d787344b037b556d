"""The manual pages: of the verbs from their options and helps, the others from docs/."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from mkpxeinit import __version__, parameters
from mkpxeinit.cli.main import group
from mkpxeinit.hooks import config, scripts, state
from mkpxeinit.manual import markdown, places, roff

if TYPE_CHECKING:
    from click import Command, Context, Parameter

# Code, what it says; those of a verb that has one more.
_EXIT = (
    ("0", "Done."),
    ("1", "It failed, and one line on stderr says why; or the verb's answer is no, as described above."),
    ("2", "Wrong usage."),
    ("130", "Interrupted."),
)
_MORE_EXIT = {
    "hook": (("10", f'With --as-hook, and on-failure = "fail" in {config.CONFIG}: a tree failed.'),),
}
_EVERYWHERE = {"--quiet", "--help"}  # told once a page
_ENVIRONMENT = (
    ("SOURCE_DATE_EPOCH", "Seconds since 1970: the time of all files in an image. Without it, 0."),
    ("NO_COLOR", "If it is not empty, terminals are not given colours."),
    ("MKPXEINIT_DEBUG", "If it is not empty, an unexpected error is shown with where it happened."),
    ("XDG_CACHE_HOME", "Where the cache is; without it, /var/cache/mkpxeinit for root, ~/.cache for others."),
    (
        "XDG_STATE_HOME",
        "Where it is kept what a hook could not do; without it, /var/lib/mkpxeinit for root, ~/.local/state "
        "for others.",
    ),
    ("TMPDIR", "Where scratch folders are made; without it, /tmp."),
)
_CONFIG = str(config.CONFIG)
_FAILURES = (str(state.FILE), "What hooks could not do, until it is made good.")
_FILES = (
    (_CONFIG, "The description of the site, and what hooks do: mkpxeinit.toml(5)."),
    ("/etc/mkpxeinit.d/*.toml", "Programs, files and hooks for every image: mkpxeinit.d(5)."),
    ("/var/cache/mkpxeinit", "Packed parts of images, for the next build."),
    _FAILURES,
    ("/usr/local/lib/mkpxeinit/busybox", "What `mkpxeinit busybox` has built."),
)
_CLIENT_INTRO = (
    "`pxeinit` is the /init of the images that mkpxeinit(8) builds. It brings a machine from its start over "
    "the network to the init of a tree on a server. This page has its phases, the parameters of the kernel's "
    "command line that it reads, what it does when something is missing, and its codes; pxeinit-codes(7) has "
    "more about each code."
)
_TOML_INTRO = (
    "A file in TOML that describes the servers, networks, trees and clients of a site. "
    "mkpxeinit-server-config(8), mkpxeinit-publish(8), mkpxeinit-serve(8) and mkpxeinit-hook(8) read it."
)
# What options do is said under Options already.
_OPTION_TABLE = re.compile(r"^\| option \|.*\n(?:\|.*\n)*", re.MULTILINE)
_REFERENCE = re.compile(r"\\fB((?:mkpxeinit|pxeinit)[\w.\\-]*)\\fR\((\d)\)")


def pages(date: str) -> dict[str, str]:
    """Return all pages by their names, `mkpxeinit.8` and so on; `date` is YYYY-MM-DD.

    MkpxeinitError if this installation lacks the pages of docs/ that some are made from.
    """
    context = group.context_class(group, info_name="mkpxeinit", **group.context_settings)
    verbs = {
        name: found for name in group.list_commands(context) if (found := group.get_command(context, name))
    }
    made = {"mkpxeinit.8": _page("mkpxeinit", 8, date, _overview(verbs, context))}
    for name, command in verbs.items():
        made[f"mkpxeinit-{name}.8"] = _page(f"mkpxeinit-{name}", 8, date, _verb(name, command, context))
    made["pxeinit.7"] = _page("pxeinit", 7, date, _client())
    made["mkpxeinit.toml.5"] = _page("mkpxeinit.toml", 5, date, _toml())
    for (name, number), (about, taken) in places.OTHERS.items():
        body = [*_name(name, about), *_taken(taken, f"{name}({number})", "Description")]
        made[f"{name}.{number}"] = _page(name, number, date, body)
    return made


def _page(name: str, number: int, date: str, body: Iterable[str]) -> str:
    """Return a page; the other pages that it speaks of are listed at its end."""
    lines = list(body)
    own = f"{name}({number})"
    found = {f"{page}({n})".replace("\\-", "-") for page, n in _REFERENCE.findall("\n".join(lines))}
    others = sorted({*found, "mkpxeinit(8)", "pxeinit(7)"} - {own}, key=lambda each: (each[-2], each))
    also = roff.filled(", ".join(map(roff.prose, others)))
    return roff.document(name, number, date, __version__, [*lines, roff.section("See also"), *also])


def _name(name: str, text: str) -> Iterator[str]:
    yield roff.section("Name")
    about = text[0].lower() + text[1:].rstrip(".")
    yield rf"{roff.escape(name, code=True)} \- {roff.escape(about)}"


def _overview(verbs: Mapping[str, "Command"], context: "Context") -> Iterator[str]:
    yield from _name("mkpxeinit", "build initrds that boot diskless clients over the network")
    yield roff.section("Synopsis")
    yield r"\fBmkpxeinit\fR \fIVERB\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]"
    yield roff.section("Description")
    yield from roff.filled(roff.prose(str(group.help)))
    yield from (".PP", "Each verb has a page of its own.")
    yield roff.section("Verbs")
    for name, command in verbs.items():
        yield from roff.tagged(
            roff.prose(f"mkpxeinit-{name}(8)"), [roff.prose(command.get_short_help_str(200))]
        )
    yield roff.section("Other pages")
    for (name, number), (about, _) in places.OTHERS.items():
        yield from roff.tagged(
            roff.prose(f"{name}({number})"), [roff.prose(f"{about[0].upper()}{about[1:]}.")]
        )
    yield from _options(group, context)
    yield roff.section("Environment")
    for name, text in _ENVIRONMENT:
        yield from roff.tagged(roff.bold(name), [roff.prose(text)])
    yield from _files(_FILES)
    yield from _end(_EXIT, [str(group.epilog)])


def _verb(name: str, command: "Command", above: "Context") -> Iterator[str]:
    context = above.command.context_class(command, info_name=name, parent=above)
    yield from _name(f"mkpxeinit-{name}", command.get_short_help_str(200))
    yield roff.section("Synopsis")
    pieces = " ".join(roff.escape(each, code=True) for each in command.collect_usage_pieces(context))
    yield rf"\fBmkpxeinit {roff.escape(name, code=True)}\fR {pieces}"
    yield roff.section("Description")
    yield from _paragraphs(str(command.help))
    parts = list(_parts(command, context))
    if parts:
        yield roff.section("Commands")
        yield from parts
    yield from _options(command, context)
    for taken in places.VERBS.get(name, ()):
        yield from _taken(taken, f"mkpxeinit-{name}(8)", "Details")
    if name == "hook":
        yield from _files(((_CONFIG, "What the hooks do: mkpxeinit.toml(5)."), _FAILURES, *_scripts()))
    yield from _end((*_EXIT, *_MORE_EXIT.get(name, ())), [str(command.epilog), *_examples(command)])


def _taken(taken: places.Taken, own: str, first: str) -> Iterator[str]:
    """Yield what the manual page `own` has of a page of docs/, whose beginning has the heading `first`."""
    text = parameters.page(taken.page)
    if taken.whole:
        yield from markdown.convert(text, own, lower=True)
        return
    for heading, body in markdown.sections(text):
        if heading:
            if (taken.only and heading not in taken.only) or heading in taken.without:
                continue
            alone = not taken.beginning and len(taken.only) == 1
            yield roff.section(first if alone else heading)
        elif taken.beginning:
            yield roff.section(first)
        else:
            continue
        yield from markdown.convert(_OPTION_TABLE.sub("", body), own)


def _scripts() -> Iterator[tuple[str, str]]:
    for each in scripts.scripts(tuple(scripts.KINDS)):
        yield f"/{each.path}", f"A hook's script, of the kind {each.kind}."


def _files(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield roff.section("Files")
    for name, text in rows:
        yield from roff.tagged(roff.italic(name), [roff.prose(text)])


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
        if number:
            yield ".PP"
        yield from roff.filled(roff.prose(" ".join(paragraph.split())))


def _parts(command: "Command", context: "Context", above: str = "") -> Iterator[str]:
    """Yield what a verb that is a group has: each command with its help and options, and what is below it."""
    commands: Mapping[str, Command] = getattr(command, "commands", {})
    for name, part in commands.items():
        inner = part.context_class(part, info_name=name, parent=context)
        words = " ".join((f"{above}{name}", *part.collect_usage_pieces(inner)))
        yield roff.subsection(words)
        yield from _paragraphs(str(part.help))
        for each in _own(part, inner):
            record = each.get_help_record(inner)
            if record and _EVERYWHERE.isdisjoint(each.opts):
                yield from roff.tagged(_usage(record[0]), [roff.prose(_with_fields(*record))])
        yield from _parts(part, inner, f"{above}{name} ")


def _examples(command: "Command") -> Iterator[str]:
    """Yield the last parts of the helps of the commands of a group, and of those below."""
    commands: Mapping[str, Command] = getattr(command, "commands", {})
    for part in commands.values():
        yield str(part.epilog)
        yield from _examples(part)


def _options(command: "Command", context: "Context") -> Iterator[str]:
    """Yield the options, under the headings that the help has."""
    records = {str(each.name): each.get_help_record(context) for each in _own(command, context)}
    groups: Mapping[str, tuple[str, ...]] = getattr(command, "groups", {})
    grouped = {name for names in groups.values() for name in names}
    rest = tuple(name for name in records if name not in grouped)
    yield roff.section("Options")
    for heading, names in {**groups, "": rest}.items():
        rows = [record for name in names if (record := records.get(name))]
        if rows and groups:
            yield roff.subsection(heading or "For all verbs")
        for usage, text in rows:
            yield from roff.tagged(_usage(usage), [roff.prose(_with_fields(usage, text))])


def _with_fields(usage: str, text: str) -> str:
    """Return what an option does; of --json also where its fields are described."""
    return f"{text} Its fields: mkpxeinit-json(7)." if usage == "--json" else text


def _own(command: "Command", context: "Context") -> Iterator["Parameter"]:
    """Yield the options; newer clicks have records of arguments too, without a text."""
    yield from (each for each in command.get_params(context) if each.param_type_name == "option")


def _usage(usage: str) -> str:
    """Return `-o, --output FILE` with what is typed in bold and what is replaced in italics."""
    words = (re.fullmatch(r"(.+?)(,?)", word) for word in usage.split())
    pairs = (match.groups() for match in words if match)
    return " ".join(
        f"{roff.bold(word) if word.startswith('-') else roff.italic(word)}{comma}" for word, comma in pairs
    )


def _end(codes: Iterable[tuple[str, str]], epilogs: Iterable[str]) -> Iterator[str]:
    """Yield the exit status, and the examples of helps' last parts, each once."""
    yield roff.section("Exit status")
    for code, text in sorted(codes, key=lambda each: int(each[0])):
        yield from roff.tagged(roff.bold(code), [roff.prose(text)])
    yield roff.section("Examples")
    lines = [line[2:] for epilog in epilogs for line in epilog.splitlines() if line.startswith("  ")]
    yield from roff.code(dict.fromkeys(lines))[1:]


def _client() -> Iterator[str]:
    """Yield pxeinit(7): docs/client.md, but for its beginning, which is about the files of the client."""
    yield from _name("pxeinit", "the client's init, and its parameters on the kernel's command line")
    yield roff.section("Description")
    yield from roff.filled(roff.prose(_CLIENT_INTRO))
    yield roff.section("Phases")
    text = parameters.page(parameters.PAGE)
    yield from markdown.convert(text[text.index("\n| ") :], "pxeinit(7)")


def _toml() -> Iterator[str]:
    """Yield mkpxeinit.toml(5): parts of docs/server-config.md and docs/hooks.md."""
    yield from _name("mkpxeinit.toml", "description of a site for network boots")
    yield roff.section("Description")
    yield from roff.filled(roff.prose(_TOML_INTRO))
    described, hooks = (
        dict(markdown.sections(parameters.page(page))) for page in ("server-config.md", "hooks.md")
    )
    for title, before, body in (
        ("Format", "", described["The description"]),
        ("What is in the answers of DHCP", "", described["What is in the answers of DHCP"]),
        ("NFS", "", described["NFS"]),
        ("Hooks", "What `mkpxeinit hook` does, in the same file.\n\n", hooks["Configuration"]),
        ("Examples", "", described["Examples"]),
    ):
        yield roff.section(title)
        yield from markdown.convert(before + body, "mkpxeinit.toml(5)")
