"""Timers: clients do not do the same thing at the same moment, systemd.timer(5)."""

import re

from mkpxeinit.prepare import fsck, package_jobs
from mkpxeinit.prepare.change import Change, Edit, Proposal, drop_in
from mkpxeinit.prepare.systemd import ETC, enabled, has_systemd, mask, settings
from mkpxeinit.prepare.view import View

_HOUR = 3600.0
_ENOUGH = 900.0  # seconds; what spreads itself over so much is left alone
_UNITS = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), _HOUR),
    **dict.fromkeys(("d", "day", "days"), 24 * _HOUR),
    **dict.fromkeys(("w", "week", "weeks"), 168 * _HOUR),
    **dict.fromkeys(("ms", "msec"), 0.001),
    **dict.fromkeys(("us", "usec"), 0.000001),
}
_FREQUENT = ("OnUnitActiveSec", "OnUnitInactiveSec")
_STARTS = ("OnBootSec", "OnStartupSec", "OnActiveSec")


def seconds(text: str) -> float:
    """Return a time span of systemd.time(7) in seconds; 0 if it is none that we know."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.lower())
    return sum(float(number) * _UNITS.get(unit, 0.0) for number, unit in parts)


def spread(values: dict[str, list[str]]) -> float:
    """Return over how many seconds a timer may be spread: 0 if it comes too often for that."""
    spans = [spread_of_calendar(text) for text in values.get("OnCalendar", [])]
    spans += [min(_HOUR, seconds(text) / 4) for key in _FREQUENT for text in values.get(key, [])]
    if not spans and any(values.get(key) for key in _STARTS):
        spans = [300.0]
    least = min(spans, default=0.0)
    return least if least >= 60 else 0.0


def spread_of_calendar(text: str) -> float:
    """Return the spread, in seconds, of a calendar event of systemd.time(7)."""
    word = text.strip().lower()
    if word in ("minutely", "hourly"):
        return 0.0 if word == "minutely" else 600.0
    clock = next((part for part in word.split() if ":" in part), "0:0")
    hour, minute = clock.split(":")[:2]
    if not minute.isdigit():
        return 0.0
    return _HOUR if hour.isdigit() else 600.0


def propose(view: View) -> Proposal:
    """Add a random delay, the same each day on one client, to each timer that runs; none is made up for."""
    edits: list[Edit] = []
    for name in sorted(enabled(view, ".timer") - _masked_here(view)):
        file = f"{ETC}/{name}.d/50-mkpxeinit.conf"
        values = settings(view, name, "Timer")
        delay = spread(values)
        has = max((seconds(text) for text in values.get("RandomizedDelaySec", [])[-1:]), default=0.0)
        if not delay or has >= min(delay, _ENOUGH) or view.exists(file):
            continue
        lines = ("[Timer]", f"RandomizedDelaySec={int(delay)}", "FixedRandomDelay=true", "Persistent=false")
        edits.append(drop_in(file, lines, "else all clients would do this at the same moment."))
    notes = _cron(view)
    return Proposal(tuple(edits), notes if edits or not has_systemd(view) else ())


def _masked_here(view: View) -> frozenset[str]:
    """Return the timers that other changes of this run mask."""
    changes = {"fsck": fsck.UNITS, "package-jobs": package_jobs.UNITS}
    edits = [e for name in changes if name in view.chosen for e in mask(view, changes[name]).edits]
    return frozenset(edit.path.name for edit in edits)


def _cron(view: View) -> tuple[str, ...]:
    cron = view.exists("usr/sbin/cron", "usr/sbin/crond")
    jobs = [
        name for when in ("hourly", "daily", "weekly", "monthly") for name in view.names(f"etc/cron.{when}")
    ]
    jobs += [
        f"{when}/{name}" for when in view.names("etc/periodic") for name in view.names(f"etc/periodic/{when}")
    ]
    if not (cron or view.exists("etc/periodic")) or not any(not job.startswith(".") for job in jobs):
        return ()
    return ("cron runs its jobs on all clients at the same minute: look at its crontabs",)


CHANGE = Change("timers", "all clients would do the same at the same moment, to the same server", propose)
