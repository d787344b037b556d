"""The NFS server of `mkpxeinit serve`: the kernel's where it is there, else NFS-Ganesha."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from mkpxeinit.errors import ServerError
from mkpxeinit.netboot import exported, ganesha, nfs
from mkpxeinit.netboot.probe import rpc
from mkpxeinit.netboot.probe.wire import ProbeError
from mkpxeinit.netboot.serve_process import Guard, Server, program, run, search
from mkpxeinit.netboot.site import Site

KINDS = ("auto", "kernel", "ganesha")
_ETAB = Path("/var/lib/nfs/etab")
_NFSD = Path("/proc/fs/nfsd")  # the kernel's server is asked and told by files here: nfsd(7)
_RPCBIND = (Path("/run/rpcbind"), Path("/run/rpcbind.lock"), Path("/run/rpcbind.sock"))  # it leaves them
_BLKID = (Path("/run/blkid"),)  # the cache of libblkid, by which Ganesha finds file systems
_THREADS = "8"
_READY_SECONDS = 30.0
# Without clients from before its start there is nothing to wait for; the grace period is 90 s.
_GRACE = ("NFSV4 {\n", "NFSV4 {\n    Graceless = true;\n")
# Debian 13's Ganesha asks the kernel for PR_SET_IO_FLUSHER, and ends if it may not, as without
# CAP_SYS_RESOURCE in containers. Older ones do not know the word: it is for one that asks for it.
_ASKS = "allow_set_io_flusher_fail"
_FLUSHER = ("NFS_CORE_PARAM {\n", "NFS_CORE_PARAM {\n    Allow_Set_Io_Flusher_Fail = true;\n")
# It says these without D-Bus and without Kerberos, and goes on.
_WORST = re.compile(r"(?<! :DBUS) :(?:FATAL|CRIT) :(?!Cannot acquire credentials)(.*)")


def choose(wanted: str) -> str:
    """Return which server it is: `auto` is the kernel's if its programs are there and it can be asked for."""
    if wanted != "auto":
        return wanted
    programs = all(search(name) for name in ("exportfs", "rpc.nfsd", "rpc.mountd"))
    return "kernel" if programs and kernel_has_nfsd() else "ganesha"


def kernel_has_nfsd(table: Path = Path("/proc/filesystems")) -> bool:
    """Say whether the kernel has an NFS server (its module may be loaded already, or built in)."""
    return any(line.split()[-1:] == ["nfsd"] for line in table.read_text().splitlines())


@contextmanager
def serving(site: Site, kind: str, folder: Path, guard: Guard) -> Iterator[list[Server]]:
    """Serve the exports of a site as long as the block runs; yield the servers in the foreground.

    `folder` is for configuration and logs. Raises ServerError.
    """
    with ExitStack() as stack:
        if kind == "kernel":
            yield _kernel(site, folder, stack, guard)
        else:
            yield _ganesha(site, folder, stack, guard)


def _answers(port: int, number: int, version: int) -> bool:
    with suppress(ProbeError), rpc.Connection("127.0.0.1", port, number, version, 1.0) as wire:
        wire.call(0)
        return True
    return False


def _wait(server: Server, port: int, number: int, version: int) -> None:
    end = time.monotonic() + _READY_SECONDS
    while not _answers(port, number, version):
        server.lines()
        if not server.running or time.monotonic() > end:
            raise ServerError(f"{server.name} does not answer: {server.last_words()}")
        time.sleep(0.1)


def _portmapper(folder: Path, stack: ExitStack, guard: Guard) -> list[Server]:
    """Start rpcbind unless one is there: NFS 3 is found by it."""
    if _answers(rpc.PORTMAP_PORT, rpc.PORTMAP, 2):
        return []
    _removed(_RPCBIND, stack)
    server = guard.start(["rpcbind", "-f", "-w"], folder / "rpcbind.log")
    stack.callback(server.stop)
    _wait(server, rpc.PORTMAP_PORT, rpc.PORTMAP, 2)
    return [server]


def _removed(paths: tuple[Path, ...], stack: ExitStack) -> None:
    """Remove afterwards what a server makes and leaves, unless it was there before."""
    for each in paths:
        if not each.exists():
            stack.callback(_remove, each)


