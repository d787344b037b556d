"""docs/tutorial.md, command by command: the server is this machine, with all that it writes laid aside.

In namespaces of its own /etc, /usr and what apt writes in /var are overlays, and /srv is a scratch folder:
apt, pip, mmdebstrap and mkpxeinit do what the page says, and this machine stays as it was.
"""

import re
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mkpxeinit.netboot import description
from pxelab import Lab, Machine, Nic
from pxelab.namespace import Namespace, Process
from pxelab.running import RunningMachine

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/tutorial.md").read_text()
COMMAND_SECONDS, READY_SECONDS, BOOT_SECONDS = 900.0, 90.0, 600.0
# Clients that come up at a time, on two processors, and the MiB of each: ten are on in the end.
AT_ONCE, MEMORY = 3, 512
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Of a machine in QEMU; the tree's consoles are those of a PC.
CONSOLE = "console=ttyS0"


@dataclass(frozen=True)
class Step:
    """A command of the page, or a file that it shows, with its place."""

    kind: str
    text: str


def steps() -> list[Step]:
    found = []
    for match in BLOCK.finditer(PAGE):
        kind, text = match.groups()
        if kind == "sh":
            found += [Step("sh", line) for line in text.splitlines() if line]
        else:
            (place,) = re.findall(r"^`(/[\w./-]+)`.*:\n\n\Z", PAGE[: match.start()], re.MULTILINE)
            found.append(Step(place, text))
    return found


def lay_aside(space: Namespace, folder: Path) -> None:
    """Give the server places of its own to write to."""
    for name in ("etc", "usr", "var/lib/dpkg", "var/lib/apt", "var/cache", "var/log"):
        upper, work = folder / name / "upper", folder / name / "work"
        upper.mkdir(parents=True, exist_ok=True)
        work.mkdir(exist_ok=True)
        layers = f"lowerdir=/{name},upperdir={upper},workdir={work}"
        space.run(["mount", "-t", "overlay", "-o", layers, "overlay", f"/{name}"])
    srv = folder / "srv"
    srv.mkdir(exist_ok=True)
    srv.chmod(0o755)
    space.run(["mount", "--bind", srv, "/srv"])


def shell(space: Namespace, line: str) -> str:
    print(f"# {line}", flush=True)
    words = ["env", "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    done = space.run([*words, "sh", "-c", f"cd {ROOT} && {line}"], timeout=COMMAND_SECONDS, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    print("\n".join(said.splitlines()[-6:]), flush=True)
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


def boots(lab: Lab, line: str, clients: Mapping[str, str]) -> None:
    """Switch clients on while the page's servers run: each shows its prompt, and all are on at the end."""
    more = ["--append", CONSOLE] if "--config" not in line else []
    with serving(lab, " ".join([line, *more])) as out:
        waiting, coming, up = list(clients.items()), deque[tuple[RunningMachine, str]](), []
        while waiting or coming:
            while waiting and len(coming) < AT_ONCE:
                mac, prompt = waiting.pop(0)
                card = Nic(mac=mac, bridge="eth1")
                coming.append((lab.machine(Machine(nics=(card,), guest=False, memory=MEMORY)), prompt))
            machine, prompt = coming.popleft()
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
    assert [each.kind for each in steps()].count("/etc/mkpxeinit.toml") == 1
    assert sum("mkpxeinit serve " in each.text for each in steps()) == 2
    (installing,) = (each.text for each in steps() if "apt-get install" in each.text)
    wanted = installing.partition("--no-install-recommends ")[2].split()
    assert len(wanted) > 5 and set(wanted) <= set((ROOT / "tools/packages").read_text().splitlines())


@pytest.mark.long
def test_tutorial() -> None:
    """From `apt-get` to the first client, then to ten with the names of their description."""
    todo = steps()
    split = next(n for n, each in enumerate(todo) if "mkpxeinit prepare" in each.text)
    with tempfile.TemporaryDirectory(prefix="tutorial-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        with tempfile.TemporaryDirectory() as pids, Namespace(Path(pids), share_net=True) as space:
            lay_aside(space, folder)
            for each in todo[:split]:
                shell(space, each.text)
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
            follow(lab, todo[split:])


def follow(lab: Lab, todo: list[Step]) -> None:
    """Go on in the clients' network."""
    clients = {"52:54:00:00:77:f1": r"login: ?$"}
    served = 0
    for each in todo:
        if each.kind != "sh":
            # The clients of the page are PCs with a screen; ours have a serial line.
            text = each.text.replace('cmdline = "quiet', f'cmdline = "{CONSOLE} quiet')
            copy = lab.folder / "copy.toml"
            for path in (lab.space.path(Path(each.kind)), copy):
                path.write_text(text)
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
    assert served == 11
    written = lab.space.path(Path("/etc/dnsmasq.d/mkpxeinit.conf")).read_text()
    assert written.count("dhcp-host=") == 10
