"""`mkpxeinit doctor`."""

import json
from collections.abc import Iterator
from dataclasses import asdict

import click

from mkpxeinit.cli.forms import OneOf
from mkpxeinit.cli.say import coloured, log, warn
from mkpxeinit.doctor import Finding, Report, examine, this_host
from mkpxeinit.doctor_needs import PARTS


@click.command(
    name="doctor",
    short_help="Say what is missing on this machine, and which package brings it.",
    epilog="""\b
Examples:
  mkpxeinit doctor                  (for everything)
  mkpxeinit doctor build publish
  mkpxeinit doctor serve --json | jq -r .install
""",
)
@click.argument("parts", metavar="[VERB]...", nargs=-1, type=OneOf(*PARTS))
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
def command(parts: tuple[str, ...], as_json: bool) -> int:
    """Look for what VERB needs on this machine, and name the package that brings what is missing.

    VERB is one of build, publish, hook, serve, boot, prepare (with --chroot), busybox, verify-server; without
    one, all of them. Packages are named for Debian, Fedora, openSUSE, Arch, Alpine and what is made of them.
    Nothing is installed or changed. Exit code 1 if something is missing that is needed for what was asked.
    """
    report = examine(dict.fromkeys(parts) or tuple(PARTS), this_host())
    if as_json:
        click.echo(json.dumps({"healthy": report.healthy, **asdict(report)}, indent=2))
    else:
        for line in _lines(report):
            click.echo(line)
    if report.healthy:
        log("nothing that is needed is missing")
        return 0
    lacking = sum(not (each.present or each.optional) for each in report.findings)
    warn(f"{lacking} {'thing is' if lacking == 1 else 'things are'} missing" + _how(report))
    return 1


def _how(report: Report) -> str:
    """Return the way out."""
    lacking = [each for each in report.findings if not (each.present or each.optional)]
    be_root = "; be root" if any(each.name == "root" for each in lacking) else ""
    unknown = [each.name for each in lacking if each.name != "root" and not each.packages]
    rest = f"; no package here is known for {', '.join(unknown)}" if unknown else ""
    return f"{be_root}{f'; as root: {report.install}' if report.install else ''}{rest}"


def _lines(report: Report) -> Iterator[str]:
    """Yield a line for each thing: how it is, what it is, for which verbs."""
    width = max(len(each.name) for each in report.findings)
    for each in report.findings:
        yield f"{_mark(each)}  {each.name:<{width}}  {', '.join(each.parts)}: {each.why}{_missing(each)}"


def _mark(finding: Finding) -> str:
    if finding.present:
        return coloured("ok     ", "green")
    return coloured("useful ", "yellow") if finding.optional else coloured("missing", "red")


def _missing(finding: Finding) -> str:
    if finding.present or not finding.packages:
        return ""
    return f" -> {' '.join(finding.packages)}"
