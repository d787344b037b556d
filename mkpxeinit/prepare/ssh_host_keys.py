"""SSH host keys: none in the tree; each client has its own, sshd(8), ssh-keygen(1)."""

import fnmatch
from functools import partial

from mkpxeinit.prepare.change import Change, Edit, Link, Proposal, Remove, drop_in, path
from mkpxeinit.prepare.systemd import ETC, has_systemd, is_masked, settings, units
from mkpxeinit.prepare.view import View

_KEYS = "mkpxeinit-ssh-keys.service"
_PLACE = "mkpxeinit-ssh-place.service"
_COPY = "/run/mkpxeinit/ssh"
_SERVERS = ("ssh.service", "sshd.service", "ssh.socket", "sshd.socket")
_MAKE_KEYS = ("sshd-keygen*", "sshdgenkeys.service", "sshd-genkeys*")
_YES = ("1", "yes", "y", "true", "t", "on")
_SCRIPTS = ("usr/sbin/sshd-gen-keys-start", "etc/init.d/sshd", "etc/conf.d/sshd")  # openSUSE, OpenRC


def propose(view: View) -> Proposal:
    """Remove the keys; where the distribution makes none at boot, add a unit that does."""
    names = view.names("etc/ssh", "ssh_host_*_key*")
    keys = [f"etc/ssh/{name}" for name in names if name.endswith(("_key", "_key.pub", "_key-cert.pub"))]
    if not view.exists("usr/sbin/sshd", "usr/bin/sshd"):
        return Proposal()
    edits: list[Edit] = []
    if not _makes_keys(view):
        if not has_systemd(view):
            words = "nothing in the tree makes SSH host keys at boot: they stay, and pxeinit replaces them"
            return Proposal((), (words,) if keys else ())
        edits += _units(view)
    edits += [Remove(path(name)) for name in keys]
    return Proposal(tuple(edits))


def _makes_keys(view: View) -> bool:
    if has_systemd(view):
        there = {name for pattern in _MAKE_KEYS for name in fnmatch.filter(units(view), pattern)}
        return any(map(partial(_runs, view), there)) or view.exists(_SCRIPTS[0])
    return view.exists("sbin/openrc", "usr/sbin/openrc", "sbin/openrc-run") and view.exists(*_SCRIPTS[1:])


def _runs(view: View, unit: str) -> bool:
    """Say whether `unit` starts at a client's boot; with a machine-id that is never systemd's first one."""
    first = settings(view, unit, "Unit").get("ConditionFirstBoot", [])
    return not is_masked(view, unit) and not any(value.strip("|").lower() in _YES for value in first)


def _units(view: View) -> list[Edit]:
    """Return the two units, and the links that make the tree's SSH servers want them, as far as missing."""
    servers = [name for name in _SERVERS if name in units(view)]
    condition = "ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key"
    # Sockets come before what services have by default: with that, ssh.socket would wait for itself.
    early = ("DefaultDependencies=no", "Conflicts=shutdown.target", "After=local-fs.target")
    place = (
        "[Unit]",
        "Description=A place in memory for SSH host keys",
        *early,
        "Before=shutdown.target",
        condition,
        "ConditionPathIsReadWrite=!/etc/ssh",
        "[Service]",
        "Type=oneshot",
        "RemainAfterExit=yes",
        f"ExecStart=/bin/mkdir -p {_COPY}",
        f"ExecStart=/bin/cp -a /etc/ssh/. {_COPY}/",
        f"ExecStart=/bin/mount --bind {_COPY} /etc/ssh",
    )
    make = (
        "[Unit]",
        "Description=SSH host keys of this client",
        f"Wants={_PLACE}",
        *early,
        f"After={_PLACE}",
        f"Before=shutdown.target {' '.join(servers)}",
        condition,
        "[Service]",
        "Type=oneshot",
        "RemainAfterExit=yes",
        "ExecStart=/usr/bin/ssh-keygen -A",
    )
    edits: list[Edit] = []
    for name, lines in ((_PLACE, place), (_KEYS, make)):
        if servers and not view.exists(f"{ETC}/{name}"):
            edits.append(
                drop_in(f"{ETC}/{name}", lines, "the tree has no SSH host keys that all would share.")
            )
    for server in servers:
        link = f"{ETC}/{server}.wants/{_KEYS}"
        if view.kind(link) is None:
            edits.append(Link(path(link), f"../{_KEYS}"))
    return edits


CHANGE = Change(
    "ssh-host-keys", "whoever has the tree could pass for any client; each one gets keys of its own", propose
)
