"""What the values of a description may be: allow-lists, narrower than what each server's syntax could quote.

Each function returns the value in its one canonical form, or raises ServerError that says what it is
instead; who calls knows the file and the key.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from pathlib import PurePosixPath

from mkpxeinit.errors import ServerError, printable
from mkpxeinit.meant import meant

MAX_CMDLINE = 2047  # bytes; COMMAND_LINE_SIZE is 2048 on x86 and arm64, with the zero at its end
MAX_PATH = 255  # bytes; what an option of DHCP holds at most
MAX_TEXT = 200  # characters of a title or comment

MODES = ("farm", "overlay", "ro", "rw")  # docs/client.md
_LABEL = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}")
_GENERATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?P<sep>[:-])(?:[0-9A-Fa-f]{2}(?P=sep)){4}[0-9A-Fa-f]{2}")
_PATH = re.compile(r"/(?:[A-Za-z0-9._@+=~-]+/?)*")
_RELATIVE = re.compile(r"[A-Za-z0-9_+~-][A-Za-z0-9._+~-]*(?:/[A-Za-z0-9_+~-][A-Za-z0-9._+~-]*)*")
_OPTIONS = re.compile(r"[A-Za-z0-9_.=:-]+(?:,[A-Za-z0-9_.=:-]+)*")
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~:-]{0,127}")
_WORD = re.compile(r"[A-Za-z0-9_./+:@=~-]{1,255}")
_URL = re.compile(
    r"http://(?P<host>[A-Za-z0-9.-]{1,253})(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:/[A-Za-z0-9._~+-]+)*)/?"
)
_CONSOLE = re.compile(r"ttyS(?P<unit>[0-9])(?:,(?P<speed>[0-9]{3,7})(?:[noe]8)?)?")
# No quote or escape but the kernel's own `"`: loaders pass on what they read in different ways.
_CMDLINE = re.compile(r"[A-Za-z0-9 !\"$%&()*+,./:;<=>?@\[\]^_{|}~-]*")
# Whole words that end or join commands in iPXE's scripts.
_IPXE_WORDS = frozenset({"&&", "||", ";"})


def label(text: str) -> str:
    """Return a label of the loaders' menus."""
    return _matched(_LABEL, text, "letters, digits and ._- (at most 64)")


def name(text: str) -> str:
    """Return the name of a tree or a group; it becomes part of file names and labels."""
    return _matched(_NAME, text, "letters, digits, _ and - (at most 31, first a letter or digit)")


def generation(text: str) -> str:
    """Return the name of a published generation."""
    return _matched(_GENERATION, text, "letters, digits and ._+- (at most 64, first a letter or digit)")


def host_name(text: str) -> str:
    """Return a host or domain name in lower case: labels of RFC 1123, at most 253 characters."""
    if len(text) > 253 or not all(_HOST_LABEL.fullmatch(part) for part in text.split(".")):
        raise _wrong(text, "a host name: letters, digits and - in labels of at most 63")
    return text.lower()


def client_name(text: str) -> str:
    """Return a client's host name, a single label: the domain is the site's."""
    if text.isdigit() or not _HOST_LABEL.fullmatch(text):
        raise _wrong(text, "a host name of one label: letters, digits and - (at most 63), not only digits")
    return text.lower()


def host(text: str) -> str:
    """Return an IPv4 address or a host name; what looks like an address has to be one."""
    if re.fullmatch(r"[0-9.]+", text):
        return str(address(text))
    return host_name(text)


def mac(text: str) -> str:
    """Return a hardware address as aa:bb:cc:dd:ee:ff; that of a single Ethernet interface."""
    if not _MAC.fullmatch(text):
        raise _wrong(text, "an Ethernet address like 52:54:00:12:34:56")
    plain = text.lower().replace("-", ":")
    if int(plain[:2], 16) & 1 or plain == "00:00:00:00:00:00":
        raise _wrong(text, "the address of one interface: it is a group's, or zero")
    return plain


def address(text: str) -> IPv4Address:
    """Return the IPv4 address of a host."""
    try:
        found = IPv4Address(text)
    except AddressValueError:
        raise _wrong(text, "an IPv4 address") from None
    if found.is_multicast or found.is_loopback or found.is_reserved or int(found) >> 24 == 0:
        raise _wrong(text, "the IPv4 address of a host in a network")
    return found


def span(text: str) -> tuple[IPv4Address, IPv4Address]:
    """Return the first and the last address of `FIRST-LAST`."""
    first, dash, last = text.partition("-")
    if not dash:
        raise ServerError(f"{text!r} is not FIRST-LAST, two addresses")
    return address(first), address(last)


def network(text: str) -> IPv4Network:
    """Return the IPv4 network `ADDRESS/LENGTH`, no bit set behind the length."""
    if "/" not in text:
        raise _wrong(text, "a network: ADDRESS/LENGTH")
    try:
        found = IPv4Network(text)
    except (AddressValueError, NetmaskValueError):
        raise _wrong(text, "an IPv4 network: ADDRESS/LENGTH") from None
    except ValueError:
        right = IPv4Network(text, strict=False)
        raise ServerError(f"{text!r} has host bits set; the network is {right}") from None
    if not 8 <= found.prefixlen <= 30:
        raise _wrong(text, "a network with a length from 8 to 30")
    return found


