"""A small root folder in which the client's scripts run by chroot, among fakes of what touches the machine.

The scripts see ordinary paths and know nothing of it. Fakes are scripts in /bin that log each call, then do
what the test says. busybox ash would run its own applets before anything in PATH (FEATURE_PREFER_APPLETS, as
Debian builds it): in the copy that is used here the names of the faked applets are spoilt, so that a
forgotten fake cannot power this machine off either.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.init.parts import BUSYBOX, ORIGINAL, Parts

INIT = Path(__file__).parents[2] / "init"
LEASE = {
    "ip": "10.0.2.15", "mask": "24", "router": "10.0.2.2", "siaddr": "10.0.2.2", "serverid": "10.0.2.2",
    "rootpath": "/srv/tree",
}  # fmt: skip

DOOMSDAY = 500  # seconds of the fake clock: whoever still waits then is killed
_TICK = f"""tick() {{
    read -r now rest < /proc/uptime
    echo "$((${{now%%.*}} + $1)).${{now#*.}} 0.00" > /proc/uptime.$$
    {ORIGINAL} mv /proc/uptime.$$ /proc/uptime
    [ "${{now%%.*}}" -lt {DOOMSDAY} ] || kill -KILL 0
}}
"""
_END = "kill -KILL 0"  # nothing survives it
# Faked always; what each does if the test does not say.
ALWAYS = {
    "arping": "",
    "chroot": "",
    "cttyhack": "",
    "halt": _END,
    "ip": "",
    "kill": "",
    "killall": "",
    "mknod": 'for word; do case $word in */*) : > "$word" ;; esac; done',
    "modprobe": "",
    "logger": "",
    # As the kernel: the mount point must be there.
    "mount": """for target; do :; done
[ -e "$target" ] || { echo "mount: mounting $* failed: No such file or directory" >&2; exit 255; }""",
    # A server that answers.
    "nc": "cat > /dev/null; echo answer",
    "nslookup": "exit 1",
    "pivot_root": "",
    "poweroff": _END,
    "reboot": _END,
    "setsid": "",
    "sleep": f'{_TICK}tick "$1"',
    "swapoff": "",
    "switch_root": "",
    "sync": "",
    "syslogd": "",
    # Whatever it is, it ends in time; but nobody is at the console.
    "timeout": f"""{_TICK}[ "$1" != -s ] || shift 2
