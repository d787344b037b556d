"""What other programs make of a prepared tree: systemctl, findmnt, busybox tar, mount.nfs and others."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mkpxeinit.prepare import timers
from tests.unit.distributions import DEBIAN, FEDORA
from tests.unit.prepared import do
from tests.unit.small import Link, Tree, make_tree


def said(*words: str | Path, check: bool = True) -> str:
    """Run a program of this machine; return its stdout and stderr."""
    if shutil.which(str(words[0])) is None:
        pytest.skip(f"no {words[0]} here")
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    root = make_tree(tmp_path / "tree", DEBIAN)
    do(root)
    return root


def test_systemctl_sees_the_masks(debian: Path) -> None:
    units = ("systemd-fsck-root.service", "systemd-remount-fs.service", "apt-daily.timer", "logrotate.timer")
    states = said("systemctl", f"--root={debian}", "is-enabled", *units, check=False).split()
    assert states == ["masked", "masked", "masked", "enabled"]


@pytest.mark.parametrize("text", ["1h 30min", "90", "12h", "1d", "20min", "100ms", "1w", "6000", "1.5h"])
def test_time_spans(text: str) -> None:
    found = re.search(r"[μu]s: (\d+)", said("systemd-analyze", "timespan", text))
    assert found and timers.seconds(text) == int(found[1]) / 1_000_000


def test_findmnt_sees_what_is_left(debian: Path) -> None:
    left = said("findmnt", "--tab-file", debian / "etc/fstab", "-n", "-o", "SOURCE,TARGET")
    assert left.split() == ["/dev/sr0", "/media/cdrom0"]


def test_busybox_unpacks_the_archive(debian: Path) -> None:
    """As init/lib/dev.sh does."""
    rows = [line.split() for line in said("busybox", "tar", "-tzvf", debian / "dev.tar.gz").splitlines()]
    found = {row[5]: (row[0], row[2]) for row in rows}
    assert found["dev/null"][0] == "crw-rw-rw-"
    assert found["dev/"][0] == "drwxr-xr-x"
    assert {"dev/console", "dev/tty1", "dev/ttyS0", "dev/pts/", "dev/fd"} <= set(found)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_mount_nfs_takes_the_option(debian: Path) -> None:
    """mount.nfs reads /etc: it gets one with the tree's file, in a mount namespace of its own."""
    if shutil.which("mount.nfs") is None:
        pytest.skip("no mount.nfs here")
    script = (
        'mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work && cp "$0" /mnt/upper/nfsmount.conf && '
        "mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work overlay /etc && "
        "mount.nfs -fv 127.0.0.1:/x /mnt"
    )
    text = said("unshare", "--mount", "sh", "-c", script, debian / "etc/nfsmount.conf", check=False)
    assert "trying text-based options 'hard," in text


def test_systemd_knows_what_the_units_say(debian: Path) -> None:
    """No complaint about a key or a value of the units and drop-ins that are ours."""
    words = said("systemd-analyze", f"--root={debian}", "verify", "mkpxeinit-ssh-keys.service", check=False)
    ours = [line for line in words.splitlines() if "mkpxeinit-ssh" in line]
    assert not [line for line in ours if "nknown" in line or "nvalid" in line or "arse" in line], ours
    assert any("ssh-keygen is not executable" in line for line in ours)


def test_a_selinux_config_that_sestatus_would_read(tmp_path: Path) -> None:
    """selinux_config(5): one line SELINUX=, the last of its kind."""
    root = make_tree(tmp_path / "tree", FEDORA)
    do(root, "selinux")
    lines = (root / "etc/selinux/config").read_text().splitlines()
    assert [line for line in lines if line.startswith("SELINUX=")] == ["SELINUX=permissive"]


TARGETS = ("local-fs", "sysinit", "sockets", "basic", "multi-user", "shutdown", "umount", "paths", "slices")


def test_no_unit_waits_for_itself(tmp_path: Path) -> None:
    """With ssh.socket enabled too: sockets are started before what services by default come after."""
    folder = "usr/lib/systemd/system"
    tree: Tree = {f"{folder}/{name}.target": f"[Unit]\nDescription={name}\n" for name in TARGETS}
    tree = {
        **DEBIAN,
        **tree,
        f"{folder}/sysinit.target": "[Unit]\nWants=local-fs.target\nAfter=local-fs.target\n",
        f"{folder}/basic.target": "[Unit]\nRequires=sysinit.target\nWants=sockets.target\n"
        "After=sysinit.target sockets.target\n",
        f"{folder}/ssh.service": "[Service]\nExecStart=/usr/sbin/sshd -D\n",
        f"{folder}/ssh@.service": "[Service]\nExecStart=/usr/sbin/sshd -i\nStandardInput=socket\n",
        f"{folder}/ssh.socket": "[Socket]\nListenStream=22\nAccept=yes\n",
        f"{folder}/sockets.target.wants/ssh.socket": Link("../ssh.socket"),
    }
    root = make_tree(tmp_path / "tree", tree)
    do(root)
    words = said("systemd-analyze", f"--root={root}", "verify", "basic.target", "ssh.socket", check=False)
    assert "cycle" not in words
    unit = root / "etc/systemd/system/mkpxeinit-ssh-keys.service"
    unit.write_text(unit.read_text().replace("DefaultDependencies=no\n", ""))
    words = said("systemd-analyze", f"--root={root}", "verify", "basic.target", "ssh.socket", check=False)
    assert "Found ordering cycle" in words
