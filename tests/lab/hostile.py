"""Hostile values in DHCP options: which values, in which options, and how many fit into one answer."""

from collections.abc import Iterator

from pxelab import Voice

MARK = "/canary"
_TOUCH = f"touch {MARK}"
VALUES = (
    b"",
    b" ",
    b"\n",
    b"a\nb",
    f"$({_TOUCH})".encode(),
    f"`{_TOUCH}`".encode(),
    f"${{IFS}};{_TOUCH};".encode(),
    f"a;{_TOUCH}".encode(),
    f"a|{_TOUCH}".encode(),
    f"a&{_TOUCH}&".encode(),
    f"';{_TOUCH};'".encode(),
    f'";{_TOUCH};"'.encode(),
    f"\n{_TOUCH}\n".encode(),
    f"x\n. {MARK}\n".encode(),
    b"a>/canary",
    b"a b c",
    b"'",
    b'"',
    b"\\",
    b"*",
    b"/*",
    b"?",
    b"[a-z]",
    b"a{b,c}",
    b"!!",
    b"#",
    b"~root",
    b"\t",
    b"\r",
    b"\x7f",
    b"\x1b[31m\x1b]0;x\x07",
    "é".encode(),
    b"\xff\xfe",
    b"\xc3",
    b"-n",
    b"--help",
    b"..",
    b"../../../../canary",
    b"/../canary",
    b"/canary",
    b"eth0/../../canary",
    b"fd00::1",
    b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01",
    b"%s%n%n",
    b"PATH=/x",
    b"=",
    b"x" * 255,
    b"/" * 255,
    b"a." * 127,
    b"\x00",
    b"\x00\x00\x00\x00",
    b"\xff" * 4,
    b"\x7f\0\0\1",
    b"\x00/canary",
    b"\x04bad\x00",
    b"\xc0\x00",
    b"\xc0\xff",
    b"\x3f" + b"a" * 20,
    b"\x21\x0a\x00\x00\x00\x00\x0a\x00\x00\x01",
    b"\xff\x0a",
)
# Those that the client reads, those that udhcpc decodes, and some that it does not know.
OPTIONS = (
    *(3, 6, 12, 15, 17, 26, 42, 43, 58, 59, 60, 66, 67, 119, 120, 121, 249),
    *(
        1,
        2,
        4,
        7,
        9,
        13,
        16,
        23,
        28,
        33,
        40,
        41,
        44,
        56,
        65,
        100,
        101,
        125,
        128,
        132,
        133,
        208,
        209,
        210,
        211,
        212,
    ),
    *(224, 252, 254),
)
# busybox reads 388 bytes of options: message type, server, mask and lease time are there besides.
_ROOM = 340


def answers() -> Iterator[tuple[tuple[int, bytes], ...]]:
    """Return the options of as many answers as it takes to say every value in every option."""
    for value in VALUES:
        options: list[tuple[int, bytes]] = []
        room = _ROOM
        for code in OPTIONS:
            if room < len(value) + 2:
                yield tuple(options)
                options, room = [], _ROOM
            options.append((code, value))
            room -= len(value) + 2
        yield tuple(options)


def overloaded() -> tuple[Voice, ...]:
    """Return servers that say hostile things in the header's fields, with and without option 52."""
    text = f"$({_TOUCH})`{_TOUCH}`\n{_TOUCH}".encode()
    nested = b"\x34\x01\x03\x0c\x04;x;y\x11" + bytes((len(text),)) + text + b"\xff"
    fields = (
        (b"", text[:63], text),
        (b"\3", nested[:64], nested),
        (b"\1", b"\xff" * 64, b"\x11\xff" + b"x" * 126),
        (b"\2", b"\x0c\x40" + b"y" * 62, text),
        (b"\x07", text[:63], text),
        (b"\3\3", text[:63], text),
    )
    return tuple(
        Voice(
            "10.77.0.1",
            ("10.77.0.150",),
            ((52, overload),) if overload else (),
            sname=sname,
            file=file,
        )
        for overload, sname, file in fields
    )


def rotation(number: int) -> tuple[tuple[int, bytes], ...]:
    """Return the options of one answer with as many of them as fit, each with another value."""
    short = [value for value in VALUES if len(value) < 40]
    options: list[tuple[int, bytes]] = []
    room = _ROOM
    for place, code in enumerate(OPTIONS):
        value = short[(number * len(OPTIONS) + place) % len(short)]
        # The mask alone decides whether the rest is reached at all.
        if code != 1 and room >= len(value) + 2:
            options.append((code, value))
            room -= len(value) + 2
    return tuple(options)
