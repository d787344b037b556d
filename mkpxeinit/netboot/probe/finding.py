"""What a look at the servers finds: lines with a verdict, and the way out."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mkpxeinit.netboot.probe.wire import ProbeError, shown

_LINE = 600  # characters; what a server says in it is shorter


class Verdict(StrEnum):
    """How a line is meant: only BAD keeps a client from booting."""

    OK = "ok"
    NOTE = "note"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: which protocol, of what it speaks, what was seen, and how to mend it."""

    part: str
    verdict: Verdict
    subject: str
    text: str
    remedy: str = ""


class Findings:
    """Collects findings, each once, and hands each on as it comes."""

    def __init__(self, emit: Callable[[Finding], None] | None = None) -> None:
        """Start without any; `emit` is called with each new one."""
        self._emit = emit
        self.all: list[Finding] = []

    def add(self, part: str, verdict: Verdict, subject: str, text: str, remedy: str = "") -> None:
        """Add one, unless it is there already."""
        found = Finding(part, verdict, shown(subject), shown(text, _LINE), shown(remedy, _LINE))
        if found not in self.all:
            self.all.append(found)
            if self._emit is not None:
                self._emit(found)

    def ok(self, part: str, subject: str, text: str) -> None:
        """Add what is right."""
        self.add(part, Verdict.OK, subject, text)

    def note(self, part: str, subject: str, text: str) -> None:
        """Add what is neither right nor wrong."""
        self.add(part, Verdict.NOTE, subject, text)

    def warn(self, part: str, subject: str, text: str, remedy: str) -> None:
        """Add what is wrong and keeps nobody from booting."""
        self.add(part, Verdict.WARN, subject, text, remedy)

    def bad(self, part: str, subject: str, text: str, remedy: str) -> None:
        """Add what keeps a client from booting."""
        self.add(part, Verdict.BAD, subject, text, remedy)

    def failed(self, part: str, subject: str, error: ProbeError, verdict: Verdict = Verdict.BAD) -> None:
        """Add what a question came to that failed."""
        self.add(part, verdict, subject, error.cause, error.remedy)

    @property
    def good(self) -> bool:
        """True if nothing keeps a client from booting."""
        return all(each.verdict is not Verdict.BAD for each in self.all)