def _made(path: Path, stack: ExitStack) -> None:
    """Make a folder that a server wants, and remove it afterwards if it was not there and is empty."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o755)
        stack.callback(_remove, each)


def _remove(folder: Path) -> None:
    """Remove what was not there before: a file, or a folder with all that the server has left in it."""
    if not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    for each in sorted(folder.rglob("*"), reverse=True):
        with suppress(OSError):
            each.rmdir() if each.is_dir() and not each.is_symlink() else each.unlink()
    with suppress(OSError):
        folder.rmdir()


def _ganesha(site: Site, folder: Path, stack: ExitStack, guard: Guard) -> list[Server]:
    program("ganesha.nfsd")
    if _answers(rpc.NFS_PORT, rpc.NFS, 4) or _answers(rpc.NFS_PORT, rpc.NFS, 3):
        raise ServerError("an NFS server is running already; stop it, or take the kernel's with --nfs kernel")
    servers = _portmapper(folder, stack, guard)
    _removed(_BLKID, stack)
    for each in ("/run/ganesha", "/var/lib/nfs/ganesha"):
        _made(Path(each), stack)
    text = ganesha.configuration(site)
    assert _GRACE[0] in text and _FLUSHER[0] in text, "the generated configuration has another form"
    text = text.replace(*_GRACE, 1)
    log = folder / "ganesha.log"
    try:
        server = _started(text, log, stack, guard)
    except ServerError as error:
        if _ASKS not in str(error):
            raise
        server = _started(text.replace(*_FLUSHER, 1), log, stack, guard)
    if "Could not create export" in log.read_text(errors="replace"):
        raise ServerError(f"NFS-Ganesha refuses an export: {server.last_words()}")
    return [*servers, server]


def _started(text: str, log: Path, stack: ExitStack, guard: Guard) -> Server:
    """Start Ganesha with a configuration. Raises ServerError if it does not answer."""
    config = log.with_suffix(".conf")
    config.write_text(text, encoding="utf-8")
    log.unlink(missing_ok=True)
    words = ["-F", "-L", str(log), "-f", str(config), "-p", str(log.with_suffix(".pid"))]
    server = guard.start(["ganesha.nfsd", *words], log.with_suffix(".out"))
    stack.callback(server.stop)
    server.own_log, server.worst = log, _WORST
    _wait(server, rpc.NFS_PORT, rpc.NFS, 4)
    return server


def _exported(path: str, client: str) -> bool:
    """Say whether somebody else exports this already; it then stays as it is (exportfs(8), etab)."""
    with suppress(OSError):
        return any(line.startswith(f"{path}\t{client}(") for line in _ETAB.read_text().splitlines())
    return False


def _end_grace() -> None:
    """Let clients open files at once: they would wait 90 s for clients from before the server's start."""
    with suppress(OSError):
        (_NFSD / "v4_end_grace").write_text("Y\n")


def _unmount(folder: Path) -> None:
    with suppress(ServerError):
        run(["umount", str(folder)])


def _kernel(site: Site, folder: Path, stack: ExitStack, guard: Guard) -> list[Server]:
    """Export by the kernel's server, which may run already with exports of its own: these stay."""
    servers: list[Server] = []
    if not _answers(rpc.NFS_PORT, rpc.NFS, 4) and not _answers(rpc.NFS_PORT, rpc.NFS, 3):
        servers = _portmapper(folder, stack, guard)
        if not (_NFSD / "threads").exists():
            # rpc.nfsd mounts it.
            stack.callback(_unmount, _NFSD)
        stack.callback(run, ["rpc.nfsd", "0"])
        run(["rpc.nfsd", _THREADS])
        _end_grace()
        mountd = guard.start(["rpc.mountd", "-F"], folder / "mountd.log")
        stack.callback(mountd.stop)
        servers.append(mountd)
    for export in nfs.exports(site):
        for access, clients in (("rw", export.writers), ("ro", export.readers)):
            told = exported.options(access, export.path)
            for client in clients:
                if _exported(str(export.path), client):
                    continue
                where = f"{client}:{export.path}"
                stack.callback(run, ["exportfs", "-u", where])
                run(["exportfs", "-o", told, where])
    return servers
