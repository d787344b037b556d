"""Runs a program of the tree: in a chroot, over a layer in memory that goes with it.

What it writes elsewhere is lost; the one file that it is run for comes back as bytes, for the writer to
put into the tree. Still it is a program of the tree that runs as root here: only for trees that are trusted.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from mkpxeinit.errors import PrepareError, printable
from mkpxeinit.prepare.view import MAX_FILE, Run

_SECONDS = 300.0
# The mounts are made in a namespace of their own, which only a program in it can do. Words are arguments of
# the script, never a part; the path may hold what the options of an overlay do not take.
_SCRIPT = r"""
set -e
top=$1 output=$2
shift 2
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/tree /mnt/upper /mnt/work /mnt/root
mount --bind "$top" /mnt/tree
mount -t overlay -o lowerdir=/mnt/tree,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
mkdir -p /mnt/root/proc /mnt/root/dev
mount -t tmpfs tmpfs /mnt/root/dev
mknod -m 666 /mnt/root/dev/null c 1 3
mount -t proc proc /mnt/root/proc
chroot /mnt/root "$@" >&2
if [ -L "/mnt/upper/$output" ] || ! [ -f "/mnt/upper/$output" ]; then
    echo "it made no file /$output" >&2
    exit 1
fi
exec cat "/mnt/upper/$output"
"""
_UNSHARE = (
    "unshare",
    "--mount",
    "--pid",
    "--net",
    "--ipc",
    "--fork",
    "--kill-child",
    "sh",
    "-c",
    _SCRIPT,
    "sh",
)


def runner(root: Path) -> Run:
    """Return the function that runs programs of the tree at `root`; it raises PrepareError if one fails."""

    def run(program: Sequence[str], output: str) -> bytes:
        words = [*_UNSHARE, str(root), output, f"/{program[0]}", *program[1:]]
        shown = printable(f"{root}: /{' '.join(program)}")
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_SECONDS,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            )
        except FileNotFoundError as error:
            raise PrepareError(f"{shown}: no program unshare here; install util-linux") from error
        except subprocess.TimeoutExpired as error:
            raise PrepareError(f"{shown}: no end after {_SECONDS:.0f} s; leave --chroot away") from error
        if done.returncode != 0 or len(done.stdout) > MAX_FILE:
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise PrepareError(
                f"{shown}: exit code {done.returncode}, {printable(last) or 'no word'}; --chroot needs "
                "root, and a tree whose programs run on this machine"
            )
        return done.stdout

    return run
