"""The manual pages: of the verbs from their options and helps, the others from docs/."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mkpxeinit import __version__, parameters
from mkpxeinit.cli.main import group
from mkpxeinit.manual import markdown, roff

if TYPE_CHECKING:
    from click import Command, Context, Parameter

_EXIT = (
    ("0", "Done."),
    ("1", "It failed, and one line on stderr says why; or the verb's answer is no, as described above."),
    ("2", "Wrong usage."),
    ("130", "Interrupted."),
)
_EVERYWHERE = {"--quiet", "--help"}  # told once a page
_ENVIRONMENT = (
    ("SOURCE_DATE_EPOCH", "Seconds since 1970: the time of all files in an image. Without it, 0."),
    ("NO_COLOR", "If it is not empty, terminals are not given colours."),
    ("MKPXEINIT_DEBUG", "If it is not empty, an unexpected error is shown with where it happened."),
    ("XDG_CACHE_HOME", "Where users other than root have their cache."),
    ("TMPDIR", "Where scratch folders are made."),
)
_FILES = (
    ("/etc/mkpxeinit.toml", r"The description of the site: \fBmkpxeinit.toml\fR(5)."),
    ("/etc/mkpxeinit.d/*.toml", "Drop-ins: programs, files and hooks for every image."),
    ("/var/cache/mkpxeinit", "Packed parts of images, for the next build."),
    ("/usr/local/lib/mkpxeinit/busybox", r"What \fBmkpxeinit busybox\fR has built."),
)
_CLIENT_INTRO = (
    r"\fBpxeinit\fR is the /init of the images that \fBmkpxeinit\fR(8) builds. It brings a machine from its "
    "start over the network to the init of a tree on a server. This page has its phases, the parameters of "
    "the kernel's command line that it reads, and its codes."
)
_TOML_INTRO = (
    r"A file in TOML that describes the servers, networks, trees and clients of a site. "
    r"\fBmkpxeinit\-server\-config\fR(8), \fBmkpxeinit\-publish\fR(8), \fBmkpxeinit\-serve\fR(8) and "
    r"\fBmkpxeinit\-hook\fR(8) read it."
)


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
    return made


def _page(name: str, number: int, date: str, body: Iterator[str]) -> str:
    return roff.document(name, number, date, __version__, body)


def _name(name: str, text: str) -> Iterator[str]:
    yield roff.section("Name")
    about = text[0].lower() + text[1:].rstrip(".")
    yield rf"{roff.escape(name, code=True)} \- {roff.escape(about)}"


def _overview(verbs: Mapping[str, "Command"], context: "Context") -> Iterator[str]:
    yield from _name("mkpxeinit", "build initrds that boot diskless clients over the network")
    yield roff.section("Synopsis")
    yield r"\fBmkpxeinit\fR \fIVERB\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]"
    yield roff.section("Description")
    yield from roff.filled(roff.escape(str(group.help)))
    yield from (".PP", "Each verb has a page of its own.")
    yield roff.section("Verbs")
    for name, command in verbs.items():
        page = rf"\fBmkpxeinit\-{roff.escape(name, code=True)}\fR(8)"
        yield from roff.tagged(page, [roff.escape(command.get_short_help_str(200))])
    yield from _options(group, context)
    yield roff.section("Environment")
    for name, text in _ENVIRONMENT:
        yield from roff.tagged(roff.bold(name), [roff.escape(text)])
    yield roff.section("Files")
    for name, text in _FILES:
        yield from roff.tagged(roff.italic(name), [text])
    yield from _end(str(group.epilog))
    yield roff.section("See also")
    yield r"\fBpxeinit\fR(7), \fBmkpxeinit.toml\fR(5)"


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
    yield from _end(str(command.epilog))
    yield roff.section("See also")
    yield r"\fBmkpxeinit\fR(8), \fBpxeinit\fR(7), \fBmkpxeinit.toml\fR(5)"


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
        if number:
            yield ".PP"
        yield from roff.filled(roff.escape(paragraph))


def _parts(command: "Command", context: "Context", above: str = "") -> Iterator[str]:
    """Yield what a verb that is a group has: each command with its help and options, and what is below it."""
    commands: Mapping[str, Command] = getattr(command, "commands", {})
    for name, part in commands.items():
        inner = part.context_class(part, info_name=name, parent=context)
        words = " ".join((f"{above}{name}", *part.collect_usage_pieces(inner)))
        yield f'.SS "{roff.escape(words, code=True)}"'
        yield from _paragraphs(str(part.help))
        for each in _own(part, inner):
            record = each.get_help_record(inner)
            if record and _EVERYWHERE.isdisjoint(each.opts):
                yield from roff.tagged(_usage(record[0]), [roff.escape(record[1])])
        yield from _parts(part, inner, f"{above}{name} ")


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
            yield f'.SS "{roff.escape(heading or "For all verbs", code=True)}"'
        for usage, text in rows:
            yield from roff.tagged(_usage(usage), [roff.escape(text)])


def _own(command: "Command", context: "Context") -> Iterator["Parameter"]:
    """Yield the options; newer clicks have records of arguments too, without a text."""
    yield from (each for each in command.get_params(context) if each.param_type_name == "option")


def _usage(usage: str) -> str:
    """Return `-o, --output FILE` with what is typed in bold and what is replaced in italics."""
    words = (
        word if word == "," else roff.bold(word) if word.startswith("-") else roff.italic(word)
        for word in re.findall(r"[^\s,]+|,(?=\s)|,\S*", usage)
    )
    return " ".join(words).replace(" ,", ",")


def _end(epilog: str) -> Iterator[str]:
    """Yield the exit status and the examples of a help's last part."""
    yield roff.section("Exit status")
    for code, text in _EXIT:
        yield from roff.tagged(roff.bold(code), [roff.escape(text)])
    yield roff.section("Examples")
    lines = [line[2:] for line in epilog.splitlines() if line.startswith("  ")]
    yield from list(roff.code(lines))[1:]


def _client() -> Iterator[str]:
    """Yield pxeinit(7): docs/client.md."""
    yield from _name("pxeinit", "the client's init, and its parameters on the kernel's command line")
    yield roff.section("Description")
    yield from roff.filled(_CLIENT_INTRO)
    yield roff.section("Phases")
    yield from markdown.convert(parameters.page(parameters.PAGE))
    yield roff.section("See also")
    yield r"\fBmkpxeinit\fR(8), \fBmkpxeinit\-build\fR(8), \fBbootparam\fR(7), \fBnfs\fR(5)"


def _toml() -> Iterator[str]:
    """Yield mkpxeinit.toml(5): parts of docs/server-config.md and docs/hooks.md."""
    yield from _name("mkpxeinit.toml", "description of a site for network boots")
    yield roff.section("Description")
    yield from roff.filled(_TOML_INTRO)
    text = parameters.page("server-config.md")
    body = text[text.index("\n## The description\n") :].partition("\n## What is checked")[0]
    yield from markdown.convert(body.replace("\n## The description\n", "\n## Format\n", 1))
    text = parameters.page("hooks.md")
    body = text[text.index("\n## Configuration\n") :].partition("\n## What happens")[0]
    yield from markdown.convert(body.replace("\n## Configuration\n", "\n## Hooks\n", 1))
    yield roff.section("See also")
    yield r"\fBmkpxeinit\fR(8), \fBmkpxeinit\-server\-config\fR(8), \fBpxeinit\fR(7)"
