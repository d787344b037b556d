"""A client's end of the laboratory's network, from which servers are looked at, and what they serve."""

import json
import shutil
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pxelab import Lab

RELEASE = "6.1.0-9-amd64"
ADDRESS = "10.77.0.50"


def kernel() -> bytes:
    """Return what says of itself that it is a kernel of RELEASE."""
    data = bytearray(0x3200)
    data[0x202:0x206], data[0x20E:0x210] = b"HdrS", struct.pack("<H", 0x2E00)
    text = f"{RELEASE} (x) #1".encode()
    data[0x3000 : 0x3000 + len(text)] = text
    return bytes(data)


def make_tree(folder: Path) -> Path:
    """Make what a client's root has at least; /sbin is a link, as in today's distributions."""
    for name in ("usr/sbin", "etc", f"usr/lib/modules/{RELEASE}", "root"):
        (folder / name).mkdir(parents=True)
    for name in ("sbin", "lib"):
        (folder / name).symlink_to(f"/usr/{name}")
    (folder / "usr/sbin/init").write_bytes(b"\x7fELF" + bytes(2000))
    (folder / "usr/sbin/init").chmod(0o755)
    (folder / "etc/shadow").write_text("root:*::\n")
    (folder / "etc/shadow").chmod(0o600)
    (folder / "root").chmod(0o700)
    folder.chmod(0o755)
    return folder


def make_tftp(folder: Path, cmdline: str = "quiet") -> Path:
    """Make a folder for pxelinux and for GRUB."""
    for name in ("pxelinux.cfg", "grub"):
        (folder / name).mkdir(parents=True)
    shutil.copy("/usr/lib/PXELINUX/pxelinux.0", folder)
    shutil.copy("/usr/lib/syslinux/modules/bios/ldlinux.c32", folder)
    shutil.copy("/usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi", folder)
    (folder / "vmlinuz").write_bytes(kernel())
    (folder / "pxeinit.img").write_bytes(b"070701" + bytes(3_000_000))
    (folder / "pxelinux.cfg/default").write_text(
        f"default a\nlabel a\n kernel vmlinuz\n initrd pxeinit.img\n append {cmdline}\n"
    )
    (folder / "grub/grub.cfg").write_text(
        f"menuentry a {{\n linux /vmlinuz {cmdline}\n initrd /pxeinit.img\n}}\n"
    )
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@dataclass(frozen=True)
class Seen:
    """What verify-server said."""

    code: int
    findings: tuple[tuple[str, str, str, str], ...]  # part, verdict, subject: text, remedy
    error: str

    def has(self, verdict: str, text: str) -> bool:
        return any(each[1] == verdict and text in each[2] for each in self.findings)

    @property
    def bad(self) -> list[str]:
        return [each[2] for each in self.findings if each[1] == "bad"]

    @property
    def wrong(self) -> list[str]:
        return [each[2] for each in self.findings if each[1] in ("bad", "warn")]


@dataclass(frozen=True)
class Client:
    """A network of its own, with a cable to the laboratory's bridge."""

    lab: Lab
    pid: str

    def run(self, *words: str) -> tuple[int, str, str]:
        enter = ["nsenter", f"--target={self.pid}", "--net", "--"]
        done = self.lab.space.run([*enter, *words], timeout=120, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def verify(self, *words: str) -> Seen:
        command = str(Path(sys.executable).with_name("mkpxeinit"))
        code, out, error = self.run(command, "verify-server", "--json", "--timeout", "2", *words)
        assert "Traceback" not in error and "unexpected" not in error, error
        found = json.loads(out)["findings"] if out else []
        assert all(line.isprintable() for each in found for line in each.values())
        rows = ((f["part"], f["verdict"], f"{f['subject']}: {f['text']}", f["remedy"]) for f in found)
        return Seen(code, tuple(rows), error)


@contextmanager
def wired(lab: Lab, *, address: str | None = ADDRESS) -> Iterator[Client]:
    """Yield a client of the laboratory, whose interface is c0."""
    pid_file = lab.folder / "client.pid"
    words = ["unshare", "--net", "/bin/sh", "-c", f"echo $$ >{pid_file}; exec sleep 600"]
    holder = lab.space.start("client", words)
    while not pid_file.exists() or not pid_file.read_text().endswith("\n"):
        assert holder.running
    pid = pid_file.read_text().strip()
    lab.ip("link add c0 type veth peer name c1", "link set c1 master br0 up", f"link set c0 netns {pid}")
    client = Client(lab, pid)
    client.run("ip", "link", "set", "lo", "up")
    client.run("ip", "link", "set", "c0", "up")
    if address is not None:
        client.run("ip", "addr", "add", f"{address}/24", "dev", "c0")
    yield client
    holder.stop()
