"""The NFS server: NFS-Ganesha with its VFS back end, inside a laboratory."""

import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import rpc, run
from .errors import LabError
from .server import Server

if TYPE_CHECKING:
    from .lab import Lab

READY_SECONDS = 30.0
_FLUSHES = 6  # the first release of Debian's that asks for PR_SET_IO_FLUSHER


@dataclass(frozen=True, slots=True)
class NfsSettings:
    """What the server serves, and how: names as in ganesha-core-config(8) and -export-config(8).

    `exports` maps the path that clients mount to the folder on this machine. With
    `numeric_owners` false, clients without idmapd see every file as owned by nobody.
    With `clients` (addresses, networks), nobody else may mount anything.
    """

    exports: Mapping[str, Path]
    versions: tuple[int, ...] = (4,)
    minor_versions: tuple[int, ...] = (0, 1, 2)
    numeric_owners: bool = True
    read_only: bool = True
    squash: str = "No_Root_Squash"
    clients: tuple[str, ...] = ()
    port: int = 2049
    graceless: bool = True
    log_level: str = "EVENT"


def _export(number: int, pseudo: str, folder: Path, settings: NfsSettings) -> str:
    protocols = ", ".join(str(version) for version in settings.versions)
    access = "RO" if settings.read_only else "RW"
    allowed = ""
    if settings.clients:
        allowed = f"CLIENT {{ Clients = {', '.join(settings.clients)}; Access_Type = {access}; }}"
        access = "None"
    return f"""
EXPORT {{
    Export_Id = {number};
    Path = "{folder}";
    Pseudo = "{pseudo}";
    Access_Type = {access};
    Squash = {settings.squash};
    SecType = sys;
    Protocols = {protocols};
    Transports = TCP, UDP;
    PrivilegedPort = false;
    FSAL {{ Name = VFS; }}
    {allowed}
}}
"""


def configuration(settings: NfsSettings, release: int = 0) -> str:
    """Return ganesha.conf for these settings, and a major release of Ganesha."""
    protocols = ", ".join(str(version) for version in settings.versions)
    minors = ", ".join(str(minor) for minor in settings.minor_versions)
    numeric = "true" if settings.numeric_owners else "false"
    graceless = "true" if settings.graceless else "false"
    # Without CAP_SYS_RESOURCE, as in containers, newer ones would not start; older ones do not know the word.
    lenient = "Allow_Set_Io_Flusher_Fail = true;" if release >= _FLUSHES else ""
    head = f"""
NFS_CORE_PARAM {{
    {lenient}
    Protocols = {protocols};
    NFS_Port = {settings.port};
    mount_path_pseudo = true;
    Enable_NLM = false;
    Enable_RQUOTA = false;
}}
NFSV4 {{
    Graceless = {graceless};
    Minor_Versions = {minors};
    Only_Numeric_Owners = {numeric};
    Allow_Numeric_Owners = {numeric};
}}
LOG {{ Default_Log_Level = {settings.log_level}; }}
"""
    exports = [
        _export(number, pseudo, folder, settings)
        for number, (pseudo, folder) in enumerate(settings.exports.items(), start=1)
    ]
    return head + "".join(exports)


class Ganesha(Server):
    """An NFS server that can be started, stopped and started again."""

    def __init__(self, lab: "Lab", settings: NfsSettings, name: str) -> None:
        """Prepare it; nothing runs yet."""
        super().__init__(lab, name)
        self.settings = settings

    def start(self, *, wait: bool = True) -> None:
        """Start the server; return when it answers the NFS NULL call (or at once)."""
        if self.running:
            return
        run.program("ganesha.nfsd")
        if 3 in self.settings.versions:
            self._lab.need_rpcbind()
        config = self.folder / "ganesha.conf"
        config.write_text(configuration(self.settings, self._release()), encoding="utf-8")
        for folder in ("/run/ganesha", "/var/lib/nfs/ganesha"):
            self._lab.space.path(Path(folder)).mkdir(parents=True, exist_ok=True)
        arguments = ["-F", "-L", self.log, "-f", config, "-p", self.folder / "ganesha.pid"]
        with (self.folder / "stderr").open("ab") as errors:
            self._process = self._lab.space.start(
                self.folder.name, ["ganesha.nfsd", *map(str, arguments)], stdout=errors, stderr=errors
            )
        if wait:
            self.wait_ready()

    def _release(self) -> int:
        """Return the major release of the server that is installed, 0 if it does not say."""
        said = self._lab.space.run(["ganesha.nfsd", "-v"], timeout=READY_SECONDS, check=False).stdout
        found = re.search(rb"Release = V(\d{1,4})\.", said)
        return int(found[1]) if found else 0

    def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Return as soon as the server answers; raise LabError with its log if it does not."""
        question = [rpc.NFS_PROGRAM, max(self.settings.versions)]
        asker = [sys.executable, "-I", "-S", rpc.__file__, "127.0.0.1", self.settings.port, *question]
        end = time.monotonic() + timeout
        while time.monotonic() < end and self.running:
            done = self._lab.space.run([*map(str, asker), "1"], timeout=timeout, check=False)
            if done.returncode == 0:
                self._check_exports()
                return
        raise LabError(f"NFS-Ganesha does not answer (log: {self.log})\n{self._last_words()}")

    def _check_exports(self) -> None:
        """Raise LabError if the server dropped an export: it runs on without it."""
        bad = (":FSAL :CRIT", "Could not create export")
        lines = self.log.read_text(errors="replace").splitlines()
        why = [line.split(" :", 1)[-1] for line in lines if any(mark in line for mark in bad)]
        if why:
            self.stop()
            raise LabError("NFS-Ganesha refused an export:\n" + "\n".join(why))

    def _last_words(self) -> str:
        parts = (self.log, self.folder / "stderr")
        text = "".join(part.read_text(errors="replace") for part in parts if part.exists())
        return "\n".join(text.splitlines()[-20:])

    def stop(self) -> None:
        """End the server at once, as a power cut would: clients see no farewell."""
        if self._process is not None:
            self._process.signal("KILL")
            self._process.wait(10.0)
            self._process = None

    def pause(self) -> None:
        """Let it hang: its port is open, and no call is answered."""
        self._send("STOP")

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._send("CONT")

    def _send(self, signal: str) -> None:
        if self._process is None:
            raise LabError("NFS-Ganesha does not run")
        self._process.signal(signal)

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()
