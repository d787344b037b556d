"""The description of a site: whatever is read can be written for every server and loader."""

import re
from pathlib import Path

from mkpxeinit.netboot import description, writers
from mkpxeinit.netboot.consistency import client_table
from tests.fuzz.target import Target
from tests.unit.doc_blocks import files_in

# What lines begin with, where a syntax has no quotes: a text with a line break in it would begin another.
LINES = {
    "pxelinux.cfg": r"#|default|prompt|serial|ui|menu title|timeout|label|"
    r"  (menu label|kernel|initrd|append|ipappend) ",
    "boot.ipxe": r"#|set target|iseq|menu|item|choose|goto|:|imgfree|kernel|initrd|boot|echo|sleep|exit",
    "dnsmasq.d": r"#|interface=|bind-dynamic|port=0|enable-tftp|tftp-root=|dhcp-|pxe-service=|domain=",
    "exports.d": r"#|/",
    "etc/default": r"#|[A-Z_46v]+=",
}


def _site(data: bytes, folder: Path) -> None:
    path = folder / "site.toml"
    path.write_bytes(data)
    site = description.read(path)
    for number, client in enumerate(site.clients):
        assert client_table(number, client).isprintable()
    written = writers.write(site)
    for place, text in written.files.items():
        assert ".." not in place.parts
        for line in text.splitlines():
            assert line.isprintable()
        for part, begins in LINES.items():
            if part in str(place):
                wrong = [line for line in text.splitlines() if not re.match(begins, line)]
                assert not wrong, (place, wrong)


_SEEDS = tuple(text.encode() for text in files_in("server-config.md").values())

SITE_TARGETS = (Target("site", _SEEDS, _site, dear=3),)
