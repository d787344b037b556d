"""What `prepare` reads: configuration of a tree in any state, and the record of what was done to it."""

import os
from collections.abc import Callable
from pathlib import Path

from mkpxeinit.prepare import prepare, record
from mkpxeinit.prepare.catalogue import CHANGES
from mkpxeinit.prepare.change import Write
from mkpxeinit.prepare.writer import Seen, Writer
from tests.fuzz.target import Target
from tests.unit import distributions, small
from tests.unit.prepared import do

_UNIT = "usr/lib/systemd/system/x.timer"
_FILES = {
    "etc/fstab": ("UUID=aa / ext4 x 0 1\nnas:/h /h nfs x 0 0\n", "/dev/sr0 /m udf noauto 0 0\n"),
    "etc/network/interfaces": ("auto lo \\\n eth0\niface eth0 inet dhcp\n", "allow-hotplug en*\n"),
    "etc/sysconfig/network/ifcfg-eth0": ("STARTMODE='auto'\nBOOTPROTO='dhcp' # x\n", "STARTMODE=off\n"),
    "etc/dhcpcd.conf": ("hostname\n", "denyinterfaces eth0\n"),
    "etc/netplan/a.yaml": ("network:\n  ethernets:\n    a: {}\n", "network: {ethernets: {}}\n"),
    "etc/cloud/cloud.cfg.d/a.cfg": ("network: {}\n", "x: y\n"),
    "etc/NetworkManager/NetworkManager.conf": ("[keyfile]\nunmanaged-devices=*\n", "[main]\n"),
    "etc/systemd/journald.conf": ("[Journal]\nStorage=auto\n", "[Journal]\nStorage=\\\nvolatile\n"),
    "etc/selinux/config": ("SELINUX=enforcing\n", "SELINUX=disabled\n"),
    "etc/nfsmount.conf": ("[ NFSMount_Global_Options ]\nSoft=True\n", "# x\n"),
    "etc/machine-id": (distributions.MACHINE_ID, "uninitialized\n"),
    "usr/lib/tmpfiles.d/a.conf": ("d /var/cache/man 0755 - - -\n", "# x\n"),
    _UNIT: (distributions.DAILY, "[Timer]\nOnCalendar=*:0/5\nOnUnitActiveSec=1h 30min\n"),
}
_TREE: small.Tree = {
    **{name: texts[0] for name, texts in _FILES.items()},
    "usr/lib/systemd/systemd": "",
    "usr/sbin/NetworkManager": "",
    "usr/sbin/mount.nfs": "",
    "var/cache/man/x": "",
    "etc/systemd/system/timers.target.wants/x.timer": small.Link(f"/{_UNIT}"),
}


def _reads(name: str) -> Callable[[bytes, Path], None]:
    """Return a reader of `name`: what is proposed to be written once is not proposed again."""

    def run(data: bytes, folder: Path) -> None:
        root = folder / "prepared"
        if not root.exists():
            small.make_tree(root, _TREE)
        (root / name).write_bytes(data)
        tree = prepare.open_tree(root)
        edits = [e for _, p in prepare.propose(tree, CHANGES, chroot=False) for e in p.edits]
        for edit in edits:
            if isinstance(edit, Write) and str(edit.path) == name:
                (root / name).write_bytes(edit.data)
        again = [e for _, p in prepare.propose(tree, CHANGES, chroot=False) for e in p.edits]
        assert not [e for e in again if isinstance(e, Write) and str(e.path) == name]
        prepare.preview(tree, prepare.propose(tree, CHANGES, chroot=False))

    return run


def _record(data: bytes, folder: Path) -> None:
    """Load a record: whatever it says, its paths lead into the tree, to no place of ours."""
    root = folder / "recorded"
    if not root.exists():
        small.make_tree(root, {"etc/fstab": "UUID=aa / ext4 x 0 1\n", "var/log/x": ""})
        do(root, "fstab", "mtab")
    (root / ".mkpxeinit/record.json").write_bytes(data)
    writer = Writer(root)
    try:
        found = record.load(writer, os.geteuid())
    finally:
        writer.close()
    assert found is not None
    for step in found.steps:
        for path in (step.path, *((step.to,) if step.to else ())):
            assert not path.is_absolute() and ".." not in path.parts
            assert path.parts[0] != ".mkpxeinit"
        assert step.before is None or isinstance(step.before, Seen)


_RECORD = (
    b'{"version": 1, "token": "0123456789abcdef", "tree_time": 5, "open": [1], "steps": ['
    b'{"number": 0, "change": "fstab", "kind": "file", "path": "etc/fstab", "before": {"kind": "file", '
    b'"mode": 420, "uid": 0, "gid": 0, "mtime": 7, "content": "aa"}, "after": null, "time": 3, "to": null, '
    b'"to_time": 0}, {"number": 1, "change": "logs", "kind": "move", "path": "var/x", "before": null, '
    b'"after": null, "time": 3, "to": "usr/x", "to_time": 9}]}'
)
PREPARE_TARGETS = (
    *(
        Target(f"prepare-{Path(name).name}", tuple(map(str.encode, texts)), _reads(name), dear=4)
        for name, texts in _FILES.items()
    ),
    Target("prepare-record", (_RECORD, _RECORD.replace(b'"open": [1]', b'"open": []')), _record),
)
