"""`python -m mkpxeinit` and the `mkpxeinit` command."""

import sys

from mkpxeinit import __version__


def main() -> None:
    """Run the command line; the version is answered before anything slow is imported."""
    if sys.argv[1:] == ["--version"]:
        print(f"mkpxeinit {__version__}")
        return
    from mkpxeinit.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
