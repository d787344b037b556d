"""A laboratory: private network, servers and machines that all end together."""

import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import router, rpc
from .console import OnLine
from .dnsmasq import DhcpSettings, Dnsmasq
from .errors import LabError
from .faulty import FaultyNfs
from .ganesha import Ganesha, NfsSettings
from .machine import Machine
from .namespace import Namespace, Process
from .odd import Loss, LossyCable, OddDhcp, Voice
from .running import RunningMachine

BRIDGE = "br0"
NETWORK = "10.77.0"
SERVER = f"{NETWORK}.1"
USER_SERVER = "10.0.2.2"
FIRST_RELAY_PORT = 20000
HIDDEN_NFS_PORT = 12049


class Lab:
    """Namespaces with a bridge (10.77.0.1/24), to which servers and machines are added.

    Leaving the context ends every program in it and removes the working folder; the logs
    stay if `results` names a folder for them. A program that is killed outright leaves
    nothing running either: see holder.py.
    """

    def __init__(self, results: Path | None = None) -> None:
        """Make the namespaces and the bridge; `results` is where the logs go."""
        self.folder = Path(tempfile.mkdtemp(prefix="pxelab-"))
        self.folder.chmod(0o755)
        self.results = results or self.folder / "results"
        self._numbers = itertools.count(1)
        self._cables = itertools.count()
        self._names: dict[str, int] = {}
        self._networks: dict[str, str] = {}
        self._rpcbind: Process | None = None
        self._routers: set[str] = set()
        self.machines: list[RunningMachine] = []
        try:
            self.results.mkdir(parents=True, exist_ok=True)
            self.space = Namespace(self.folder)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        try:
            self.add_bridge(BRIDGE, NETWORK)
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, results: Path | None = None) -> Self:
        """Return a new laboratory, to be used with `with`."""
        return cls(results)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        self.close()

    def close(self) -> None:
        """End everything in the laboratory and remove its working folder."""
        try:
            for machine in self.machines:
                machine.kill()
        finally:
            self.space.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def name(self, kind: str) -> str:
        """Return a new name for a part: `kind`, then `kind-2` and so on."""
        self._names[kind] = self._names.get(kind, 0) + 1
        count = self._names[kind]
        return kind if count == 1 else f"{kind}-{count}"

    def ip(self, *commands: str) -> None:
        """Run commands inside as iproute2 knows them, such as `link set br0 up`."""
        self.space.run(["ip", "-batch", "-"], stdin="\n".join(commands).encode() + b"\n")

    def add_bridge(self, name: str, network: str) -> None:
        """Make a bridge that has the first address of `network`.0/24."""
        self._networks[name] = network
        self.ip(
            f"link add {name} type bridge forward_delay 0 stp_state 0",
            f"addr add {network}.1/24 dev {name}",
            f"link set {name} up",
        )

    def network(self, bridge: str) -> str:
        """Return the first three numbers of a bridge's network."""
        return self._networks[bridge]

    def new_tap(self, bridge: str) -> str:
        """Make a tap on a bridge and return its name."""
        name = self.name("tap").replace("-", "")
        self.ip(f"tuntap add dev {name} mode tap", f"link set {name} master {bridge} up")
        return name

    def new_mac(self) -> str:
        """Return a MAC address that no other card of this laboratory has."""
        return f"52:54:00:77:00:{next(self._numbers):02x}"

    def need_rpcbind(self) -> None:
        """Start rpcbind unless it runs: NFS version 3 asks it for its ports."""
        if self._rpcbind is not None and self._rpcbind.running:
            return
        with (self.results / "rpcbind.log").open("ab") as log:
            self._rpcbind = self.space.start("rpcbind", ["rpcbind", "-f", "-w"], stdout=log, stderr=log)
        self.wait_rpc(111, rpc.PORTMAP_PROGRAM, 2, 10.0)

    def _need_router(self, bridge: str) -> None:
        """Have router solicitations answered, or network ROMs wait for it: see router.py."""
        if bridge not in self._routers:
            self._routers.add(bridge)
            self.space.start(f"router-{bridge}", [sys.executable, "-I", "-S", router.__file__, bridge])

    def wait_rpc(self, port: int, program: int, version: int, seconds: float) -> None:
        """Wait until an RPC service inside answers its NULL call; raise LabError if not."""
        words = [sys.executable, "-I", "-S", rpc.__file__, "127.0.0.1", port, program, version, seconds]
        done = self.space.run([str(word) for word in words], timeout=seconds + 10, check=False)
        if done.returncode != 0:
            raise LabError(f"RPC program {program} on port {port} does not answer after {seconds:.0f} s")

    def ganesha(self, exports: Mapping[str, Path], *, start: bool = True, **settings: Any) -> Ganesha:
        """Return an NFS server for these exports (further settings: NfsSettings)."""
        paths = {pseudo: Path(folder) for pseudo, folder in exports.items()}
        server = Ganesha(self, NfsSettings(exports=paths, **settings), self.name("ganesha"))
        if start:
            server.start()
        return server

    def faulty_nfs(self, exports: Mapping[str, Path]) -> tuple[FaultyNfs, Ganesha]:
        """Return a relay that fails reads on demand, and the NFS server (version 4) behind it."""
        server = self.ganesha(exports, port=HIDDEN_NFS_PORT)
        relay = FaultyNfs(self, HIDDEN_NFS_PORT)
        relay.start()
        return relay, server

    def dnsmasq(self, *, start: bool = True, **settings: Any) -> Dnsmasq:
        """Return a DHCP, DNS and TFTP server on a bridge (settings: DhcpSettings)."""
        server = Dnsmasq(self, DhcpSettings(**settings), self.name("dnsmasq"))
        if start:
            server.start()
        return server

    def odd_dhcp(self, *voices: Voice, bridge: str = BRIDGE, start: bool = True) -> OddDhcp:
        """Return DHCP servers on a bridge that say what they are told: see odd.Voice."""
        server = OddDhcp(self, voices, self.name("odd"), bridge)
        if start:
            server.start()
        return server

    def lossy_cable(self, loss: Loss, bridge: str) -> LossyCable:
        """Return a cable to a bridge that loses frames, for one card of one machine."""
        first = FIRST_RELAY_PORT + 2 * next(self._cables)
        return LossyCable(self, loss, self.new_tap(bridge), (first, first + 1), self.name("cable"))

    def machine(
        self,
        description: Machine,
        *,
        name: str = "machine",
        on_line: OnLine | None = None,
    ) -> RunningMachine:
        """Switch a machine on and return it."""
        if description.kernel is None:
            for nic in description.nics:
                if nic.network == "tap":
                    self._need_router(nic.bridge)
        machine = RunningMachine(self, description, self.name(name), on_line)
        self.machines.append(machine)
        return machine

    def variant(
        self, tree: Path, *, remove: Sequence[str] = (), files: Mapping[str, bytes] | None = None
    ) -> Path:
        """Return a writable view of a tree, valid inside this laboratory only.

        `remove` and `files` are relative paths; new files get mode 0755. Further changes go
        through `lab.space.path(view)` from outside, or `lab.space.run([...])` inside. The
        tree itself is never written to.
        """
        folder = self.folder / self.name("variant")
        upper, work, view = (folder / part for part in ("upper", "work", "tree"))
        for part in (upper, work, view):
            part.mkdir(parents=True)
        layers = f"lowerdir={Path(tree)},upperdir={upper},workdir={work},index=on,nfs_export=on"
        self.space.run(["mount", "-t", "overlay", "-o", layers, "overlay", str(view)])
        for name in remove:
            self.space.run(["rm", "-rf", "--", str(view / name)])
        for name, data in (files or {}).items():
            target = self.space.path(view) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o755)
        return view

    def sleep_until(self, machine: RunningMachine, seconds: float) -> None:
        """Wait until a machine has been on for so many seconds (a late server's delay)."""
        time.sleep(max(0.0, seconds - machine.console.now))
