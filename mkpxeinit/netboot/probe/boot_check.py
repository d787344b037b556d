"""A boot file and all that comes after it, loaded as its loader would: configuration, kernel, images."""

from dataclasses import dataclass
from uuid import UUID

from mkpxeinit.netboot.probe import bootfiles, grub_config, ipxe_script, pxelinux_config
from mkpxeinit.netboot.probe.dhcp_codec import Architecture
from mkpxeinit.netboot.probe.entry import Configuration, Entry
from mkpxeinit.netboot.probe.fileset import Files, Loaded, Place, place
from mkpxeinit.netboot.probe.finding import Findings, Verdict
from mkpxeinit.netboot.probe.wire import ProbeError, shown


@dataclass(frozen=True, slots=True)
class Client:
    """Which client it is: hardware address as text, its address and UUID if known."""

    mac: str
    address: str | None
    uuid: UUID | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """A system that a loader starts by itself: the command line, and the kernel's release if it says."""

    cmdline: str
    release: str


class BootCheck:
    """Loads what a client would, and says what is wrong."""

    def __init__(self, files: Files, findings: Findings, client: Client) -> None:
        """Take where files come from, where findings go, and which client is meant."""
        self._files = files
        self._findings = findings
        self._client = client

    def run(
        self, architecture: Architecture | None, loader: Place, verdict: Verdict
    ) -> tuple[bool, list[Start]]:
        """Return whether the boot file is one for this kind of client, and what its loader starts.

        `verdict` is that of a boot file of the wrong kind, or that is not there.
        """
        part = loader.scheme
        try:
            got = self._files.load(loader)
        except ProbeError as error:
            self._findings.failed(part, str(loader), error, verdict)
            return False, []
        self._came(loader, got)
        firmware = bootfiles.firmware_of(got.head)
        wanted = architecture.loader if architecture is not None else ""
        if wanted and firmware not in (wanted, "script"):
            name = architecture.name if architecture is not None else ""
            way = f"a boot file for {name} by option 93 (client architecture)"
            self._findings.add(
                part, verdict, str(loader), f"it is for {firmware}; {name} cannot start it", way
            )
            return False, []
        if firmware == "script" and wanted:
            way = "iPXE first, by option 93, and the script to the user class iPXE"
            self._findings.add(
                part, verdict, str(loader), f"a script of iPXE; {wanted} firmware has no iPXE", way
            )
            return False, []
        return True, self._follow(loader, got)

    def _came(self, where: Place, got: Loaded) -> None:
        self._findings.ok(where.scheme, str(where), got.said)
        if got.complaint:
            way = (
                "firmware asks for the size first"
                if where.scheme != "tftp"
                else "a server with RFC 2348, 2349"
            )
            self._findings.warn(where.scheme, str(where), got.complaint, way)

    def _follow(self, loader: Place, got: Loaded) -> list[Start]:
        kind = bootfiles.loader_of(loader.name, got.head)
        if kind == "script":
            return self._script(loader, got.head.decode("utf-8", "replace"))
        if kind == "pxelinux":
            # Since version 5 its core is a file of its own.
            core = bootfiles.pxelinux_core(got.head)
            if core is not None and self._load(loader, core, str(loader), Verdict.BAD) is None:
                return []
            return self._pxelinux(loader)
        if kind in ("grub", "shim"):
            return self._grub(loader, kind)
        if kind == "ipxe":
            self._findings.note(
                "loader", str(loader), "iPXE asks DHCP again, as the client `ipxe` above does"
            )
        else:
            self._findings.note(
                "loader", str(loader), "an unknown loader: what it loads next is not looked at"
            )
        return []

    def _pxelinux(self, loader: Place) -> list[Start]:
        names = pxelinux_config.names(self._client.mac, self._client.address, self._client.uuid)
        found = self._first(loader, [loader.beside(name) for name in names], "pxelinux.cfg/default")
        if found is None:
            return []
        where, text = found

        def get(name: str) -> str | None:
            return self._files.text(loader.beside(name))

        read = pxelinux_config.read(text, get)
        for name in read.modules:
            self._load(loader, name, str(where), Verdict.BAD)
        return self._entries(loader, where, read)

    def _grub(self, loader: Place, kind: str) -> list[Start]:
        if kind == "shim":
            second = loader.beside("grubx64.efi" if "aa64" not in loader.name else "grubaa64.efi")
            try:
                self._came(second, self._files.load(second))
            except ProbeError as error:
                self._findings.failed(second.scheme, str(second), error)
                return []
        names = grub_config.names(loader.name.partition("?")[0], self._client.mac, self._client.address)
        found = self._first(loader, [loader.beside(name) for name in names], "/grub/grub.cfg")
        if found is None:
            return []
        where, text = found
        prefix = where.name.rpartition("/")[0]

        def get(name: str) -> str | None:
            return self._files.text(loader.beside(name if name.startswith("/") else f"/{name}"))

        read = grub_config.read(text, get, self._client.mac, self._client.address, prefix)
        return self._entries(Place(loader.scheme, loader.server, "/"), where, read)

    def _first(self, loader: Place, places: list[Place], usual: str) -> tuple[Place, str] | None:
        """Return the first configuration that is there, None (and say so) if there is none."""
        try:
            for where in places:
                text = self._files.text(where)
                if text is not None:
                    self._findings.ok(
                        "loader", str(where), f"the configuration, {len(text.splitlines())} lines"
                    )
                    return where, text
        except ProbeError as error:
            self._findings.failed("loader", str(loader), error)
            return None
        self._findings.bad(
            "loader",
            str(loader),
            f"it finds no configuration, also not {usual}",
            "publish one, world-readable; `mkpxeinit publish` writes it",
        )
        return None

    def _script(self, where: Place, text: str) -> list[Start]:
        settings = {"mac": self._client.mac, "ip": self._client.address or "", "next-server": where.server,
                    "platform": "pcbios", "buildarch": "x86_64", "filename": where.name}  # fmt: skip
        for _ in range(8):
            read = ipxe_script.read(text, settings)
            if not read.chain:
                return self._entries(where, where, read)
            try:
                where = where.beside(read.chain)
                got = self._files.load(where)
            except ProbeError as error:
                self._findings.failed("loader", f"the script's {shown(read.chain)}", error)
                return []
            self._came(where, got)
            text = got.head.decode("utf-8", "replace")
            if not text.startswith("#!ipxe"):
                self._findings.note("loader", str(where), "no script: what it loads next is not looked at")
                return []
        self._findings.bad(
            "loader", str(where), "its scripts lead round in a circle", "the chain commands in them"
        )
        return []

    def _entries(self, base: Place, where: Place, read: Configuration) -> list[Start]:
        """Load what the entries name; return the one that boots by itself."""
        for note in read.notes:
            self._findings.warn("loader", str(where), note, "correct the configuration")
        if read.default is None:
            self._findings.add(
                "loader",
                Verdict.WARN if read.entries else Verdict.BAD,
                str(where),
                "no entry boots by itself" if read.entries else "it names no kernel",
                "a default, with a kernel",
            )
        starts = []
        for entry in read.entries:
            own = entry is read.default or entry == read.default
            release = self._entry(base, where, entry, Verdict.BAD if own else Verdict.WARN)
            if own and release is not None:
                starts.append(Start(entry.cmdline, release))
        return starts

    def _entry(self, base: Place, where: Place, entry: Entry, verdict: Verdict) -> str | None:
        """Return the kernel's release (empty if it does not say), None if the entry cannot boot."""
        who = f"{where}, {shown(entry.label, 64)}" if entry.label else str(where)
        kernel = self._load(base, entry.kernel, who, verdict)
        images = [self._load(base, name, who, verdict) for name in entry.initrds]
        if kernel is None or None in images:
            return None
        release = bootfiles.kernel_release(kernel.head)
        if release is None:
            self._findings.add(
                "loader", verdict, who, f"{shown(entry.kernel)} is no kernel", "name a vmlinuz"
            )
            return None
        if not images:
            self._findings.add("loader", verdict, who, "no initrd", "the image that `mkpxeinit build` wrote")
            return None
        for name, image in zip(entry.initrds, images, strict=True):
            if image is not None and bootfiles.archive_of(image.head) is None:
                text = f"{shown(name)} is nothing that a kernel unpacks as an initrd"
                self._findings.add("loader", verdict, who, text, "publish the image again")
                return None
        if len(entry.cmdline) > 2000:
            self._findings.add(
                "loader", verdict, who, "a command line of more than 2000 characters", "a shorter one"
            )
        self._findings.ok("loader", who, f"kernel {release or 'of an unknown release'}, {len(images)} initrd")
        return release

    def _load(self, base: Place, name: str, who: str, verdict: Verdict) -> Loaded | None:
        try:
            where = place(name) if "://" in name[:9] else base.beside(name)
            got = self._files.load(where)
        except ProbeError as error:
            self._findings.failed("loader", who, error, verdict)
            return None
        self._came(where, got)
        return got
