"""apt with a root of its own, to which neither this machine's packages nor its architecture matter."""

from pathlib import Path

from . import run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FETCH_SECONDS = 600.0


class Apt:
    """An empty root (lists, status, sources) in a new folder; another user than root can use it, too."""

    def __init__(
        self,
        root: Path,
        kind: str,
        mirror: str,
        suite: str,
        architecture: str,
        *,
        security: bool = False,
    ) -> None:
        """Fetch the suite's list of packages (`deb`) or of sources (`deb-src`); LabError with apt's words.

        With `security` also that of its security updates, as Debian's mirrors have it beside theirs.
        """
        for name in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial",
                     "var/cache/apt/archives/partial", "var/lib/dpkg", "packages"):  # fmt: skip
            (root / name).mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        places = [f"{mirror} {suite}", *([f"{mirror}-security {suite}-security"] if security else [])]
        marks = f"[arch={architecture} signed-by={KEYRING}]"
        sources = "".join(f"{kind} {marks} {place} main\n" for place in places)
        (root / "etc/apt/sources.list").write_text(sources)
        options = [
            f"Dir={root}",
            f"Dir::State::status={root}/var/lib/dpkg/status",
            f"APT::Architecture={architecture}",
            f"APT::Architectures={architecture}",
            "APT::Sandbox::User=root",  # the folder is closed to apt's own user
            "Acquire::Languages=none",
            "Acquire::Check-Valid-Until=false",  # lists of suites that still grow may be past that date
        ]
        self._folder = root / "packages"
        self._options = [word for option in options for word in ("-o", option)]
        run.run(["apt-get", *self._options, "-q", "update"], timeout=FETCH_SECONDS)

    def cache(self, *words: str) -> str:
        """Return what apt-cache says."""
        return run.run(["apt-cache", *self._options, *words], timeout=FETCH_SECONDS).stdout.decode()

    def get(self, *words: str) -> list[Path]:
        """Run apt-get where what it downloads is to go; return all files that are there then."""
        # It writes into the working folder.
        script = 'cd "$1" && shift && exec apt-get "$@"'
        run.run(
            ["sh", "-c", script, "sh", str(self._folder), *self._options, "-q", *words],
            timeout=FETCH_SECONDS,
        )
        return sorted(self._folder.iterdir())
