"""Builds the static busybox of busybox-configs/ from its source, in a scratch folder, reproducibly.

The source's own Makefile and programs run here: only for sources that are trusted. The busybox that comes out
is not run.
"""

import lzma
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mkpxeinit import busybox, busybox_config, elf
from mkpxeinit.errors import MkpxeinitError, ProgramError, os_cause, printable

COMPILER = "musl-gcc"
MAX_SIZE = 700_000  # bytes; more, and something has been built that the fragments do not ask for
_SECONDS = 1800.0
_MAX_SOURCE = 512 << 20  # bytes
_MARKS = ("Makefile", "Config.in", "libbb/appletlib.c", "scripts/kconfig/Makefile")
_PACKAGES = {"make": "make", "gcc": "gcc and libc6-dev", COMPILER: "musl-tools"}
# Kernel headers, which musl's wrapper of gcc hides with all others of the system.
_HEADERS = ("linux", "asm-generic", "mtd")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Built:
    """A busybox: its bytes and applets, and the options of the fragments that its source does not know."""

    data: bytes
    applets: tuple[str, ...]
    unknown: tuple[str, ...]


def build(source: Path, configs: Path, compiler: str = COMPILER, epoch: int = 0) -> Built:
    """Return the busybox that `compiler` makes of `source`, a folder or a tar archive, which is only read.

    `configs` is the folder of fragments and applets.txt; `epoch` is the date that the program shows, in
    seconds since 1970. MkpxeinitError if a tool is missing or the source is none; ProgramError if it does not
    compile, or what comes out is not static, lacks an applet or is larger than MAX_SIZE.
    """
    options = busybox_config.read_fragments(configs)
    needs = busybox.read_needs(configs / "applets.txt")
    for name in ("make", "gcc", compiler):
        _need(name)
    try:
        with tempfile.TemporaryDirectory(prefix="mkpxeinit-busybox-") as scratch:
            place = Path(scratch)
            top = _unpack(source, place / "source")
            make = _Make(source, top, f"{compiler} -idirafter ../{_headers(place, compiler)}", epoch)
            final = _configure(make, top / ".config", options)
            make.run("busybox", f"-j{os.cpu_count() or 1}")
            data = (top / "busybox").read_bytes()
    except OSError as error:
        named = error.filename if error.filename else source
        raise MkpxeinitError(
            f"{printable(named)}: {os_cause(error)}; busybox is built below {tempfile.gettempdir()} (TMPDIR)"
        ) from error
    applets = _check(source, data, (*needs.required, *needs.optional, *busybox_config.EXTRA_APPLETS))
    return Built(data, applets, busybox_config.unknown(final, options))


