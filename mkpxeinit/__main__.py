"""`python -m mkpxeinit` and the `mkpxeinit` command."""

import os
import sys

from mkpxeinit import __version__


def main() -> None:
    """Run the command line; the version is answered before anything slow is imported."""
    if sys.argv[1:] == ["--version"]:
        print(f"mkpxeinit {__version__}")
        return
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode and sys.executable:
        # Names in trees and lists of modules are UTF-8 whatever the locale of whoever builds an image.
        os.execv(sys.executable, [sys.orig_argv[0], "-X", "utf8", *sys.orig_argv[1:]])
    import signal

    # Until all is imported there is nothing to tidy up, and no traceback to be shown for Ctrl-C.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mkpxeinit.cli.main import run

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run())


if __name__ == "__main__":
    main()
