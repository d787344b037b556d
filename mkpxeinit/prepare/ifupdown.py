"""ifupdown and busybox' ifup: nothing but lo is brought up, interfaces(5)."""

from mkpxeinit.prepare.change import MARK, Change, Proposal, Write, write_text
from mkpxeinit.prepare.view import View, lines_of

_FILE = "etc/network/interfaces"


def propose(view: View) -> Proposal:
    """Take every name but lo out of the lines auto and allow-*, in all files."""
    folder = f"{_FILE}.d"
    files = [_FILE, *(f"{folder}/{name}" for name in view.names(folder))]
    edits: list[Write] = []
    for name in files:
        text = view.text(name)
        if text is not None and (new := without_auto(text)) != text:
            edits.append(write_text(name, new))
    return Proposal(tuple(edits))


def without_auto(text: str) -> str:
    """Return the text of an interfaces file in which only lo comes up by itself."""
    out: list[str] = []
    pending: list[str] = []  # a line and those that continue it
    for line in lines_of(text):
        pending.append(line)
        if line.rstrip("\n").endswith("\\"):
            continue
        out += _kept(pending)
        pending = []
    return "".join(out + _kept(pending))


def _kept(pending: list[str]) -> list[str]:
    """Return the lines of one setting, commented out if it brings up more than lo."""
    words = " ".join(line.rstrip("\n").removesuffix("\\") for line in pending).split()
    if not words or not (words[0] == "auto" or words[0].startswith("allow-")):
        return pending
    if all(name.partition("=")[0] == "lo" for name in words[1:]):
        return pending
    keep = [f"{words[0]} lo\n"] if "lo" in words[1:] else []
    return keep + [f"# {MARK}: pxeinit brings up the boot interface: {' '.join(words)}\n"]


CHANGE = Change(
    "ifupdown", "a second DHCP on the boot interface, or its ifdown, takes the root away", propose
)