[ "$2" != head ] || {{ tick "$1"; exit 143; }}
shift
exec "$@\"""",
    # It can ask whether an address is in use, as busybox' help says.
    "udhcpc": '[ "$*" != --help ] || { echo "[-a[MSEC]]" >&2; exit 0; }; exit 1',
    "umount": "",
    # Time flies: a second for each look; for eight while udhcpc works, which takes this machine time too.
    "usleep": f"""{_TICK}if [ "$1" = 40000 ]; then
    looks=0; [ ! -e /fake/state/looks ] || read -r looks < /fake/state/looks
    echo $((looks + 1)) > /fake/state/looks; [ $((looks % 8)) -eq 7 ] || exit 0
fi
tick 1""",
}
# The real ones unless the test says otherwise.
SOMETIMES = frozenset(
    ("awk", "cat", "chmod", "cp", "dd", "dmesg", "head", "ln", "ls", "md5sum")
    + ("mkdir", "mv", "od", "readlink", "rm", "rmdir", "stat", "tar")
)
FAKED = SOMETIMES.union(ALWAYS)
_BUSYBOX = f'#!{BUSYBOX} sh\nname=$1\nshift\nexec "/bin/$name" "$@"'
_FILES = {
    "proc/uptime": "3.00 1.00",
    "sys/devices/system/cpu/online": "0-1",
    "proc/cmdline": "",
    "proc/self/mounts": "rootfs / rootfs rw 0 0",
    "proc/mounts": "rootfs / rootfs rw 0 0",
    "proc/sys/kernel/osrelease": "6.1.0-test",
    "proc/sys/kernel/hostname": "(none)",
    "etc/cmdline": "",
    "etc/pxeinit/release": "6.1.0-test",
    "etc/pxeinit/version": "0.1.0",
    "etc/pxeinit/modules": "",
    "dev/null": "",
    "dev/console": "",
    "dev/urandom": "1234567890",
    # The scripts' own ways to a program, whatever stands in PATH.
    "bin/busybox": _BUSYBOX,
    "@/busybox": _BUSYBOX,
    "run/initramfs/bin/busybox": _BUSYBOX,
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a run left: the exit status, and all that the console showed."""

    status: int
    console: str

    def reports(self, code: str) -> bool:
        """Return whether the failure `code` was shown with its cause and its way out."""
        lines = self.console.splitlines()
        for number, line in enumerate(lines):
            if f"] {code}: " in line:
                why, advice = lines[number + 1], lines[number + 2]
                return why.startswith("pxeinit:   why: ") and advice.startswith("pxeinit:   try: ")
        return False

    @property
    def codes(self) -> list[str]:
        """The codes of all failures shown."""
        return [word.rstrip(":") for word in self.console.split() if word.startswith("PXE-INIT-")]

    @property
    def warnings(self) -> list[str]:
        """The texts of all warnings shown."""
        parts = (line.partition("] warning: ") for line in self.console.splitlines())
        return [text for _, found, text in parts if found]


class FakeRoot:
    """One root, for one shell and one test."""

    def __init__(self, folder: Path, shell: str, parts: Parts) -> None:
        self.path = folder
        self.shell = shell
        self._parts = parts
        self._rules: dict[str, list[str]] = {}
        parts.install(folder, shell)
        self.write("fake/calls", "")
        for name in ALWAYS:
            self._write_fake(name)
        for path, text in _FILES.items():
            self.write(path, text, 0o755 if path.endswith("/busybox") else 0o644)
        install_client(folder)

    def place(self, path: str) -> Path:
        """Return where a path of the root lies here."""
        return self.path / path.lstrip("/")

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> Path:
        """Write a file, with a newline behind a text that has none; return where it is."""
        target = self.place(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = os.fsencode(content if content.endswith("\n") or not content else content + "\n")
        if target.is_symlink():
            target.unlink()
        target.write_bytes(content)
        target.chmod(mode)
        return target

    def read(self, path: str) -> str | None:
        """Return a file's text without its last newline, None if it is missing."""
        target = self.place(path)
        return os.fsdecode(target.read_bytes()).removesuffix("\n") if target.is_file() else None

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        self.place(path).parent.mkdir(parents=True, exist_ok=True)
        self.place(path).symlink_to(target)

    def folder(self, path: str) -> Path:
        """Make a folder, its parents too."""
        self.place(path).mkdir(parents=True, exist_ok=True)
        return self.place(path)

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder."""
        return sorted(entry.name for entry in self.place(path).iterdir())

    def nic(self, name: str = "eth0", *, mac: str = "52:54:00:12:34:56", carrier: str = "1") -> None:
        """Add an Ethernet device with hardware behind it."""
        base = f"sys/class/net/{name}"
        self.write(f"{base}/type", "1")
        self.write(f"{base}/address", mac)
        self.write(f"{base}/carrier", carrier)
        self.folder(f"{base}/device")

    def lease(self, interface: str = "eth0", **values: str) -> None:
        """Write a lease as dhcp-event would, "_" in names standing for "-"."""
        for name, value in values.items():
            self.write(f"run/pxeinit/lease/{interface}/{name.replace('_', '-')}", value)

    def state(self) -> dict[str, str]:
        """Return the state file, the last value of each key."""
        return dict(line.split("=", 1) for line in (self.read("run/pxeinit/state") or "").splitlines())

    def fake(
        self,
        name: str,
        *,
        when: str = "",
        fails: int | Sequence[int] = 0,
        says: str = "",
        prints: str = "",
        does: str = "",
    ) -> None:
        """Let a command behave so where its arguments contain `when`; the rule added last is asked first.

        `fails` is the exit status, or those of the first, second … call, the last for all that follow; -1
        goes on to the older rules. `says` goes to stderr (where statuses differ, on failure alone), `prints`
        to stdout; `does` is shell code that sees the arguments and $status.
        """
        assert name in FAKED, f"{name} has no fake"
        statuses = [fails] if isinstance(fails, int) else list(fails)
        rules = self._rules.setdefault(name, [])
        counter = f"/fake/state/{name}.{len(rules)}"
        steps = " ".join(f"{number}) status={status} ;;" for number, status in enumerate(statuses[:-1]))
        condition = '[ "$status" -eq 0 ] || ' if len(statuses) > 1 else ""
        lines = [
            f'case " $* " in *{shlex.quote(when)}*)' if when else 'case "" in "")',
            f"count=0; [ ! -e {counter} ] || read -r count < {counter}; echo $((count + 1)) > {counter}",
            f"case $count in {steps} *) status={statuses[-1]} ;; esac",
            f"{condition}printf '%s\\n' {shlex.quote(says)} >&2" if says else "",
            f"printf '%s\\n' {shlex.quote(prints)}" if prints else "",
            does,
            '[ "$status" -lt 0 ] || exit "$status"',
            ";; esac",
        ]
        rules.insert(0, "\n".join(line for line in lines if line))
        self._write_fake(name)

    def dhcp(
        self, interface: str = "eth0", values: Mapping[str, str] = LEASE, fails: int | Sequence[int] = 0
    ) -> None:
        """Let udhcpc get a lease on an interface, after the given failures."""
        words = " ".join(shlex.quote(f"{key}={value}") for key, value in values.items())
        event = f'[ "$status" -ne 0 ] || env {words} interface={interface} /lib/pxeinit/dhcp-event bound'
        self.fake("udhcpc", when=f" -i {interface} ", fails=fails, does=event)

    def refuse(self, message: str, *, when: str = " nfs", fails: int | Sequence[int] = 32) -> None:
        """Let NFS mounts fail with the kernel's words, as busybox shows them."""
        says = f"mount: mounting 10.0.2.2:/srv on /nfsroot failed: {message}"
        self.fake("mount", when=when, fails=fails, says=says)

    def _write_fake(self, name: str) -> None:
        default = ALWAYS.get(name, f'exec {ORIGINAL} {name} "$@"')
        log = f"printf '%s\\0' $# {name} \"$@\" >> /fake/calls"
        text = [f"#!{BUSYBOX} sh", log, *self._rules.get(name, []), default]
        self.write(f"bin/{name}", "\n".join(text), 0o755)

    def calls(self, name: str) -> list[list[str]]:
        """Return the arguments of each call of a faked command, in their order."""
        return [words[1:] for words in self.all_calls() if words[0] == name]

    def all_calls(self) -> list[list[str]]:
        """Return every call of a faked command, its name first, in their order."""
        words = iter(os.fsdecode(self.place("fake/calls").read_bytes()).split("\0")[:-1])
        return [[next(words) for _ in range(int(count) + 1)] for count in words]

    def run(self, code: str, *arguments: str) -> Result:
        """Run shell code ("$@" are the arguments) behind the libraries as init sources them."""
        self.folder("run/pxeinit/lease")
        return self.execute("/bin/sh", "-c", f"set -u\n{sourcing()}\n{code}\n", "test", *arguments)

    def boot(
        self, cmdline: str | None = None, *arguments: str, env: Mapping[str, str] | None = None
    ) -> Result:
        """Run the whole /init, `env` being what the kernel planted."""
        if cmdline is not None:
            self.write("proc/cmdline", cmdline)
        return self.execute("/init", *arguments, env=env)

    def execute(self, *command: str, env: Mapping[str, str] | None = None, deadline: float = 20) -> Result:
        """Run any command in the root; after the deadline everything is killed and the test fails."""
        process = subprocess.Popen(
            [*self._parts.enter, os.fspath(self.path), *command],
            env={"PATH": "/bin", "HOME": "/root", "LC_ALL": "C", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            console, _ = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(
                f"no end after {deadline} s:\n{os.fsdecode(error.stdout or b'')[-2000:]}"
            ) from None
        finally:
            # What it left in the background ends too.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return Result(process.returncode, os.fsdecode(console))


def install_client(root: Path) -> None:
    """Lay out init/ as the builder does."""
    library = root / "lib/pxeinit"
    (library / "hooks").mkdir(parents=True)
    shutil.copy(INIT / "init", root / "init")
    for path in [*INIT.glob("lib/*.sh"), *INIT.iterdir()]:
        if path.is_file() and path.name != "init":
            shutil.copy(path, library)


def sourcing() -> str:
    """Return the part of init that sources its libraries."""
    text = (INIT / "init").read_text()
    return text[text.index("\nlib=") : text.index("\nrun_phase ")]
