"""docs/tutorial.md, command by command: the server is this machine, with all that it writes laid aside.

In namespaces of its own /etc, /usr, what apt writes in /var, and the checkout are overlays, and /srv is a
scratch folder: apt, dpkg-buildpackage, mmdebstrap and mkpxeinit do what the page says, and this machine stays
as it was.
"""

import re
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from mkpxeinit import __version__
from mkpxeinit.netboot import description
from pxelab import Lab, Machine, Nic, debs
from pxelab.namespace import Namespace, Process
from pxelab.running import RunningMachine
from tests.packages.building import ROOT, changed

PAGE = (ROOT / "docs/tutorial.md").read_text()
COMMAND_SECONDS, READY_SECONDS, BOOT_SECONDS = 900.0, 90.0, 600.0
# Clients that come up at a time, on two processors, and the MiB of each: ten are on in the end.
AT_ONCE, MEMORY = 3, 512
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PLACES = ("etc", "usr", "var/lib/dpkg", "var/lib/apt", "var/cache", "var/log")
# Of a machine in QEMU; the tree's consoles are those of a PC.
CONSOLE = "console=ttyS0"
# Sections of the page in which packages are fetched; the others are about the clients' network.
ONLINE = (1, 2, 5)
DESCRIPTION, IN_TREE = "/etc/mkpxeinit.toml", "/srv/netboot/pc/etc/mkpxeinit.toml"


@dataclass(frozen=True)
class Step:
    """A command of the page, or a file that it shows, with its place; and the number of its section."""

    kind: str
    text: str
    section: int


def steps() -> list[Step]:
    found = []
    for match in BLOCK.finditer(PAGE):
        kind, text = match.groups()
        before = PAGE[: match.start()]
        section = int(re.findall(r"^## (\d+)\.", before, re.MULTILINE)[-1])
        if kind == "sh":
            found += [Step("sh", line, section) for line in text.splitlines() if line]
        else:
            (place,) = re.findall(r"`(/[\w./-]+)`[^\n`]*:\n\n\Z", before)
            found.append(Step(place, text, section))
    return found


def lay_aside(space: Namespace, folder: Path) -> None:
    """Give the server places of its own to write to."""
    for place in (*(Path("/", name) for name in PLACES), ROOT):
        upper, work = (folder / kind / str(place).strip("/") for kind in ("upper", "work"))
        upper.mkdir(parents=True, exist_ok=True)
        work.mkdir(parents=True, exist_ok=True)
        layers = f"lowerdir={place},upperdir={upper},workdir={work}"
        space.run(["mount", "-t", "overlay", "-o", layers, "overlay", str(place)])
    srv = folder / "srv"
    srv.mkdir(exist_ok=True)
    srv.chmod(0o755)
    space.run(["mount", "--bind", srv, "/srv"])