def _need(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        package = _PACKAGES.get(name)
        hint = f"install {package}" if package else "give another with --compiler"
        raise MkpxeinitError(f"{printable(name)}: no such program in {_PATH}; {hint}")
    return found


def _unpack(source: Path, place: Path) -> Path:
    """Return the source's own folder in `place`, where it is a copy without what an earlier build left."""
    shown = printable(source)
    if source.is_dir():
        _marked(source, shown)
        try:
            shutil.copytree(source, place, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        except shutil.Error as error:
            # A list of (from, to, why): the first says it.
            raise MkpxeinitError(
                f"{shown}: cannot be copied to {place}: {printable(error.args[0][0][2])}"
            ) from error
        return place
    try:
        with tarfile.open(source) as archive:
            for member in _limited(archive, shown):
                _unpack_member(archive, member, place)
    except tarfile.ReadError as error:  # its text has a line for each compressor
        raise MkpxeinitError(
            f"{shown}: not a source of busybox: no tar archive, or a damaged one; give its folder or its tar "
            "archive"
        ) from error
    except (tarfile.TarError, EOFError, ValueError, OverflowError, zlib.error, lzma.LZMAError) as error:
        raise MkpxeinitError(
            f"{shown}: not a source of busybox: {printable(error) or type(error).__name__}; "
            "give its folder or its tar archive"
        ) from error
    tops = [path for path in place.iterdir() if path.is_dir()] if place.is_dir() else []
    top = tops[0] if len(tops) == 1 else place
    _marked(top, shown)
    # Beside the headers, whatever the archive calls it.
    return top if top == place else top.rename(place.with_name("unpacked"))


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    """Write a folder or a file of the archive below `place`, a folder of our own; else ValueError.

    tarfile's filters are younger than Debian 12's Python. The source of busybox has no links; without any,
    no path without ".." leads out.
    """
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise ValueError(f"{member.name} leads out of it")
    path = place / name
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    stream = archive.extractfile(member) if member.isreg() else None
    if stream is None:
        raise ValueError(f"{member.name} is neither a folder nor a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    with stream, path.open("xb") as file:
        shutil.copyfileobj(stream, file)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)
    # make goes by it.
    os.utime(path, (member.mtime, member.mtime))


def _limited(archive: tarfile.TarFile, shown: str) -> Iterator[tarfile.TarInfo]:
    size = 0
    for member in archive:
        size += member.size
        if size > _MAX_SOURCE:
            raise MkpxeinitError(
                f"{shown}: unpacks to more than {_MAX_SOURCE >> 20} MiB; no source of busybox"
            )
        yield member


def _marked(top: Path, shown: str) -> None:
    lacking = [name for name in _MARKS if not (top / name).is_file()]
    if lacking:
        raise MkpxeinitError(
            f"{shown}: not a source of busybox: no {lacking[0]} in it; give its folder or its tar archive"
        )


def _headers(place: Path, compiler: str) -> str:
    """Make a folder in `place` that shows this system's kernel headers and nothing else; return its name."""
    folder = place / "headers"
    folder.mkdir()
    system = Path("/usr/include")
    done = subprocess.run(
        [_need(compiler), "-print-multiarch"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": _PATH, "LC_ALL": "C"},
    )
    multiarch = done.stdout.strip()
    own = system / multiarch / "asm"
    for name, target in (*((each, system / each) for each in _HEADERS), ("asm", own)):
        (folder / name).symlink_to(target if target.is_dir() else system / name)
    if not (folder / "linux/version.h").is_file():
        raise MkpxeinitError(f"{system}/linux: no kernel headers; install linux-libc-dev")
    return folder.name


@dataclass(frozen=True, slots=True)
class _Make:
    """Runs `make` in the copy of the source, with an environment of its own."""

    source: Path
    top: Path
    compiler: str
    epoch: int

    def run(self, *words: str, stdin: bytes = b"") -> None:
        """Make a target; ProgramError with the compiler's word if that fails."""
        environment = {
            "PATH": _PATH,
            "LC_ALL": "C",
            "TZ": "UTC",
            "SOURCE_DATE_EPOCH": str(self.epoch),
            "KBUILD_BUILD_HOST": "mkpxeinit",
            "TMPDIR": tempfile.gettempdir(),
        }
        process = subprocess.Popen(
            [_need("make"), f"CC={self.compiler}", *words],
            cwd=self.top,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(stdin, timeout=_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise ProgramError(
                f"{printable(self.source)}: make {words[0]} has no end after {_SECONDS:.0f} s"
            ) from late
        finally:
            if process.poll() is None:
                # It and all that it started; also when we are interrupted.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode != 0:
            raise ProgramError(
                f"{printable(self.source)}: make {words[0]}: {_cause(said.decode(errors='replace'))}; "
                "busybox 1.30 and newer build with musl-tools, gcc, libc6-dev and linux-libc-dev"
            )


def _cause(said: str) -> str:
    """Return the line of make's and the compiler's words that says most."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for word in ("No space left", "error:", "rror"):
        for line in lines:
            if word in line:
                return printable(line)[:300]
    return printable(lines[-1])[:300] if lines else "it failed without a word"


def _configure(make: _Make, config: Path, options: dict[str, str]) -> str:
    """Write the .config and return it: twice by `make oldconfig`, which knows what can be switched off."""
    make.run("mrproper")
    enters = b"\n" * 4000  # the default, for each question
    config.write_text(busybox_config.first_config(options))
    make.run("oldconfig", stdin=enters)
    config.write_text(busybox_config.strict_config(config.read_text(errors="replace"), options))
    make.run("oldconfig", stdin=enters)
    return config.read_text(errors="replace")


def _check(source: Path, data: bytes, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the applets of what was built; ProgramError if it is not what was to be built."""
    shown = f"{printable(source)}: the busybox that was built"
    built = busybox.check(data, shown, None, {})
    if elf.inspect(data, shown).interpreter is not None:
        raise ProgramError(f"{shown} is not static")
    lacking = sorted(set(wanted) - set(built.applets))
    if lacking:
        raise ProgramError(f"{shown} lacks {', '.join(lacking)}; take a newer source (1.30 at least)")
    if len(data) > MAX_SIZE:
        raise ProgramError(
            f"{shown} has {len(data)} bytes, more than {MAX_SIZE}; take musl-gcc, and an unchanged source"
        )
    return built.applets
