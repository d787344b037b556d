"""The root on its NFS server: versions, export, and whether a client can live on the tree."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from mkpxeinit.netboot.probe import nfs, nfs3, nfs4, rpc, squashfs
from mkpxeinit.netboot.probe.finding import Findings, Verdict
from mkpxeinit.netboot.probe.nfs import Kind, StatusError, Tree
from mkpxeinit.netboot.probe.rootspec import RootSpec
from mkpxeinit.netboot.probe.wire import ProbeError, shown

_MISSING = 2
_REFUSED = (1, 13, 10016)
_WRITE = nfs.MODIFY | nfs.EXTEND | nfs.DELETE
_SECRETS = (("/etc/shadow", nfs.READ), ("/root", nfs.LOOKUP | nfs.READ))  # what root alone may look at
_SHOWN_EXPORTS = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the tree must have: its init, modules of the kernel's release (empty: unknown), and a mode."""

    init: str = "/sbin/init"
    release: str = ""
    mode: str = "farm"


@dataclass(frozen=True, slots=True)
class _Problem:
    bad: bool
    text: str
    remedy: str


class NfsCheck:
    """Looks at exports by each version that a client may take."""

    def __init__(self, findings: Findings, seconds: float, resolve: Callable[[str], str]) -> None:
        """Take where findings go, the time for each answer, and how names become addresses."""
        self._findings = findings
        self._seconds = seconds
        self._resolve = resolve

    def run(self, spec: RootSpec, server: str, wanted: Wanted) -> bool:
        """Return whether a client can boot from this export of this server; why not is in the findings."""
        where = f"{server}:{spec.path}"
        if spec.squashfs:
            where = f"{where.rstrip('/')}/{shown(spec.squashfs)}"
        try:
            address = self._resolve(server)
        except ProbeError as error:
            self._findings.failed("dns", where, error)
            return False
        served, silent = self._served(address, spec)
        if not served:
            self._unserved(where, spec, silent)
            return False
        problems = {version: list(self._look(address, version, spec, wanted)) for version in served}
        usable = [version for version in served if not any(each.bad for each in problems[version])]
        for problem in dict.fromkeys(each for version in served for each in problems[version]):
            of = [version for version in served if problem in problems[version]]
            text = problem.text + (f" (NFS {', '.join(of)})" if of != served else "")
            verdict = Verdict.BAD if problem.bad and not usable else Verdict.WARN
            self._findings.add("nfs", verdict, where, text, problem.remedy)
        if usable:
            what = "a whole squashfs" if spec.squashfs else "a tree to boot from"
            self._findings.ok("nfs", where, f"exported, and {what}, by NFS {', '.join(usable)}")
        return bool(usable)

    def _served(self, address: str, spec: RootSpec) -> tuple[list[str], dict[str, ProbeError]]:
        """Return which of the wanted versions are served, and why others are not."""
        found: list[str] = []
        why: dict[str, ProbeError] = {}
        if any(version.startswith("4") for version in spec.versions):
            try:
                port = spec.port or rpc.NFS_PORT
                with rpc.Connection(address, port, rpc.NFS, 4, self._seconds) as wire:
                    wire.call(0)
                minors = nfs4.minor_versions(address, port, self._seconds)
                found += [f"4.{minor}" for minor in minors if f"4.{minor}" in spec.versions]
            except ProbeError as error:
                why["4"] = error
        if "3" in spec.versions:
            try:
                with rpc.Connection(address, self._port3(address, spec), rpc.NFS, 3, self._seconds) as wire:
                    wire.call(0)
                found.append("3")
            except ProbeError as error:
                why["3"] = error
        return found, why

    def _port3(self, address: str, spec: RootSpec) -> int:
        if spec.port is not None:
            return spec.port
        port = rpc.port_of(address, rpc.NFS, 3, self._seconds)
        if port == 0:
            raise ProbeError("the portmapper knows no NFS 3")
        return port

    def _unserved(self, where: str, spec: RootSpec, why: dict[str, ProbeError]) -> None:
        for version, error in why.items():
            way = (
                "is NFS running, is TCP port 2049 open?"
                if version == "4"
                else "are rpcbind and mountd running?"
            )
            self._findings.bad("nfs", where, f"NFS {version}: {error.cause}", error.remedy or way)
        if not why:
            named = ", ".join(spec.versions)
            self._findings.bad(
                "nfs", where, f"none of NFS {named} is served", "the server's versions, or vers="
            )

    def _look(self, address: str, version: str, spec: RootSpec, wanted: Wanted) -> Iterator[_Problem]:
        """Yield what is wrong with an export by one version."""
        try:
            with self._open(address, version, spec) as tree:
                if spec.squashfs:
                    yield from self._image(tree, spec, wanted)
                    return
                yield from self._root(tree)
                yield from self._programs(tree, wanted)
                yield from self._rights(tree, wanted)
        except StatusError as error:
            yield self._refusal(address, error, spec)
        except ProbeError as error:
            yield _Problem(True, error.cause, error.remedy or "the NFS server's log")

    @contextmanager
    def _open(self, address: str, version: str, spec: RootSpec) -> Iterator[Tree]:
        """Open an export. Raises ProbeError."""
        if version != "3":
            port = spec.port or rpc.NFS_PORT
            with nfs4.Nfs4(address, port, int(version[2:]), spec.path, self._seconds) as four:
                yield four
            return
        mount_port = rpc.port_of(address, rpc.MOUNT, 3, self._seconds)
        if mount_port == 0:
            raise ProbeError("the portmapper knows no MOUNT service of version 3", "is mountd running?")
        with nfs3.Mount(address, mount_port, self._seconds) as mount:
            handle = mount.handle(spec.path)
        with nfs3.Nfs3(address, self._port3(address, spec), handle, self._seconds) as three:
            yield three

    def _refusal(self, address: str, error: StatusError, spec: RootSpec) -> _Problem:
        if error.status == _MISSING:
            listed = self._exports(address)
            known = f"; its list: {listed}" if listed else ""
            text = f"no such export: {error.cause}{known}"
            return _Problem(True, text, f"export {spec.path}, then exportfs -ra; version 4 has pseudo paths")
        if error.status in _REFUSED:
            way = "the export's clients (this address among them?), sec=sys"
            return _Problem(True, error.cause, f"{way}; without root's source ports the option insecure")
        return _Problem(True, error.cause, "the NFS server's log")

    def _exports(self, address: str) -> str:
        """Return the server's list of exports in words, empty if it tells none."""
        with suppress(ProbeError):
            port = rpc.port_of(address, rpc.MOUNT, 3, min(2.0, self._seconds))
            if port:
                with nfs3.Mount(address, port, self._seconds) as mount:
                    names = mount.exports()
                more = f" and {len(names) - _SHOWN_EXPORTS} more" if len(names) > _SHOWN_EXPORTS else ""
                return ", ".join(shown(name, 60) for name in names[:_SHOWN_EXPORTS]) + more
        return ""

    def _image(self, tree: Tree, spec: RootSpec, wanted: Wanted) -> Iterator[_Problem]:
        """Yield what is wrong with a file that is to be the tree; what is in it is not looked at."""
        name = shown(spec.squashfs)
        if wanted.mode == "rw":
            text = f"{name} is a squashfs, but the clients have pxeinit.mode=rw"
            yield _Problem(True, text, "mode farm, overlay or ro, or export the tree itself")
        try:
            node = nfs.find(tree, spec.squashfs)
            if node.kind is not Kind.FILE:
                raise ProbeError("it is no file")
            head = tree.read(node, squashfs.HEAD)
        except ProbeError as error:
            yield _Problem(
                True, f"{name}: {error.cause}", "the file's name and rights; links stay within the export"
            )
            return
        wrong = squashfs.fault(head, node.size)
        if wrong:
            yield _Problem(
                True, f"{name} {wrong}", "mksquashfs TREE FILE; copy it under another name, then mv"
            )
        if wanted.mode != "rw" and tree.access(tree.root, _WRITE) & (nfs.MODIFY | nfs.EXTEND):
            yield _Problem(False, "writable: a client can change the tree of all", "export it ro")

    def _root(self, tree: Tree) -> Iterator[_Problem]:
        root = tree.root
        if root.kind is not Kind.FOLDER:
            yield _Problem(True, "the export is no folder", "the path")
        if root.owner != "0":
            way = (
                "Ganesha: Only_Numeric_Owners = true"
                if not root.owner.isdigit()
                else "unpack the tree as root"
            )
            yield _Problem(True, f"/ belongs to {shown(root.owner, 40)!r}, not to uid 0", way)

    def _programs(self, tree: Tree, wanted: Wanted) -> Iterator[_Problem]:
        try:
            init = nfs.find(tree, wanted.init)
        except ProbeError as error:
            yield _Problem(
                True, f"{shown(wanted.init)}: {error.cause}", "is the tree whole? install an init, or init="
            )
        else:
            head = self._read(tree, init)
            if isinstance(head, ProbeError):
                yield _Problem(
                    True, f"{shown(wanted.init)} cannot be read: {head.cause}", "rights of the file"
                )
            elif not init.mode & 0o111 or head[:4] != b"\x7fELF" and head[:2] != b"#!":
                yield _Problem(True, f"{shown(wanted.init)} is no program", "mode and content of the file")
        if not wanted.release:
            return
        try:
            nfs.find(tree, f"/lib/modules/{wanted.release}")
        except ProbeError:
            text = f"the tree has no modules of the kernel that is served, {shown(wanted.release, 64)}"
            yield _Problem(False, text, "publish kernel and image from the tree as it is now")

    def _read(self, tree: Tree, node: nfs.Node) -> bytes | ProbeError:
        try:
            return tree.read(node, 512) if node.kind is Kind.FILE else ProbeError("no file")
        except ProbeError as error:
            return error

    def _rights(self, tree: Tree, wanted: Wanted) -> Iterator[_Problem]:
        writable = bool(tree.access(tree.root, _WRITE) & (nfs.MODIFY | nfs.EXTEND))
        if wanted.mode == "rw" and not writable:
            yield _Problem(
                True, "read-only, but the clients have pxeinit.mode=rw", "export it rw,no_root_squash"
            )
        elif wanted.mode != "rw" and writable:
            yield _Problem(False, "writable: a client can change the tree of all", "export it ro")
        for name, right in _SECRETS:
            try:
                node = nfs.find(tree, name)
                allowed = tree.access(node, right)
            except ProbeError:
                continue
            if allowed & right != right and not node.mode & 0o004:
                text = f"root may not read {name} (root_squash): nobody can log in, services lack their keys"
                yield _Problem(False, text, "export it no_root_squash")
            return