def path(text: str) -> PurePosixPath:
    """Return an absolute path without `..`, of characters that need no quotes anywhere."""
    if not _PATH.fullmatch(text) or ".." in text.split("/"):
        raise _wrong(text, "an absolute path of letters, digits and /._@+=~-, without ..")
    if len(text) > MAX_PATH:
        raise ServerError(f"{printable(text)!r} is longer than {MAX_PATH} characters")
    return PurePosixPath(text)


def squashfs(text: str) -> PurePosixPath:
    """Return the path of a squashfs: clients know it by its name; its folder is what is exported."""
    found = path(text)
    if found.suffix != ".squashfs" or text.endswith("/"):
        raise _wrong(text, "a squashfs: its name has to end in .squashfs")
    if found.parent == PurePosixPath("/"):
        raise _wrong(text, "in a folder of its own, which is exported: not all of this machine")
    return found


def relative(text: str) -> PurePosixPath:
    """Return a path of a file below the TFTP root."""
    if not _RELATIVE.fullmatch(text) or len(text) > 127:
        raise _wrong(
            text,
            "a path below the TFTP root: letters, digits and /._+~- (at most 127, no part begins with .)",
        )
    return PurePosixPath(text)


def mount_options(text: str) -> str:
    """Return options of nfs(5), with commas between them."""
    if not _OPTIONS.fullmatch(text) or len(text) > 200:
        raise _wrong(text, "options of nfs(5) with commas between them")
    return text


def interface(text: str) -> str:
    """Return the name of a network interface."""
    return _matched(_INTERFACE, text, "the name of a network interface")


def kernel_release(text: str) -> str:
    """Return a kernel release, as in /lib/modules/RELEASE."""
    return _matched(_RELEASE, text, "a kernel release, as under /lib/modules")


def word(text: str) -> str:
    """Return a word for an option of the build: a module, a program, a path, a PCI class."""
    return _matched(_WORD, text, "letters, digits and _./+:@=~-")


def mode(text: str) -> str:
    """Return how the client's root becomes writable."""
    if text not in MODES:
        raise ServerError(f"there is no mode {printable(text)!r}{meant(text, MODES)}")
    return text


def url(text: str) -> str:
    """Return the URL under which the TFTP root is served by HTTP, with a `/` at its end."""
    match = _URL.fullmatch(text)
    if match is None or ".." in match["path"].split("/"):
        raise _wrong(text, "a URL like http://192.0.2.1/boot/ (firmware speaks plain HTTP)")
    host(match["host"])
    if match["port"] and not 1 <= int(match["port"]) <= 65535:
        raise _wrong(text, "a URL with a port from 1 to 65535")
    return text.rstrip("/") + "/"


def url_parts(text: str) -> tuple[str, int, str]:
    """Return host, port and path (`/` at both ends) of what `url` returned."""
    match = _URL.fullmatch(text)
    assert match is not None, text
    return match["host"], int(match["port"] or 80), f"{match['path']}/"


def console(text: str) -> str:
    """Return a serial line for the loaders: `ttyS0`, or with its speed `ttyS0,115200`."""
    return _matched(_CONSOLE, text, "a serial line like ttyS0,115200")


def console_parts(text: str) -> tuple[int, int]:
    """Return unit and speed (bits a second) of what `console` returned."""
    match = _CONSOLE.fullmatch(text)
    assert match is not None, text
    return int(match["unit"]), int(match["speed"] or 115200)


def cmdline(text: str) -> str:
    """Return kernel parameters that reach the kernel through every loader as they stand here."""
    if not _CMDLINE.fullmatch(text):
        wrong = "".join(dict.fromkeys(c for c in text if not _CMDLINE.fullmatch(c)))
        raise ServerError(
            f"{printable(text)!r} cannot pass through the loaders as it is: "
            f"no {' '.join(printable(c) for c in wrong)} in kernel parameters"
        )
    if text.count('"') % 2:
        raise ServerError(f'{text!r} has a " without its other one')
    if "${" in text or _IPXE_WORDS.intersection(text.split()):
        raise ServerError(f"{text!r} has a word that iPXE would take for its own: ${{ or && or || or ;")
    if len(text) > MAX_CMDLINE:
        raise ServerError(f"kernel parameters longer than {MAX_CMDLINE} bytes: {text[:40]!r}...")
    return " ".join(text.split()) if '"' not in text else text.strip()


def text(value: str) -> str:
    """Return a title or comment: one printable line. Whoever writes it quotes it."""
    if not value.isprintable() or not value.strip():
        raise _wrong(value, "one line of printable characters")
    if len(value) > MAX_TEXT:
        raise ServerError(f"{value[:40]!r}... is longer than {MAX_TEXT} characters")
    return value.strip()


def comment(value: str) -> str:
    """Return `value` for a comment that a line break ends: no break in it, no backslash that hides one."""
    return printable(value).replace("\\", "/")


def _matched(pattern: re.Pattern[str], value: str, what: str) -> str:
    if not pattern.fullmatch(value):
        raise _wrong(value, what)
    return value


def _wrong(value: str, what: str) -> ServerError:
    return ServerError(f"{value!r} is not {what}")