def shell(space: Namespace, line: str) -> str:
    print(f"# {line}", flush=True)
    start = time.monotonic()
    words = ["env", "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    # The folder is entered anew: there is another one over it.
    done = space.run([*words, "sh", "-c", f"cd {ROOT} && {line}"], timeout=COMMAND_SECONDS, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    print("\n".join(said.splitlines()[-6:]), f"[{time.monotonic() - start:.1f} s]", sep="\n", flush=True)
    assert done.returncode == 0, f"{line}: exit code {done.returncode}\n{said}"
    return said


@contextmanager
def serving(lab: Lab, line: str) -> Iterator[Path]:
    """Run a `serve` of the page from `ready` to Ctrl-C; yield what it prints."""
    print(f"# {line}", flush=True)
    out = lab.folder / "serve.out"
    with out.open("wb") as file:
        words = ["env", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *line.split()]
        process: Process = lab.space.start("serve", words, stdout=file, stderr=subprocess.STDOUT)
    end = time.monotonic() + READY_SECONDS
    while "ready; Ctrl-C ends it" not in out.read_text(errors="replace"):
        assert process.running and time.monotonic() < end, out.read_text(errors="replace")
        time.sleep(0.2)
    yield out
    process.signal("INT")
    assert process.wait(30) == 0, out.read_text(errors="replace")


def boots(lab: Lab, line: str, clients: Mapping[str, str], loads: str = "") -> None:
    """Switch clients on while the page's servers run: each shows its prompt, and all are on at the end.

    `loads` is what the loader has to name.
    """
    more = ["--append", CONSOLE] if "--config" not in line else []
    with serving(lab, " ".join([line, *more])) as out:
        waiting, coming, up = list(clients.items()), deque[tuple[RunningMachine, str]](), []
        while waiting or coming:
            while waiting and len(coming) < AT_ONCE:
                mac, prompt = waiting.pop(0)
                card = Nic(mac=mac, bridge="eth1")
                coming.append((lab.machine(Machine(nics=(card,), guest=False, memory=MEMORY)), prompt))
            machine, prompt = coming.popleft()
            if loads:
                machine.expect(re.escape(f"{loads}... ok"), BOOT_SECONDS)  # pxelinux and iPXE say it alike
            machine.expect(prompt, BOOT_SECONDS)
            up.append(machine)
        told = out.read_text(errors="replace")
        print(*told.splitlines()[-8:], sep="\n", flush=True)
        for machine in up:
            machine.forbid(r"PXE-INIT-|Kernel panic")
            assert machine.running and machine.macs[0] in told
            machine.kill()
        print(f"{len(up)} clients were on at once", flush=True)


def test_the_page_can_be_followed() -> None:
    """As this file reads it: no kind of block is left out, and the servers are started twice."""
    assert {kind for kind, _ in BLOCK.findall(PAGE)} == {"sh", "toml"}
    assert len(re.findall(r"^```", PAGE, re.MULTILINE)) == 2 * len(BLOCK.findall(PAGE))
    assert [each.kind for each in steps() if each.kind != "sh"] == [DESCRIPTION, IN_TREE]
    assert sum("mkpxeinit serve " in each.text for each in steps()) == 2
    (installing,) = (each.text for each in steps() if "dnsmasq-base" in each.text)
    package, *wanted = installing.partition("--no-install-recommends ")[2].split()
    assert len(wanted) > 5 and set(wanted) <= set((ROOT / "tools/packages").read_text().splitlines())
    assert package == f"./dist/mkpxeinit_{__version__}_all.deb"
    # What fetches packages is where they can be fetched from.
    assert {each.section for each in steps() if "apt-get" in each.text} <= set(ONLINE)


@pytest.mark.long
def test_tutorial() -> None:
    """From `apt-get` to the first client, then to ten with names, then to a kernel that is upgraded."""
    with tempfile.TemporaryDirectory(prefix="tutorial-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        served = 0
        for online, part in groupby(steps(), lambda each: each.section in ONLINE):
            todo = list(part)
            if not online:
                with in_the_clients_network(folder) as lab:
                    served += follow(lab, todo)
                continue
            if todo[0].section == 5:
                offer_a_kernel(folder)
            with tempfile.TemporaryDirectory() as pids, Namespace(Path(pids), share_net=True) as space:
                lay_aside(space, folder)
                for each in todo:
                    online_step(space, each)
        assert served == 11
        # After all that the clients boot the new kernel.
        (last,) = (
            each.text for each in steps() if "mkpxeinit serve " in each.text and "--config" in each.text
        )
        with in_the_clients_network(folder) as lab:
            boots(lab, last, {"52:54:00:00:77:01": r"\bpc01 login: ?$"}, loads="generations/pc.2/vmlinuz")


@contextmanager
def in_the_clients_network(folder: Path) -> Iterator[Lab]:
    with Lab.open() as lab:
        lay_aside(lab.space, folder)
        lab.add_bridge("eth1", "192.168.77")
        # A switch: the interface has a link whether clients are on or not.
        lab.ip(
            "addr flush dev eth1",
            "link add port1 type veth peer name port2",
            "link set port1 master eth1 up",
            "link set port2 up",
        )
        yield lab


def offer_a_kernel(folder: Path) -> None:
    """Have an archive in which linux-image-amd64 is newer, and leads to a kernel that the tree has not."""
    tree, place = folder / "srv/netboot/pc", folder / "kernel"
    place.mkdir()
    packages = debs.kernel("bookworm", "cloud-amd64", security=True)  # as new as the page's tree has
    (meta,) = (path for path in packages if path.name.startswith("linux-image-cloud-amd64_"))
    newer = "sed -i 's/^Package: .*/Package: linux-image-amd64/; s/^Version: .*/Version: 99/' DEBIAN/control"
    offered = changed(meta, place / "linux-image-amd64_99_amd64.deb", newer)
    line = debs.make_archive(tree / "archive", (*packages, offered))
    (tree / "etc/apt/sources.list.d/offered.list").write_text(line)


def online_step(space: Namespace, step: Step) -> None:
    """Run a command that is not about the clients' network, or write a file of the tree."""
    if step.kind != "sh":
        space.path(Path(step.kind)).write_text(with_console(step.text))
        return
    said = shell(space, step.text)
    if "dist-upgrade" in step.text:
        assert re.search(r"tree pc: /srv/tftp: pc\.2 is published: kernel \S+-cloud-amd64\b", said), said
    if "--list" in step.text:
        print(said)
        assert re.search(r"^pc\.2 +\S+-cloud-amd64 .* tree pc$", said, re.MULTILINE)
        assert re.search(r"^pc\.1 .* previous of tree pc$", said, re.MULTILINE)


def with_console(text: str) -> str:
    """Return a file of the page for our clients, which have a serial line, where the page's have a screen."""
    told, count = re.subn(r'= "quiet', f'= "{CONSOLE} quiet', text)
    assert count == 1
    return told


def follow(lab: Lab, todo: list[Step]) -> int:
    """Go on in the clients' network; return how many clients were served."""
    clients = {"52:54:00:00:77:f1": r"login: ?$"}
    served = 0
    for each in todo:
        if each.kind != "sh":
            copy = lab.folder / "copy.toml"
            for path in (lab.space.path(Path(each.kind)), copy):
                path.write_text(with_console(each.text))
            named = description.read(copy).clients
            clients = {str(client.mac): rf"\b{client.name} login: ?$" for client in named}
            assert len(set(clients.values())) == 10
        elif "mkpxeinit serve " in each.text:
            boots(lab, each.text, clients)
            served += len(clients)
        else:
            said = shell(lab.space, each.text)
            if "--list" in each.text:
                assert "pc.1" in said
            if "server-config" in each.text and "--dry-run" not in each.text:
                written = lab.space.path(Path("/etc/dnsmasq.d/mkpxeinit.conf")).read_text()
                assert written.count("dhcp-host=") == 10
    return served
