"""Process 1 of a laboratory: makes the private namespaces and keeps them alive.

Started as a program of its own (`python3 -I -S holder.py [--share-net]`). It prints the
process id that the outside uses to enter, then reads its standard input, a pipe from the
laboratory's owner. At the end of file, however the owner ended, it exits; being process 1
of its PID namespace it takes every process in there along, and with the last of them the
kernel removes the namespaces, their mounts, bridges and taps.

Why not unshare(1): inside a plain chroot it cannot make mounts private, because `/` is no
mount point there. Entering one's own mount namespace shows its true root for a moment.
"""

import ctypes
import os
import signal
import subprocess
import sys

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
MS_REC, MS_BIND, MS_PRIVATE, MS_NOSUID, MS_NODEV = 0x4000, 0x1000, 0x40000, 2, 4
PR_SET_PDEATHSIG = 1
PRIVATE_FOLDERS = ("/run", "/var/lib/nfs")

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        sys.exit(f"{what}: {os.strerror(number)} (a laboratory needs root)")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _check(
        _libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()),
        f"mount {kind} on {target}",
    )


def _leave_shared_mounts() -> None:
    """Make every mount of this namespace private, from within a chroot as well."""
    here = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    _check(_libc.setns(namespace, CLONE_NEWNS), "enter the own mount namespace")
    _mount("none", "/", "none", MS_REC | MS_PRIVATE)
    os.fchdir(here)
    path = os.getcwd()  # noqa: PTH109
    if path != "/":
        # NFS-Ganesha looks for the file system of `/` among the mounts.
        _mount(path, path, "none", MS_BIND | MS_REC)
        os.chdir(path)
    os.chroot(".")
    os.close(namespace)
    os.close(here)


def _provide_mtab() -> None:
    """NFS-Ganesha reads /etc/mtab, which a freshly bootstrapped system lacks."""
    if not os.path.exists("/etc/mtab"):  # noqa: PTH110
        for folder in ("/run/etc/upper", "/run/etc/work"):
            os.makedirs(folder)  # noqa: PTH103
        _mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work")
        os.symlink("/proc/self/mounts", "/etc/mtab")  # noqa: PTH211


def _be_process_one(own_network: bool, after: int) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV)
    if own_network:
        for folder in PRIVATE_FOLDERS:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103 (keeps this program's start short)
            _mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
        _provide_mtab()
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans: the kernel reaps them
    os.read(after, 1)  # the end of file: the process id has been printed
    os.write(1, b"ready\n")
    while os.read(0, 4096):
        pass


def main() -> None:
    """Make the namespaces, report, wait for the end of file on standard input."""
    own_network = "--share-net" not in sys.argv
    flags = CLONE_NEWNS | CLONE_NEWPID | (CLONE_NEWNET if own_network else 0)
    _check(_libc.unshare(flags), "make private namespaces")
    _leave_shared_mounts()
    after, before = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(before)
        _be_process_one(own_network, after)
        os._exit(0)
    os.write(1, b"%d\n" % child)
    os.close(before)
    os.close(0)
    os.close(1)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
