"""Secrets in an image: what is served over TFTP is read by everybody in the network.

Looked at are names, permissions, and what files begin with; archives and file systems within the image
are not opened. Every entry counts, also one that a later one replaces: its bytes are in the image.
"""

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mkpxeinit.errors import PublishError, printable
from mkpxeinit.image.read import Found, Record, open_image, without_usr

_MAX_TEXT = 1 << 20  # bytes of a file that are looked at
_SHOWN = 5
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|^PuTTY-User-Key-File-", re.M
)
_PASSWORD = re.compile(rb"^[^:\n]+:(?:\$[^:\n]*|[A-Za-z0-9./]{13}):", re.M)
_NAMES = (
    (re.compile(r"etc/(ssh|dropbear)/\w*host_?\w*key"), "an SSH host key"),
    (re.compile(r"(.*/)?\.ssh/id_[a-z0-9]+"), "an SSH key"),
    (re.compile(r"etc/g?shadow-?"), "passwords"),
    (re.compile(r"(.*/)?[^/]+\.keytab"), "keys of Kerberos"),
    (re.compile(r"(var/lib|etc)/systemd/(random-seed|credential\.secret)"), "a secret of systemd"),
    (re.compile(r"etc/(ipsec|ppp/(chap|pap)-)\.?secrets"), "passwords"),
)
_MACHINE_ID = re.compile(r"(etc|var/lib/dbus)/machine-id")


@dataclass(frozen=True, slots=True)
class Secret:
    """A file of an image that not everybody may read, and why."""

    path: PurePosixPath
    why: str

    def __str__(self) -> str:
        return f"/{printable(self.path)} ({self.why})"


def find(image: Path) -> tuple[Secret, ...]:
    """Return the secrets in `image`, sorted by path; ImageError if it cannot be read."""
    found: dict[PurePosixPath, Secret] = {}
    closed: set[PurePosixPath] = set()
    with open_image(image) as opened:
        for each in opened.entries():
            record = each.record
            if record.letter == "d":
                # Private folders say something about the files in them.
                (closed.discard if record.mode & stat.S_IXOTH else closed.add)(record.path)
            elif record.is_file and (why := _why(each, closed)):
                found.setdefault(record.path, Secret(record.path, why))
    return tuple(found[path] for path in sorted(found))


def _why(found: Found, closed: set[PurePosixPath]) -> str | None:
    record = found.record
    inside = "/".join(without_usr(record.path))
    if not record.size and record.links < 2:
        return None
    if not record.mode & stat.S_IROTH:
        return f"mode {stat.S_IMODE(record.mode):04o}: not for everybody"
    above = next((folder for folder in record.path.parents if folder in closed), None)
    if above is not None:
        return f"in /{printable(above)}, which is not for everybody"
    for pattern, what in _NAMES:
        if pattern.fullmatch(inside):
            return what
    return _content(record, inside, found.content)


def _content(record: Record, inside: str, pieces: Iterator[bytes]) -> str | None:
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _MAX_TEXT:
            break
    head = head[:_MAX_TEXT]
    # The pattern last: drivers and programs have a zero early, and are not looked through.
    if b"\0" not in head and _PRIVATE_KEY.search(head):
        return "a private key"
    if _MACHINE_ID.fullmatch(inside) and head.strip() not in (b"", b"uninitialized"):
        return "the identity of one machine"
    if inside in ("etc/passwd", "etc/passwd-") and _PASSWORD.search(head):
        return "passwords"
    return None


def refuse(found: tuple[Secret, ...], shown: str) -> None:
    """PublishError if there are secrets in the image that messages name `shown`."""
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise PublishError(
            f"{shown}: not for the eyes of the network, where every machine can read it: "
            f"{', '.join(map(str, found[:_SHOWN]))}{more}; leave that out, give it to the clients another "
            "way, or publish it all the same with --allow-secrets"
        )
